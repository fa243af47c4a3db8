"""What a cause says, whoever wrote it: a Lambda function, the monitor of jobs, or Step Functions."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

_SHOWN = 6000  # characters of a cause in a mail; the whole of it is in the execution's history
# As the monitor of jobs writes them: "Step train of model mailer failed after 2 attempts: … (job boxcar-…)".
_STEP = re.compile(r"\b[Ss]tep (?P<step>[a-z][a-z0-9_]*)(?: of model (?P<model>[a-z][a-z0-9_]*))? failed\b")
_JOB = re.compile(r"\bjob[ #](?P<job>[A-Za-z0-9-]+-[0-9a-f]{10})\b")
_VARIES = re.compile(r"[\w-]*\d[\w-]*")  # whatever holds a digit: ids, counts, times, names of runs
_KEYS = ("job", "step", "model", "run", "family")


@dataclass(frozen=True)
class Cause:
    """A cause in plain words."""

    text: str
    error: str = ""  # errorType of a Lambda failure
    found: dict[str, str] = field(default_factory=dict)  # job, step, model, run, family, where it names them


def read_cause(cause: object) -> Cause:
    """Unwrap a cause. Lambda's `{"errorMessage", "errorType", …}` gives its message; other text stays as it is."""
    document: Any = cause
    if isinstance(cause, str):
        try:
            document = json.loads(cause)
        except ValueError:
            document = None
    if not isinstance(document, dict):
        text = "" if cause is None else str(cause)
        return Cause(_shorten(text), found=_identifiers(text))
    message = document.get("errorMessage") or document.get("Cause") or document.get("message")
    inner = read_cause(message) if message else Cause(_shorten(json.dumps(document, ensure_ascii=False)))
    named = {key: document[key] for key in _KEYS if isinstance(document.get(key), str) and document[key]}
    return Cause(
        inner.text, str(document.get("errorType") or document.get("Error") or inner.error), {**inner.found, **named}
    )


def same_cause(parts: Iterable[str], text: str = "", names: Iterable[str] = ()) -> str:
    """A digest that is the same for what has the same cause.

    Args:
        parts: what must be the same: machine, family, error, step.
        text: the cause in words, in which numbers and `names` may differ.
        names: of the run, model and job that it happened to.
    """
    for name in filter(None, names):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "#", text)
    return hashlib.sha256("\n".join([*parts, _VARIES.sub("#", text)]).encode()).hexdigest()[:32]


def _identifiers(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pattern in (_STEP, _JOB):
        if match := pattern.search(text):
            found |= {name: value for name, value in match.groupdict().items() if value}
    return found


def _shorten(text: str) -> str:
    """Keep both ends: the beginning says what, the end of a traceback says why."""
    text = text.strip()
    if len(text) <= _SHOWN:
        return text
    half = _SHOWN // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def plain_failure(failure: dict[str, Any]) -> dict[str, str]:
    """Error and cause of a state machine in plain words: Lambda wraps its causes in JSON."""
    return {"error": str(failure.get("error") or ""), "cause": read_cause(failure.get("cause")).text}
