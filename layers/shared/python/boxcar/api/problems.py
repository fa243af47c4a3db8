"""What the API refuses, as problem documents (RFC 9457) that name the field."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import Field, ValidationError

from boxcar.errors import THROTTLE_CODES, BoxcarError, DifferentJob, NotPossible, StepError, UnknownJob, UnknownVersion
from boxcar.steps import Document

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = 2


class FieldError(Document):
    """One thing that is wrong."""

    field: str = Field(description="where, such as `jobs[3].step.max_runtime_s`, or the name of a parameter")
    message: str = Field(description="what is wrong, and what to write instead")


class Problem(Document):
    """What the API refuses, and why."""

    type: str = Field(description="stands for the kind of problem")
    title: str = Field(description="the kind of problem in words")
    status: int = Field(description="that of the answer")
    detail: str = Field(description="this one in words")
    errors: list[FieldError] = Field(default_factory=list)


class Refused(BoxcarError):  # noqa: N818
    """A call that cannot be answered as it is.

    Attributes:
        status: of HTTP.
        title: the kind of problem.
        errors: (field, message).
        retry_after_s: when to try again; 0: the same call would be refused again.
    """

    def __init__(
        self, status: int, title: str, errors: Iterable[tuple[str, str]] = (), detail: str = "", retry_after_s: int = 0
    ) -> None:
        self.status = status
        self.title = title
        self.errors = list(errors)
        self.detail = detail or "; ".join(f"{field}: {message}" for field, message in self.errors)
        self.retry_after_s = retry_after_s
        super().__init__(f"{title}: {self.detail}")

    @property
    def problem(self) -> dict[str, Any]:
        """As the caller gets it."""
        slug = re.sub(r"[^a-z]+", "-", self.title.lower()).strip("-")
        told = Problem(
            type=f"urn:boxcar:problem:{slug}",
            title=self.title,
            status=self.status,
            detail=self.detail,
            errors=[FieldError(field=field, message=message) for field, message in self.errors],
        )
        return told.model_dump()

    @property
    def headers(self) -> dict[str, str]:
        """Beside the document."""
        return {"Retry-After": str(self.retry_after_s)} if self.retry_after_s else {}


def refused(error: Exception) -> Refused | None:
    """What an error means to the caller; None if nobody foresaw it."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, StepError):
        return not_valid(error)
    if isinstance(error, UnknownJob):
        return Refused(404, "There is no such job", detail=str(error))
    if isinstance(error, UnknownVersion):
        return Refused(404, "There is no such version", detail=str(error))
    if isinstance(error, NotPossible):
        return Refused(409, "Its status does not allow it", detail=str(error))
    if isinstance(error, DifferentJob):
        return name_taken(error)
    if type(error).__name__ == "Conflict":
        return busy("others keep changing the same job")
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else ""
    if code in THROTTLE_CODES or code == "TransactionConflictException":
        return busy("AWS refuses more calls of Boxcar at the moment")
    return None


def internal(reference: str) -> Refused:
    """Something that nobody foresaw. The log says what, under the reference."""
    detail = f"Boxcar met something that it does not expect; its log has it under {reference}"
    return Refused(500, "Something went wrong inside", detail=detail)


def invalid(error: ValidationError, where: str = "") -> Refused:
    """A document or parameters that do not fit their type: every fault, by field."""
    errors = [(_path(where, fault["loc"]), _words(fault)) for fault in error.errors(include_url=False)]
    return Refused(400, "The request is not valid", errors)


def not_valid(error: StepError, where: str = "") -> Refused:
    """What the domain says about a step: `jobs[3]: step train: inputs.data: …`, the first two where they are known.

    Args:
        error: of the domain.
        where: before the field, for an error that does not say which job it is about.
    """
    message = str(error)
    match = _PLACE.match(message)
    assert match  # every part of it may be missing
    where = f"{match['job']}." if match["job"] else where
    step = f"step.{match['field']}" if match["field"] else "step"
    return Refused(400, "The request is not valid", [(where + step, message[match.end() :])])


def name_taken(error: DifferentJob, where: str = "") -> Refused:
    """The name of a job is known with other contents."""
    said = f"{error}; take another name, or repeat the request as it was"
    return Refused(409, "The name is taken by a job with other contents", [(where + error.field, said)])


def busy(detail: str) -> Refused:
    """The same call may succeed a little later."""
    return Refused(503, "Too much at once", detail=f"{detail}; try again", retry_after_s=RETRY_AFTER_S)


def _path(where: str, loc: tuple[int | str, ...]) -> str:
    path = where
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path or "body"


def _words(fault: Any) -> str:
    """pydantic's words, with ours where they say what to write instead."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "missing":
        return "it is missing"
    if kind == "extra_forbidden":
        return "it is not known; leave it out, or look whether it is misspelt"
    if kind == "string_pattern_mismatch":
        return f"{fault['input']!r:.80} does not fit {context['pattern']}"
    words = str(fault["msg"])
    return words if kind in ("model_type", "dict_type", "list_type") else f"{words}, not {fault['input']!r:.80}"


_PLACE = re.compile(r"^(?:(?P<job>jobs\[\d+\]): )?(?:step [\w-]+: )?(?:(?P<field>[a-z_]+(?:[.\[][\w\]]+)*): )?")
