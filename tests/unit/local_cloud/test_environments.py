"""Pinned environments: made once, found again, made by one of many who ask at once."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.environments import environment


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    folder = tmp_path / "locks"
    folder.mkdir()
    (folder / "bare.lock").write_text("# nothing beyond Python itself\n")
    return folder


def test_an_environment_is_made_once_and_isolated(tmp_path: Path, locks: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(lambda _: environment("bare", tmp_path / "made", locks), range(4)))
    [python] = paths
    assert subprocess.run([python, "-c", "import boto3"], capture_output=True, check=False).returncode == 1
    assert subprocess.check_output([python, "-c", "import sys; print(sys.version)"], text=True).strip() == sys.version
    made = python.stat().st_ctime_ns
    assert environment("bare", tmp_path / "made", locks) == python
    assert python.stat().st_ctime_ns == made


def test_a_changed_lock_makes_another_and_leaves_the_old_one(tmp_path: Path, locks: Path) -> None:
    old = environment("bare", tmp_path / "made", locks)
    (locks / "bare.lock").write_text("# something else\n")
    assert environment("bare", tmp_path / "made", locks) != old
    assert old.exists()


def test_an_interrupted_making_is_repeated(tmp_path: Path, locks: Path) -> None:
    python = environment("bare", tmp_path / "made", locks)
    (python.parent.parent / "lock.sha256").unlink()
    python.unlink()
    assert environment("bare", tmp_path / "made", locks).exists()


def test_an_unknown_name_says_which_are_known(tmp_path: Path, locks: Path) -> None:
    with pytest.raises(KeyError, match="known environments: bare"):
        environment("gone", tmp_path / "made", locks)


def test_what_pip_is_to_add_is_added_and_makes_another_environment(tmp_path: Path, locks: Path) -> None:
    bare = environment("bare", tmp_path / "made", locks)
    (locks / "bare.pip").write_text("no-such-package-at-all @ file:///nowhere\n")
    with pytest.raises(RuntimeError, match=r"pip --python .* failed"):
        environment("bare", tmp_path / "made", locks)
    assert bare.exists()
