"""The backends by name. Asking for one imports nothing of a vendor's until it is used."""

from neuron.backends.protocol import Backend
from neuron.backends.simulated import Simulated
from neuron.backends.torch_cpu import TorchCpu

BACKENDS: dict[str, Backend] = {backend.name: backend for backend in (TorchCpu(), Simulated())}


def backend(name: str) -> Backend:
    """Return the backend of that name.

    Raises:
        KeyError: there is none; the message names those that there are.
    """
    if name not in BACKENDS:
        raise KeyError(f"backend: there is no {name!r}; write one of {', '.join(BACKENDS)}")
    return BACKENDS[name]
