"""What both of Neuron's stacks share: a TorchScript file, loaded onto the NeuronCores of this worker."""

import json
import os
from collections.abc import Callable, Mapping
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from neuron.backends.protocol import CompileError, Cores, Infer, Options
from neuron.backends.tensors import on_tensors

FILE, ABOUT = "model.pt", "options.json"
LAST_LINES, LONGEST = 5, 1000  # of the compiler's log, in characters
VISIBLE = "NEURON_RT_VISIBLE_CORES"  # read by the runtime when it first loads a model in a process


def missing(package: str) -> str | None:
    """Return why a package of Neuron's cannot be imported, if so; those on the public index raise when they are."""
    try:
        import_module(package)
    except ImportError as error:
        return f"{package} cannot be imported ({error}); it comes from AWS's own index, in the container for Inferentia"
    return None


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of distributions."""
    return {package: metadata.version(package) for package in packages}


def trace(call: Callable, options: Options, workdir: Path) -> Path:
    """Compile with `call`, a vendor's trace with all but the work folder bound, and keep what it made.

    Raises:
        CompileError: the compiler refused; the message holds the end of what it logged.
    """
    import torch

    workdir.mkdir(parents=True, exist_ok=True)
    scratch = workdir.with_name(f"{workdir.name}.compiler")  # beside the artifact: what nobody needs to load it
    scratch.mkdir(exist_ok=True)
    try:
        torch.jit.save(call(compiler_workdir=str(scratch)), str(workdir / FILE))
    except Exception as error:  # the stacks raise their own errors, torch's, and those of the compiler's process
        raise CompileError(f"{type(error).__name__}: {error}{_logged(scratch)}") from error
    (workdir / ABOUT).write_text(json.dumps(options))
    return workdir


def _logged(scratch: Path) -> str:
    """The end of what the compiler logged last: its work folder goes with the job."""
    logs = [path for path in scratch.rglob("*") if path.is_file() and path.suffix in (".txt", ".log")]
    if not logs:
        return ""
    latest = max(logs, key=lambda path: (path.stat().st_mtime, path.name))
    lines = [line.strip() for line in latest.read_text(errors="replace").splitlines() if line.strip()]
    return f"; {latest.name} ends with: {' / '.join(lines[-LAST_LINES:])[-LONGEST:]}"


def load(artifact: Path, cores: Cores, parallel: Callable[[Any, list[int]], Any]) -> Infer:
    """Load an artifact onto `cores`; if compiled to be `data_parallel`, a copy on each, by the vendor's wrapper.

    Raises:
        ValueError: a pipeline was compiled for another number of cores.
    """
    import torch

    options = json.loads((artifact / ABOUT).read_text())
    stages = options.get("pipeline_cores", 1)
    if stages > 1 and stages != cores.number:
        raise ValueError(f"cores: {cores.number}, but the artifact is a pipeline over {stages} NeuronCores")
    last = cores.first + cores.number - 1
    os.environ[VISIBLE] = str(cores.first) if cores.number == 1 else f"{cores.first}-{last}"
    model = torch.jit.load(str(artifact / FILE))
    # the runtime numbers the cores that it sees from 0
    return on_tensors(parallel(model, list(range(cores.number))) if options["data_parallel"] else model)


def flags(options: Options, names: Mapping[str, str]) -> list[str]:
    """Return `--flag=value` for each option that is set."""
    return [f"{flag}={options[name]}" for name, flag in names.items() if options[name] not in (None, 1)]
