"""Inferentia 1: torch-neuron 1.13.1 and neuron-cc, which AWS has archived. Documented as of Neuron 2.33:

trace: awsdocs-neuron.readthedocs-hosted.com/en/latest/archive/torch-neuron/api-compilation-python-api.html
DataParallel: …/en/latest/archive/torch-neuron/api-torch-neuron-dataparallel-api.html
flags: …/en/latest/compiler/neuron-cc/command-line-reference.html
"""

from pathlib import Path
from typing import TYPE_CHECKING

from neuron.backends import traced
from neuron.backends.protocol import Cores, Infer, OptionError, Options, Shape, choose

if TYPE_CHECKING:
    from neuron.model import TwoHeaded

OPTIONS = {
    # without either flag the compiler casts everything to bf16
    "fp32_cast": (None, "all", "matmult", "matmult-bf16", "matmult-fp16"),
    "fast_math": (None, "all", "none", "fp32-cast-all", "fp32-cast-matmult", "fp32-cast-matmult-bf16"),
    "pipeline_cores": (1, 2, 4, 8, 16),
    "data_parallel": (False, True),
}
FLAGS = {"fp32_cast": "--fp32-cast", "fast_math": "--fast-math", "pipeline_cores": "--neuroncore-pipeline-cores"}


class Neuron:
    """`pipeline_cores` splits the model over NeuronCores (latency), `data_parallel` copies it to each (throughput)."""

    name = "neuron"

    def available(self) -> str | None:
        """It needs torch-neuron; compiling does not need the accelerator."""
        return traced.missing("torch_neuron")

    def versions(self) -> dict[str, str]:
        """Those of torch-neuron and of its compiler."""
        return traced.versions("torch-neuron", "neuron-cc")

    def check(self, options: Options) -> None:
        """Refuse what is not in OPTIONS, two ways to say one thing, and a pipeline in parallel."""
        chosen = choose(self.name, options, OPTIONS)
        if chosen["fp32_cast"] and chosen["fast_math"]:
            raise OptionError("options.fp32_cast: superseded by fast_math, which is set too; leave one out")
        if chosen["pipeline_cores"] > 1 and chosen["data_parallel"]:
            raise OptionError(
                "options.data_parallel: DataParallel takes no pipeline; leave it out or set pipeline_cores to 1"
            )

    def compile(self, model: "TwoHeaded", shape: Shape, options: Options, workdir: Path) -> Path:
        """Trace with neuron-cc."""
        import torch
        import torch_neuron  # noqa: F401  (it puts itself into torch)

        from neuron.model import example

        self.check(options)
        chosen = choose(self.name, options, OPTIONS)
        inputs, arguments = example(shape.batch, shape.sequence), traced.flags(chosen, FLAGS)

        def call(compiler_workdir: str) -> "torch.jit.ScriptModule":
            return torch.neuron.trace(model, inputs, compiler_workdir=compiler_workdir, compiler_args=arguments)

        return traced.trace(call, chosen, workdir)

    def load(self, artifact: Path, cores: Cores) -> Infer:
        """Load onto NeuronCores; needs the accelerator."""
        import torch
        import torch_neuron  # noqa: F401

        return traced.load(artifact, cores, lambda model, ids: torch.neuron.DataParallel(model, device_ids=ids))
