"""Faults of a Task: what befalls the function, queue or object that it calls for, or the job that it waits for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from boxcar.comparisons import verdict_key
from tests.conformance.machinery import FunctionError, client_error
from tests.integration.fault_matrix.account import BUCKET, Account
from tests.unit.jobs.fakes import Ending
from tests.unit.serving.fakes import refusal

Payload = dict[str, Any]
Call = Callable[[Payload], Any]

KILLED = FunctionError("Runtime.ExitError", "RequestId: 1 Error: Runtime exited with error: signal: killed")
DIED = Ending("Failed", "AlgorithmError: , exit code: 137")
STATEMENT_DIED = Ending("Failed", "ERROR: connection to the compute node was lost")


@dataclass(frozen=True)
class Fault:
    """A column of the matrix."""

    words: str
    of: str = "function job question queue object"  # kinds of Task that can have it: `job` waits for one
    once: bool = False  # the next attempt goes well

    def befalls(self, kind: str) -> bool:
        """Whether a kind of Task can have it."""
        return kind in self.of.split()


FAULTS = {
    "throttled once": Fault("the call is throttled once", once=True),
    "throttled": Fault("the call is throttled for good"),
    "denied": Fault("the role of the machine may not make the call"),
    "denied inside": Fault("the role of the function may not do what it has to", of="function job question"),
    "no answer": Fault("no answer comes before TimeoutSeconds are over"),
    "own error": Fault(
        "the error that is its own: of the request, the step, the figures; a queue or object that is gone"
    ),
    "null": Fault("the answer is null", of="function job question"),
    "empty": Fault("the answer is {}", of="function job question"),
    "odd": Fault("each field of the answer is 0", of="function job question"),
    "killed once": Fault("the function is killed once", of="function job question", once=True),
    "killed": Fault("the function is killed each time", of="function job question"),
    "job killed once": Fault("the process of the job is killed once", of="job", once=True),
    "job killed": Fault("the process of the job is killed each time", of="job"),
}


NO_OWN_ERROR = ("report_run", "report_inference", "report_benchmark", "take_turn", "finish_release")


class Faulty:
    """What a Task calls in the place of what it would call, with one fault."""

    def __init__(self, account: Account, function: str, fault: str, healthy: Call) -> None:
        self._account, self._function, self._fault = account, function, fault
        self._healthy = healthy
        self._calls = 0

    def __call__(self, payload: Payload) -> Any:
        self._calls += 1
        if FAULTS[self._fault].once and self._calls > 1:
            return self._healthy(payload)
        return getattr(self, f"_{self._fault.replace(' ', '_')}")(payload)

    def _with(self, payload: Payload, **state: Any) -> Any:
        """Call the function while the account is in a state."""
        with self._account.turn:
            before = {name: getattr(self._account, name) for name in state}
            self._account.__dict__.update(state)
            try:
                return self._healthy(payload)
            finally:
                self._account.__dict__.update(before)

    def _throttled(self, payload: Payload) -> Any:
        raise client_error("TooManyRequestsException" if self._function else "RequestThrottled", "Rate exceeded", 429)

    _throttled_once = _throttled

    def _denied(self, payload: Payload) -> Any:
        raise client_error("AccessDeniedException" if self._function else "AccessDenied", "is not authorized", 403)

    def _denied_inside(self, payload: Payload) -> Any:
        return self._with(payload, refusing=True)

    def _killed(self, payload: Payload) -> Any:
        raise KILLED

    _killed_once = _killed

    def _own_error(self, payload: Payload) -> Any:
        if self._function == "smoke_test":
            return self._with(payload, score=0.75)
        if "Key" in payload:
            raise client_error("NoSuchKey", "The specified key does not exist.", 404)
        if not self._function:
            raise client_error("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
        if self._function in NO_OWN_ERROR:
            raise FunctionError("ClientError", "An error occurred (InternalError) when calling the PutObject operation")
        return self._healthy(SPOILT[self._function](self._account, payload))

    def _no_answer(self, payload: Payload) -> Any:
        return self._with(payload, lazy=True)

    def _null(self, payload: Payload) -> Any:
        return self._odd_answer(payload, lambda answer: None)

    def _empty(self, payload: Payload) -> Any:
        return self._odd_answer(payload, lambda answer: {})

    def _odd(self, payload: Payload) -> Any:
        return self._odd_answer(payload, lambda answer: dict.fromkeys(answer, 0))

    def _odd_answer(self, payload: Payload, change: Call) -> Any:
        if "task_token" not in payload:
            return change(self._healthy(payload))
        return self._with(payload, change=change)

    def _job_killed(self, payload: Payload) -> Any:
        died = DIED if payload["model"] else STATEMENT_DIED
        return self._with(payload, endings=[died, *([Ending(rows=5000)] if FAULTS[self._fault].once else [])])

    _job_killed_once = _job_killed


def _unreadable(account: Account, payload: Payload) -> Payload:
    key = f"runs/{payload['run']}/{payload['model']}/evaluate/evaluation/evaluation.json"
    account.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"not JSON")
    return payload


def _unjudged(account: Account, payload: Payload) -> Payload:
    account.client("s3").delete_object(Bucket=BUCKET, Key=verdict_key(payload["run"], payload["model"]))
    return payload


def _without_image(account: Account, payload: Payload) -> Payload:
    refused = refusal("Requested image not found.") if not payload.get("back") else refusal("is at its limit")
    account.sagemaker.refuses = {"create_model": refused}
    return payload


def _unknown_version(account: Account, payload: Payload) -> Payload:
    if "plan" in payload:
        return {**payload, "plan": {**payload["plan"], "version": "9.9.9"}}
    return {**payload, "version": "9.9.9"}


# What makes a function raise the error that is its own.
SPOILT: dict[str, Callable[[Account, Payload], Payload]] = {
    "plan_run": lambda account, payload: {**payload, "event": {"family": "nobody"}},
    "plan_inference": lambda account, payload: {**payload, "event": {"family": "nobody"}},
    "plan_benchmark": lambda account, payload: {**payload, "event": {"benchmark": "b", "backends": ["nobody"]}},
    "check_counts": lambda account, payload: {**payload, "run": "nobody"},
    "submit_job": lambda account, payload: {**payload, "step": "nowhere"},
    "compare_versions": _unreadable,
    "register_version": _unjudged,
    "plan_release": lambda account, payload: {**payload, "event": {"family": "nobody", "model": "x"}},
    "deploy_endpoint": _without_image,
    "judge_trial": lambda account, payload: {**payload, "execution": "nobody"},
    "ask_review": _unknown_version,
}
