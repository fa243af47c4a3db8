"""Ports for clouds of tests."""

import json
import random
import socket
from contextlib import suppress
from pathlib import Path

LOWEST_OF_CLIENTS = 32768  # on Linux; higher elsewhere
KEPT = "port.json"


def free_port() -> int:
    """A port that nobody uses, and that no client will be given: a stopped cloud may want to start there again."""
    while True:
        port = random.randrange(LOWEST_OF_CLIENTS // 2, LOWEST_OF_CLIENTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def keep_port(state: Path, port: int) -> None:
    """Note beside what a cloud has saved the port that copies of it must start at: endpoints are in what was saved."""
    (state / KEPT).write_text(json.dumps(port))


def kept_port(state: Path) -> int:
    """The port that `keep_port` noted."""
    return int(json.loads((state / KEPT).read_text()))
