"""The contract with Neuron's stacks, on a fake of what they document: what is called, with what, and where it is loaded.

The real ones need AWS's index to compile and Inferentia to run; neither was at hand. The fakes take the documented
arguments and no others (see the addresses in neuron/backends/neuron.py and neuronx.py).
"""

import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from neuron.backends import backend, traced
from neuron.backends.protocol import CompileError, Cores, OptionError, Shape
from neuron.cells import Cell
from neuron.loadtest import __main__ as load_test
from neuron.loadtest import pipes
from neuron.loadtest.harness import Measurement
from neuron.loadtest.packing import Texts
from neuron.loadtest.worker import Model, Worker, warm_up
from neuron.model import Size, TwoHeaded, example
from neuron.quality import check, write_reference
from neuron.storage import Storage

SHAPE = Shape(2, 8)


class Vendor(ModuleType):
    """`torch_neuron` or `torch_neuronx`: traces as torch does, and remembers what it was asked."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.asked, self.parallel, self.fails = {}, [], None

    def trace(self, func, example_inputs, *, compiler_workdir=None, compiler_args=None):
        assert Path(compiler_workdir).is_dir()
        if self.fails:
            (Path(compiler_workdir) / "log-neuron-cc.txt").write_text("INFO: begun\n" * 9 + "ERROR: 2 operators\n")
            raise self.fails
        self.asked = {"workdir": Path(compiler_workdir), "args": compiler_args}
        self.batch = len(example_inputs[0])
        return torch.jit.trace(func, example_inputs)

    def DataParallel(self, model, device_ids=None, dim=0):  # noqa: N802
        self.parallel.append((device_ids, dim, os.environ[traced.VISIBLE]))

        def split(*inputs):
            """Each core's share is what was compiled for; else AWS's would be filled up, or raise."""
            assert len(inputs[0]) / len(device_ids) == self.batch, "input.shape[0] / len(device_ids)"
            parts = zip(*(each.chunk(len(device_ids)) for each in inputs), strict=True)
            return [torch.cat(answers) for answers in zip(*(model(*part) for part in parts), strict=True)]

        return split


@pytest.fixture(params=["neuron", "neuronx"])
def vendor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Vendor]:
    fake = Vendor(f"torch_{request.param}")
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    monkeypatch.setattr(torch, "neuron", fake, raising=False)
    monkeypatch.setenv(traced.VISIBLE, "")
    return request.param, fake


@pytest.fixture
def model() -> TwoHeaded:
    torch.manual_seed(1)
    return TwoHeaded(Size(32, 1, 4, 64), 5).eval()


FLAGS = [
    ("neuron", {}, []),
    ("neuron", {"fp32_cast": "all"}, ["--fp32-cast=all"]),
    ("neuron", {"fast_math": "none", "pipeline_cores": 4}, ["--fast-math=none", "--neuroncore-pipeline-cores=4"]),
    ("neuronx", {}, ["--model-type=transformer", "--optlevel=2", "--auto-cast=matmult", "--auto-cast-type=bf16"]),
    (
        "neuronx",
        {"auto_cast": "none", "optlevel": 1},
        ["--model-type=transformer", "--optlevel=1", "--auto-cast=none", "--auto-cast-type=bf16"],
    ),
]


@pytest.mark.parametrize(("vendor", "options", "arguments"), FLAGS, indirect=["vendor"], ids=str)
def test_the_compiler_is_asked_for_what_the_options_say(
    vendor: tuple, model: TwoHeaded, tmp_path: Path, options: dict, arguments: list[str]
) -> None:
    name = vendor[0]
    assert backend(name).available() is None
    artifact = backend(name).compile(model, SHAPE, options, tmp_path / "artifact")
    assert vendor[1].asked["args"] == arguments
    assert sorted(path.name for path in artifact.iterdir()) == ["model.pt", "options.json"]
    assert artifact not in vendor[1].asked["workdir"].parents  # what the compiler leaves is not shipped


def test_it_is_loaded_onto_its_own_core_and_answers(vendor: tuple, model: TwoHeaded, tmp_path: Path) -> None:
    chosen = backend(vendor[0])
    infer = chosen.load(chosen.compile(model, SHAPE, {}, tmp_path / "artifact"), Cores(3, 1))
    assert os.environ[traced.VISIBLE] == "3" and vendor[1].parallel == []
    inputs = example(*SHAPE[:2])
    with torch.inference_mode():
        np.testing.assert_allclose(
            infer(*(each.numpy() for each in inputs)).intent, model(*inputs)[1].numpy(), atol=1e-5
        )


def test_data_parallel_takes_the_cores_that_the_process_sees(vendor: tuple, model: TwoHeaded, tmp_path: Path) -> None:
    chosen = backend(vendor[0])
    chosen.load(chosen.compile(model, SHAPE, {"data_parallel": True}, tmp_path / "artifact"), Cores(4, 4))
    assert vendor[1].parallel == [([0, 1, 2, 3], 0, "4-7")]  # set before the runtime loads


class InProcess:
    """What the harness does with its workers, in this process, where the fake is."""

    def __init__(self, name: str, artifacts: list, workers: list[Cores], texts: Texts, gate: bool) -> None:
        [artifact], [cores] = artifacts, workers
        self.model, self.texts = Model(artifact.shape, backend(name).load(artifact.folder, cores)), texts
        quality = check(self.model.infer, artifact.shape, artifact.folder) if gate else {}
        self.ready = [{"warm": [warm_up(self.model, texts, 0.1)], "quality": quality}]
        self.ended = [{"rows": 0, "answered": 0}]

    def __enter__(self) -> "InProcess":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def measure(self, scenario: str, *, rate: float, **told: object) -> Measurement:
        answered = Worker([self.model], self.texts)._run(np.zeros(100, pipes.REQUEST))
        return Measurement(scenario, rate, len(answered), len(answered), {"p50": 1.0, "p99": 1.0})


def test_data_parallel_is_fed_a_compiled_batch_for_each_core(
    vendor: tuple, model: TwoHeaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_test, "Harness", InProcess)
    options = {"data_parallel": True}
    cell = Cell("one", vendor[0], *SHAPE[:2], cores=4, options=options, target={"scenario": "offline"})
    folder = backend(vendor[0]).compile(model, cell.shape, options, tmp_path / "artifact")
    write_reference(model, cell.sequence, [], folder)
    Storage().store_folder(folder, f"{tmp_path}/artifact.tar")
    compiled = {"status": "ok", "artifact": f"{tmp_path}/artifact.tar"}
    said = load_test.test(cell, compiled, Storage(), lambda figures: None)
    assert said["queries"] == 4 * SHAPE.batch and said["quality"]["ok"]


def test_a_compiler_that_refuses_is_quoted(vendor: tuple, model: TwoHeaded, tmp_path: Path) -> None:
    vendor[1].fails = RuntimeError("[ERROR] unsupported operator aten::erf")
    with pytest.raises(
        CompileError, match=r"RuntimeError: \[ERROR\] unsupported operator aten::erf; log-neuron-cc.txt ends with: INFO"
    ) as refused:
        backend(vendor[0]).compile(model, SHAPE, {}, tmp_path / "artifact")
    assert str(refused.value).endswith("INFO: begun / ERROR: 2 operators")


def test_a_placeholder_of_the_public_index_is_not_the_real_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_neuronx", None)  # importing it raises ImportError, as the placeholders do
    assert "AWS's own index" in backend("neuronx").available()


def test_pipeline_and_parallel_exclude_each_other() -> None:
    with pytest.raises(OptionError, match=r"options\.data_parallel: DataParallel takes no pipeline"):
        backend("neuron").check({"pipeline_cores": 4, "data_parallel": True})
    with pytest.raises(OptionError, match=r"options\.fp32_cast: superseded by fast_math"):
        backend("neuron").check({"fp32_cast": "all", "fast_math": "all"})
    with pytest.raises(OptionError, match=r"does not take 3; write one of 1, 2, 4"):
        backend("neuron").check({"pipeline_cores": 3})


def test_a_pipeline_needs_as_many_cores_as_it_was_compiled_for(
    model: TwoHeaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Vendor("torch_neuron")
    monkeypatch.setitem(sys.modules, "torch_neuron", fake)
    monkeypatch.setattr(torch, "neuron", fake, raising=False)
    artifact = backend("neuron").compile(model, SHAPE, {"pipeline_cores": 4}, tmp_path / "artifact")
    with pytest.raises(ValueError, match="cores: 1, but the artifact is a pipeline over 4 NeuronCores"):
        backend("neuron").load(artifact, Cores(0, 1))
