"""What a backend is: four functions around one model, with NumPy in and out."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from neuron.model import TwoHeaded

Options = Mapping[str, Any]
Ids = NDArray[np.int64]
Values = NDArray[np.float32]


class Shape(NamedTuple):
    """The one shape that an artifact takes: rows, tokens in a row, and texts that a row may hold."""

    batch: int
    sequence: int
    slots: int = 1


class Cores(NamedTuple):
    """What one worker has to itself: NeuronCores or GPUs by number, or so many threads of the CPU."""

    first: int = 0
    number: int = 1


class Outputs(NamedTuple):
    """What the model says of each row; with packing, of each slot of each row (axes: batch, slots, …)."""

    duplicate: Values  # (batch,): probability that the two texts of the row are one product
    intent: Values  # (batch, departments): logits
    embedding: Values  # (batch, width): mean over the tokens


class Infer(Protocol):
    """A loaded model."""

    def __call__(self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None) -> Outputs:
        """Run one batch of the shape that was compiled: three arrays (batch, sequence) of int64.

        `attention_mask` is 0 where a row is padded and 1 elsewhere; where several texts are packed into a row, it holds
        the number of the text (1, 2, …) instead. Without `token_type_ids` every token is of type 0.
        """
        ...


class Backend(Protocol):
    """One way to compile and to run the model."""

    name: str

    def available(self) -> str | None:
        """Return None where this backend can compile and run, else why it cannot, in a sentence."""
        ...

    def versions(self) -> dict[str, str]:
        """Return the versions of what compiles and runs the model; part of the key of the compile cache."""
        ...

    def check(self, options: Options) -> None:
        """Refuse options that this backend does not have.

        Raises:
            OptionError: a name or a value that is not among its options.
        """
        ...

    def compile(self, model: "TwoHeaded", shape: Shape, options: Options, workdir: Path) -> Path:
        """Compile the model for one shape, and return the folder under `workdir` that holds all that `load` needs.

        Raises:
            OptionError: as `check`.
            CompileError: the compiler refused the model; the message holds what it said.
        """
        ...

    def load(self, artifact: Path, cores: Cores) -> Infer:
        """Load what was compiled onto `cores`, in the process that will run it. Once a process, as runtimes want it."""
        ...


class OptionError(ValueError):
    """An option that a backend does not have, or a value that it does not take."""


class CompileError(RuntimeError):
    """The compiler refused the model."""


def choose(backend: str, options: Options, choices: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
    """Return the options with what is missing filled in: the first of the choices of each.

    Raises:
        OptionError: an unknown name or value.
    """
    for name, value in options.items():
        if name not in choices:
            raise OptionError(
                f"options.{name}: backend {backend} has no such option; it has {', '.join(choices) or 'none'}"
            )
        if value not in choices[name]:
            known = ", ".join(map(repr, choices[name]))
            raise OptionError(f"options.{name}: backend {backend} does not take {value!r}; write one of {known}")
    return {name: options.get(name, values[0]) for name, values in choices.items()}
