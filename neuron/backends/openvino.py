"""OpenVINO on the CPU: converted from PyTorch, in bf16 where the processor multiplies in it."""

import importlib.util
import json
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuron.backends.protocol import CompileError, Cores, Ids, Infer, Options, Outputs, Shape, choose

if TYPE_CHECKING:
    from neuron.model import TwoHeaded

OPTIONS = {"precision": ("bf16", "fp32")}
HINTS = {"bf16": "bf16", "fp32": "f32"}


class OpenVino:
    """`precision` is what the matrix products are done in."""

    name = "openvino"

    def available(self) -> str | None:
        """It needs the package, and PyTorch to convert from."""
        absent = [package for package in ("openvino", "torch") if importlib.util.find_spec(package) is None]
        return f"{' and '.join(absent)} not installed" if absent else None

    def versions(self) -> dict[str, str]:
        """Those of OpenVINO and of the PyTorch that it converts from."""
        return {package: metadata.version(package) for package in ("openvino", "torch")}

    def check(self, options: Options) -> None:
        """Refuse what is not in OPTIONS."""
        choose(self.name, options, OPTIONS)

    def compile(self, model: "TwoHeaded", shape: Shape, options: Options, workdir: Path) -> Path:
        """Convert the model, fixed to one shape; what is particular to a processor is done when it is loaded."""
        import openvino

        from neuron.backends.torch_cpu import fused
        from neuron.model import example

        chosen = choose(self.name, options, OPTIONS)
        workdir.mkdir(parents=True, exist_ok=True)
        inputs = example(shape.batch, shape.sequence)
        try:
            graph = openvino.convert_model(
                fused(model), example_input=inputs, input=[list(each.shape) for each in inputs]
            )
        except Exception as error:  # its frontend raises errors of many kinds
            raise CompileError(f"openvino: {type(error).__name__}: {error}") from error
        openvino.save_model(graph, workdir / "model.xml", compress_to_fp16=False)
        (workdir / "options.json").write_text(json.dumps(chosen))
        return workdir

    def load(self, artifact: Path, cores: Cores) -> Infer:
        """Compile for this processor, with so many threads, for the latency of one batch."""
        import openvino

        precision = json.loads((artifact / "options.json").read_text())["precision"]
        settings = {
            "INFERENCE_NUM_THREADS": cores.number,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # workers would all be pinned to the same cores
            "INFERENCE_PRECISION_HINT": HINTS[precision],
        }
        request = openvino.Core().compile_model(artifact / "model.xml", "CPU", settings).create_infer_request()

        def infer(input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None) -> Outputs:
            types = np.zeros_like(input_ids) if token_type_ids is None else token_type_ids
            answers = request.infer([input_ids, attention_mask, types], share_inputs=True)
            return Outputs(*(np.array(answers[index], np.float32) for index in range(3)))

        return infer
