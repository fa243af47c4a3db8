"""Named errors. A state machine catches them by class name, so a class name here is part of the interface.

Every message names the file (or document), the field and the value, and says what to write instead.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

ACCESS_DENIED_CODES = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"}
THROTTLE_CODES = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "RequestThrottled",
    "SlowDown",
}


class BoxcarError(Exception):
    """Anything that Boxcar itself refuses or gives up on."""


class TriggerError(BoxcarError):
    """The request that started a run cannot be read or asks for what does not exist."""


class FamilyError(BoxcarError):
    """A family file, or the architecture it names, is not valid."""


class BenchmarkError(BoxcarError):
    """A benchmark cannot be planned with what lies in the bucket: the prices, or the code of its jobs."""


class StepError(BoxcarError):
    """A step cannot be submitted: a reference leads nowhere, or a field is not valid for its kind."""


class Refused(BoxcarError):  # noqa: N818 - a state
    """A caller asked for what cannot be. Whoever asked is told; it is nobody's alarm."""


class UnknownJob(Refused):
    """There is no job of that id."""


class UnknownVersion(Refused):
    """There is no such model, or no such version of it."""


class NotPossible(Refused):
    """What is asked for does not fit the status of what it is asked of."""


class DifferentJob(Refused):
    """The name of a job is taken by one with other contents."""

    def __init__(self, index: int, field: str, message: str) -> None:
        super().__init__(message)
        self.index = index  # in the request
        self.field = field  # the first that differs


class AccessDenied(BoxcarError):  # noqa: N818 - AWS's own name for it
    """A role lacks a permission. The message is AWS's own: it names the principal, the action and the resource."""


class Throttled(BoxcarError):  # noqa: N818 - a state, by the name machines retry on
    """AWS asked to slow down, and went on asking after the client's own retries. Machines wait and try again."""


class VersionNotApproved(BoxcarError):  # noqa: N818 - a state
    """Only an approved version is released."""


class ReleaseRefused(BoxcarError):  # noqa: N818 - a state
    """SageMaker does not take a model, an endpoint's configuration or the endpoint as it is described."""


class EndpointBusy(BoxcarError):  # noqa: N818 - a state, by the name machines retry on
    """An endpoint is changing for another reason, such as autoscaling. Machines wait and try again."""


class EndpointFailed(BoxcarError):  # noqa: N818 - a state
    """SageMaker could not make an endpoint, or it is gone."""


class RolledBack(BoxcarError):  # noqa: N818 - a state
    """SageMaker gave the version before its place back: an alarm rang, or the new one did not start in time."""


class SmokeTestFailed(BoxcarError):  # noqa: N818 - a state
    """A version that was deployed does not answer golden requests as it should."""


class TrialLost(BoxcarError):  # noqa: N818 - a state
    """A version that was tried beside the one that is live did worse, or a person has ended the trial."""


class TrialInconclusive(BoxcarError):  # noqa: N818 - a state
    """A trial is over, and nobody can say which version is better."""


class EvaluationError(BoxcarError):
    """The figures of a candidate are missing or not readable."""


class CountMismatch(BoxcarError):  # noqa: N818 - a state, by the name that jobs fail with too
    """Rows got lost, or came twice, between two steps of an inference run."""


class TooManyRejects(BoxcarError):  # noqa: N818 - likewise
    """More rows cannot be predicted than the family allows."""


class DocumentRefused(BoxcarError):  # noqa: N818 - a state
    """A document that the asynchronous endpoint would not take. Its sender is told; it is not tried again."""


class DocumentFailed(BoxcarError):  # noqa: N818 - likewise
    """The endpoint had a document and gave no summary."""


def named_errors(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Give AWS's refusals, whatever code a service has for them, the one name that machines and alarms know."""

    @wraps(handler)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        from botocore.exceptions import ClientError

        try:
            return handler(*args, **kwargs)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            if code in ACCESS_DENIED_CODES:
                raise AccessDenied(str(error)) from error
            if code in THROTTLE_CODES:
                raise Throttled(str(error)) from error
            raise

    return wrapped
