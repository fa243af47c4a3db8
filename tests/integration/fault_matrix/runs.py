"""One run with one fault: a Task of a machine is pointed at a faulty stand-in of what it calls."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any

from tests.conformance.machinery import Engine
from tests.integration.fault_matrix.account import AFFECTED, SIBLING, Account
from tests.integration.fault_matrix.faults import FAULTS, Faulty
from tests.integration.fault_matrix.machines import FUNCTION, State, definition, tasks

REPORTS = ("report", "inference_report", "benchmark_report", "released")  # kinds of messages that sum a run up
NEVER = 1e9  # seconds
# What the arguments of a Task call, and by which method; a function by its own name.
CALLED = {"FunctionName": "", "QueueUrl": "sqs.send_message", "Bucket": "s3.get_object"}
_number = itertools.count(1)


@dataclass(frozen=True)
class Way:
    """How a run comes to a Task."""

    outcome: str = "approve"  # what Compare makes of the affected model
    after: str = ""  # the Task that must have failed before
    failing: str = "own error"  # with which fault
    asks: bool = False  # the family wants a person asked before a release
    tries: bool = False  # and a new version tried beside the one that is live

    @property
    def serving(self) -> dict[str, Any]:
        """What the family says of endpoints."""
        return {"approval": self.asks, **({"split": TRIAL} if self.tries else {})}


# Nobody asks the endpoint, so the first look at the trial ends it.
TRIAL = {"hours": 1e-6, "inconclusive": "promote"}
# Every Task of every machine: declare a new one here, and its row in docs/fault-matrix.md.
WAYS: dict[str, dict[str, Way]] = {
    "training": {
        "Plan": Way(),
        "Unload": Way(),
        "Step": Way(),
        "Compare": Way(),
        "RegisterApproved": Way(),
        "RegisterForReview": Way("review"),
        "AskReview": Way("review"),
        "AlarmReviewExpired": Way("review", after="AskReview", failing="no answer"),
        "RegisterRejected": Way("reject"),
        "AlarmRejected": Way("reject"),
        "AlarmModel": Way(after="Compare"),
        "Report": Way(),
        "AlarmRun": Way(after="Unload"),
        "ReportFailure": Way(after="Unload"),
    },
    "inference": {
        "Plan": Way(),
        "Tables": Way(),
        "Unload": Way(),
        "CountUnloaded": Way(),
        "Split": Way(),
        "CountSplit": Way(),
        "Step": Way(),
        "CountLoaded": Way(),
        "AlarmModel": Way(after="CountLoaded"),
        "Report": Way(),
        "AlarmRun": Way(after="Unload"),
        "ReportFailure": Way(after="Unload"),
    },
    "benchmark": {
        "Plan": Way(),
        "Compile": Way(),
        "ReadCompiled": Way(),
        "LoadTest": Way(),
        "AlarmTest": Way(after="LoadTest"),
        "AlarmBuild": Way(after="Compile"),
        "Report": Way(),
        "AlarmRun": Way(after="Plan"),
        "ReportFailure": Way(after="Plan"),
    },
    "release": {
        "Plan": Way(),
        "AskRelease": Way(asks=True),
        "AlarmReleaseExpired": Way(asks=True, after="AskRelease", failing="no answer"),
        "TakeTurn": Way(),
        "BeginTrial": Way(tries=True),
        "SmokeTrial": Way(tries=True),
        "WaitTrial": Way(tries=True),
        "JudgeTrial": Way(tries=True),
        "Deploy": Way(),
        "SmokeTest": Way(),
        "RollBack": Way(after="SmokeTest"),
        "Finish": Way(),
        "AlarmRun": Way(after="Deploy"),
        "FinishFailed": Way(after="Deploy"),
    },
}
# One build, and one load test on it; what is published of the same shape stands beside them in the report.
BENCHMARK = {
    "backends": ["openvino"],
    "batches": [1],
    "targets": [{"name": "batch", "scenario": "offline", "rate": 8800, "seconds": 1}],
}


@dataclass(frozen=True)
class Measured:
    """How a run ended, and who was alarmed."""

    end: str  # succeeded, partial, expired, run failed
    alarms: tuple[tuple[str, str], ...]  # audience and error

    def __str__(self) -> str:
        told = [f"{audience}: {error}" for audience, error in self.alarms]
        return "<br>".join([self.end, *(told or ["nobody"])])


def kind_of(state: State) -> str:
    """What a Task is, as far as faults go: `queue`, `object`, `function`, or one that stores what is waited for.

    That is a `job`, or a `question`: to a person, to SageMaker, or to whoever has the turn.
    """
    if "FunctionName" not in state["Arguments"]:
        return "queue" if "QueueUrl" in state["Arguments"] else "object"
    if not state["Resource"].endswith(".waitForTaskToken"):
        return "function"
    return "job" if state["Arguments"]["FunctionName"].endswith("submit_job") else "question"


def run(account: Account, machine: str, task: str, fault: str | None) -> Measured:
    """Run a machine to its end, with a fault of one Task; None for no fault."""
    way, made = WAYS[machine][task], definition(machine)
    states = {path.rpartition("/")[2]: (path, state) for path, state in tasks(made)}
    of_a_model = "/" in states[task][0]
    name = f"family_{next(_number)}"
    account.empty()
    if machine == "benchmark":
        asked = {"benchmark": name, **BENCHMARK}
    else:
        asked = {"family": name, **({"model": AFFECTED} if machine == "release" else {})}
        models = [AFFECTED, *([SIBLING] if of_a_model else [])]
        account.apply_family(name, *models, approved=machine != "training", serving=way.serving)
        if way.tries:
            account.serve(name, AFFECTED)
    account.outcome = way.outcome
    with account.running() as engine:
        for place, told in ((way.after, way.failing), (task, fault)):
            if place and told:
                _point(account, engine, states[place][1], told, alias=place)
        execution = engine.start(engine.create(made, f"boxcar-{machine}"), asked, name)
        ended = engine.wait(execution)
    account.sagemaker.refuses = {}
    reports = [m.get("status", "succeeded") for m in account.messages if m["kind"] in REPORTS]
    if ended["status"] == "SUCCEEDED":
        end = (
            reports[-1] if reports else str(json.loads(ended["output"])["status"])
        )  # without a report: of the run itself
    else:
        end = f"run {ended['status'].lower()}"
    alarms = [(mail.audience, mail.error) for mail in account.mails if mail.kind == "alarm"]
    return Measured(end, tuple(alarms))


def _point(account: Account, engine: Engine, state: State, fault: str, alias: str) -> None:
    """Let a Task call a stand-in that has the fault, for the affected model and for what is of no model."""
    arguments = state["Arguments"]
    field = next(name for name in CALLED if name in arguments)
    method, arguments[field] = CALLED[field], f"{arguments[field]}:{alias}"
    called = arguments[field]
    if not method:
        function = called.removeprefix(FUNCTION).removesuffix(f":{alias}")
        faulty, healthy = Faulty(account, function, fault, account.function(function)), engine.aws.functions[function]
        engine.aws.functions[alias] = lambda payload: (faulty if _affected(payload) else healthy)(payload)
    else:
        well = engine.aws.methods[method]
        unwell = Faulty(account, "", fault, lambda request: well(**request))

        def call(**request: Any) -> Any:
            if request[field] != called:
                return well(**request)
            return unwell({**request, field: called.rpartition(":")[0]})

        engine.aws.methods[method] = call
    if fault == "no answer" and kind_of(state) in ("function", "queue", "object"):
        engine.api._engine.runner = _Silent(engine.api._engine.runner, arguments[field])


def _affected(payload: dict[str, Any]) -> bool:
    return payload.get("model") != SIBLING


class _Silent:
    """A runner that never hears from one function, queue or bucket."""

    def __init__(self, inner: Any, silent: str) -> None:
        self._inner, self._silent = inner, silent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def call(self, run: Any, resource: Any, arguments: Any, role: str) -> Any:
        called = next(arguments[name] for name in CALLED if name in arguments)
        told = arguments.get("Payload") or arguments.get("MessageBody") or {}
        if called == self._silent and _affected(told):
            await run.clock.sleep(NEVER)
        return await self._inner.call(run, resource, arguments, role)


def befalling(state: State) -> list[str]:
    """The faults that a Task can have."""
    return [name for name, fault in FAULTS.items() if fault.befalls(kind_of(state))]
