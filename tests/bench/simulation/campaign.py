"""One run of the stack on a workload: submit, let time pass, see what became of it."""

import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.ministack_seam import simulation
from tests.bench.simulation.lambdas import Lambdas
from tests.bench.simulation.pollers import dead_letters, sources, start_schedules
from tests.bench.simulation.stack import TABLE, Events, Stack
from tests.bench.simulation.wire import Counts, Killed, Weather
from tests.bench.simulation.workload import Fates, Plan, Quotas
from tests.bench.simulation.world import START, World

FUNCTIONS = ("serve-jobs", "launch-jobs", "monitor-jobs", "send-alarms")
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/boxcar-simulated:1"
VARIABLES = {  # what the bench sets in place of the template: the image, and AWS's times in place of the demo's
    "BOXCAR_IMAGES": json.dumps({"simulated": IMAGE}),
    "BOXCAR_FIRST_LOOK_S": "180",
    "BOXCAR_RETRY_S": "30",
}
CALLER = "arn:aws:iam::000000000000:user/bench"
MOST_AT_ONCE = 100  # jobs of one request
MOST_TRIES = 30  # of a client, of one request


@dataclass
class Conditions:
    """Everything about a run that is not the workload."""

    seed: int = 4
    weather: Weather = field(default_factory=Weather)
    events: Events = field(default_factory=Events)
    horizon_s: float = 3 * 86_400.0
    max_wait_s: int = 6 * 86_400
    variables: dict[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """What a run left."""

    plans: list[Plan]
    quotas: Quotas
    records: dict[str, dict[str, Any]]  # items of the jobs table, by job id
    attempts: dict[str, dict[str, Any]]  # SageMaker's own records, by name
    stack: Stack
    lambdas: Lambdas
    counts: Counts
    ended_at: float  # seconds after the beginning
    idle_calls: int  # of the last simulated hour, in which nothing was to do
    dead: dict[str, list[str]]


class Campaign:
    """A world with the stack in it, before and while it runs."""

    def __init__(self, deployed: Path, folder: Path, conditions: Conditions) -> None:
        self.conditions = conditions
        random.seed(conditions.seed)  # of backoffs, the stack's and boto3's
        self.world = World()
        self.stack = Stack(
            deployed, folder / "state", self.world, conditions.seed, conditions.weather, conditions.events
        )
        self.lambdas = Lambdas(self.stack, FUNCTIONS, VARIABLES | conditions.variables)
        self.sources = sources(self.lambdas)
        self.by_id: dict[str, Plan] = {}
        self.stack.wire.job_of = self._job_of
        self.schedules = start_schedules(self.stack)
        self._unsubmitted = 0

    def seconds(self) -> float:
        """Since the beginning."""
        return self.world.now - START

    def run(self, seconds: float) -> None:
        """Let time pass until so many seconds after the beginning."""
        self.world.run(START + seconds)

    def set_quotas(self, quotas: Quotas) -> None:
        """Let SageMaker's quotas change as told."""
        for at, kind, count in quotas.changes():
            self.world.at(START + at, lambda kind=kind, count=count: self.stack.sagemaker.set_limit(kind, count))

    def submit(self, plans: list[Plan]) -> None:
        """Let each plan be submitted at its time: sweeps by one process one after another, as a client does."""
        self.stack.fate = Fates(plans)
        groups: dict[str, list[Plan]] = {}
        for plan in plans:
            groups.setdefault(plan.sweep or plan.name, []).append(plan)
        self._unsubmitted += len(plans)
        for group in groups.values():
            self.world.at(START + group[0].at, lambda group=group: self.world.spawn(lambda: self._submit(group)))

    def finish(self, plans: list[Plan], quotas: Quotas) -> Outcome:
        """Run until every job has ended, or to the horizon, then an hour for digests and what else follows."""
        horizon = self.conditions.horizon_s
        while self.seconds() < horizon:
            self.run(min(horizon, self.seconds() + 600))
            self._say()
            if not self._unsubmitted and not self._waiting():
                break
        ended = self.seconds()
        self.run(ended + 9 * 3600)  # digests of a sweep come after up to four hours
        before = sum(self.stack.wire.counts.calls.values())
        self.run(self.seconds() + 3600)
        idle = sum(self.stack.wire.counts.calls.values()) - before
        return Outcome(
            plans=plans,
            quotas=quotas,
            records={record["job"]: record for record in self.records()},
            attempts=self.stack.training_jobs(),
            stack=self.stack,
            lambdas=self.lambdas,
            counts=self.stack.wire.counts,
            ended_at=ended,
            idle_calls=idle,
            dead=dead_letters(self.stack),
        )

    def _say(self) -> None:
        """How far it is, each six hours, for who watches."""
        hours = self.seconds() / 3600
        if hours % 6 < 1e-6:
            statuses = Counter(item["status"]["S"] for item in simulation.items(TABLE) if "status" in item)
            calls = sum(self.stack.wire.counts.calls.values())
            print(f"hour {hours:.0f}: {dict(statuses)}, {calls} calls", file=sys.stderr, flush=True)

    def records(self) -> Iterator[dict[str, Any]]:
        """Every job of the table, decoded."""
        for item in simulation.items(TABLE):
            if item["pk"]["S"].startswith("job#"):
                yield {name: _plain(value) for name, value in item.items()}

    def _submit(self, plans: list[Plan]) -> None:
        for start in range(0, len(plans), MOST_AT_ONCE):
            part = plans[start : start + MOST_AT_ONCE]
            for _ in range(MOST_TRIES):
                answer = self._post({"jobs": [plan.request(self.conditions.max_wait_s) for plan in part]})
                if answer is None:
                    self.world.sleep(5.0)  # the client tries again: the same jobs
                    continue
                for plan, told in zip(part, answer["jobs"], strict=True):
                    plan.id = told["job"]
                    self.by_id[plan.id] = plan
                self._unsubmitted -= len(part)
                break
            else:
                raise RuntimeError(f"POST /jobs failed {MOST_TRIES} times: {self.lambdas.errors[-3:]}")

    def _post(self, document: dict[str, Any]) -> dict[str, Any] | None:
        """POST /jobs, as API Gateway hands it on; None if it did not work this time."""
        event = {
            "resource": "/jobs",
            "path": "/jobs",
            "httpMethod": "POST",
            "pathParameters": None,
            "queryStringParameters": None,
            "multiValueQueryStringParameters": None,
            "requestContext": {"stage": "v1", "identity": {"userArn": CALLER}},
            "body": json.dumps(document),
            "isBase64Encoded": False,
        }
        try:
            answer = self.lambdas.invoke("serve-jobs", event)
        except (Killed, Exception):
            return None
        if answer["statusCode"] >= 500 or answer["statusCode"] == 429:
            return None
        if answer["statusCode"] >= 300:
            raise RuntimeError(f"POST /jobs: {answer['statusCode']}: {answer['body'][:2000]}")
        told: dict[str, Any] = json.loads(answer["body"])
        return told

    def _waiting(self) -> bool:
        ended = ("Completed", "Failed", "Stopped")
        for item in simulation.items(TABLE):
            if item["pk"]["S"].startswith("job#") and item["status"]["S"] not in ended:
                return True
        return False

    def _job_of(self, text: str) -> str | None:
        if text in self.by_id:
            return text
        job = text.rpartition("-")[0]
        return job if job in self.by_id else None


@contextmanager
def campaign(deployed: Path, conditions: Conditions) -> Iterator[Campaign]:
    """A campaign in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    try:
        yield Campaign(deployed, folder, conditions)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _plain(value: dict[str, Any]) -> Any:
    ((kind, content),) = value.items()
    if kind == "N":
        return float(content)
    if kind == "M":
        return {name: _plain(each) for name, each in content.items()}
    if kind == "L":
        return [_plain(each) for each in content]
    return set(content) if kind == "SS" else content
