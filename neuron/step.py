"""One step of a benchmark, as a container of AWS Batch runs it: python -m neuron.step.

The environment says where things are. BOXCAR_CONFIG is {"job", "cell", "artifacts"}: `compile` writes compile.json,
`load_test` reads that and writes loadtest.json; each writes machine.json beside it, which says on what machine it ran.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neuron.storage import Storage

# Nitro gives the instance type as the product name of the machine.
PRODUCT = Path("/sys/devices/virtual/dmi/id/product_name")
PROCESSORS = Path("/proc/cpuinfo")


def main(environment: Mapping[str, str] = os.environ, storage: Storage | None = None) -> int:
    """Run the job that the environment asks for, and answer its exit code."""
    storage = storage or Storage()
    config = json.loads(environment["BOXCAR_CONFIG"])
    with tempfile.TemporaryDirectory() as folder:
        cell = Path(folder) / "cell.json"
        cell.write_text(json.dumps(config["cell"]))
        if config["job"] == "compile":
            output = environment["BOXCAR_OUTPUT_COMPILED"]
            program = ["neuron.compile", "--cell", str(cell), "--output", f"{output}compile.json"]
            program += ["--artifacts", config["artifacts"]]
        else:
            output = environment["BOXCAR_OUTPUT_RESULTS"]
            program = ["neuron.loadtest", "--cell", str(cell), "--output", f"{output}loadtest.json"]
            program += ["--compiled", f"{environment['BOXCAR_INPUT_COMPILED']}compile.json"]
        code = subprocess.run([sys.executable, "-m", *program], check=False).returncode
    storage.write(machine(), f"{output}machine.json")
    return code


def machine(product: Path = PRODUCT, processors: Path = PROCESSORS) -> dict[str, Any]:
    """What this machine is: product name, processor, and how many processors there are."""
    models = [line.partition(":")[2].strip() for line in _lines(processors) if line.startswith("model name")]
    return {
        "product": " ".join(_lines(product)),
        "processor": models[0] if models else "",
        "processors": os.cpu_count(),
    }


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(main())
