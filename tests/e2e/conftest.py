"""One stack for each file of e2e tests, empty at first, on a cloud of its own, with IAM enforced."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.deployed import Deployed, copy_of


@pytest.fixture(scope="module")
def empty_stack(deployed_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A deployed stack whose warehouse is empty."""
    with copy_of(deployed_once, tmp_path_factory.mktemp("cloud")) as deployed:
        yield deployed


@pytest.fixture(scope="module")
def stack(empty_stack: Deployed) -> Deployed:
    """A deployed stack with the retailer's warehouse as of week 13."""
    empty_stack.load(13)
    return empty_stack


@pytest.fixture(autouse=True)
def no_faults_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A fault of one test does not reach the next."""
    yield
    for name in ("stack", "empty_stack"):
        if deployed := request.node.funcargs.get(name):
            deployed.cloud.forget_faults()
            return
