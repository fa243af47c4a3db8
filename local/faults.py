"""Faults on purpose: an API call that is throttled, denied or slow, an event that is lost, doubled or late.

A fault is a document, posted to `/_boxcar/faults`:

    {"service": "sagemaker", "action": "CreateTrainingJob", "error": "ThrottlingException", "count": 3}
    {"service": "s3", "action": "GetObject", "deny": true, "caller": "boxcar-report-run-*"}
    {"service": "dynamodb", "delay": 2.0, "count": 1}
    {"service": "sagemaker", "action": "Create*", "kill": "after", "count": 1}
    {"event": "aws.sagemaker", "detail_type": "SageMaker * State Change", "effect": "lose", "count": 1}
    {"event": "aws.s3", "effect": "double"}            {"event": "aws.sagemaker", "effect": "late", "delay": 5}
    {"job": "*", "outcome": "CapacityError", "delay": 120, "share": 0.05, "seed": 7}
    {"job": "sweep-*", "action": "CreateTrainingJob", "outcome": "interrupt", "delay": 600}

`count` is how often it fires (left out: always), `after` how many matches it lets pass first, `share` which part of
the rest it hits: by `seed` and the number of the match, or by `seed` and name for a job, so the same ones each time.
`action`, `caller` (a role's name), `detail_type`, `job` (a SageMaker job's name) and the values of `match` are shell
patterns; `match` looks at dotted paths into a JSON request or an event's detail. Faults fire in the order they were
added, the first that matches wins. A job is looked at once, when it is created. `kill` ends the process of the Lambda
function that makes the call, `before` the call takes effect, or `after` it has and before the answer is sent; it fires
for calls of functions only.
"""

import hashlib
import itertools
import json
import threading
import time
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from local.service import ApiError

KILLS = ("before", "after")
EFFECTS = ("lose", "double", "late")
# what can befall a job: it ends so, or (interrupt) it loses its spot instances and gets others
OUTCOMES = ("AlgorithmError", "ClientError", "CapacityError", "InternalServerError", "hang", "interrupt")
FIELDS = {
    "service", "action", "caller", "match", "error", "message", "status", "deny", "delay", "kill",
    "event", "detail_type", "effect", "job", "outcome", "count", "after", "share", "seed",
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

    def on_call(
        self, service: str, action: str, caller_arn: str, body: bytes, killable: bool = False
    ) -> dict[str, Any] | None:
        """Return the rule that fires on an API call; `killable` when a function's process has made it."""
        parts = caller_arn.rpartition(":")[2].split("/")
        caller = parts[1] if len(parts) > 1 else parts[0]
        return self._fire("service", service, {"action": action, "caller": caller}, lambda: _fields(body), killable)

    def on_event(self, source: str, detail_type: str, detail: Any) -> dict[str, Any] | None:
        """Return the rule that fires on an event."""
        return self._fire("event", source, {"detail_type": detail_type}, lambda: _detail(detail))

    def on_job(self, action: str, name: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """Return the rule that befalls a new job."""
        return self._fire("job", name, {"action": action}, lambda: request)

    def _fire(
        self, kind: str, name: str, named: dict[str, str], document: Any, killable: bool = False
    ) -> dict[str, Any] | None:
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
                if "kill" in rule and not killable:
                    continue
                if rule.get("count") is not None and fault.fired >= rule["count"]:
                    continue
                fault.matched += 1
                if fault.matched <= rule.get("after", 0):
                    continue
                if not _hit(rule, name if kind == "job" else str(fault.matched)):
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
    if sum(kind in rule for kind in ("service", "event", "job")) != 1:
        words = "fault: give either service (an API fault), event (an event's source) or job (a job's name)"
        raise ApiError("ValidationException", words)
    share = rule.get("share", 1)
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise ApiError("ValidationException", f"fault: share {share!r} must be a number from 0 to 1")
    if "job" in rule and rule.get("outcome") not in OUTCOMES:
        raise ApiError(
            "ValidationException", f"fault: outcome {rule.get('outcome')!r} must be one of {', '.join(OUTCOMES)}"
        )
    if "event" in rule and rule.get("effect") not in EFFECTS:
        raise ApiError(
            "ValidationException", f"fault: effect {rule.get('effect')!r} must be one of {', '.join(EFFECTS)}"
        )
    if "service" in rule and not any(name in rule for name in ("error", "deny", "delay", "kill")):
        words = "fault: say what happens: error (a code), deny (true), delay (seconds) or kill (before, after)"
        raise ApiError("ValidationException", words)
    if rule.get("kill", KILLS[0]) not in KILLS:
        raise ApiError("ValidationException", f"fault: kill {rule['kill']!r} must be one of {', '.join(KILLS)}")


def _hit(rule: dict[str, Any], key: str) -> bool:
    """Whether a rule with a share hits this match: as if thrown with a die, and the same at each repetition."""
    if "share" not in rule:
        return True
    digest = hashlib.sha256(f"{rule.get('seed', 0)}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < rule["share"]


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
