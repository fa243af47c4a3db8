"""What is tried, what is left out and why, and what is refused before anything starts."""

import json
from pathlib import Path
from typing import Any

import pytest

from boxcar.benchmarks.instances import BACKENDS, family_of, instances, packaged_prices, read_prices
from boxcar.benchmarks.planning import make_plan, outline, read_code
from boxcar.benchmarks.requests import LARGEST, BenchmarkRequest
from boxcar.benchmarks.sweep import BACKBONES, make_sweep
from boxcar.errors import BenchmarkError, TriggerError
from boxcar.kinds import find
from boxcar.requests import Trigger, read_trigger
from boxcar.settings import Settings
from lint import template
from neuron.cells import NUMBERS, read_cell
from neuron.loadtest.scenarios import DRAIN_S, READY_S, SCENARIOS
from tests.unit.benchmarks.documents import CODE, QUEUES, plan_of

ROOT = Path(__file__).resolve().parents[3]
REAL_TIME = [{"name": "realtime", "scenario": "server", "rate": 16000, "p99_ms": 10}]


def pruned(**asked: Any) -> list[str]:
    queues = asked.pop("queues", QUEUES)
    return [one.why for one in plan_of(queues, **asked).pruned]


def test_a_request_needs_no_more_than_a_name() -> None:
    plan = plan_of()
    assert [target.name for target in plan.targets] == ["batch", "realtime"]
    assert [(target.rate, target.p99_ms) for target in plan.targets] == [(8_800, None), (16_000, 10)]
    assert {cell.backend for build in plan.models.values() for cell in build.cells.values()} == {
        "openvino", "torch", "onnxruntime", "neuron", "neuronx"
    }  # fmt: skip


def test_what_is_compiled_once_is_tested_for_every_target_and_number_of_cores() -> None:
    plan = plan_of(backends=["openvino"], instances=["c7i.xlarge"], batches=[8], cores=[1, 4])
    [(name, build)] = plan.models.items()
    assert name == "openvino-c7i-b8-s128"
    assert [step.name for step in build.steps] == [
        "compile", "batch_xlarge_c1", "realtime_xlarge_c1", "batch_xlarge_c4", "realtime_xlarge_c4"
    ]  # fmt: skip
    told = outline(plan)["builds"]
    assert [test["step"] for test in told[0]["tests"]] == [step.name for step in build.steps[1:]]


def test_every_step_is_one_that_batch_takes_and_has_the_instance_to_itself() -> None:
    for build in plan_of(targets=REAL_TIME).models.values():
        for step in build.steps:
            find("batch").check(step, Settings(stack="boxcar"))
        for step in build.steps[1:]:
            assert step.options["vcpus"] == instances()[step.config["cell"]["instance"]].vcpus


@pytest.mark.parametrize("seconds", [0.5, 60, 900])
def test_a_load_test_may_last_as_long_as_all_its_measurements(seconds: float) -> None:
    offline = {"name": "batch", "scenario": "offline", "rate": 8800, "seconds": seconds}
    for target in (REAL_TIME[0] | {"seconds": seconds}, offline):
        [build] = plan_of(backends=["openvino"], batches=[1], targets=[target]).models.values()
        way = SCENARIOS[target["scenario"]]
        assert build.steps[1].max_runtime_s >= READY_S + way.measurements * (2 * seconds + DRAIN_S)


def test_models_for_inferentia_are_compiled_on_cpus() -> None:
    [build] = plan_of(backends=["neuronx"], instances=["inf2.xlarge"], batches=[1]).models.values()
    places = [(step.options["queue"], step.options["definition"]) for step in build.steps[:2]]
    assert places == [
        ("boxcar-benchmark-c7i-xlarge", "boxcar-benchmark-compile-inf2"),
        ("boxcar-benchmark-inf2-xlarge", "boxcar-benchmark-inf2"),
    ]


def test_every_instance_that_may_be_planned_has_a_queue_that_leads_to_no_other_type() -> None:
    made = template.read(ROOT / "template.yaml")
    environments = made.written_of_type("AWS::Batch::ComputeEnvironment")
    types = {}
    for queue in made.written_of_type("AWS::Batch::JobQueue").values():
        [order] = queue["Properties"]["ComputeEnvironmentOrder"]
        resources = environments[order["ComputeEnvironment"]["Ref"]]["Properties"]["ComputeResources"]
        types[queue["Properties"]["JobQueueName"]["Fn::Sub"]] = resources.get("InstanceTypes")
    for name in instances():
        if family_of(name) in QUEUES:
            assert types["${AWS::StackName}-benchmark-" + name.replace(".", "-")] == [name]


