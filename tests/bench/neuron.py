"""The load test itself, and how much of this machine the backends for CPUs use.

Runs in the environment of the load-test container, which is made first (1.6 GB, once). What is compared is measured in
turns, in one process, and the best of the rounds counts: what else the machine does slows both.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from local.environments import environment

ROOT = Path(__file__).resolve().parents[2]


def main() -> dict[str, Any]:
    """Print the tables; return their figures."""
    command = [environment("neuron"), "-m", "tests.bench.neuron_container"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        last = ""
        for line in child.stdout:
            if line.startswith("{"):
                last = line
            else:
                print(line, end="", flush=True)
    if child.returncode:
        raise SystemExit(f"bench neuron: the container's part ended with exit code {child.returncode}")
    return dict(json.loads(last))
