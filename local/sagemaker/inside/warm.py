"""A process of a container's environment that has imported what its jobs import, and forks once for each job.

Importing XGBoost, pandas and PyArrow takes seconds of processor time; a fork takes milliseconds, and is a real process
with its own working directory, environment, arguments, output and exit code. What is not a Python script is executed
in the fork as usual.

Orders come as one JSON object a line on standard input, answers go the same way to standard output:
    {"id", "argv", "env", "cwd", "log", "script"?, "module"?}  ->  {"id", "pid"}, then {"id", "exit"}
A negative exit code is the signal that ended the process, as in `subprocess`. At the end of standard input, also when
the service was killed, every process started here is killed with its children.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, TextIO

Order = dict[str, Any]
ORDERS, ANSWERS = 3, 4  # where standard input and output are kept, away from what imports and jobs print


class Job(BaseException):
    """Carries an order out of the loop into the fork that is to run it."""

    def __init__(self, order: Order) -> None:
        self.order = order


def main() -> None:
    """Import, say so, then fork on order until the orders end."""
    os.dup2(0, ORDERS)
    os.dup2(1, ANSWERS)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    for name in sys.argv[1:]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is shared with the forks stays shared
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    answer({"ready": os.getpid()})
    running: dict[int, int] = {}
    buffer = b""
    while True:
        readable, _, _ = select.select([ORDERS, wake], [], [])
        if wake in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 4096)
            reap(running)
        if ORDERS in readable:
            data = os.read(ORDERS, 1 << 16)
            if not data:
                break
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                start(json.loads(line), running, (wake, waker))
    for pid in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def start(order: Order, running: dict[int, int], pipes: tuple[int, int]) -> None:
    """Fork; the child leaves the loop for good."""
    pid = os.fork()
    if pid == 0:
        for pipe in (*pipes, ORDERS, ANSWERS):
            os.close(pipe)
        raise Job(order)
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)  # as the child does too: whoever is first, a signal to the group finds it
    running[pid] = order["id"]
    answer({"id": order["id"], "pid": pid})


def reap(running: dict[int, int]) -> None:
    """Answer with the exit codes of what has ended."""
    while running:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if pid in running:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)  # what it left running ends with it, as with a container
            answer({"id": running.pop(pid), "exit": os.waitstatus_to_exitcode(status)})


def answer(message: dict[str, int]) -> None:
    """One line to the service."""
    os.write(ANSWERS, json.dumps(message).encode() + b"\n")


def become(order: Order) -> int:
    """Turn this fork into the job's process and return its exit code."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    sys.stdout, sys.stderr = output(1), output(2)
    try:
        os.chdir(order["cwd"])
        if not (order.get("script") or order.get("module")):
            os.execvpe(order["argv"][0], order["argv"], order["env"])  # noqa: S606
    except OSError as error:
        print(f"cannot run {order['argv'][0]}: {error}", file=sys.stderr)
        return 127
    os.environ.clear()
    os.environ.update(order["env"])
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # else every job would draw the same numbers
    return run(order)


def output(descriptor: int) -> TextIO:
    """A text stream that holds nothing back at a line's end."""
    return os.fdopen(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def run(order: Order) -> int:
    """Run a script or a module as `python script …` or `python -m module …` would."""
    script: str | None = order.get("script")
    module: str = order.get("module", "")
    extra = [path for path in order["env"].get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:0] = [str(Path(script).resolve().parent if script else order["cwd"]), *extra]
    sys.argv = [script or module, *order["argv"]]
    try:
        if script:
            runpy.run_path(script, run_name="__main__")
        else:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        return 0
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException as error:
        trace = error.__traceback__
        while trace and trace.tb_frame.f_code.co_filename in (__file__, "<frozen runpy>", runpy.__file__):
            trace = trace.tb_next  # the script's own frames are what its author wants to see
        traceback.print_exception(type(error), error, trace)
        return 1


def finish(code: int) -> None:
    """End as an interpreter ends, less the freeing of memory."""
    with contextlib.suppress(BaseException):
        getattr(threading, "_shutdown")()  # noqa: B009  waits for threads, as an interpreter does at its end
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    os._exit(code & 0xFF)


if __name__ == "__main__":
    try:
        main()
    except Job as job:
        order = job.order
    else:
        os._exit(0)
    finish(become(order))
