"""The load test on a simulated device, whole: its processes, its faults, and what its document says."""

import json
from pathlib import Path

import numpy as np
import pytest

from neuron import compile as compiling
from neuron.backends import backend
from neuron.backends.protocol import Cores, Shape
from neuron.cells import CellError, read_cell
from neuron.loadtest import __main__ as job
from neuron.loadtest.harness import Artifact, Harness, LoadTestError, Measurement
from neuron.loadtest.packing import invented
from neuron.loadtest.search import highest
from neuron.quality import FILE
from neuron.storage import Storage

CELL = {"cell": "one", "backend": "simulated", "batch": 4, "sequence": 32, "options": {"service_ms": 2}}
TEXTS = invented(200, 32, seed=1)


def result_of(folder: Path, document: dict, storage: Storage | None = None) -> dict:
    """Compile and load-test a cell as the jobs do; what the second wrote."""
    (folder / "cell.json").write_text(json.dumps(document))
    cell, compiled, output = ["--cell", f"{folder}/cell.json"], f"{folder}/compile.json", f"{folder}/loadtest.json"
    assert compiling.main([*cell, "--output", compiled, "--artifacts", f"{folder}/artifacts"]) == 0
    assert job.main([*cell, "--compiled", compiled, "--output", output], storage) == 0
    return json.loads(Path(output).read_text())


def device(folder: Path, shape: Shape, **options: object) -> Artifact:
    return Artifact(backend("simulated").compile(None, shape, options, folder), shape)


def harness(artifact: Artifact, workers: int = 1) -> Harness:
    return Harness("simulated", [artifact], [Cores(number) for number in range(workers)], TEXTS, warm_s=1)


def test_a_cell_is_tested_and_says_at_which_rate_it_meets_the_target(tmp_path: Path) -> None:
    said = result_of(tmp_path, {**CELL, "target": {"p99_ms": 400, "seconds": 0.3}})
    assert (said["status"], said["how"], said["scenario"], said["workers"]) == ("ok", "simulated", "server", 1)
    assert said["rate"] > 0 and said["missed_by"] is None
    met = [point["rate"] for point in said["curve"] if point["met"]]
    assert said["rate"] == max(met)
    assert said["latency_ms"]["p50"] >= 2, "no answer is faster than the device"
    assert said["latency_ms"]["p50"] <= said["latency_ms"]["p99"] <= 400
    assert said["indicative"] and said["queries"] < said["queries_needed"] == 262_742


class Killed(BaseException):
    """The job, by whoever gives no notice."""


class KilledAtTheThird(Storage):
    """What is written lies there; the third document of the load test is its last."""

    def write(self, document: dict, address: str) -> None:
        super().write(document, address)
        if len(document.get("curve", [])) == 3:
            raise Killed


def test_a_job_that_is_killed_leaves_what_it_has_measured(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        result_of(tmp_path, {**CELL, "target": {"p99_ms": 400, "seconds": 0.1}}, KilledAtTheThird())
    said = json.loads((tmp_path / "loadtest.json").read_text())
    assert (said["status"], said["why"]) == ("failed", "it ended before its search did, after 3 measurements")
    assert len(said["curve"]) == 3 and said["latency_ms"]["p99"] > 0


def test_a_target_that_nobody_meets_says_by_how_much_the_best_missed_it(tmp_path: Path) -> None:
    said = result_of(tmp_path, {**CELL, "target": {"p99_ms": 0.5, "seconds": 0.1}})
    assert said["status"] == "ok" and said["rate"] == 0
    assert said["missed_by"] == pytest.approx(min(point["p99"] for point in said["curve"]) / 0.5, abs=0.001)
    assert said["missed_by"] > 4


@pytest.mark.parametrize("scenario", ["offline", "single_stream"])
def test_scenarios_that_offer_no_rate(tmp_path: Path, scenario: str) -> None:
    said = result_of(tmp_path, {**CELL, "target": {"scenario": scenario, "seconds": 0.5}})
    assert said["status"] == "ok" and said["rate"] == said["throughput"]
    assert 0 < said["throughput"] <= {"offline": 4, "single_stream": 1}[scenario] / 0.002
    assert said["queries"] >= 20


def test_every_query_is_answered_by_one_of_several_workers(tmp_path: Path) -> None:
    with harness(device(tmp_path, Shape(2, 32), service_ms=1), workers=3) as crew:
        found = crew.measure("offline", seconds=0.3, rate=3000)
    assert sum(ended["answered"] for ended in crew.ended) == found.queries >= 900
    assert min(ended["answered"] for ended in crew.ended) > 0
    assert crew.service()["p0"] >= 1


def test_packed_texts_share_rows(tmp_path: Path) -> None:
    with harness(device(tmp_path, Shape(4, 64, 8), service_ms=1)) as crew:
        found = crew.measure("offline", seconds=0.3, rate=20_000)
    assert crew.ended[0]["answered"] == found.queries
    assert crew.ended[0]["answered"] / crew.ended[0]["rows"] > 3


def test_texts_go_to_the_shortest_of_several_models(tmp_path: Path) -> None:
    short, long = (device(tmp_path / str(size), Shape(8, size), row_ms=size / 100) for size in (8, 32))
    texts = invented(400, 32, seed=3)
    lengths = np.diff(texts.starts)
    assert 50 < (lengths <= 8).sum() < 350
    with Harness("simulated", [long, short], [Cores()], texts, warm_s=1) as crew:
        crew.measure("offline", seconds=0.2, rate=2000)
    assert crew.service()["p0"] < 0.32 * 8, "a batch of short texts took no more than the short model takes"


def test_a_cell_with_buckets_and_workers_runs_each_text_where_it_fits(tmp_path: Path) -> None:
    target = {"scenario": "offline", "seconds": 0.2, "workers": 2}
    said = result_of(tmp_path, {**CELL, "cores": 2, "buckets": [8, 16], "target": target})
    assert (said["status"], said["workers"]) == ("ok", 2), said
    compiled = json.loads((tmp_path / "compile.json").read_text())
    assert [bucket["sequence"] for bucket in compiled["buckets"]] == [8, 16]
    assert len({compiled["artifact"], *(bucket["artifact"] for bucket in compiled["buckets"])}) == 3


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"fault": "exit", "fault_after": 30}, "worker 0 ended with exit code 70"),
        ({"fault": "raise", "fault_after": 30}, "simulated fault after 30 batches"),
        ({"fault": "raise"}, "worker 0 ended with exit code 1: "),
    ],
)
def test_a_device_that_breaks_is_a_result_with_its_reason(tmp_path: Path, options: dict, why: str) -> None:
    target = {"seconds": 0.3, "p99_ms": 200}
    said = result_of(tmp_path, {**CELL, "options": {"service_ms": 1, **options}, "target": target})
    assert said["status"] == "failed" and why in said["why"]


