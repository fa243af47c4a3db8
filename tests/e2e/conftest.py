"""One stack for each file of e2e tests: an empty embedded cloud, deployed by the real SAM CLI, with IAM enforced."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import retailer
from cli.deploy import deploy
from cli.session import Session
from local import server
from tests.e2e.deployed import ROOT, Deployed


@pytest.fixture(scope="module")
def empty_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A deployed stack whose warehouse is empty."""
    state = tmp_path_factory.mktemp("cloud") / "state"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.chdir(ROOT)
    server.up(port, state, detach=True)
    try:
        session = Session(stack="boxcar", local=True, state=state)
        deploy(session, "local", quiet=True, build_folder=Path(state.parent / "build"))
        yield Deployed(session)
    finally:
        server.down(state)


@pytest.fixture(scope="module")
def stack(empty_stack: Deployed) -> Deployed:
    """A deployed stack with the retailer's warehouse as of week 13."""
    load(empty_stack, 13)
    return empty_stack


@pytest.fixture(autouse=True)
def no_faults_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A fault of one test does not reach the next."""
    yield
    for name in ("stack", "empty_stack"):
        if name in request.fixturenames:
            request.getfixturevalue(name).clear_faults()


def load(stack: Deployed, week: int) -> dict[str, int]:
    """Fill the warehouse as of a week."""
    outputs, session = stack.session.outputs, stack.session
    return retailer.load(
        session.client("s3"),
        session.client("redshift-data"),
        bucket=stack.bucket,
        week=week,
        database=outputs["RedshiftDatabaseName"],
        workgroup=outputs["RedshiftWorkgroupName"],
        role=outputs["WarehouseRoleArn"],
    )
