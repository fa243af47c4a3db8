"""Two limits: how many instances the account may use, and how many jobs this machine can run at once."""

import json
import os
import re
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from local.service import ApiError

# as Service Quotas names them: "ml.m5.large for spot training job usage"
USES = ("training job", "spot training job", "training warm pool", "processing job", "transform job", "endpoint")
NAME = re.compile(rf"ml(\.[a-z0-9-]+)+( for ({'|'.join(USES)}) usage)?")


class Quotas:
    """Instances in use, by type and by kind of use, against the account's limits.

    A limit is named as AWS names the quota, `ml.m5.large for training job usage`, or by the type alone, which then
    holds for each use by itself. What has no limit is unlimited. BOXCAR_LOCAL_LIMITS gives the first ones,
    `set_limit` others, and `file`, a JSON object looked at whenever a job is created, goes before both.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._limits: dict[str, int] = json.loads(os.environ.get("BOXCAR_LOCAL_LIMITS") or "{}")
        self._used: dict[str, int] = {}

    def set_limit(self, name: str, count: int | None) -> None:
        """Set a limit in instances; None takes it away.

        Raises:
            ApiError: ValidationException, when it is not the name of a quota or not a number of instances.
        """
        if not NAME.fullmatch(name):
            words = f"quota {name!r}: write an instance type such as ml.m5.large, or one with ' for <use> usage', where"
            raise ApiError("ValidationException", f"{words} <use> is one of: {', '.join(USES)}")
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
            raise ApiError("ValidationException", f"quota {name!r}: {count!r} must be instances, 0 or more, or null")
        with self._lock:
            self._limits.pop(name, None)
            if count is not None:
                self._limits[name] = count

    def report(self) -> dict[str, dict[str, int | None]]:
        """What is limited or in use, by quota: `limit` and `used`, in instances."""
        with self._lock:
            limits = self._all()
            names = {name for name, used in self._used.items() if used} | limits.keys()
            return {
                name: {"limit": self._limit(name, limits), "used": self._used.get(name, 0)} for name in sorted(names)
            }

    def take(self, instance_type: str, count: int, use: str) -> None:
        """Use `count` instances for something: "training job", "spot training job", "training warm pool", ….

        Raises:
            ApiError: ResourceLimitExceeded.
        """
        quota = f"{instance_type} for {use} usage"
        with self._lock:
            used = self._used.get(quota, 0)
            limit = self._limit(quota, self._all())
            if limit is not None and used + count > limit:
                raise ApiError(
                    "ResourceLimitExceeded",
                    f"The account-level service limit '{quota}' is {limit} Instances, with current utilization of "
                    f"{used} Instances and a request delta of {count} Instances. Please use AWS Service Quotas to "
                    "request an increase for this quota. If AWS Service Quotas is not available, contact AWS support "
                    "to request an increase for this quota.",
                )
            self._used[quota] = used + count

    def _all(self) -> dict[str, int]:
        return self._limits | (json.loads(self._file.read_text()) if self._file.exists() else {})

    def _limit(self, quota: str, limits: dict[str, int]) -> int | None:
        return limits.get(quota, limits.get(quota.partition(" ")[0]))

    def give(self, instance_type: str, count: int, use: str) -> None:
        """Give instances back."""
        quota = f"{instance_type} for {use} usage"
        with self._lock:
            self._used[quota] = max(0, self._used.get(quota, 0) - count)


class Slots:
    """Places for jobs that run at once, given in the order of asking."""

    def __init__(self, count: int) -> None:
        self._condition = threading.Condition()
        self._free = count
        self._queue: deque[object] = deque()

    def place(self, gave_up: Callable[[], bool]) -> "Place":
        """A place to enter; `gave_up` ends the waiting, looked at after `wake`."""
        return Place(self, gave_up)

    def wake(self) -> None:
        """Let everybody who waits look whether to give up."""
        with self._condition:
            self._condition.notify_all()

    def _enter(self, gave_up: Callable[[], bool]) -> bool:
        me = object()
        with self._condition:
            self._queue.append(me)
            self._condition.wait_for(lambda: gave_up() or (self._free > 0 and self._queue[0] is me))
            self._queue.remove(me)
            taken = not gave_up()
            self._free -= taken
            self._condition.notify_all()
            return taken

    def _leave(self) -> None:
        with self._condition:
            self._free += 1
            self._condition.notify_all()


class Place:
    """One place, as a context manager that may be left early."""

    def __init__(self, slots: Slots, gave_up: Callable[[], bool]) -> None:
        self._slots = slots
        self._gave_up = gave_up
        self.held = False

    def enter(self) -> None:
        """Wait for a place, unless it is held already."""
        self.held = self.held or self._slots._enter(self._gave_up)

    def __enter__(self) -> "Place":
        self.enter()
        return self

    def leave(self) -> None:
        """Give the place to the next in line; a second call does nothing."""
        if self.held:
            self.held = False
            self._slots._leave()

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.leave()
