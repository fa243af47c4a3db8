"""What speed has to pass first: the held-out accuracy of both heads through a backend, against the model in fp32.

The compile job puts held-out texts, as tokens, with their labels and what the model answers in fp32 (eager PyTorch)
into the artifact. So a device is checked with NumPy alone: no catalogue, no tokenizer, no second copy of the model.
"""

import json
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neuron.backends.protocol import Infer, Outputs, Shape
from neuron.tokens import Rows

if TYPE_CHECKING:
    from neuron.model import TwoHeaded

FILE = "reference.npz"
TEXTS = Path(__file__).parent / "held_out.json"  # written with the heads, by `python -m neuron.heads`
LEAST_SHARE = 0.99  # of the accuracy in fp32: what MLPerf Inference asks of BERT (mlcommons/inference_policies)
LEAST_COSINE = 0.99  # between embeddings, the mean over texts; all that there is to ask of random weights
Z = 1.96  # of a 95 % interval


class HeldOut(NamedTuple):
    """Texts that nothing was trained on: pairs, then queries."""

    rows: Rows
    duplicate: np.ndarray  # (pairs,): whether they are
    intent: np.ndarray  # (queries,): number of the department


def held_out(sequence: int, departments: list[str]) -> HeldOut:
    """Return the held-out texts that are kept beside the heads, cut at `sequence` tokens."""
    from neuron.tokens import Tokenizer

    kept = json.loads(TEXTS.read_text())
    texts = [*((one, other) for one, other, _ in kept["pairs"]), *(text for text, _ in kept["queries"])]
    return HeldOut(
        Tokenizer().rows(texts, sequence),
        np.array([duplicate for *_, duplicate in kept["pairs"]]),
        np.array([departments.index(department) for _, department in kept["queries"]]),
    )


def write_reference(model: "TwoHeaded", sequence: int, departments: list[str], folder: Path) -> None:
    """Write held-out texts and what the model answers in fp32; without `departments`, random texts and no labels."""
    from neuron.backends.torch_cpu import eager
    from neuron.model import example

    if departments:
        texts = held_out(sequence, departments)
    else:
        rows = Rows(*(tensor.numpy() for tensor in example(8, sequence)))
        texts = HeldOut(rows, np.empty(0, bool), np.empty(0, np.int64))
    shape = Shape(16, sequence, model.slots)
    answers = answer(eager(model), shape, texts.rows)
    fp32 = {f"fp32_{name}": values for name, values in answers._asdict().items()}
    # by these names the load test finds the texts, too
    np.savez(folder / FILE, **texts.rows._asdict(), duplicate=texts.duplicate, intent=texts.intent, **fp32)


def check(infer: Infer, shape: Shape, artifact: Path) -> dict[str, Any]:
    """Return how a backend answers what is held out: `ok`, `why` not, and of each head accuracy, interval and fp32's.

    Raises:
        FileNotFoundError: the artifact holds no reference.
    """
    with np.load(artifact / FILE) as kept:
        rows = Rows(*(kept[name] for name in Rows._fields))
        labels = {"duplicate": kept["duplicate"], "intent": kept["intent"]}
        fp32 = Outputs(kept["fp32_duplicate"], kept["fp32_intent"], kept["fp32_embedding"])
    answers = answer(infer, shape, rows)
    said: dict[str, Any] = {"cosine": round(_cosine(answers.embedding, fp32.embedding), 5)}
    why = []
    if not said["cosine"] >= LEAST_COSINE:  # so that what is no number fails
        why.append(f"embeddings agree with fp32's to {said['cosine']} (cosine), less than {LEAST_COSINE}")
    for head, truth in labels.items():
        if not len(truth):
            continue
        right, meant = int((_chosen(answers, len(labels["duplicate"]))[head] == truth).sum()), len(truth)
        reference = float((_chosen(fp32, len(labels["duplicate"]))[head] == truth).mean())
        low, high = wilson(right, meant)
        said[head] = {"accuracy": round(right / meant, 4), "low": round(low, 4), "high": round(high, 4),
                      "fp32": round(reference, 4), "texts": meant}  # fmt: skip
        if right / meant < LEAST_SHARE * reference:
            why.append(f"{head}: accuracy {right / meant:.4f} is under {LEAST_SHARE:.0%} of fp32's {reference:.4f}")
    return {"ok": not why, "why": "; ".join(why), **said}


def answer(infer: Infer, shape: Shape, rows: Rows) -> Outputs:
    """Run texts through a backend in batches of its shape, one text a row, and return what it says of each."""
    parts = []
    texts = len(rows.input_ids)
    for start in range(0, texts, shape.batch):
        part = [np.ascontiguousarray(array[start : start + shape.batch]) for array in rows]
        missing = shape.batch - len(part[0])
        part = [np.pad(array, ((0, missing), (0, 0))) for array in part]
        outputs = infer(*part)
        parts.append([np.asarray(values[:, 0] if shape.slots > 1 else values) for values in outputs])
    return Outputs(*(np.concatenate(values)[:texts] for values in zip(*parts, strict=True)))


def wilson(right: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927), which stays within 0 and 1 for few and for extreme counts."""
    share, spread = right / of, Z * Z / of
    middle = (share + spread / 2) / (1 + spread)
    half = Z * sqrt(share * (1 - share) / of + spread / (4 * of)) / (1 + spread)
    return middle - half, middle + half


def _chosen(outputs: Outputs, pairs: int) -> dict[str, np.ndarray]:
    return {"duplicate": outputs.duplicate[:pairs] > 0.5, "intent": outputs.intent[pairs:].argmax(-1)}


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(((one * other).sum(-1) / np.linalg.norm(one, axis=-1) / np.linalg.norm(other, axis=-1)).mean())
