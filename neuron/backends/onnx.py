"""ONNX Runtime on the CPU, in fp32, or with weights in int8."""

import importlib.util
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuron.backends.protocol import CompileError, Cores, Ids, Infer, Options, Outputs, Shape, choose

if TYPE_CHECKING:
    from neuron.model import TwoHeaded

OPTIONS = {"precision": ("fp32", "int8")}
NAMES = ("input_ids", "attention_mask", "token_type_ids")
PACKAGES = ("onnxruntime", "onnx", "torch")


class Onnx:
    """`int8` quantizes weights ahead and activations as they come (dynamic quantization)."""

    name = "onnxruntime"

    def available(self) -> str | None:
        """It needs onnxruntime, and onnx and PyTorch to export with."""
        absent = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
        return f"{' and '.join(absent)} not installed" if absent else None

    def versions(self) -> dict[str, str]:
        """Those of ONNX Runtime and of what exports to it."""
        return {package: metadata.version(package) for package in PACKAGES}

    def check(self, options: Options) -> None:
        """Refuse what is not in OPTIONS."""
        choose(self.name, options, OPTIONS)

    def compile(self, model: "TwoHeaded", shape: Shape, options: Options, workdir: Path) -> Path:
        """Export from PyTorch for one shape, and quantize if asked to."""
        import torch
        from onnxruntime.quantization import QuantType, quantize_dynamic

        from neuron.model import example

        chosen = choose(self.name, options, OPTIONS)
        workdir.mkdir(parents=True, exist_ok=True)
        path = workdir / "model.onnx"
        names = {"input_names": list(NAMES), "output_names": list(Outputs._fields)}
        try:
            torch.onnx.export(
                model, example(shape.batch, shape.sequence), str(path), opset_version=17, dynamo=False, **names
            )
            if chosen["precision"] == "int8":
                whole = path.rename(workdir / "whole.onnx")
                quantize_dynamic(whole, path, weight_type=QuantType.QInt8)
                whole.unlink()
        except Exception as error:  # exporter and quantizer raise errors of many kinds
            raise CompileError(f"onnxruntime: {type(error).__name__}: {error}") from error
        return workdir

    def load(self, artifact: Path, cores: Cores) -> Infer:
        """Open a session with so many threads, which do not spin while nothing is asked."""
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = cores.number, 1
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(
            str(artifact / "model.onnx"), settings, providers=["CPUExecutionProvider"]
        )

        def infer(input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None) -> Outputs:
            types = np.zeros_like(input_ids) if token_type_ids is None else token_type_ids
            given = dict(zip(NAMES, (input_ids, attention_mask, types), strict=True))
            return Outputs(*session.run(list(Outputs._fields), given))

        return infer
