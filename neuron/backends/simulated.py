"""A device that does no work and takes exactly as long as it is told: what a load test is itself tested on."""

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuron.backends.protocol import Cores, Ids, Infer, OptionError, Options, Outputs, Shape

if TYPE_CHECKING:
    from neuron.model import TwoHeaded

DEFAULTS = {
    "service_ms": 1.0,  # of one batch
    "row_ms": 0.0,  # more for each row that holds a text
    "fault": "",  # raise | hang | exit: what goes wrong
    "fault_after": 0,  # after so many batches
}
FAULTS = ("", "raise", "hang", "exit")
SPIN_S = 0.0003  # a sleep may end late by this much, so the rest is waited for awake


class Simulated:
    """Deterministic service time, so that a queue in front of it is M/D/1 (Kendall 1953)."""

    name = "simulated"

    def available(self) -> str | None:
        """It always is."""
        return None

    def versions(self) -> dict[str, str]:
        """It has none: what it does is said by its options."""
        return {}

    def check(self, options: Options) -> None:
        """Refuse unknown names, values of another type than the default's, and negative times."""
        for name, value in options.items():
            if name not in DEFAULTS:
                raise OptionError(f"options.{name}: backend simulated has no such option; it has {', '.join(DEFAULTS)}")
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if name == "fault":
                if value not in FAULTS:
                    raise OptionError(f"options.fault: {value!r} is not one of {', '.join(map(repr, FAULTS))}")
            elif not number or value < 0:
                raise OptionError(f"options.{name}: {value!r} is not a number from 0 on")

    def compile(self, model: "TwoHeaded | None", shape: Shape, options: Options, workdir: Path) -> Path:
        """Write down how long a batch takes; there is nothing to compile, and no model is needed."""
        self.check(options)
        workdir.mkdir(parents=True, exist_ok=True)
        document = {**DEFAULTS, **options, "batch": shape.batch, "sequence": shape.sequence, "slots": shape.slots}
        (workdir / "simulated.json").write_text(json.dumps(document))
        return workdir

    def load(self, artifact: Path, cores: Cores) -> Infer:
        """Return a function that takes as long as the artifact says."""
        return _Device(json.loads((artifact / "simulated.json").read_text()))


class _Device:
    """What it answers depends on the tokens of a row alone, so that a test sees a row that went to the wrong query."""

    def __init__(self, document: dict) -> None:
        self._service_s = document["service_ms"] / 1000
        self._row_s = document["row_ms"] / 1000
        self._fault, self._fault_after = document["fault"], document["fault_after"]
        self._slots = document["slots"]
        self._batches = 0

    def __call__(self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None) -> Outputs:
        started = time.perf_counter()
        rows = int(np.count_nonzero(attention_mask.any(axis=1)))
        if self._fault and self._batches >= self._fault_after:
            self._break()
        self._batches += 1
        outputs = self._answers(input_ids, attention_mask)
        _wait_until(started + self._service_s + rows * self._row_s)
        return outputs

    def _break(self) -> None:
        if self._fault == "exit":
            os._exit(70)
        if self._fault == "hang":
            time.sleep(86_400)
        raise RuntimeError(f"simulated fault after {self._fault_after} batches")

    def _answers(self, input_ids: Ids, attention_mask: Ids) -> Outputs:
        """The mean token of each slot, over the size of the vocabulary."""
        slots = np.arange(1, self._slots + 1)
        own = attention_mask[:, None, :] == slots[None, :, None]
        mean = (own * input_ids[:, None, :]).sum(-1) / np.maximum(own.sum(-1), 1) / 30_522
        value = mean.astype(np.float32)
        if self._slots == 1:
            value = value[:, 0]
        return Outputs(value, np.stack([value, 1 - value], -1), value[..., None])


def _wait_until(deadline: float) -> None:
    left = deadline - time.perf_counter()
    if left > SPIN_S:
        time.sleep(left - SPIN_S)
    while time.perf_counter() < deadline:
        pass
