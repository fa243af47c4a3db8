"""What all tests share: embedded clouds, made once a session (of a worker) and only when a test asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local import server
from local.client import CloudClient
from tests.ports import free_port


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudClient]:
    """An embedded cloud of its own process, on a free port, in a temporary folder."""
    state = tmp_path_factory.mktemp("cloud") / "state"
    running = server.up(free_port(), state, detach=True)
    yield CloudClient(running)
    server.down(state)


@pytest.fixture(scope="session")
def deployed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a cloud to which the real SAM CLI has deployed the stack; `copy_of` starts a cloud on a copy of it."""
    from tests.e2e.deployed import deploy_once  # a second that most tests need not wait

    return deploy_once(tmp_path_factory.mktemp("deployed"))


@pytest.fixture
def faults(cloud: CloudClient) -> Iterator[CloudClient]:
    """The cloud, whose faults are gone again after the test: `faults.add_fault(service=…, …)`."""
    cloud.forget_faults()
    yield cloud
    cloud.forget_faults()
