"""Pinned Python environments for what the cloud runs: functions see boto3 and layers, jobs their container's packages.

`make` makes them beforehand (requirements/install.py, same folders, same stamp); here one is made when it is missing.
Once made, an environment needs no network. Where `<name>.pip` lies beside the lock, pip installs what it lists after
the rest; such an environment is large, and made when it is first asked for only.
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
        RuntimeError: uv or pip could not make it; the message holds what it said.
    """
    lock = locks / f"{name}.lock"
    if not lock.exists():
        known = ", ".join(sorted(path.stem for path in locks.glob("*.lock")))
        raise KeyError(f"environment {name!r}: no {lock}; known environments: {known or 'none'}")
    digest = _digest(lock, lock.with_suffix(".pip"))
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
    by_pip = lock.with_suffix(".pip")
    if by_pip.exists():
        _run(sys.executable, "-m", "pip", "--python", str(_python(folder)), "install", "--quiet", "-r", str(by_pip))
    (folder / STAMP).write_text(digest)  # last, so that an interrupted making is repeated


def _uv(*arguments: str) -> None:
    beside = Path(sys.executable).parent / "uv"
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if not uv:
        raise RuntimeError(f"uv is not installed beside {sys.executable}; run `make setup`")
    _run(uv, *arguments)


def _run(program: str, *arguments: str) -> None:
    clean = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, env=clean)
    if done.returncode:
        raise RuntimeError(f"{Path(program).name} {' '.join(arguments)} failed: {done.stderr.strip()[-2000:]}")


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _digest(*files: Path) -> str:
    # the version of this interpreter belongs to it: compiled packages fit one version only
    digest = hashlib.sha256(sys.version.encode())
    for file in files:
        digest.update(file.read_bytes() if file.exists() else b"")
    return digest.hexdigest()


def _is_current(folder: Path, digest: str) -> bool:
    stamp = folder / STAMP
    return stamp.exists() and stamp.read_text() == digest
