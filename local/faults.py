"""Faults on purpose: an API call that is throttled, denied or slow, an event that is lost, doubled or late.

A fault is a document, posted to `/_boxcar/faults`:

    {"service": "sagemaker", "action": "CreateTrainingJob", "error": "ThrottlingException", "count": 3}
    {"service": "s3", "action": "GetObject", "deny": true, "caller": "boxcar-report-run-*"}
    {"service": "dynamodb", "delay": 2.0, "count": 1}
    {"event": "aws.sagemaker", "detail_type": "SageMaker * State Change", "effect": "lose", "count": 1}
    {"event": "aws.s3", "effect": "double"}            {"event": "aws.sagemaker", "effect": "late", "delay": 5}

`count` is how often it fires (left out: always), `after` how many matches it lets pass first. `action`, `caller` (a
role's name), `detail_type` and the values of `match` are shell patterns; `match` looks at fields of a JSON request, or
at dotted paths into an event's detail. Faults fire in the order they were added, the first that matches wins.
"""

import itertools
import json
import threading
import time
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from local.service import ApiError

EFFECTS = ("lose", "double", "late")
FIELDS = {
    "service", "action", "caller", "match", "error", "message", "status", "deny", "delay",
    "event", "detail_type", "effect", "count", "after",
}  # fmt: skip


@dataclass
class Fault:
    """One rule and how often it has matched and fired."""

    id: int
    rule: dict[str, Any]
    matched: int = 0
    fired: int = 0


@dataclass
class Faults:
    """The rules of one cloud and the list of what fired, in order."""

    _rules: list[Fault] = field(default_factory=list)
    _audit: list[dict[str, Any]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    def add(self, rule: dict[str, Any]) -> int:
        """Add one rule and return its id.

        Raises:
            ApiError: a field is unknown, missing or has the wrong value; the message says what to write.
        """
        _validate(rule)
        with self._lock:
            fault = Fault(next(self._ids), dict(rule))
            self._rules.append(fault)
        return fault.id

    def remove(self, fault_id: int | None = None) -> None:
        """Remove one rule, or all of them and the list of what fired."""
        with self._lock:
            self._rules = [fault for fault in self._rules if fault_id is not None and fault.id != fault_id]
            if fault_id is None:
                self._audit.clear()

    def report(self) -> dict[str, Any]:
        """`rules` with their counts, `fired` in order with the time in seconds since the epoch."""
        with self._lock:
            rules = [
                {**fault.rule, "id": fault.id, "matched": fault.matched, "fired": fault.fired} for fault in self._rules
            ]
            return {"rules": rules, "fired": list(self._audit)}

    def on_call(self, service: str, action: str, caller_arn: str, body: bytes) -> dict[str, Any] | None:
        """Return the rule that fires on an API call."""
        parts = caller_arn.rpartition(":")[2].split("/")
        caller = parts[1] if len(parts) > 1 else parts[0]
        return self._fire("service", service, {"action": action, "caller": caller}, lambda: _fields(body))

    def on_event(self, source: str, detail_type: str, detail: Any) -> dict[str, Any] | None:
        """Return the rule that fires on an event."""
        return self._fire("event", source, {"detail_type": detail_type}, lambda: _detail(detail))

    def _fire(self, kind: str, name: str, named: dict[str, str], document: Any) -> dict[str, Any] | None:
        if not self._rules:  # the usual case, on the path of every call
            return None
        with self._lock:
            for fault in self._rules:
                rule = fault.rule
                if not fnmatchcase(name, rule.get(kind, "")) or kind not in rule:
                    continue
                if not all(fnmatchcase(value, rule.get(field, "*")) for field, value in named.items()):
                    continue
                if not _matches(rule.get("match", {}), document):
                    continue
                if rule.get("count") is not None and fault.fired >= rule["count"]:
                    continue
                fault.matched += 1
                if fault.matched <= rule.get("after", 0):
                    continue
                fault.fired += 1
                self._audit.append({"id": fault.id, "time": time.time(), kind: name, **named})
                return rule
        return None


def _validate(rule: dict[str, Any]) -> None:
    unknown = sorted(set(rule) - FIELDS)
    if unknown:
        raise ApiError(
            "ValidationException", f"fault: field {unknown[0]!r} is unknown; known: {', '.join(sorted(FIELDS))}"
        )
    if ("service" in rule) == ("event" in rule):
        raise ApiError("ValidationException", "fault: give either service (an API fault) or event (an event's source)")
    if "event" in rule and rule.get("effect") not in EFFECTS:
        raise ApiError(
            "ValidationException", f"fault: effect {rule.get('effect')!r} must be one of {', '.join(EFFECTS)}"
        )
    if "service" in rule and not any(name in rule for name in ("error", "deny", "delay")):
        raise ApiError("ValidationException", "fault: say what happens: error (a code), deny (true) or delay (seconds)")


def _matches(wanted: dict[str, str], document: Any) -> bool:
    if not wanted:
        return True
    told = document()
    return all(fnmatchcase(str(_at(told, path)), pattern) for path, pattern in wanted.items())


def _at(document: Any, path: str) -> Any:
    for part in path.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document


def _fields(body: bytes) -> Any:
    try:
        return json.loads(body or b"{}")
    except ValueError:
        return {}


def _detail(detail: Any) -> Any:
    return json.loads(detail) if isinstance(detail, str) else detail
