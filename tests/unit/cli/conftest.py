"""A jobs API in memory, as the commands see it: pages, problems, faults on purpose."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
from click.testing import CliRunner, Result

from boxcar.jobs.names import job_id
from cli.api import ApiProblem
from cli.jobs import jobs as group

NOW = datetime.now(UTC).replace(microsecond=0)


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def document(name: str, **changes: Any) -> dict[str, Any]:
    """A job as the API tells it."""
    owner = changes.get("owner", "ann")
    return {
        "job": job_id("boxcar", f"{owner}/{name}", "", ""),
        "run": f"{owner}/{name}",
        "model": "",
        "step": "train",
        "kind": "training",
        "family": "",
        "owner": owner,
        "sweep": "",
        "tags": {},
        "status": "New",
        "failure": "",
        "reason": "",
        "priority": 50,
        "instance_type": "ml.m5.large",
        "units": 1,
        "created_at": iso(NOW),
        "started": None,
        "ended": None,
        "seconds": 0.0,
        "billable_seconds": 0.0,
        "attempt": 0,
        "waiting_for": "",
        "attempts": [],
        "inputs": {},
        "outputs": {},
        "document": {"name": "train", "config": {}},
        "logs": None,
        "links": {"console": "", "logs": ""},
    } | changes


@dataclass
class Fake:
    """A session whose API holds jobs in memory. `faults` are raised by the next calls that fit."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    before: Callable[[str, str], None] = lambda method, path: None
    clients: dict[str, Any] = field(default_factory=dict)
    page: int = 2
    stack: str = "boxcar"
    local: bool = False
    outputs: dict[str, str] = field(
        default_factory=lambda: {
            "BucketName": "data",
            "NotificationsTopicArn": "arn:aws:sns:us-east-1:1:boxcar-notifications",
        }
    )
    api: Any = None

    def add(self, name: str, **changes: Any) -> dict[str, Any]:
        job = document(name, **changes)
        self.jobs[job["job"]] = job
        return job

    def client(self, service: str) -> Any:
        if service == "sts":
            arn = "arn:aws:sts::1:assumed-role/science/ann"
            return SimpleNamespace(get_caller_identity=lambda: {"Arn": arn})
        return self.clients[service]

    def call_api(
        self, method: str, path: str, query: Any = None, body: Any = None, check: bool = True
    ) -> tuple[int, Any]:
        self.calls.append((method, path, dict(query or {})))
        self.bodies.append(body)
        self.before(method, path)
        status, answer = self._answer(method, path, query or {}, body)
        if check and status >= 400:
            raise ApiProblem(status, answer)
        return status, json.loads(json.dumps(answer))

    def _answer(self, method: str, path: str, query: dict[str, Any], body: Any) -> tuple[int, Any]:
        if (method, path) == ("GET", "/jobs"):
            return 200, self._list(query)
        if (method, path) == ("POST", "/jobs"):
            return self._submit(body["jobs"])
        match = re.fullmatch(r"/jobs/([^/]+)(/retry)?", path)
        assert match, path
        job = self.jobs.get(unquote(match[1]))
        if job is None:
            return 404, {"title": "No such job", "detail": f"there is no job {match[1]!r}"}
        if method == "GET":
            return 200, job
        ended = job["status"] in ("Completed", "Failed", "Stopped")
        if (method == "DELETE" and ended) or (method == "POST" and (not ended or job["status"] == "Completed")):
            return 409, {"title": "Not possible", "detail": f"job {job['job']} is {job['status']}"}
        job["status"] = "Stopped" if method == "DELETE" else "New"
        return 202, job

    def _list(self, query: dict[str, Any]) -> dict[str, Any]:
        last = datetime.fromisoformat(query["day"]).date()
        first = last - timedelta(days=int(query["days"]) - 1)
        assert 1 <= int(query["days"]) <= 31 and int(query["limit"]) <= 200
        tags = dict(tag.split("=", 1) for tag in query.get("tag", []))
        fits = [
            job
            for job in sorted(self.jobs.values(), key=lambda job: job["created_at"], reverse=True)
            if first <= datetime.fromisoformat(job["created_at"]).date() <= last
            and all(job[name] == query[name] for name in ("owner", "sweep", "status") if name in query)
            and all(job["tags"].get(name) == value for name, value in tags.items())
        ]
        start = int(query.get("next") or 0)
        more = start + self.page < len(fits)
        return {"jobs": fits[start : start + self.page], "next": str(start + self.page) if more else None}

    def _submit(self, requests: list[dict[str, Any]]) -> tuple[int, Any]:
        assert len(requests) <= 100
        for number, request in enumerate(requests):
            if request["step"].get("image") == "unheard-of":
                message = "'unheard-of' is not known; write one of xgboost"
                errors = [{"field": f"jobs[{number}].step.image", "message": message}]
                return 400, {"title": "The request is not valid", "detail": message, "errors": errors}
        told = []
        for request in requests:
            owner = request.get("owner") or "ann"
            extra = {name: request[name] for name in ("sweep", "tags", "family") if name in request}
            job = document(request["job"], owner=owner, document=request["step"], **extra)
            created = job["job"] not in self.jobs
            self.jobs.setdefault(job["job"], job)
            told.append({**self.jobs[job["job"]], "created": created})
        return 201, {"jobs": told}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.delenv("BOXCAR_OWNER", raising=False)
    return Fake()


@pytest.fixture
def boxcar_jobs(fake: Fake) -> Callable[..., Result]:
    """`boxcar jobs …` on the fake."""

    def run(*arguments: str | Path, **more: Any) -> Result:
        return CliRunner().invoke(group, [str(argument) for argument in arguments], obj=fake, **more)

    return run