def test_a_device_that_hangs_is_a_result_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuron.loadtest.harness.DRAIN_S", 2)
    monkeypatch.setattr("neuron.loadtest.harness.READY_S", 20)  # on a busy machine it may hang before it was steady
    said = result_of(tmp_path, {**CELL, "options": {"fault": "hang", "fault_after": 30}, "target": {"seconds": 0.3}})
    assert said["status"] == "failed" and said["why"].endswith("did not answer in time: what it waits for hangs")


def test_a_device_that_answers_wrongly_is_not_tested_for_speed(tmp_path: Path) -> None:
    folder = backend("simulated").compile(None, Shape(4, 32), {"service_ms": 1}, tmp_path / "artifact")
    ids = np.full((2, 32), 100)  # of which the device makes 100 / 30,522: no duplicate, and the second department
    rows = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    labels = {"pairs": 1, "duplicate": np.array([True]), "intent": np.array([0])}
    fp32 = {"fp32_duplicate": np.ones(2), "fp32_intent": np.eye(2)[[0, 0]], "fp32_embedding": np.ones((2, 1))}
    np.savez(folder / FILE, **rows, **labels, **fp32)
    Storage().store_folder(folder, f"{tmp_path}/artifact.tar")
    Storage().write({"status": "ok", "artifact": f"{tmp_path}/artifact.tar"}, f"{tmp_path}/compile.json")
    (tmp_path / "cell.json").write_text(json.dumps(CELL))
    places = [f"{tmp_path}/{name}.json" for name in ("cell", "compile", "loadtest")]
    assert job.main(["--cell", places[0], "--compiled", places[1], "--output", places[2]]) == 0
    said = Storage().read(places[2])
    assert said["status"] == "failed" and "curve" not in said
    assert said["why"].startswith(
        "not tested for speed, for it answers wrongly: duplicate: accuracy 0.0000 is under 99%"
    )


def test_what_was_not_compiled_is_not_tested(tmp_path: Path) -> None:
    said = result_of(tmp_path, {**CELL, "options": {"speed": 3}})
    assert said["why"].startswith("it was not compiled: options.speed: backend simulated has no such option")


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ({"scenario": "closed"}, "target.scenario: there is no 'closed'; write one of offline, server, single_stream"),
        ({"seconds": 0}, "target.seconds: 0 is not a number above 0"),
        ({"p99_ms": "ten"}, "target.p99_ms: 'ten' is not a number above 0"),
    ],
)
def test_a_target_that_cannot_be_names_the_field(target: dict, why: str) -> None:
    with pytest.raises(CellError, match=why):
        job.checked(read_cell({**CELL, "target": target}))


def test_each_worker_has_its_share() -> None:
    def of(name: str, cores: int, options: dict, **target: object) -> list[Cores]:
        cell = {**CELL, "backend": name, "cores": cores, "options": options, "target": target}
        return job.shares(read_cell(cell))

    assert of("neuronx", 2, {}) == [Cores(0, 1), Cores(1, 1)]
    assert of("neuron", 16, {"pipeline_cores": 4}) == [Cores(at, 4) for at in (0, 4, 8, 12)]
    assert of("neuron", 4, {"data_parallel": True}) == [Cores(0, 4)]
    assert of("torch", 4, {}) == [Cores(0, 4)]
    assert of("torch", 4, {}, workers=2) == [Cores(0, 2), Cores(2, 2)]


def test_the_highest_rate_is_found_between_one_that_meets_and_one_that_does_not() -> None:
    asked: list[float] = []

    def measure(rate: float) -> Measurement:
        asked.append(rate)
        return Measurement("server", rate, rate, 100, {"p99": 5 if rate <= 730 else 50})

    for capacity in (100, 1000, 20_000):
        asked.clear()
        found = highest(measure, 10, capacity)
        assert found.best is not None and 730 / 1.1 <= found.best.rate <= 730
        assert len(asked) == len(found.points) <= 12


def test_a_worker_that_cannot_load_says_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(LoadTestError, match=r"worker 0 ended with exit code 1: .*simulated\.json"):
        harness(Artifact(tmp_path, Shape(4, 32))).__enter__()
