"""PyTorch on the CPU: as it is written, traced and frozen, or compiled ahead of time by inductor."""

import copy
import os
import shutil
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from neuron.backends.protocol import CompileError, Cores, Infer, Options, Shape, choose
from neuron.backends.tensors import on_tensors
from neuron.step import machine

if TYPE_CHECKING:
    from neuron.model import TwoHeaded

OPTIONS = {"mode": ("eager", "trace", "inductor"), "precision": ("fp32", "bf16")}


class TorchCpu:
    """`mode` is how, `precision` what the matrix products are done in."""

    name = "torch"

    def available(self) -> str | None:
        """It needs PyTorch 2; `inductor` needs a C++ compiler as well, when it compiles."""
        try:
            found = metadata.version("torch")
        except metadata.PackageNotFoundError:
            return "torch is not installed"
        return None if int(found.split(".")[0]) >= 2 else f"torch {found} is too old; 2.0 or newer is needed"

    def versions(self) -> dict[str, str]:
        """That of PyTorch, and the processor: inductor's code is native, and a frozen graph is laid out for it."""
        return {"torch": metadata.version("torch"), "processor": machine()["processor"]}

    def check(self, options: Options) -> None:
        """Refuse what is not in OPTIONS."""
        choose(self.name, options, OPTIONS)

    def compile(self, model: "TwoHeaded", shape: Shape, options: Options, workdir: Path) -> Path:
        """Write the weights (eager), the frozen graph (trace) or a shared library (inductor)."""
        import torch

        from neuron.model import example
        from neuron.weights import save_model

        chosen = choose(self.name, options, OPTIONS)
        workdir.mkdir(parents=True, exist_ok=True)
        model = fused(model)
        if chosen["precision"] == "bf16":
            model = model.to(torch.bfloat16)
        inputs = example(shape.batch, shape.sequence)
        with torch.inference_mode():
            if chosen["mode"] == "eager":
                save_model(model, workdir)
            elif chosen["mode"] == "trace":
                graph = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, inputs)))
                torch.jit.save(graph, str(workdir / "model.pt"))
        if chosen["mode"] == "inductor":
            _compile_ahead(model, inputs, workdir)
        return workdir

    def load(self, artifact: Path, cores: Cores) -> Infer:
        """Load whichever of the three the artifact holds, to run on so many threads."""
        import torch

        from neuron.weights import read_model

        torch.set_num_threads(cores.number)
        if (artifact / "model.pt2").exists():
            return on_tensors(torch._inductor.aoti_load_package(str(artifact / "model.pt2")))
        if (artifact / "model.pt").exists():
            return on_tensors(torch.jit.load(str(artifact / "model.pt")))
        return on_tensors(fused(read_model(artifact)))


def fused(model: "TwoHeaded") -> "TwoHeaded":
    """Return a copy of the model that uses torch's own attention, which is one operation and keeps no scores."""
    from torch.nn import functional

    model = copy.deepcopy(model)
    model.attend = lambda query, key, value, bias, scale: functional.scaled_dot_product_attention(
        query, key, value, attn_mask=bias, scale=scale
    )
    return model


def eager(model: "TwoHeaded") -> Infer:
    """Return the model itself, in fp32, as every other way to run it is compared with."""
    return on_tensors(model)


def _compile_ahead(model: "TwoHeaded", inputs: tuple, workdir: Path) -> None:
    import torch

    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise CompileError(f"torch's inductor writes C++, and there is no {compiler}; install g++ or set CXX")
    try:
        program = torch.export.export(model, inputs)
        torch._inductor.aoti_compile_and_package(program, package_path=str(workdir / "model.pt2"))
    except Exception as error:  # inductor raises whatever it meets: its own errors, the C++ compiler's, torch.export's
        raise CompileError(f"inductor: {type(error).__name__}: {error}") from error
