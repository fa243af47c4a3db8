"""The backends by name. Asking for one imports nothing of a vendor's until it is used."""

from neuron.backends.cuda import Cuda
from neuron.backends.neuron import Neuron
from neuron.backends.neuronx import NeuronX
from neuron.backends.onnx import Onnx
from neuron.backends.openvino import OpenVino
from neuron.backends.protocol import Backend
from neuron.backends.simulated import Simulated
from neuron.backends.torch_cpu import TorchCpu

ALL: tuple[Backend, ...] = (NeuronX(), Neuron(), OpenVino(), TorchCpu(), Onnx(), Cuda(), Simulated())
BACKENDS = {each.name: each for each in ALL}


def backend(name: str) -> Backend:
    """Return the backend of that name.

    Raises:
        KeyError: there is none; the message names those that there are.
    """
    if name not in BACKENDS:
        raise KeyError(f"backend: there is no {name!r}; write one of {', '.join(BACKENDS)}")
    return BACKENDS[name]
