"""Start, stop, empty and look at the embedded cloud. `boxcar local …` and `python -m local …` call these functions."""

import asyncio
import faulthandler
import fcntl
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

PORT = 4566
STATE = Path(".boxcar/cloud")
READY = "cloud.json"  # in the state folder while the process runs: pid, port, endpoint
# Locked as long as the process lives, whatever ends it. With lockf, whose locks are the process's own: one of flock
# would live on in a child that was just forked, if the process is killed before the child runs its own program.
LOCK = "cloud.lock"
LOG = "server.log"
START_SECONDS = 60.0
STOP_SECONDS = 20.0  # how long it may take to save and end before it is aborted
ABORT_SECONDS = 10.0


class ServerError(RuntimeError):
    """The cloud cannot be started or stopped; the message says what to do."""


@dataclass(frozen=True)
class Running:
    """A cloud that runs."""

    pid: int
    port: int
    endpoint: str
    state: str


def up(port: int = PORT, state: Path = STATE, detach: bool = False) -> Running:
    """Start the cloud: in this process until SIGTERM, or with `detach` in another, returning when it is ready.

    A cloud that already runs on this state is returned as it is.

    Raises:
        ServerError: the port is taken, the state belongs to a cloud on another port, or the process did not get ready.
    """
    running = status(state)
    if running is not None:
        if running.port != port:
            raise ServerError(
                f"a cloud (pid {running.pid}) already runs on {state} at port {running.port}: "
                f"use that port, stop it (boxcar local down) or give another --state"
            )
        return running
    _claim(port)
    if detach:
        return _detached(port, state)
    return _serve(port, state)


def down(state: Path = STATE) -> bool:
    """Stop the cloud and keep its state; return whether one ran.

    One that does not end by itself is aborted: its log says where each thread stood, and its state is what a killed
    cloud leaves, which the next start mends.

    Raises:
        ServerError: it lives on all the same.
    """
    running = status(state)
    if running is None:
        return False
    for asked, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGABRT, ABORT_SECONDS)):
        os.kill(running.pid, asked)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not _is_held(state):
                _reap(running.pid)
                (state / READY).unlink(missing_ok=True)
                return True
            time.sleep(0.05)
    raise ServerError(f"the cloud (pid {running.pid}) outlives SIGTERM and SIGABRT: kill -9 {running.pid}")


def reset(state: Path = STATE) -> None:
    """Stop the cloud if it runs and empty its state.

    Raises:
        ServerError: the folder holds something that no cloud wrote.
    """
    down(state)
    if not state.exists():
        return
    if any(state.iterdir()) and not (state / LOG).exists():
        raise ServerError(
            f"{state} has no {LOG}, so it is not the state of a cloud and is left alone: give another --state"
        )
    shutil.rmtree(state)


def status(state: Path = STATE) -> Running | None:
    """Return the cloud that runs on this state, None if none does. What a killed process left is removed."""
    if _is_held(state):
        try:
            return Running(**json.loads((state / READY).read_text()))
        except FileNotFoundError:
            return None  # it is starting, or stopping
    (state / READY).unlink(missing_ok=True)
    return None


def _is_held(state: Path) -> bool:
    """Whether a process lives on this state."""
    if not (state / LOCK).exists():
        return False
    with (state / LOCK).open("rb") as probe:
        try:
            fcntl.lockf(probe, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _hold(state: Path) -> IO[bytes]:
    """Lock a state for this process; closing this or any other opening of its file, or dying, lets it go.

    Raises:
        ServerError: another process holds it.
    """
    lock = (state / LOCK).open("wb")
    for _ in range(40):  # whoever asks `status` holds the lock for an instant
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return lock
    lock.close()
    raise ServerError(f"another cloud is starting or stopping on {state}: try again, or give another --state")


def _claim(port: int) -> None:
    """Look whether a port is free.

    Raises:
        ServerError: it is taken, and not only by what a cloud that was just killed leaves for an instant.
    """
    for _ in range(20):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                taken = error
                time.sleep(0.05)
            else:
                return
    raise ServerError(f"port {port} is taken ({taken.strerror}): stop what uses it or give another --port") from taken


def _detached(port: int, state: Path) -> Running:
    state.mkdir(parents=True, exist_ok=True)
    log = state / LOG
    command = [sys.executable, "-m", "local", "up", "--port", str(port), "--state", str(state.resolve())]
    root = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": path},
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        running = status(state)
        if running is not None:
            return running
        if process.poll() is not None:
            raise ServerError(
                f"the cloud ended while starting (exit code {process.returncode}); {log} ends with:\n{_tail(log)}"
            )
        time.sleep(0.05)
    process.kill()
    raise ServerError(f"the cloud was not ready after {START_SECONDS:.0f} s; {log} ends with:\n{_tail(log)}")


def _serve(port: int, state: Path) -> Running:
    state.mkdir(parents=True, exist_ok=True)
    lock = _hold(state)
    _log_to(state / LOG)
    from local.cloud import EmbeddedCloud

    cloud = EmbeddedCloud(state, port)
    running = Running(os.getpid(), port, cloud.endpoint, str(state.resolve()))

    def ready() -> None:
        making = state / f"{READY}.making"
        making.write_text(json.dumps(asdict(running)))
        making.rename(state / READY)
        logging.getLogger("boxcar.server").info("ready at %s, state in %s", cloud.endpoint, state)
        for service in cloud.services.values():
            getattr(service, "warm", lambda: None)()  # what takes seconds to load begins to, in processes of its own

    async def serve() -> None:
        stop = asyncio.Event()
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, stop.set)
        await cloud.serve(ready, stop)

    faulthandler.enable((state / LOG).open("a"))  # SIGABRT: where each thread stands
    try:
        # Not asyncio.run: it would wait, before it returns, for every thread that answers a call.
        asyncio.new_event_loop().run_until_complete(serve())
    finally:
        (state / READY).unlink(missing_ok=True)
    logging.getLogger("boxcar.server").info("stopped, state kept in %s", state)
    logging.shutdown()
    lock.close()
    # Threads of services that wait on something must not keep the process: everything worth keeping is saved by now.
    os._exit(0)


def _log_to(path: Path) -> None:
    handlers: list[logging.Handler] = [logging.FileHandler(path)]
    if sys.stderr.isatty():
        handlers.append(logging.StreamHandler())
    form = "%(asctime)s %(levelname)s [%(name)s] %(message)s"
    logging.basicConfig(level=logging.INFO, handlers=handlers, format=form, datefmt="%Y-%m-%dT%H:%M:%S")
    for chatty in ("botocore", "boto3", "urllib3", "s3transfer"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _reap(pid: int) -> None:
    """Collect the process if it is a child of this one, so that it is not left as a zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
