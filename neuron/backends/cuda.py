"""PyTorch on one NVIDIA GPU: as it is written, or through torch.compile with CUDA graphs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from neuron.backends.protocol import Cores, Infer, Options, Shape, choose
from neuron.backends.tensors import on_tensors

if TYPE_CHECKING:
    from neuron.model import TwoHeaded

OPTIONS = {"mode": ("compile", "eager"), "precision": ("bf16", "fp32")}


class Cuda:
    """A GPU's code is made on the GPU that runs it, so compiling writes the weights, and loading compiles."""

    name = "cuda"

    def available(self) -> str | None:
        """It needs a PyTorch with CUDA, and a GPU."""
        try:
            import torch
        except ImportError:
            return "torch is not installed"
        return None if torch.cuda.is_available() else "torch finds no GPU with CUDA"

    def versions(self) -> dict[str, str]:
        """Those of PyTorch and CUDA, and the GPU."""
        import torch

        return {"torch": torch.__version__, "cuda": str(torch.version.cuda), "gpu": torch.cuda.get_device_name()}

    def check(self, options: Options) -> None:
        """Refuse what is not in OPTIONS."""
        choose(self.name, options, OPTIONS)

    def compile(self, model: "TwoHeaded", shape: Shape, options: Options, workdir: Path) -> Path:
        """Write the weights in the precision, and what to do with them."""
        import torch

        from neuron.backends.torch_cpu import fused
        from neuron.weights import save_model

        chosen = choose(self.name, options, OPTIONS)
        kept = fused(model)
        save_model(kept.to(torch.bfloat16) if chosen["precision"] == "bf16" else kept, workdir)
        (workdir / "options.json").write_text(json.dumps({**chosen, "batch": shape.batch, "sequence": shape.sequence}))
        return workdir

    def load(self, artifact: Path, cores: Cores) -> Infer:
        """Load onto GPU `cores.first`, and compile there, so that no query waits for it."""
        import torch

        from neuron.backends.torch_cpu import fused
        from neuron.model import example
        from neuron.weights import read_model

        options, device = json.loads((artifact / "options.json").read_text()), f"cuda:{cores.first}"
        model = fused(read_model(artifact)).to(device)
        if options["mode"] == "compile":
            model = torch.compile(model, mode="max-autotune", dynamic=False)
        infer = on_tensors(model, device)
        inputs = [each.numpy() for each in example(options["batch"], options["sequence"])]
        for _ in range(3):  # the first compiles, the next two record the CUDA graph
            infer(*inputs)
        return infer
