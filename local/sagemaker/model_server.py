"""A model's HTTP server in its container: its files, its process, what it answers. For transform jobs and endpoints."""

import contextlib
import http.client
import os
import selectors
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.sagemaker.data import Bucket, extract
from local.sagemaker.launcher import Process

SERVING = Path(__file__).parent / "inside" / "serving.py"
PING_TIMEOUT = 60.0  # seconds
Start = Callable[[list[str], dict[str, str]], Process]


class NotServing(Exception):  # noqa: N818
    """The server ended, or says that it is not well."""


@dataclass(frozen=True)
class Answer:
    """What a model server answers; status 0 is no answer."""

    status: int
    body: bytes
    content_type: str = ""
    custom_attributes: str = ""
    lost: bool = False  # there is no answer because the server ended, not because it took too long


def fetch(container: dict[str, Any], more: dict[str, str], bucket: Bucket, root: Path) -> dict[str, str]:
    """Put a model's archive and code into a container's root; return the environment that its server starts with.

    `container` is as in CreateModel, `more` goes before its environment.

    Raises:
        JobFailure: something cannot be read, or is no archive.
    """
    base = root / "opt/ml"
    if "ModelDataUrl" in container:
        bucket.fetch(container["ModelDataUrl"], root / "model.tar.gz")
        extract(root / "model.tar.gz", base / "model", container["ModelDataUrl"])
    env = {**container.get("Environment", {}), **more}
    submitted = env.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    if submitted.startswith("s3://"):
        bucket.fetch(submitted, root / "code.tar.gz")
        extract(root / "code.tar.gz", base / "code", submitted)
        env["SAGEMAKER_SUBMIT_DIRECTORY"] = "/opt/ml/code"
    return env


class ModelServer:
    """One server that answers on a port of its own."""

    def __init__(self, door: Path, env: dict[str, str], start: Start) -> None:
        """Start it with `start(argv, env)`, and wait until it has loaded the model and answers a ping.

        Args:
            door: where it says its port: a pipe that is made there, one a server.
            env: what its process starts with.
            start: starts a process in the container.

        Raises:
            NotServing: it ended before, or is not well.
        """
        os.mkfifo(door)
        reading = os.open(door, os.O_RDONLY | os.O_NONBLOCK)
        self._writing = os.open(door, os.O_WRONLY)
        defaults = {"SM_MODEL_DIR": "/opt/ml/model", "BOXCAR_PORT_FILE": str(door)}
        try:
            self._process = start(["python3", str(SERVING)], {**defaults, **env})
            self._process.when_ended(self._gone)
            with selectors.DefaultSelector() as selector:
                selector.register(reading, selectors.EVENT_READ)
                selector.select()
            said = os.read(reading, 64).decode().strip()
        finally:
            os.close(reading)
        if not said.isdigit():
            raise NotServing("the model server ended before it answered a ping")
        self._port = int(said)
        try:
            status = self.ask("GET", "/ping", b"", {}, PING_TIMEOUT).status
        except (OSError, http.client.HTTPException) as error:
            raise NotServing(f"the model server did not answer a ping: {error}") from error
        if status != 200:
            raise NotServing(f"the model server answered a ping with {status}")

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str], timeout: float) -> Answer:
        """Send one request; `timeout` in seconds of wall time.

        Raises:
            OSError, HTTPException: there was no answer.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            custom = answer.getheader("X-Amzn-SageMaker-Custom-Attributes", "")
            return Answer(answer.status, answer.read(), answer.getheader("Content-Type", ""), custom)
        finally:
            connection.close()

    def when_ended(self, call: Callable[[], None]) -> None:
        """Call `call` once its process has ended, from another thread."""
        self._process.when_ended(call)

    def has_ended(self, within: float) -> bool:
        """Whether its process has ended, or does so within so many seconds."""
        try:
            self._process.wait(within)
        except TimeoutError:
            return False
        return True

    def kill(self) -> None:
        """End it now."""
        self._process.kill()

    def _gone(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # nobody waits for the port any more
            os.write(self._writing, b"ended\n")
        os.close(self._writing)
