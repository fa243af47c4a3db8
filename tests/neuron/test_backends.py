"""Backends that run here, on a tiny model: each answers as the model itself, in its shape, within its precision."""

from pathlib import Path

import numpy as np
import pytest
import torch

from neuron.backends import ALL, backend
from neuron.backends.protocol import Cores, OptionError, Shape
from neuron.model import Size, TwoHeaded, example

TINY = Size(32, 2, 4, 64)
SHAPE = Shape(2, 8)
RUN_HERE = [  # with one text a row, or packed, and how far an answer may be off
    ("torch", {}, 1, 1e-5),
    ("torch", {"precision": "bf16"}, 2, 0.05),
    ("torch", {"mode": "trace"}, 1, 1e-5),
    ("openvino", {"precision": "fp32"}, 2, 1e-4),
    ("openvino", {}, 1, 0.05),
    ("onnxruntime", {}, 2, 1e-4),
    ("onnxruntime", {"precision": "int8"}, 1, 0.2),
]


def tiny(slots: int = 1) -> TwoHeaded:
    torch.manual_seed(1)
    return TwoHeaded(TINY, 5, slots).eval()


@pytest.mark.parametrize(("name", "options", "slots", "tolerance"), RUN_HERE, ids=str)
def test_it_answers_as_the_model_does(tmp_path: Path, name: str, options: dict, slots: int, tolerance: float) -> None:
    chosen, model = backend(name), tiny(slots)
    if chosen.available():
        pytest.skip(chosen.available())
    infer = chosen.load(chosen.compile(model, Shape(2, 8, slots), options, tmp_path / "artifact"), Cores(0, 1))
    ids, mask, types = (each.numpy() for each in example(*SHAPE[:2], seed=5))
    mask[0, 5:] = 2 if slots == 2 else 0
    with torch.inference_mode():
        expected = model(*(torch.from_numpy(each) for each in (ids, mask, types)))
    for given, wanted in zip(infer(ids, mask), expected, strict=True):
        assert given.dtype == np.float32 and given.shape == tuple(wanted.shape)
        np.testing.assert_allclose(given, wanted.numpy(), atol=tolerance)
    again = infer(ids[::-1].copy(), mask[::-1].copy(), types)
    np.testing.assert_allclose(again.duplicate[::-1], infer(ids, mask).duplicate, atol=tolerance)


@pytest.mark.parametrize("chosen", ALL, ids=lambda chosen: chosen.name)
def test_an_option_that_it_has_not_is_refused(chosen: object) -> None:
    with pytest.raises(OptionError, match=rf"options\.speed: backend {chosen.name} has no such option"):
        chosen.check({"speed": 11})


def test_a_backend_whose_vendor_is_absent_says_so() -> None:
    assert "comes from AWS's own index" in backend("neuronx").available()
    assert "torch_neuron cannot be imported" in backend("neuron").available()
    assert backend("cuda").available() in (None, "torch finds no GPU with CUDA")