def test_each_size_is_tested_in_its_own_queue_and_compiled_for_in_the_smallest() -> None:
    prices = packaged_prices()
    hourly = {**prices.usd_per_hour, "c7i.2xlarge": 0.357, "c7i.4xlarge": 0.714}
    priced = prices.model_copy(update={"usd_per_hour": hourly})
    asked = BenchmarkRequest(benchmark="b", backends=["openvino"], batches=[1], targets=REAL_TIME)
    sweep = make_plan(Trigger(asked, "b.json", None), priced, {"c7i": 16}, CODE, "boxcar", "s3://a", "run", "now")
    [build] = sweep.models.values()
    assert [step.options["queue"] for step in build.steps] == [
        f"boxcar-benchmark-c7i-{size}" for size in ("xlarge", "xlarge", "2xlarge", "4xlarge")
    ]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"backends": ["cuda"], "instances": ["c7i.xlarge"]}, "cuda runs on gpu, and c7i.xlarge is cpu"),
        ({"backends": ["torch"], "instances": ["c7i.xlarge"], "cores": [8]}, "8 cores are more than the 4"),
        ({"backends": ["neuron"], "instances": ["inf1.xlarge"], "batches": [4096]}, "a batch of 4096 × 128 tokens needs"),
        ({"backends": ["cuda"], "instances": ["g5.xlarge"]}, "set BenchmarkG5Vcpus"),
        ({"backends": ["torch"], "instances": ["c7i.xlarge"], "workers": [8]}, "8 workers are more than 4 cores"),
        ({"backends": ["neuron"], "instances": ["inf1.xlarge"], "workers": [2]}, "each NeuronCore has a worker of its own"),
        (
            {"backends": ["torch"], "instances": ["c7i.2xlarge"], "cores": [8]},
            "c7i.2xlarge has no price in the table of 2026-01-19: `boxcar prices refresh`",
        ),
        ({"backends": ["neuronx"], "instances": ["inf2.24xlarge"]}, "has 96 vCPUs, and BenchmarkInf2Vcpus is 4"),
        ({"backends": ["neuronx"], "instances": ["inf2.xlarge"], "queues": {"inf2": 4}}, "compiled on CPUs: set BenchmarkC7i"),
        (
            {"backends": ["neuron"], "instances": ["inf1.xlarge"], "cores": [4], "options": {"neuron": [{"pipeline_cores": 8}]}},
            "a pipeline of 8 cores does not fit on 4",
        ),
        (
            {"backends": ["neuron"], "instances": ["inf1.xlarge"], "options": {"neuron": [{"pipeline_cores": 2, "data_parallel": True}]}},
            "DataParallel takes no model that was compiled for a pipeline of 2 cores",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_left_out_with_its_reason(asked: dict[str, Any], why: str) -> None:
    found = pruned(**{"batches": [1], **asked})
    assert len(found) == 1
    assert why in found[0]


def test_a_known_instance_without_a_price_is_left_out() -> None:
    prices = packaged_prices().model_copy(update={"usd_per_hour": {"c7i.xlarge": None}})
    request = BenchmarkRequest(benchmark="b", backends=["torch"], batches=[1])
    [one] = make_sweep(request, prices, QUEUES, "b.json").pruned
    assert one.why == "c7i.xlarge has no price in the table of 2026-01-19: `boxcar prices refresh`"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"backends": ["tensorflow"]}, "backends: there is no backend 'tensorflow'; write one of openvino"),
        ({"options": {"tpu": [{}]}}, "options: there is no backend 'tpu'"),
        ({"instances": ["c9z.huge"]}, "instances: 'c9z.huge' is not known; write one of c5.xlarge"),
        ({"batches": list(range(1, 200))}, "load tests, and one run has at most 300"),
    ],
)
def test_what_nobody_knows_is_refused_and_named(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(TriggerError) as refused:
        plan_of(**asked)
    assert words in str(refused.value)
    assert "s3://data/triggers/benchmark/b.json" in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"batches": [0]}, "0 is not a number from 1 to 4096"),
        ({"batches": [5000]}, "batches: 5000 is not a number from 1 to 4096"),
        ({"sequences": [1024]}, "sequences: 1024 is not a number from 1 to 512"),
        ({"seed": -1}, "seed"),
        ({"options": {"torch": []}}, "options.torch: [] tries nothing; write [{}] for its defaults, or leave it out"),
        (
            {"options": {"neuron": [{}, {"pipeline_cores": "4"}]}},
            "options.neuron.1.pipeline_cores: '4' is not a whole number; write for example 4",
        ),
        ({"options": {"neuron": [{"data_parallel": "yes"}]}}, "options.neuron.0.data_parallel: 'yes' is not a truth"),
        ({"targets": [{"name": "t", "scenario": "server", "rate": 1}]}, "p99_ms belongs to"),
        ({"targets": [{"name": "t", "scenario": "offline", "rate": 1, "p99_ms": 3}]}, "p99_ms belongs to"),
        ({"targets": REAL_TIME * 2}, "each needs a name of its own"),
        ({"backbone": "large"}, "backbone"),
        ({"instance": ["c7i.xlarge"]}, "instance"),
    ],
)
def test_a_request_that_is_none_is_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(TriggerError, match="the input of the execution") as refused:
        read_trigger({"benchmark": "search", **asked}, lambda *_: b"", BenchmarkRequest)
    assert words in str(refused.value)


