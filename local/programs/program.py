"""One program: a folder of its own, a role's credentials, a log, SIGTERM and later SIGKILL."""

import os
import re
import shutil
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

from local.sagemaker.launcher import Interpreter, Process
from local.sagemaker.timers import Timer, Timers
from local.service import Cloud

PYTHON = re.compile(r"^(?:.*/)?python(?:3(?:\.\d+)?)?$")


class Stopped(Exception):  # noqa: N818
    """It was told to stop before it had begun."""


@dataclass(frozen=True)
class Surroundings:
    """What stands for an image, or for a service's runtime, on this machine."""

    environment: str  # the lock file in local/environments
    preload: tuple[str, ...] = ()  # what its programs import, imported once


class Programs:
    """Starts programs; an interpreter is kept warm for each environment."""

    def __init__(self, cloud: Cloud, work: Path) -> None:
        self.timers = Timers(cloud.clock)
        self._cloud = cloud
        self._work = work
        self._interpreters: dict[str, Interpreter] = {}
        self._lock = threading.Lock()
        shutil.rmtree(work, ignore_errors=True)  # what a killed process left

    def prepare(self, name: str, surroundings: Surroundings) -> "Program":
        """Make the folder of a program and warm its interpreter.

        Raises:
            KeyError, RuntimeError: its environment cannot be made.
        """
        folder = self._work / re.sub(r"[^\w.-]", "_", name)
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "tmp").mkdir(parents=True)
        (folder / "work").mkdir()
        return Program(self, self._interpreter(surroundings), folder)

    def _interpreter(self, surroundings: Surroundings) -> Interpreter:
        with self._lock:
            name = surroundings.environment
            if name not in self._interpreters:
                python = self._cloud.environment(name)
                self._interpreters[name] = Interpreter(python, surroundings.preload, threads=1)
            return self._interpreters[name]

    def variables(self, interpreter: Interpreter, folder: Path) -> dict[str, str]:
        """What every program finds in its environment."""
        return {
            "PATH": f"{interpreter.python.parent}{os.pathsep}/usr/local/bin:/usr/bin:/bin",
            "HOME": str(folder / "work"),
            "TMPDIR": str(folder / "tmp"),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "AWS_ENDPOINT_URL": self._cloud.endpoint,
            "AWS_REGION": self._cloud.region,
            "AWS_DEFAULT_REGION": self._cloud.region,
            **interpreter.environment,
        }

    def close(self) -> None:
        """End every process."""
        for interpreter in self._interpreters.values():
            interpreter.close()
        self.timers.close()


class Program:
    """One run of one program."""

    def __init__(self, programs: Programs, interpreter: Interpreter, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"  # where it begins
        self.log = folder / "log"
        self.stopped_by = ""
        self._programs = programs
        self._interpreter = interpreter
        self._process: Process | None = None
        self._timers: list[Timer] = []
        self._lock = threading.Lock()

    def run(self, argv: list[str], env: dict[str, str]) -> int:
        """Run it to its end and return its exit code, as a container reports it: 128 + the signal that killed it.

        Raises:
            Stopped: it was told to stop before.
            OSError: it cannot be started.
        """
        command = [str(self._interpreter.python) if PYTHON.match(argv[0]) else argv[0], *argv[1:]]
        variables = {**self._programs.variables(self._interpreter, self.folder), **env}
        with self._lock:
            if self.stopped_by:
                raise Stopped
            self._process = self._interpreter.start(command, variables, self.work, self.log)
        code = self._process.wait()
        return 128 - code if code < 0 else code

    def limit(self, seconds: float, why: str, grace: float) -> None:
        """Stop it after so many seconds of the cloud's clock."""
        self._timers.append(self._programs.timers.after(seconds, lambda: self.stop(why, grace)))

    def stop(self, why: str, grace: float) -> None:
        """Begin to stop: SIGTERM, and SIGKILL when `grace` seconds are over. The first reason counts."""
        with self._lock:
            if self.stopped_by:
                return
            self.stopped_by = why
            process = self._process
        if process is not None:
            process.signal(signal.SIGTERM)
            self._timers.append(self._programs.timers.after(grace, process.kill))

    def kill(self) -> None:
        """End it without a word, as a machine that is gone."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Forget the timers, end what was left running, delete the folder."""
        for timer in self._timers:
            timer.cancel()
        self.kill()
        if not os.environ.get("BOXCAR_LOCAL_KEEP_JOBS"):
            shutil.rmtree(self.folder, ignore_errors=True)
