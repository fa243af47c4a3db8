"""What starts a run: a file under `triggers/<machine>/`, a schedule, or a call. Each machine has its own request."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import Field, ValidationError, model_validator

from boxcar.errors import TriggerError
from boxcar.families import ParameterValue
from boxcar.family_checks import faults_of
from boxcar.steps import Document

MAX_TRIGGER_BYTES = 256 * 1024
ReadObject = Callable[[str, str, str | None], bytes]  # bucket, key, version id


class RunRequest(Document):
    """What every machine may be asked."""

    example: ClassVar[str]  # what a request looks like, for messages
    about: ClassVar[str] = "family"  # the field that says what the run is about

    requested_by: str = ""
    fresh: bool = False  # take nothing from the cache
    from_step: str = ""  # take nothing from the cache from this step on

    @model_validator(mode="after")
    def _one_of_them(self) -> "RunRequest":
        if self.fresh and self.from_step:
            raise ValueError("fresh does everything anew, from_step a part of it; write one of them")
        return self

    @property
    def subject(self) -> str:
        """What the run is about, by which its jobs, alarms and reports go: the `family` of its plan."""
        return str(getattr(self, self.about))


class Request(RunRequest):
    """What machines that work on a family may be asked. Models left out means all of them."""

    family: str
    models: list[str] | None = Field(default=None, min_length=1)


class TrainingRequest(Request):
    """What to train. Parameters given here hold for this run alone."""

    example = 'write {"family": "<name>"}, and optionally models, parameters and requested_by'

    parameters: dict[str, dict[str, ParameterValue]] = Field(default_factory=dict)


R = TypeVar("R", bound=RunRequest)


@dataclass(frozen=True)
class Trigger(Generic[R]):
    """A request, where it came from, and what makes it the same trigger when it is delivered again."""

    request: R
    source: str
    claim: str | None  # None: an own call, never a repeat
    restart_of: tuple[str, ...] = ()  # runs that it goes on from, the latest first


def read_trigger(event: dict[str, Any], read_object: ReadObject, kind: type[R]) -> Trigger[R]:
    """Find out what an event asks for.

    Args:
        event: an S3 `Object Created` event of EventBridge; a scheduled input `{"request", "schedule", "scheduled_at"}`;
            or a request itself.
        read_object: gives the bytes of (bucket, key, version id or None), at most `MAX_TRIGGER_BYTES` + 1 of them.
        kind: what this machine may be asked.

    Raises:
        TriggerError: what was sent is not a request; names the file, the field and the value.
    """
    if event.get("detail-type") == "Object Created":
        thing = event["detail"]["object"]
        bucket, key, version = event["detail"]["bucket"]["name"], thing["key"], thing.get("version-id")
        source = f"s3://{bucket}/{key}"
        request = _parse(read_object(bucket, key, version), source, kind)
        return Trigger(
            request, source, digest(source, version or "", thing.get("sequencer", ""), thing.get("etag", ""))
        )
    if "schedule" in event:
        source = f"schedule {event['schedule']} at {event.get('scheduled_at')}"
        return Trigger(_check(event.get("request"), source, kind), source, digest(source))
    return Trigger(_check(event, "the input of the execution", kind), "api", None)


def read_object(s3: Any, bucket: str, key: str, version: str | None) -> bytes:
    """The beginning of an object in S3, enough to see that it is too large.

    Raises:
        TriggerError: it is gone.
    """
    which = {"Bucket": bucket, "Key": key, "Range": f"bytes=0-{MAX_TRIGGER_BYTES}"}
    if version:
        which["VersionId"] = version
    try:
        body: bytes = s3.get_object(**which)["Body"].read()
    except s3.exceptions.NoSuchKey:
        raise TriggerError(f"s3://{bucket}/{key}: is gone; upload it again") from None
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] == "InvalidRange":  # an empty object has no first byte
            return b""
        raise
    return body


def _parse(body: bytes, source: str, kind: type[R]) -> R:
    if len(body) > MAX_TRIGGER_BYTES:
        raise TriggerError(f"{source}: is larger than {MAX_TRIGGER_BYTES} bytes; {kind.example}")
    try:
        document = json.loads(body)
    except ValueError as error:  # UnicodeDecodeError is one too
        start = body[:40].decode("utf-8", "replace")
        raise TriggerError(f"{source}: is not JSON ({error}); it begins with {start!r}; {kind.example}") from None
    return _check(document, source, kind)


def _check(document: object, source: str, kind: type[R]) -> R:
    if not isinstance(document, dict):
        raise TriggerError(f"{source}: is {json.dumps(document)[:40]}, not an object; {kind.example}")
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise TriggerError(f"{faults_of(error, source)}; {kind.example}") from None


def digest(*parts: str) -> str:
    """32 hex digits by which a trigger is claimed."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
