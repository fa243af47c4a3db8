"""The command refuses with one sentence and an exit code, never with a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def boxcar(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "BOXCAR_"))}
    command = [sys.executable, "-m", "cli", *arguments]
    return subprocess.run(command, cwd=ROOT, env={**environ, **environment}, capture_output=True, text=True, timeout=60)


def test_a_family_file_that_is_not_valid_is_refused_with_its_fields(tmp_path):
    broken = tmp_path / "broken.yaml"
    text = (ROOT / "families/packaging.yaml").read_text()
    broken.write_text(text.replace("after: [box]", "after: [crate]").replace("ratio: 0.2", "ratio: 0.2"))
    done = boxcar("families", "check", str(broken))
    assert done.returncode == 2
    assert f"{broken}: models.own_container.after: 'crate'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_shipped_family_is_good():
    done = boxcar("families", "check", "families/packaging.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "mailer, bag, box → own_container" in done.stdout


@pytest.mark.parametrize("arguments", [("runs", "list"), ("models", "list"), ("outputs",)])
def test_without_a_running_cloud_it_says_how_to_start_one(tmp_path, arguments):
    done = boxcar("--local", "--state", str(tmp_path), *arguments)
    assert done.returncode == 1
    assert "boxcar local up" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_credentials_it_says_what_was_tried():
    done = boxcar("runs", "list", AWS_EC2_METADATA_DISABLED="true", HOME="/nonexistent", AWS_DEFAULT_REGION="us-east-1")
    assert done.returncode == 1
    assert "stack 'boxcar' is not there" in done.stderr and "credentials" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_named(tmp_path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = boxcar("--state", str(tmp_path / "state"), "local", "up", "--port", str(port))
    assert done.returncode == 2
    assert f"port {port} is taken" in done.stderr


def test_a_folder_that_is_not_a_clouds_is_not_emptied(tmp_path):
    (tmp_path / "thesis.txt").write_text("x")
    done = boxcar("--state", str(tmp_path), "local", "reset")
    assert done.returncode == 2
    assert (tmp_path / "thesis.txt").exists()
