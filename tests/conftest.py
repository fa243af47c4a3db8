"""What all tests share: embedded clouds, made once a session (of a worker) and only when a test asks for one."""

import functools
from collections.abc import Iterator
from pathlib import Path

import botocore.loaders
import botocore.session
import pytest

from local import server
from local.client import CloudClient
from tests.ports import free_port

_loader = functools.cache(botocore.loaders.create_loader)


def _shared_loader(path: str | None = None) -> botocore.loaders.Loader:
    """The reader of the descriptions of services, with what it has read."""
    loader = _loader(path)
    loader.search_paths[:] = dict.fromkeys(loader.search_paths)  # each session of boto3 adds its own folder
    return loader


# moto forgets boto3's session at each mock; the next one would read all descriptions anew, for 0.1 s.
botocore.session.create_loader = _shared_loader


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
