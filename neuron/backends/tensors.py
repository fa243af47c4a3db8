"""From NumPy to PyTorch and back, around what any of PyTorch's forms of a model answers."""

from collections.abc import Callable

import numpy as np

from neuron.backends.protocol import Ids, Infer, Outputs


def on_tensors(model: Callable, device: str = "cpu") -> Infer:
    """Return a function on NumPy arrays around a function of three tensors on `device`."""
    import torch

    def infer(input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None) -> Outputs:
        types = np.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        with torch.inference_mode():
            given = [torch.from_numpy(array).to(device) for array in (input_ids, attention_mask, types)]
            return Outputs(*(answer.float().cpu().numpy() for answer in model(*given)))

    return infer
