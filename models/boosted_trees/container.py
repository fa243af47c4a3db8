"""What a SageMaker container gives a script, and how a script says why it cannot go on.

Processing jobs (AWS docs, "Create your own processing container"): inputs lie under <base>/processing/input/<name>,
outputs are taken from <base>/processing/output/<name>, and a text in <base>/output/message becomes the job's exit
message. <base> is /opt/ml on AWS; it is taken from where the script itself lies, <base>/processing/input/code.

Training jobs: SM_CHANNEL_<NAME>, SM_MODEL_DIR and SM_OUTPUT_DIR name the folders; a text in <output>/failure becomes
the failure reason. SageMaker's framework containers lay their own text over it, so what can be wrong with the data is
checked in a processing job, before training.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


class InputError(Exception):
    """The data or the configuration is such that trying again cannot help. The text says what to do."""


class Folders:
    """The folders of a processing job."""

    def __init__(self, script: str) -> None:
        # Not resolved: where the code folder is a link, the inputs lie beside the link.
        self.base = Path(script).absolute().parents[3]

    def input(self, name: str) -> Path:
        """The folder of one input.

        Raises:
            InputError: the job has no such input.
        """
        folder = self.base / "processing" / "input" / name
        if not folder.is_dir():
            raise InputError(f"input {name!r} is missing: {folder} does not exist; list it in the inputs of the step")
        return folder

    def optional(self, name: str) -> Path | None:
        """The folder of an input that may be left out (a reference that ends in `?`), or None."""
        folder = self.base / "processing" / "input" / name
        return folder if folder.is_dir() else None

    def output(self, name: str) -> Path:
        """The folder of one output, made if need be."""
        folder = self.base / "processing" / "output" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def message(self) -> Path:
        """Where the exit message goes."""
        return self.base / "output" / "message"

    def config(self) -> dict[str, Any]:
        """The document that Boxcar's plan wrote for this step.

        Raises:
            InputError: it is missing or not JSON.
        """
        return read_json(self.input("config") / "config.json")


def channel(name: str) -> Path:
    """The folder of a training channel.

    Raises:
        InputError: the job has no such channel.
    """
    folder = os.environ.get(f"SM_CHANNEL_{name.upper()}")
    if not folder or not Path(folder).is_dir():
        raise InputError(f"channel {name!r} is missing; list it in the inputs of the training step")
    return Path(folder)


def failure_file() -> Path:
    """Where a training job says why it failed."""
    return Path(os.environ.get("SM_OUTPUT_DIR") or Path(os.environ["SM_OUTPUT_DATA_DIR"]).parent) / "failure"


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputError: the file is missing, half-written, or holds something else.
    """
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path.parent.name}/{path.name} is missing") from None
    except ValueError as error:
        raise InputError(f"{path.parent.name}/{path.name} is not complete JSON ({error})") from None
    if not isinstance(document, dict):
        raise InputError(f"{path.parent.name}/{path.name} holds a {type(document).__name__}, not an object")
    return document


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a JSON object so that people can read it too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def run(script: Callable[[], None], message: Callable[[], Path]) -> None:
    """Run a script. On InputError its text goes to the message file and to stderr, and the exit code is 1."""
    try:
        script()
    except InputError as error:
        text = f"InputError: {error}"
        path = message()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(text, file=sys.stderr)
        sys.exit(1)
