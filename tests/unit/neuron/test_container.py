"""Run tests/neuron with the packages of the load-test container."""

import os
import subprocess
from pathlib import Path

import pytest

from local.environments import environment

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def python() -> Path:
    try:
        return environment("neuron")
    except RuntimeError as error:
        pytest.skip(f"the environment of the load-test container cannot be made here: {error}")


def test_in_the_container(python: Path) -> None:
    command = [python, "-m", "pytest", "-x", "-p", "no:cacheprovider", "--disable-warnings", "tests/neuron"]
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COV_"))}
    plain["OMP_NUM_THREADS"] = "1"  # threads that wait for each other would stand still beside the other workers
    done = subprocess.run(command, cwd=ROOT, env=plain, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
