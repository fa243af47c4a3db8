"""A step of a benchmark in its container: what it runs, and what it leaves when there is nothing to run."""

import json
from pathlib import Path

from neuron.step import machine, main

CELL = {"cell": "c", "backend": "simulated", "instance": "c7i.xlarge", "batch": 1, "sequence": 32, "target": {}}


def environment(folder: Path, job: str) -> dict[str, str]:
    config = {"job": job, "cell": CELL, "artifacts": str(folder / "compiled")}
    return {
        "BOXCAR_CONFIG": json.dumps(config),
        "BOXCAR_OUTPUT_COMPILED": f"{folder}/out/",
        "BOXCAR_INPUT_COMPILED": f"{folder}/out/",
        "BOXCAR_OUTPUT_RESULTS": f"{folder}/results/",
    }


def test_compiling_leaves_its_document_and_the_machine(tmp_path) -> None:
    assert main(environment(tmp_path, "compile")) == 0
    said = json.loads((tmp_path / "out/compile.json").read_text())
    assert (said["status"], Path(said["artifact"]).exists()) == ("ok", True)
    assert json.loads((tmp_path / "out/machine.json").read_text())["processors"] >= 1


def test_a_nitro_machine_says_what_instance_it_is(tmp_path) -> None:
    (tmp_path / "product").write_text("c7i.xlarge\n")
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Platinum 8488C\n")
    found = machine(tmp_path / "product", tmp_path / "cpuinfo")
    assert (found["product"], found["processor"]) == ("c7i.xlarge", "Intel(R) Xeon(R) Platinum 8488C")
    assert machine(tmp_path / "none", tmp_path / "none")["product"] == ""
