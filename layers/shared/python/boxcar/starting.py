"""Starting a machine by its name, for a pipeline elsewhere that may do nothing else, and asking how its run stands."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from pydantic import Field, ValidationError

from boxcar.benchmarks.requests import BenchmarkRequest
from boxcar.errors import TriggerError
from boxcar.families import FamilyVersion
from boxcar.family_checks import faults_of
from boxcar.inference.planning import selected_models
from boxcar.inference.requests import InferenceRequest
from boxcar.planning import check_request
from boxcar.requests import RunRequest, TrainingRequest, Trigger, digest, read_trigger
from boxcar.serving.planning import serving_of
from boxcar.serving.requests import ReleaseRequest
from boxcar.steps import Document

REQUESTS: dict[str, type[RunRequest]] = {
    "training": TrainingRequest,
    "inference": InferenceRequest,
    "benchmark": BenchmarkRequest,
    "release": ReleaseRequest,
}
SOURCE = "input"  # the field that holds a machine's request, for messages
FamilyOf = Callable[[str, str], FamilyVersion]  # name, source


class Start(Document):
    """Start a machine. The same token starts it once, however often it is sent."""

    machine: str
    input: dict[str, Any]  # what the machine may be asked: docs/family-file.md
    token: str = Field(default="", max_length=256)  # of the caller, such as the id of a pipeline


class Question(Document):
    """How does a run stand?"""

    machine: str
    run: str = Field(pattern=r"^[A-Za-z0-9_-]{1,80}$")


def read_question(event: dict[str, Any]) -> Start | Question:
    """Find out whether something is to be started or looked at.

    Raises:
        TriggerError: neither; names the field and the value.
    """
    kind: type[Start] | type[Question] = Question if "run" in event else Start
    try:
        return kind.model_validate(event)
    except ValidationError as error:
        raise TriggerError(
            f'{faults_of(error, "event")}; write {{"machine": "training", "input": {{"family": "<name>"}}, '
            '"token": "<yours>"}, or {"machine": "training", "run": "<run>"} to ask after one'
        ) from None


def start(states: Any, machines: dict[str, str], asked: Start, family: FamilyOf, now: datetime) -> dict[str, Any]:
    """Check a request as the machine's planner will, and start an execution.

    Args:
        states: a client of Step Functions.
        machines: ARNs by name.
        asked: what to start.
        family: the stored version of a family; raises TriggerError if there is none.
        now: for the name of the run, where there is no token.

    Returns:
        `run`, `execution` (its ARN) and `started`, false where the token had started it before.

    Raises:
        TriggerError: an unknown machine, a request that its planner would refuse, or a token that stood for another
            request.
    """
    machine = _machine(machines, asked.machine)
    trigger = read_trigger(asked.input, _no_object, REQUESTS[asked.machine])
    trigger = Trigger(trigger.request, SOURCE, None)
    _check_family(trigger, family)
    run, text = _run(asked, trigger.request.subject, now), json.dumps(asked.input, sort_keys=True)
    execution = _execution(machine, run)
    try:
        states.start_execution(stateMachineArn=machine, name=run, input=text)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
            raise
        started = json.loads(states.describe_execution(executionArn=execution)["input"])
        if {**started, "requested_by": ""} != {**asked.input, "requested_by": ""}:  # it is the same, whoever asks
            raise TriggerError(
                f"token: {asked.token!r} has started run {run} with another input; send that input, or another token"
            ) from None
        return {"run": run, "execution": execution, "started": False}
    return {"run": run, "execution": execution, "started": True}


def is_started(states: Any, machines: dict[str, str], asked: Start, subject: str) -> bool:
    """Whether a token has started a run about this subject before."""
    run = _run(asked, subject, datetime.now(UTC))
    try:
        states.describe_execution(executionArn=_execution(_machine(machines, asked.machine), run))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
            raise
        return False
    return True


def look(states: Any, s3: Any, bucket: str, machines: dict[str, str], asked: Question) -> dict[str, Any]:
    """Say how a run stands.

    Returns:
        `run`, `status` of its execution, and once it has ended with a report, `sentence` and `models`, each with
        `model`, `status` and `version`; of a release that ended well `sentence` and `outcome`: released, nothing (it is
        live already), rejected, expired, replaced or asked.

    Raises:
        TriggerError: an unknown machine or run.
    """
    machine = _machine(machines, asked.machine)
    try:
        execution = states.describe_execution(executionArn=_execution(machine, asked.run))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
            raise
        raise TriggerError(
            f"run: machine {asked.machine} has no run {asked.run!r}; write the run it answered"
        ) from None
    answer = {"run": asked.run, "status": execution["status"]}
    if answer["status"] == "RUNNING":
        return answer
    if asked.machine == "release" and answer["status"] == "SUCCEEDED":
        output = json.loads(execution["output"])
        by = f" ({output['by']})" if output.get("by") else ""
        why = output.get("why") or "{family}/{model} {version} on {endpoint}".format_map(output)
        return {**answer, "outcome": output["status"], "sentence": f"{output['status']}: {why}{by}"}
    try:
        body = s3.get_object(Bucket=bucket, Key=f"reports/{asked.run}/report.json")["Body"].read()
    except s3.exceptions.NoSuchKey:
        return answer  # it died before it could report
    report = json.loads(body)
    models = [
        {name: model.get(name) for name in ("model", "status", "version")} for model in report.get("models") or []
    ]
    return {**answer, "sentence": report.get("sentence", ""), "models": models}


def _check_family(trigger: Trigger[Any], family: FamilyOf) -> None:
    request = trigger.request
    if request.about != "family":
        return
    version = family(request.family, trigger.source)
    if isinstance(request, InferenceRequest):
        selected_models(trigger, version)
    elif isinstance(request, ReleaseRequest):
        serving_of(request, trigger.source, version)
    else:
        check_request(trigger, version)


def _machine(machines: dict[str, str], name: str) -> str:
    known = sorted(set(machines) & set(REQUESTS))
    if name not in known:
        raise TriggerError(f"machine: there is no {name!r}; write one of {', '.join(known)}")
    return machines[name]


def _run(asked: Start, subject: str, now: datetime) -> str:
    mark = digest(asked.machine, asked.token)[:16] if asked.token else f"{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
    return f"{subject}-{mark}"


def _execution(machine: str, run: str) -> str:
    return f"{machine.replace(':stateMachine:', ':execution:')}:{run}"


def _no_object(bucket: str, key: str, version: str | None) -> bytes:
    raise TriggerError(f"{SOURCE}: is an event about s3://{bucket}/{key}; send what the object says")
