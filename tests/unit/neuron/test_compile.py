"""The compile job: a document for every cell, an artifact for every content, once."""

import json
import shutil
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from neuron import compile as job
from neuron.cells import CellError, read_cell
from neuron.storage import Storage

CELL = {"cell": "one", "backend": "simulated", "instance": "c7i.xlarge", "batch": 4, "cores": 1, "sequence": 32}


def run(folder: Path, document: dict, name: str = "one") -> dict:
    (folder / f"{name}.json").write_text(json.dumps(document))
    addresses = ["--cell", f"{folder}/{name}.json", "--output", f"{folder}/{name}/compile.json"]
    assert job.main([*addresses, "--artifacts", f"{folder}/artifacts"]) == 0
    return json.loads((folder / name / "compile.json").read_text())


def test_the_same_content_is_compiled_once(tmp_path: Path) -> None:
    first = run(tmp_path, CELL)
    assert (first["cell"], first["status"], first["cached"], first["schema"]) == ("one", "ok", False, 1)
    second = run(tmp_path, {**CELL, "cell": "two", "target": {"name": "batch"}, "seed": 7}, "two")
    assert second["cached"] and second["artifact"] == first["artifact"] and second["cell"] == "two"
    for change in ({"batch": 8}, {"sequence": 64}, {"slots": 2}, {"options": {"service_ms": 2}}):
        other = run(tmp_path, {**CELL, **change}, "other")
        assert not other["cached"] and other["key"] != first["key"], change


@pytest.mark.parametrize(
    ("file", "again"),
    [
        ("model.py", True),
        ("backends/traced.py", True),
        ("quality.py", True),
        ("held_out.json", True),
        ("loadtest/search.py", False),
    ],
)
def test_what_our_code_would_make_otherwise_is_compiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, again: bool
) -> None:
    monkeypatch.setattr(job, "ROOT", Path(shutil.copytree(job.ROOT, tmp_path / "neuron")))
    run(tmp_path, CELL)
    with (tmp_path / "neuron" / file).open("a") as source:
        source.write("\n")
    assert run(tmp_path, CELL)["cached"] is not again


def test_what_is_compiled_for_one_processor_is_not_found_on_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda package: "2.9.0")
    cell, keys = read_cell({**CELL, "backend": "torch", "options": {"mode": "inductor"}}), set()
    for processor in ("Intel(R) Xeon(R) Platinum 8488C", "AMD EPYC 9R14", "AMD EPYC 9R14"):
        monkeypatch.setattr("neuron.backends.torch_cpu.machine", lambda name=processor: {"processor": name})
        keys.add(job.cache_key(cell, job.backend("torch"), ""))
    assert len(keys) == 2


def test_an_artifact_without_its_document_is_compiled_again(tmp_path: Path) -> None:
    first = run(tmp_path, CELL)
    (tmp_path / "artifacts" / first["key"] / "compile.json").unlink()  # as if the job died between the two
    assert not run(tmp_path, CELL)["cached"]


def test_the_artifact_is_what_load_wants(tmp_path: Path) -> None:
    said = run(tmp_path, {**CELL, "options": {"service_ms": 3}})
    folder = Storage().fetch_folder(said["artifact"], tmp_path / "unpacked")
    assert json.loads((folder / "simulated.json").read_text())["service_ms"] == 3


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"backend": "tpu"}, "backend: there is no 'tpu'; write one of neuronx"),
        ({"options": {"speed": 1}}, "options.speed: backend simulated has no such option"),
        ({"batch": 0}, "batch: 0 is not a whole number from 1 to 4096"),
        ({"sequence": 1024}, "sequence: 1024 is not a whole number from 1 to 512"),
        ({"batchsize": 1}, "batchsize: a cell has no such field"),
        ({"buckets": [16, 32]}, "buckets: 32 is not a whole number below the sequence, 32"),
    ],
)
def test_a_cell_that_cannot_be_compiled_says_why(tmp_path: Path, change: dict, why: str) -> None:
    said = run(tmp_path, {**CELL, **change})
    assert said["status"] == "failed" and why in said["why"]
    assert not (tmp_path / "artifacts").exists()


def test_a_backend_that_cannot_compile_here_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job.backend("simulated"), "available", lambda: "no such device", raising=False)
    assert run(tmp_path, CELL)["why"] == "backend simulated cannot compile here: no such device"


def test_a_field_of_another_type_is_refused() -> None:
    with pytest.raises(CellError, match="backend: missing; a cell needs cell, backend"):
        read_cell({"cell": "one"})
    with pytest.raises(CellError, match="options: 'fast' is not an object"):
        read_cell({**CELL, "options": "fast"})
    with pytest.raises(CellError, match="batch: True is not a whole number"):
        read_cell({**CELL, "batch": True})


def test_documents_and_artifacts_in_s3(tmp_path: Path) -> None:
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="bench")
        s3.put_object(Bucket="bench", Key="cells/one.json", Body=json.dumps(CELL))
        addresses = ["--cell", "s3://bench/cells/one.json", "--output", "s3://bench/one/compile.json"]
        storage = Storage(s3)
        assert job.main([*addresses, "--artifacts", "s3://bench/artifacts/"], storage) == 0
        said = storage.read("s3://bench/one/compile.json")
        assert said["artifact"] == f"s3://bench/artifacts/{said['key']}/artifact.tar"
        assert (storage.fetch_folder(said["artifact"], tmp_path / "unpacked") / "simulated.json").exists()
        with pytest.raises(FileNotFoundError, match="s3://bench/none: no such object"):
            storage.read("s3://bench/none")
        with pytest.raises(ValueError, match="write s3://bucket/key"):
            storage.read("s3://bench")
