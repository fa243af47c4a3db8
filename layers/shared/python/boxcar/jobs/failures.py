"""What can go wrong with a job, and what is done about it.

Two moments: AWS refuses to create it (`refusal`), or it ends badly (`ending`). The names of failures are what a state
machine catches and what a mail says.
"""

import random
import re
from collections.abc import Callable
from enum import StrEnum

from boxcar.errors import ACCESS_DENIED_CODES, StepError

SERVICE_RETRIES = 5  # InternalServerError is not the job's fault: it does not use up the job's own attempts
LONGEST_BACKOFF_S = 600.0
Jitter = Callable[[float, float], float]


class Failure(StrEnum):
    """Why an attempt, or a whole job, failed."""

    CAPACITY = "CapacityError"  # AWS has no such machine now: another type, later; bounded by age
    CAPACITY_TIMEOUT = "CapacityTimeout"  # … and that took longer than max_wait_s
    SERVICE = "InternalServerError"  # retried
    ALGORITHM = "AlgorithmError"  # the job's code: retried up to max_attempts
    INPUT = "InputError"  # the job's code says that its data cannot be used: not retried
    CLIENT = "ClientError"  # the request is wrong: not retried
    ACCESS = "AccessDenied"  # not retried
    TIME_LIMIT = "TimeLimitExceeded"  # not retried
    NO_ROWS = "NoRows"  # not retried
    COUNTS = "CountMismatch"  # rows got lost, or came twice, between two steps: not retried
    STOPPED = "Stopped"  # somebody stopped it
    QUARANTINED = "Quarantined"  # it, or its launcher, died again and again: not tried any more, and an alarm


class Refusal(StrEnum):
    """What an error of a Create* call says about the job."""

    LIMIT = "limit"  # no more of these machines: nothing was created
    THROTTLED = "throttled"  # too many calls: nothing was created
    UNCERTAIN = "uncertain"  # it may have been created
    FATAL = "fatal"  # it will not be created, however often it is asked for


LIMIT_CODES = {
    "ResourceLimitExceeded",
    "ServiceQuotaExceededException",
    "LimitExceededException",
    "CapacityError",
    "InsufficientCapacity",
    "InsufficientCapacityException",
    "ActiveStatementsExceededException",
    "ActiveSessionsExceededException",
    "ConcurrentRunsExceededException",
    "ResourceNumberLimitExceededException",
}
THROTTLE_CODES = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "SlowDown",
    "ProvisionedThroughputExceededException",
}
UNCERTAIN_CODES = {
    "ConflictException",
    "ExecuteStatementException",
    "OperationTimeoutException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServerException",
}


def refusal(error: Exception) -> tuple[Refusal, Failure]:
    """What an error of a Create* call means, and the failure to report if it is fatal."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        if isinstance(error, StepError) or type(error).__name__ == "ParamValidationError":
            return Refusal.FATAL, Failure.CLIENT
        return Refusal.UNCERTAIN, Failure.SERVICE  # a connection that broke may have carried the request
    code = response.get("Error", {}).get("Code", "")
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    if code in LIMIT_CODES:
        return Refusal.LIMIT, Failure.CAPACITY_TIMEOUT
    if code in THROTTLE_CODES or status == 429:
        return Refusal.THROTTLED, Failure.SERVICE
    if code in ACCESS_DENIED_CODES:
        return Refusal.FATAL, Failure.ACCESS
    if status >= 500 or code in UNCERTAIN_CODES or code.startswith(("Internal", "ServiceUnavailable")):
        return Refusal.UNCERTAIN, Failure.SERVICE
    return Refusal.FATAL, Failure.CLIENT


_INPUT = re.compile(r"(?:^|[\s\"'])InputError: ")
_TIME = re.compile(r"MaxRuntimeExceeded|MaxWaitTimeExceeded|MaxRuntimeInSeconds|maximum run ?time", re.I)
_CAPACITY = re.compile(
    r"CapacityError|Insufficient\w*Capacity|ResourceLimitExceeded|requested ML compute capacity", re.I
)
_ACCESS = re.compile(r"Access ?Denied|not authorized|permission denied|AccessDeniedException", re.I)
_CLIENT = re.compile(r"^(Client|Validation)\w*(Error|Exception)\b")


def ending(status: str, reason: str, message: str = "", secondary: str = "") -> Failure:
    """Why an attempt that ended with `status` Failed or Stopped did.

    Args:
        status: of the service.
        reason: FailureReason; begins with AWS's class, and the rest may quote anything, a script's traceback too.
        message: what the job itself left (ExitMessage).
        secondary: SecondaryStatus of a training job.
    """
    if secondary == "MaxWaitTimeExceeded":
        return Failure.CAPACITY  # of spot
    if _TIME.search(secondary) or (not reason.startswith("AlgorithmError") and _TIME.search(reason)):
        return Failure.TIME_LIMIT
    if status == "Stopped":
        return Failure.STOPPED
    if _INPUT.search(message) or _INPUT.search(reason):
        return Failure.INPUT
    if reason.startswith(("AlgorithmError", "ExecuteUserScriptError")):
        return Failure.ALGORITHM
    if _CAPACITY.search(reason):
        return Failure.CAPACITY
    if reason.startswith(Failure.COUNTS):
        return Failure.COUNTS
    if reason.startswith("Internal"):
        return Failure.SERVICE
    if _ACCESS.search(reason):
        return Failure.ACCESS
    if _CLIENT.match(reason):
        return Failure.CLIENT
    return Failure.SERVICE


def backoff(base_s: float, failures: int, jitter: Jitter = random.uniform) -> float:
    """Seconds to wait after so many failures (0 for the first): full jitter under a ceiling that doubles.

    Source: AWS Architecture Blog, "Exponential Backoff And Jitter" (2015). Never under a second, so that a retry is
    never a second call at once.
    """
    return max(1.0, jitter(0.0, min(LONGEST_BACKOFF_S, base_s * 2 ** min(failures, 20))))
