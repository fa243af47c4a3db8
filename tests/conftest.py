"""What all tests share: a running embedded cloud, made once a session and only when a test asks for it."""

import socket
from collections.abc import Iterator

import pytest

from local import server
from local.client import CloudClient


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudClient]:
    """An embedded cloud of its own process, on a free port, in a temporary folder."""
    state = tmp_path_factory.mktemp("cloud") / "state"
    running = server.up(free_port(), state, detach=True)
    yield CloudClient(running)
    server.down(state)


@pytest.fixture
def faults(cloud: CloudClient) -> Iterator[CloudClient]:
    """The cloud, whose faults are gone again after the test: `faults.add_fault(service=…, …)`."""
    cloud.forget_faults()
    yield cloud
    cloud.forget_faults()


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
