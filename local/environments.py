"""Pinned Python environments for what the cloud runs: functions see boto3 and layers, jobs their container's packages.

`make` makes them beforehand (requirements/install.py, same folders, same stamp); here one is made when it is missing.
Once made, an environment needs no network.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = Path(__file__).resolve().parent / "environments"
STAMP = "lock.sha256"  # inside an environment: what it was made from


def environment(name: str, root: Path = ROOT / ".boxcar" / "environments", locks: Path = LOCKS) -> Path:
    """Return the interpreter of `local/environments/<name>.lock`, making the environment when it is missing or stale.

    Safe when several processes ask at once: one makes it, the others wait for it.

    Raises:
        KeyError: there is no such lock file.
        RuntimeError: uv could not make it; the message holds what uv said.
    """
    lock = locks / f"{name}.lock"
    if not lock.exists():
        known = ", ".join(sorted(path.stem for path in locks.glob("*.lock")))
        raise KeyError(f"environment {name!r}: no {lock}; known environments: {known or 'none'}")
    digest = _digest(lock)
    prepared = root / name
    if _is_current(prepared, digest):
        return _python(prepared)
    # A stale folder may still be in use by a running cloud, so a new one gets a name of its own.
    folder = root / f"{name}-{digest[:12]}"
    if not _is_current(folder, digest):
        root.mkdir(parents=True, exist_ok=True)
        with (root / f".{folder.name}.making").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if not _is_current(folder, digest):
                _make(folder, lock, digest)
    return _python(folder)


def _make(folder: Path, lock: Path, digest: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _uv("venv", "--quiet", "--python", sys.executable, str(folder))
    _uv("pip", "sync", "--quiet", "--require-hashes", str(lock), "--python", str(_python(folder)))
    (folder / STAMP).write_text(digest)  # last, so that an interrupted making is repeated


def _uv(*arguments: str) -> None:
    beside = Path(sys.executable).parent / "uv"
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if not uv:
        raise RuntimeError(f"uv is not installed beside {sys.executable}; run `make setup`")
    clean = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    done = subprocess.run([uv, *arguments], capture_output=True, text=True, check=False, env=clean)
    if done.returncode:
        raise RuntimeError(f"uv {' '.join(arguments)} failed: {done.stderr.strip()[-2000:]}")


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _digest(lock: Path) -> str:
    # the version of this interpreter belongs to it: compiled packages fit one version only
    return hashlib.sha256(sys.version.encode() + lock.read_bytes()).hexdigest()


def _is_current(folder: Path, digest: str) -> bool:
    stamp = folder / STAMP
    return stamp.exists() and stamp.read_text() == digest
