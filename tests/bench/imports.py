"""Import time and unzipped size of each function, against an empty handler that imports boto3."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from local.environments import environment

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 9
EMPTY = "import boto3\ndef handler(event, context):\n    return None\n"


def main() -> None:
    """Print a row a function, then JSON: function → import_ratio, unzipped_mb (function and its layers)."""
    with tempfile.TemporaryDirectory() as folder:
        build = Path(folder) / "build"
        _build(build, "deps", "DependenciesLayer")
        _build(build, "parquet", "ParquetLayer")
        layers = [build / "DependenciesLayer", ROOT / "layers/shared"]
        empty = Path(folder) / "empty"
        empty.mkdir()
        (empty / "app.py").write_text(EMPTY)
        functions = {path.parent.name: path.parent for path in sorted((ROOT / "functions").glob("*/app.py"))}
        seconds = _import_seconds(
            {"(empty, boto3)": empty, **functions}, [layer / "python" for layer in layers], folder
        )
        layer_bytes = sum(_size(layer) for layer in layers)
        more_bytes = {"archive_jobs": _size(build / "ParquetLayer")}  # loaded when there is something to write
        base = seconds["(empty, boto3)"]
        print(f"{'function':<20}{'import ms':>10}{'ratio':>8}{'unzipped MB':>13}")
        print(f"{'(empty, boto3)':<20}{base * 1000:>10.0f}{1:>8.2f}{0:>13.1f}")
        result = {}
        for name, path in functions.items():
            size = (_size(path) + layer_bytes + more_bytes.get(name, 0)) / 1e6
            result[name] = {"import_ratio": round(seconds[name] / base, 2), "unzipped_mb": round(size, 1)}
            print(f"{name:<20}{seconds[name] * 1000:>10.0f}{seconds[name] / base:>8.2f}{size:>13.1f}")
        print(json.dumps(result))


def _build(target: Path, folder: str, name: str) -> None:
    """A layer of packages as `sam build` makes it for this machine."""
    layer = target / name
    layer.mkdir(parents=True)
    environ = {**os.environ, "ARTIFACTS_DIR": str(layer), "BOXCAR_LAYER_PYTHON": sys.executable}
    subprocess.run(["make", "-s", "-C", str(ROOT / "layers" / folder), f"build-{name}"], env=environ, check=True)


def _import_seconds(handlers: dict[str, Path], layers: list[Path], folder: str) -> dict[str, float]:
    """Median wall time of a process that imports a handler, less that of one that imports nothing.

    The handlers take turns, so that a slow spell of the machine hits all of them alike.
    """
    python = str(environment("lambda"))
    environ = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "PATH": os.environ["PATH"],
        "PYTHONPYCACHEPREFIX": f"{folder}/pycache",  # compiled once, as Lambda's own start after the first
        **_variables(),
    }
    # Functions import boto3 when they first need it, which is in their first call: it counts here all the same.
    scripts = {"": "pass", **dict.fromkeys(handlers, "import app, boto3")}
    times: dict[str, list[float]] = {name: [] for name in scripts}
    for _ in range(ROUNDS + 1):
        for name, script in scripts.items():
            path = os.pathsep.join(map(str, [*([handlers[name]] if name else []), *layers]))
            code = f"import time; t = time.perf_counter(); {script}; print(time.perf_counter() - t)"
            done = subprocess.run(
                [python, "-c", code], env={**environ, "PYTHONPATH": path}, capture_output=True, text=True
            )
            if done.returncode:
                raise RuntimeError(f"{name} cannot be imported:\n{done.stderr}")
            times[name].append(float(done.stdout.splitlines()[-1]))
    return {name: statistics.median(values[1:]) - statistics.median(times[""][1:]) for name, values in times.items()}


def _variables() -> dict[str, str]:
    """The environment that every function has. What the stack fills in when it is deployed plays no part in an import."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda loader, suffix, node: "x")
    template = yaml.load((ROOT / "template.yaml").read_text(), Loader)
    return dict(template["Globals"]["Function"]["Environment"]["Variables"])


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
