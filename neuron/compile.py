"""Compile one cell: python -m neuron.compile --cell ADDRESS --output ADDRESS --artifacts ADDRESS.

Addresses are paths or s3://bucket/key. Artifacts lie under the third by the digest of all that they depend on, so that
the same is compiled once, whichever cells and runs ask for it. The output document says how it went:

    {"cell", "schema": 1, "status": "ok|failed", "why", "key", "artifact", "cached", "seconds", "bytes", "versions",
     "buckets": [{"sequence", "artifact"}]}

A cell that cannot be compiled is a result, with its reason: the exit code is 0 once the document is written.
"""

import argparse
import hashlib
import json
import logging
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from neuron.backends import backend
from neuron.backends.protocol import Backend, CompileError, OptionError
from neuron.cells import Cell, CellError, read_cell
from neuron.quality import write_reference
from neuron.storage import Storage

SCHEMA = 1
ROOT = Path(__file__).parent
# What an artifact is made by, and the reference beside it.
CODE = ("model.py", "weights.py", "backends/*.py", "quality.py", "tokens.py", "loadtest/packing.py", "held_out.json")
RANDOM_DEPARTMENTS = 16  # of a model with random weights
log = logging.getLogger("neuron.compile")


def main(arguments: list[str] | None = None, storage: Storage | None = None) -> int:
    """Read the cell, compile it or find it compiled, write the document."""
    parser = argparse.ArgumentParser(description="Compile one cell of a benchmark.")
    parser.add_argument("--cell", required=True, help="address of the cell's document")
    parser.add_argument("--output", required=True, help="address of the document to write")
    parser.add_argument("--artifacts", required=True, help="address under which artifacts lie by content")
    addresses = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    storage = storage or Storage()
    document = storage.read(addresses.cell)
    try:
        said = compile_lengths(read_cell(document), storage, addresses.artifacts)
    except (CellError, KeyError, OptionError, CompileError) as error:
        why = error.args[0] if isinstance(error, KeyError) else str(error)
        said = {"status": "failed", "why": why}
    said = {"cell": document.get("cell", ""), "schema": SCHEMA, "why": "", **said}
    log.info("compile: %s", json.dumps(said))
    storage.write(said, addresses.output)
    return 0


def compile_lengths(cell: Cell, storage: Storage, artifacts: str) -> dict[str, Any]:
    """Compile a cell for its length and for each of its buckets; raises as `compile_cell`, which does one."""
    said = compile_cell(cell, storage, artifacts)
    buckets = [compile_cell(replace(cell, sequence=length), storage, artifacts) for length in cell.buckets]
    made = zip(cell.buckets, buckets, strict=True)
    return {
        **said,
        "cached": all(each["cached"] for each in (said, *buckets)),
        **{name: sum(each[name] for each in (said, *buckets)) for name in ("seconds", "bytes")},
        "buckets": [{"sequence": length, "artifact": each["artifact"]} for length, each in made],
    }


def compile_cell(cell: Cell, storage: Storage, artifacts: str) -> dict[str, Any]:
    """Compile a cell unless an artifact of the same content is there; return what the document says of it.

    Raises:
        KeyError: there is no such backend, or no such backbone.
        OptionError: the backend does not have the options.
        CompileError: the backend cannot compile here, or its compiler refused.
    """
    chosen = backend(cell.backend)
    chosen.check(cell.options)
    unavailable = chosen.available()
    if unavailable:
        raise CompileError(f"backend {cell.backend} cannot compile here: {unavailable}")
    model, departments = build_model(cell)
    key = cache_key(cell, chosen, _digest(model))
    about, artifact = f"{artifacts.rstrip('/')}/{key}/compile.json", f"{artifacts.rstrip('/')}/{key}/artifact.tar"
    try:
        return {**storage.read(about), "cached": True}
    except FileNotFoundError:
        pass  # nobody compiled it yet
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as workdir:
        folder = chosen.compile(model, cell.shape, cell.options, Path(workdir) / "artifact")
        if model is not None:
            write_reference(model, cell.sequence, departments, folder)
        size = storage.store_folder(folder, artifact)
    said = {
        "status": "ok",
        "key": key,
        "artifact": artifact,
        "cached": False,
        "seconds": round(time.monotonic() - started, 2),
        "bytes": size,
        "versions": chosen.versions(),
    }
    storage.write(said, about)  # after the artifact, so that who finds it finds both
    return said


def build_model(cell: Cell) -> tuple[Any, list[str]]:
    """Return the model of a cell and its departments: none of a random one, and no model for the simulated device."""
    if cell.backend == "simulated":
        return None, []
    from neuron.weights import load_trained, random_model

    if cell.backbone == "minilm":
        return load_trained(cell.slots)
    return random_model(cell.backbone, RANDOM_DEPARTMENTS, cell.slots, cell.seed), []


def cache_key(cell: Cell, chosen: Backend, weights: str) -> str:
    """Return a digest of all that an artifact depends on: backend, versions, shape, options, weights, and our code."""
    parts = {
        "backend": chosen.name,
        "versions": chosen.versions(),
        "shape": list(cell.shape),
        "options": dict(cell.options),
        "weights": weights,
        "code": {
            str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest()
            for pattern in CODE
            for path in ROOT.glob(pattern)
        },
        "schema": SCHEMA,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _digest(model: Any) -> str:
    if model is None:
        return ""
    from neuron.weights import weights_digest

    return weights_digest(model)


if __name__ == "__main__":
    sys.exit(main())
