"""Counts what was asked of the cloud: API calls by service, action and caller, and invocations by function."""

import threading
from collections import Counter
from typing import Any


class Audit:
    """Counters since the start or the last reset. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: Counter[tuple[str, str, str]] = Counter()
        self._errors: Counter[tuple[str, str, str]] = Counter()
        self._functions: dict[str, dict[str, float]] = {}

    def call(self, service: str, action: str, caller_arn: str, status: int) -> None:
        """Count one API call."""
        key = (service, action, _caller(caller_arn))
        with self._lock:
            self._calls[key] += 1
            if status >= 400:
                self._errors[key] += 1

    def invocation(self, function: str, seconds: float, cold: bool, failed: bool) -> None:
        """Count one run of a function."""
        with self._lock:
            row = self._functions.setdefault(function, {"invocations": 0, "errors": 0, "cold": 0, "seconds": 0.0})
            row["invocations"] += 1
            row["errors"] += failed
            row["cold"] += cold
            row["seconds"] += seconds

    def report(self) -> dict[str, Any]:
        """`calls`: service, action, caller (a role's name or root), count, errors; `functions`: by name."""
        with self._lock:
            calls = [
                {"service": key[0], "action": key[1], "caller": key[2], "count": count, "errors": self._errors[key]}
                for key, count in sorted(self._calls.items())
            ]
            return {"calls": calls, "functions": {name: dict(row) for name, row in sorted(self._functions.items())}}

    def reset(self) -> None:
        """Start from zero."""
        with self._lock:
            self._calls.clear()
            self._errors.clear()
            self._functions.clear()


def _caller(arn: str) -> str:
    """arn:aws:sts::…:assumed-role/<role>/<session> → <role>; the account's root → root."""
    resource = arn.rpartition(":")[2]
    parts = resource.split("/")
    return parts[1] if len(parts) > 1 else resource
