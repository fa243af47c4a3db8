"""What starts a training run: a file under `triggers/training/`, the weekly schedule, or a call."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import Field, ValidationError, model_validator

from boxcar.errors import TriggerError
from boxcar.families import ParameterValue
from boxcar.family_checks import faults_of
from boxcar.steps import Document

MAX_TRIGGER_BYTES = 256 * 1024
ReadObject = Callable[[str, str, str | None], bytes]  # bucket, key, version id
EXAMPLE = 'write {"family": "<name>"}, and optionally models, parameters and requested_by'


class TrainingRequest(Document):
    """What to train. Models left out means all of them; parameters given here hold for this run alone."""

    family: str
    models: list[str] | None = Field(default=None, min_length=1)
    parameters: dict[str, dict[str, ParameterValue]] = Field(default_factory=dict)
    requested_by: str = ""
    fresh: bool = False  # take nothing from the cache
    from_step: str = ""  # take nothing from the cache from this step on

    @model_validator(mode="after")
    def _one_of_them(self) -> "TrainingRequest":
        if self.fresh and self.from_step:
            raise ValueError("fresh does everything anew, from_step a part of it; write one of them")
        return self


@dataclass(frozen=True)
class Trigger:
    """A request, where it came from, and what makes it the same trigger when it is delivered again."""

    request: TrainingRequest
    source: str
    claim: str | None  # None: an own call, never a repeat
    restart_of: tuple[str, ...] = ()  # runs that it goes on from, the latest first


def read_trigger(event: dict[str, Any], read_object: ReadObject) -> Trigger:
    """Find out what an event asks for.

    Args:
        event: an S3 `Object Created` event of EventBridge; a scheduled input `{"request", "schedule", "scheduled_at"}`;
            or a request itself.
        read_object: gives the bytes of (bucket, key, version id or None), at most `MAX_TRIGGER_BYTES` + 1 of them.

    Raises:
        TriggerError: what was sent is not a request; names the file, the field and the value.
    """
    if event.get("detail-type") == "Object Created":
        thing = event["detail"]["object"]
        bucket, key, version = event["detail"]["bucket"]["name"], thing["key"], thing.get("version-id")
        source = f"s3://{bucket}/{key}"
        request = _parse(read_object(bucket, key, version), source)
        return Trigger(
            request, source, digest(source, version or "", thing.get("sequencer", ""), thing.get("etag", ""))
        )
    if "schedule" in event:
        source = f"schedule {event['schedule']} at {event.get('scheduled_at')}"
        return Trigger(_check(event.get("request"), source), source, digest(source))
    return Trigger(_check(event, "the input of the execution"), "api", None)


def _parse(body: bytes, source: str) -> TrainingRequest:
    if len(body) > MAX_TRIGGER_BYTES:
        raise TriggerError(f"{source}: is larger than {MAX_TRIGGER_BYTES} bytes; {EXAMPLE}")
    try:
        document = json.loads(body)
    except ValueError as error:  # UnicodeDecodeError is one too
        start = body[:40].decode("utf-8", "replace")
        raise TriggerError(f"{source}: is not JSON ({error}); it begins with {start!r}; {EXAMPLE}") from None
    return _check(document, source)


def _check(document: object, source: str) -> TrainingRequest:
    if not isinstance(document, dict):
        raise TriggerError(f"{source}: is {json.dumps(document)[:40]}, not an object; {EXAMPLE}")
    try:
        return TrainingRequest.model_validate(document)
    except ValidationError as error:
        raise TriggerError(f"{faults_of(error, source)}; {EXAMPLE}") from None


def digest(*parts: str) -> str:
    """32 hex digits by which a trigger is claimed."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
