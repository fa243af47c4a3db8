"""Why a job ends before its time."""

REASON_LIMIT = 1024  # characters that AWS keeps of a FailureReason
INTERNAL = "InternalServerError: We encountered an internal error. Please try again."


class JobFailure(Exception):  # noqa: N818
    """The job fails; `kind` is what AWS writes first: AlgorithmError, ClientError, InternalServerError."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}"[:REASON_LIMIT])


class Interrupted(Exception):  # noqa: N818
    """A spot job has lost its instances; it goes on when it has others."""


class Stopped(Exception):  # noqa: N818
    """Somebody asked the job to stop, or its time is over."""
