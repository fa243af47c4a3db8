"""What a service of the embedded cloud is, and what the cloud offers to it.

A service is an object with `handle`: one JSON API action in, its answer out, `ApiError` for what AWS would refuse.
Services know AWS's shapes and this file; they do not know MiniStack.
"""

from pathlib import Path
from typing import Any, Protocol

from local.clock import Clock


class ApiError(Exception):
    """An answer that AWS gives as an error: its code, its message and the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class Service(Protocol):
    """One AWS service with a JSON protocol (awsJson1.0/1.1)."""

    def handle(self, action: str, request: dict[str, Any], caller_arn: str) -> dict[str, Any]:
        """Answer one action. Runs in a worker thread; times in answers are epoch seconds as float.

        Raises:
            ApiError: what AWS would refuse.
        """
        ...

    def close(self) -> None:
        """Stop what runs (threads, subprocesses) and save what must outlive the process."""
        ...


class Cloud(Protocol):
    """What the embedded cloud gives to its services."""

    region: str
    account: str
    endpoint: str  # http://127.0.0.1:<port>, every AWS API
    state: Path  # a folder of this cloud; each service keeps to a folder of its own name in it
    clock: Clock

    def client(self, service: str, role_arn: str | None = None, session: str = "boxcar") -> Any:
        """A boto3 client of this cloud; with a role, its calls are allowed or denied by that role's policies."""
        ...

    def credentials(self, role_arn: str, session: str) -> dict[str, str]:
        """Environment variables (AWS_ACCESS_KEY_ID, …) that make a subprocess act as the role."""
        ...

    def emit(self, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        """Put one event of an AWS service on the default event bus."""
        ...

    def environment(self, name: str) -> Path:
        """The Python interpreter of the environment `local/environments/<name>.lock`, made when first asked for.

        Raises:
            KeyError: there is no such lock file.
        """
        ...
