"""A running embedded cloud from outside: its AWS clients and its own `/_boxcar/` API, for tests, benches, the demo."""

import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import boto3

from local.mailbox import Mail, Mailbox
from local.server import Running
from local.service import ApiError

Found = TypeVar("Found")
_making = threading.Lock()  # boto3 sessions do not make clients in several threads at once


class CloudClient:
    """One running cloud."""

    def __init__(self, running: Running) -> None:
        self.endpoint = running.endpoint
        self.state = Path(running.state)
        self.region = "us-east-1"
        self.account = "000000000000"
        self.mailbox = Mailbox(self.state / "mailbox")
        self._session = boto3.Session(region_name=self.region)
        self.client = cache(self._client)

    def _client(self, service: str) -> Any:
        """A boto3 client that acts as the account's root."""
        with _making:
            return self._session.client(
                service,
                endpoint_url=self.endpoint,
                aws_access_key_id="test",
                aws_secret_access_key="test",  # noqa: S106
            )

    def environment(self) -> dict[str, str]:
        """Environment variables that make any AWS tool, such as the SAM CLI, use this cloud."""
        return {
            **{name: value for name, value in os.environ.items() if name not in ("AWS_PROFILE", "AWS_SESSION_TOKEN")},
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "0.2",  # seconds; SAM's own 5 spare AWS's rate limits only
        }

    def calls(self) -> dict[str, Any]:
        """API calls and invocations since the last `forget_calls` (see local/audit.py)."""
        told: dict[str, Any] = self._ask("GET", "calls")
        return told

    def forget_calls(self) -> None:
        """Count from zero."""
        self._ask("DELETE", "calls")

    def add_fault(self, **rule: Any) -> int:
        """Inject a fault (see local/faults.py) and return its id."""
        number: int = self._ask("POST", "faults", rule)["id"]
        return number

    def faults(self) -> dict[str, Any]:
        """Rules and what fired, in order."""
        told: dict[str, Any] = self._ask("GET", "faults")
        return told

    def forget_faults(self) -> None:
        """Remove every fault and the list of what fired."""
        self._ask("DELETE", "faults")

    def quotas(self) -> dict[str, dict[str, int | None]]:
        """SageMaker's quotas: `limit` and `used` by name, in instances."""
        told: dict[str, dict[str, int | None]] = self._ask("GET", "quotas")
        return told

    def set_quotas(self, limits: dict[str, int | None]) -> None:
        """Set quotas of SageMaker from now on, by AWS's names ("ml.m5.large for training job usage") or by type alone.

        None takes a limit away. What runs goes on running.
        """
        self._ask("POST", "quotas", limits)

    def fire_schedule(self, name: str) -> str:
        """Fire a schedule now and return the execution id of EventBridge Scheduler."""
        execution: str = self._ask("POST", f"schedules/{quote(name)}/fire")["execution"]
        return execution

    def expire(self, table: str, at: float | None = None) -> int:
        """Remove what has expired in a table now, or would have at `at` (seconds since the epoch); return how many."""
        expired: int = self._ask("POST", f"tables/{quote(table)}/expire", {} if at is None else {"at": at})["expired"]
        return expired

    def tick(self) -> list[dict[str, str]]:
        """Measure queues and evaluate alarms now, as if the minute were over.

        Returns the alarms that changed: `alarm`, `before`, `now`.
        """
        changed: list[dict[str, str]] = self._ask("POST", "metrics/tick")["changed"]
        return changed

    def tick_every(self, seconds: float | None) -> None:
        """Do so in this interval from now on, beside each minute's end; None stops it."""
        self._ask("POST", "metrics/interval", {"seconds": seconds})

    def emit(self, source: str, detail_type: str, detail: dict[str, Any], resources: list[str] | None = None) -> None:
        """Put an event of an AWS service on the default bus, as that service would."""
        body = {"source": source, "detail-type": detail_type, "detail": detail, "resources": resources or []}
        self._ask("POST", "events", body)

    def mails(self, to: str | None = None) -> list[Mail]:
        """Mails that were sent, oldest first."""
        return self.mailbox.read(to)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.endpoint}/_boxcar/{path}", data=data, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 (http only)
                return json.load(answer)
        except urllib.error.HTTPError as error:
            told = json.load(error)
            raise ApiError(told["error"], told["message"], error.code) from None


def wait_for(what: Callable[[], Found | None], seconds: float = 30.0, every: float = 0.05, why: str = "") -> Found:
    """Return the first true answer of `what`.

    Raises:
        TimeoutError: there was none within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing within {seconds:.0f} s: {why or getattr(what, '__name__', what)}")
        time.sleep(every)
