"""Inferentia 2 and Trainium: torch-neuronx and neuronx-cc. Documented as of Neuron 2.33:

trace: awsdocs-neuron.readthedocs-hosted.com/en/latest/frameworks/torch/torch-neuronx/api-reference-guide/inference/
api-torch-neuronx-trace.html, and beside it api-torch-neuronx-data-parallel.html
flags: …/en/latest/compiler/neuronx-cc/api-reference-guide/neuron-compiler-cli-reference-guide.html
"""

from pathlib import Path
from typing import TYPE_CHECKING

from neuron.backends import traced
from neuron.backends.protocol import Cores, Infer, Options, Shape, choose

if TYPE_CHECKING:
    from neuron.model import TwoHeaded

OPTIONS = {
    # what is cast, and to what; the compiler's own default has changed between versions, so it is always said
    "auto_cast": ("matmult", "all", "none"),
    "auto_cast_type": ("bf16", "fp16", "tf32"),
    "optlevel": (2, 1, 3),
    "data_parallel": (False, True),
}
FLAGS = {"auto_cast": "--auto-cast", "auto_cast_type": "--auto-cast-type"}


class NeuronX:
    """The default for Inferentia: what is bought today."""

    name = "neuronx"

    def available(self) -> str | None:
        """It needs torch-neuronx; compiling does not need the accelerator."""
        return traced.missing("torch_neuronx")

    def versions(self) -> dict[str, str]:
        """Those of torch-neuronx and of its compiler."""
        return traced.versions("torch-neuronx", "neuronx-cc")

    def check(self, options: Options) -> None:
        """Refuse what is not in OPTIONS."""
        choose(self.name, options, OPTIONS)

    def compile(self, model: "TwoHeaded", shape: Shape, options: Options, workdir: Path) -> Path:
        """Trace with neuronx-cc."""
        import torch_neuronx

        from neuron.model import example

        chosen = choose(self.name, options, OPTIONS)
        arguments = ["--model-type=transformer", f"--optlevel={chosen['optlevel']}", *traced.flags(chosen, FLAGS)]
        inputs = example(shape.batch, shape.sequence)

        def call(compiler_workdir: str) -> object:
            return torch_neuronx.trace(model, inputs, compiler_workdir=compiler_workdir, compiler_args=arguments)

        return traced.trace(call, chosen, workdir)

    def load(self, artifact: Path, cores: Cores) -> Infer:
        """Load onto NeuronCores; needs the accelerator."""
        import torch_neuronx

        return traced.load(artifact, cores, lambda model, ids: torch_neuronx.DataParallel(model, device_ids=ids))
