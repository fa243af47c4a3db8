"""One worker: loads the model on its share of the device, warms up, and answers queries until no more can come.

Started by `harness` as `python -m neuron.loadtest.worker JSON`; says on standard output, a JSON object a line, that it
is ready and, at the end, how long its batches took.
"""

import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from neuron.backends import backend
from neuron.backends.protocol import Cores, Infer, Shape
from neuron.loadtest import pipes
from neuron.loadtest.packing import Texts, arrays, pack
from neuron.loadtest.percentiles import histogram

WINDOW = 8  # batches whose median is compared with the median of as many before
STEADY = 0.05  # as a share
AHEAD = 2  # times as many texts as rows have slots for, to choose from when rows are packed


class Model(NamedTuple):
    """A loaded model and the one shape that it takes."""

    shape: Shape
    infer: Infer


def warm_up(model: Model, texts: Texts, seconds: float) -> dict[str, Any]:
    """Run full batches until their time no longer changes: two medians in a row that differ by less than a twentieth.

    Returns:
        `steady`, whether that was so before `seconds` were over, `batches`, and `batch_ms`, the last median.
    """
    members = [[row % texts.size] for row in range(model.shape.batch)]
    inputs = arrays(texts, members, model.shape)
    taken: list[float] = []
    began = time.perf_counter()
    while True:
        started = time.perf_counter()
        model.infer(*inputs)
        taken.append(time.perf_counter() - started)
        if len(taken) >= 2 * WINDOW and len(taken) % WINDOW == 0:
            before, now = median(taken[-2 * WINDOW : -WINDOW]), median(taken[-WINDOW:])
            steady = abs(now - before) <= STEADY * before
            if steady or time.perf_counter() - began > seconds:
                return {"steady": steady, "batches": len(taken), "batch_ms": round(1000 * now, 3)}
        elif time.perf_counter() - began > seconds and len(taken) >= WINDOW:
            return {"steady": False, "batches": len(taken), "batch_ms": round(1000 * median(taken[-WINDOW:]), 3)}


class Worker:
    """Takes what waits, up to what one batch holds, and answers it; never waits for a batch to fill.

    With several models, each of another length, a text goes to the shortest that holds it.
    """

    def __init__(self, models: list[Model], texts: Texts) -> None:
        self._models = sorted(models, key=lambda model: model.shape.sequence)
        self._texts = texts
        self._most = sum(_ahead(model.shape) for model in self._models)
        self.service = histogram()
        self.batches = self.rows = self.answered = 0

    def serve(self, requests: int, replies: int) -> None:
        """Answer until the pipe of requests has no writer left."""
        waiting = np.empty(0, pipes.REQUEST)
        at_once = pipes.own(requests)
        while True:
            more = pipes.read(at_once if len(waiting) else requests, pipes.REQUEST, self._most - len(waiting))
            if more is not None and len(more):
                waiting = np.concatenate([waiting, more]) if len(waiting) else more
            elif not len(waiting):
                return
            taken = self._run(waiting)
            done = np.empty(len(taken), pipes.ANSWER)
            done["query"], done["came"] = waiting["query"][taken], waiting["came"][taken]
            pipes.write(replies, done)
            self.answered += len(taken)
            waiting = np.delete(waiting, taken)

    def _run(self, waiting: np.ndarray) -> list[int]:
        """Answer the oldest and who fits beside it; return their places."""
        lengths = self._texts.starts[waiting["text"] + 1] - self._texts.starts[waiting["text"]]
        sequences = [model.shape.sequence for model in self._models]
        bucket = np.minimum(np.searchsorted(sequences, lengths), len(sequences) - 1)
        model = self._models[bucket[0]]
        chosen = np.flatnonzero(bucket == bucket[0])[: _ahead(model.shape)]
        rows = pack(lengths[chosen].tolist(), model.shape)
        started = time.perf_counter()
        texts = waiting["text"][chosen]
        model.infer(*arrays(self._texts, [[int(texts[text]) for text in row] for row in rows], model.shape))
        self.service.record_value(max(1, int(1e6 * (time.perf_counter() - started))))
        self.batches += 1
        self.rows += len(rows)
        return [int(chosen[text]) for row in rows for text in row]


def _ahead(shape: Shape) -> int:
    return shape.batch if shape.slots == 1 else AHEAD * shape.batch * shape.slots


def main(told: dict[str, Any]) -> None:
    """Be one worker. `told`: artifacts [{folder, shape}], backend, cores, texts, requests, replies, warm_s, gate."""
    chosen, texts = backend(told["backend"]), Texts.load(Path(told["texts"]))
    models = [
        Model(Shape(*artifact["shape"]), chosen.load(Path(artifact["folder"]), Cores(*told["cores"])))
        for artifact in told["artifacts"]
    ]
    ready: dict[str, Any] = {"warm": [warm_up(model, texts, told["warm_s"]) for model in models]}
    if told["gate"]:
        from neuron.quality import check

        places = [Path(artifact["folder"]) for artifact in told["artifacts"]]
        said = [check(model.infer, model.shape, place) for model, place in zip(models, places, strict=True)]
        ready["quality"] = next((each for each in said if not each["ok"]), said[0])
    print(json.dumps(ready), flush=True)
    worker = Worker(models, texts)
    worker.serve(told["requests"], told["replies"])
    ended = {"batches": worker.batches, "rows": worker.rows, "answered": worker.answered}
    print(json.dumps({**ended, "service": worker.service.encode().decode()}), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
