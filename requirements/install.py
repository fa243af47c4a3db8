"""Make the environments of this checkout from their lock files. Needs nothing but Python itself.

    .venv                        requirements/boxcar.lock, and this project, editable
    .boxcar/environments/<name>  requirements/sam.lock and local/environments/<name>.lock

What has a <name>.pip beside its lock (what pip installs after the rest) is large, and made only when it is asked for.
An environment whose lock has not changed since it was made is left alone, so a second call costs nothing.
Usage: python3 requirements/install.py [--with LOCK ...]
"""

import argparse
import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
ENVIRONMENTS = ROOT / ".boxcar" / "environments"
STAMP = "lock.sha256"  # inside an environment: the digest of what it was made from
OLDEST = (3, 11)


def main() -> int:
    """Make what is missing or out of date; return the exit code."""
    parser = argparse.ArgumentParser(description="Make the environments of this checkout.")
    parser.add_argument("--with", dest="extra", nargs="*", default=[], type=Path, metavar="LOCK", help="further locks")
    arguments = parser.parse_args()
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        print(f"setup: Python {found} at {sys.executable} is too old; run `make PYTHON=python3.11 …` (3.11 or newer)")
        return 1
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    with (ENVIRONMENTS / ".setup").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # a second setup waits for the first, then finds its work done
        if Path(sys.prefix).resolve() == VENV:
            make_all(arguments.extra)
            return 0
        make_interpreter()
    # From here on with .venv's own Python: whichever `python3` is first on the PATH today decides nothing any more.
    return subprocess.run([VENV / "bin" / "python", __file__, *sys.argv[1:]], check=False).returncode


def make_interpreter() -> None:
    """Make .venv, empty, from this Python, unless there is one that works."""
    told = f"import sys; sys.exit(sys.version_info < {OLDEST})"
    python = VENV / "bin" / "python"
    if python.exists() and subprocess.run([python, "-c", told], capture_output=True, check=False).returncode == 0:
        return
    shutil.rmtree(VENV, ignore_errors=True)
    if subprocess.run([sys.executable, "-m", "venv", VENV], check=False).returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        raise SystemExit(
            "setup: Python cannot make a virtual environment; on Debian `apt-get install python3-venv` mends that"
        )


def make_all(extra: list[Path]) -> None:
    """Make what is missing or out of date: what is in .venv first, since uv is among it."""
    fill_venv()
    images = sorted((ROOT / "local" / "environments").glob("*.lock"))
    locks = [ROOT / "requirements" / "sam.lock", *(lock for lock in images if not lock.with_suffix(".pip").exists())]
    for lock in [*locks, *(path.resolve() for path in extra)]:
        make_environment(ENVIRONMENTS / lock.stem, lock)
    link_commands(ENVIRONMENTS / "sam", ["sam"])


def fill_venv() -> None:
    """Fill .venv: pip brings uv, uv brings everything else, the project itself is installed editable."""
    uv_lock, lock = ROOT / "requirements" / "uv.lock", ROOT / "requirements" / "boxcar.lock"
    digest = digest_of(uv_lock, lock) + project_digest(ROOT / "pyproject.toml")
    if is_current(VENV, digest):
        return
    started = time.monotonic()
    run(VENV / "bin" / "python", "-m", "pip", "install", "-qq", "--require-hashes", "-r", uv_lock)
    uv("pip", "sync", "--quiet", "--require-hashes", lock, python=VENV)
    uv("pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", ROOT, python=VENV)
    finish(VENV, digest, started)


def make_environment(folder: Path, lock: Path) -> None:
    """Make one environment besides .venv, with the same Python, from one lock file."""
    by_pip = lock.with_suffix(".pip")
    digest = digest_of(lock, *([by_pip] if by_pip.exists() else []))
    if is_current(folder, digest):
        return
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    uv("venv", "--quiet", "--python", VENV / "bin" / "python", folder)
    uv("pip", "sync", "--quiet", "--require-hashes", lock, python=folder)
    if by_pip.exists():
        python = folder / "bin" / "python"
        run(VENV / "bin" / "python", "-m", "pip", "--python", python, "install", "--quiet", "-r", by_pip)
    finish(folder, digest, started)


def link_commands(environment: Path, names: list[str]) -> None:
    """Put commands of another environment into .venv/bin; each keeps running on its own interpreter."""
    for name in names:
        link = VENV / "bin" / name
        if not link.is_symlink():
            link.unlink(missing_ok=True)
            link.symlink_to(Path("../..") / (environment / "bin" / name).relative_to(ROOT))


def digest_of(*paths: Path) -> str:
    """Return one SHA-256 over the contents of `paths` and the version of this Python."""
    digest = hashlib.sha256(sys.version.encode())
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def project_digest(pyproject: Path) -> str:
    """Return a digest of what installing the project depends on; settings of tools are not among it."""
    import tomllib  # not at the top: a Python without it is to be told its version, not to fail on an import

    document = tomllib.loads(pyproject.read_text())
    parts = [document["build-system"], document["project"], document["tool"]["hatch"]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def is_current(environment: Path, digest: str) -> bool:
    """Return whether an environment was made from what `digest` stands for."""
    stamp = environment / STAMP
    return stamp.exists() and stamp.read_text() == digest


def uv(*arguments: str | Path, python: Path | None = None) -> None:
    """Run the pinned uv, on the environment `python` if given."""
    target = ["--python", python / "bin" / "python"] if python else []
    run(VENV / "bin" / "uv", *arguments, *target)


def run(*command: str | Path) -> None:
    """Run a command and end with its name when it fails."""
    if subprocess.run([str(part) for part in command], cwd=ROOT, check=False).returncode:
        raise SystemExit(f"setup: failed: {' '.join(map(str, command))}")


def finish(environment: Path, digest: str, started: float) -> None:
    """Mark an environment as complete: written last, so that an interrupted setup is repeated."""
    (environment / STAMP).write_text(digest)
    print(f"setup: {environment.relative_to(ROOT)} ready in {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