def test_memory_grows_with_the_batch_and_with_the_square_of_the_sequence() -> None:
    base = BACKBONES["base"]
    assert base.bytes_of(1, 128) == pytest.approx(4 * (109.5e6 + 128 * (4 * 768 + 3072) + 2 * 12 * 128**2))
    assert base.bytes_of(2, 128) - base.bytes_of(1, 128) == base.bytes_of(3, 128) - base.bytes_of(2, 128)
    assert base.bytes_of(8, 512) > 4 * (base.bytes_of(8, 128) - 4 * base.weights)


def test_what_may_be_asked_for_is_what_a_cell_may_have() -> None:
    fields = {"batches": "batch", "cores": "cores", "workers": "cores", "sequences": "sequence", "buckets": "sequence"}
    assert {name: NUMBERS[field] for name, field in fields.items()} == LARGEST


def test_workers_and_buckets_are_asked_for() -> None:
    asked = {"backends": ["torch"], "instances": ["c7i.xlarge"], "batches": [8], "targets": REAL_TIME}
    [build] = plan_of(**asked, workers=[1, 2], sequences=[64], buckets=[32, 16, 32, 128]).models.values()
    assert [step.name for step in build.steps] == ["compile", "realtime_xlarge_c4", "realtime_xlarge_c4_w2"]
    cells = [read_cell(step.config["cell"]) for step in build.steps]
    assert [list(cell.buckets) for cell in cells] == [[16, 32]] * 3
    assert [cell.target["workers"] for cell in cells[1:]] == [1, 2]


def test_there_is_a_backend_in_the_containers_for_every_name_in_a_sweep() -> None:
    from neuron.backends import BACKENDS as IMPLEMENTED

    assert set(IMPLEMENTED) == set(BACKENDS)


class _Bucket:
    """One object, or none."""

    class exceptions:  # noqa: N801 - as boto3 has it
        class NoSuchKey(Exception):  # noqa: N818 - as boto3 has it
            pass

    def __init__(self, body: str | None) -> None:
        self._body = body

    def get_object(self, **_: str) -> dict[str, Any]:
        if self._body is None:
            raise self.exceptions.NoSuchKey
        return {"Body": type("Body", (), {"read": lambda _, body=self._body: body.encode()})()}


def test_refreshed_prices_go_before_those_that_come_along() -> None:
    fresh = {"source": "s", "date": "2027-01-01", "region": "eu-west-1", "usd_per_hour": {"c7i.xlarge": 0.2}}
    assert read_prices(_Bucket(json.dumps(fresh)), "data").date == "2027-01-01"
    assert read_prices(_Bucket(None), "data") == packaged_prices()
    with pytest.raises(BenchmarkError, match=r"(?s)s3://data/prices/ec2.json: .*`boxcar prices refresh`"):
        read_prices(_Bucket(json.dumps({**fresh, "usd_per_hour": {"c7i.xlarge": "cheap"}})), "data")


def test_without_code_nothing_is_planned() -> None:
    with pytest.raises(BenchmarkError, match=r"s3://data/code/neuron.json: is missing; .*`boxcar bench code`"):
        read_code(_Bucket(None), "data")
