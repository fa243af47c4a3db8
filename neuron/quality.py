"""What speed has to pass first: the held-out accuracy of both heads through a backend, against the model in fp32.

The compile job puts held-out texts, as tokens, with their labels and what the model answers in fp32 (eager PyTorch, a
text a row) into the artifact. So a device is checked with NumPy alone: no catalogue, tokenizer or second model. It is
asked as it is under load: where rows hold several texts, they are packed.
"""

import json
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neuron.backends.protocol import Infer, Outputs, Shape, Values
from neuron.loadtest.packing import Texts, answers, arrays, of_rows, pack
from neuron.tokens import Rows

if TYPE_CHECKING:
    from neuron.model import TwoHeaded

FILE = "reference.npz"
TEXTS = Path(__file__).parent / "held_out.json"  # written with the heads, by `python -m neuron.heads`
LEAST_SHARE = 0.99  # of the accuracy in fp32: what MLPerf Inference asks of BERT (mlcommons/inference_policies)
LEAST_COSINE = 0.99  # between embeddings, the mean over texts; all that there is to ask of random weights
FEW = 64  # texts of each kind for random weights, which need fewer to be told from another model
Z = 1.96  # of a 95 % interval


class HeldOut(NamedTuple):
    """Texts that nothing was trained on: pairs, then queries. Without departments there are no labels."""

    rows: Rows
    pairs: int  # how many of them
    duplicate: np.ndarray  # (pairs,): whether they are
    intent: np.ndarray  # (queries,): number of the department


def held_out(sequence: int, departments: list[str]) -> HeldOut:
    """Return the held-out texts that are kept beside the heads, cut at `sequence` tokens; of a random model a few."""
    from neuron.tokens import Tokenizer

    kept = json.loads(TEXTS.read_text())
    pairs, queries = (kept[name][:: 1 if departments else len(kept[name]) // FEW] for name in ("pairs", "queries"))
    texts = [*((one, other) for one, other, _ in pairs), *(text for text, _ in queries)]
    rows = Tokenizer().rows(texts, sequence)
    if not departments:
        return HeldOut(rows, len(pairs), np.empty(0, bool), np.empty(0, np.int64))
    return HeldOut(
        rows,
        len(pairs),
        np.array([duplicate for *_, duplicate in pairs]),
        np.array([departments.index(department) for _, department in queries]),
    )


def write_reference(model: "TwoHeaded", sequence: int, departments: list[str], folder: Path) -> None:
    """Write held-out texts and what the model answers in fp32; without `departments` there are no labels."""
    from neuron.backends.torch_cpu import eager

    texts = held_out(sequence, departments)
    said = answer(eager(model), Shape(16, sequence, model.slots), texts.rows, packed=False)
    fp32 = {f"fp32_{name}": values for name, values in said._asdict().items()}
    about = texts._asdict()
    np.savez(folder / FILE, **about.pop("rows")._asdict(), **about, **fp32)


def of_unit(artifact: Path, unit: str) -> Texts:
    """Return the held-out texts of an artifact that a target counts: pairs of listings for `pairs`, else queries."""
    with np.load(artifact / FILE) as kept:
        chosen = slice(None, int(kept["pairs"])) if unit == "pairs" else slice(int(kept["pairs"]), None)
        return of_rows(*(kept[name][chosen] for name in Rows._fields))


def check(infer: Infer, shape: Shape, artifact: Path) -> dict[str, Any]:
    """Return how a backend answers what is held out: `ok`, `why` not, and of each head accuracy, interval and fp32's.

    Raises:
        FileNotFoundError: the artifact holds no reference.
    """
    with np.load(artifact / FILE) as kept:
        rows = Rows(*(kept[name] for name in Rows._fields))
        labels = {"duplicate": kept["duplicate"], "intent": kept["intent"]}
        fp32 = Outputs(kept["fp32_duplicate"], kept["fp32_intent"], kept["fp32_embedding"])
    found = answer(infer, shape, rows)
    said: dict[str, Any] = {"cosine": round(_cosine(found.embedding, fp32.embedding), 5)}
    why = []
    if not said["cosine"] >= LEAST_COSINE:  # so that what is no number fails
        why.append(f"embeddings agree with fp32's to {said['cosine']} (cosine), less than {LEAST_COSINE}")
    for head, truth in labels.items():
        if not len(truth):
            continue
        right, meant = int((_chosen(found, len(labels["duplicate"]))[head] == truth).sum()), len(truth)
        reference = float((_chosen(fp32, len(labels["duplicate"]))[head] == truth).mean())
        low, high = wilson(right, meant)
        said[head] = {"accuracy": round(right / meant, 4), "low": round(low, 4), "high": round(high, 4),
                      "fp32": round(reference, 4), "texts": meant}  # fmt: skip
        if right / meant < LEAST_SHARE * reference:
            why.append(f"{head}: accuracy {right / meant:.4f} is under {LEAST_SHARE:.0%} of fp32's {reference:.4f}")
    return {"ok": not why, "why": "; ".join(why), **said}


def answer(infer: Infer, shape: Shape, rows: Rows, packed: bool = True) -> Outputs:
    """Run texts through a backend in batches of its shape and return what it says of each.

    Args:
        infer: the backend.
        shape: of its batches.
        rows: the texts, one a row.
        packed: whether rows are filled with as many texts as they have room and slots for.
    """
    texts = of_rows(*rows)
    room = shape if packed else shape._replace(slots=1)
    said: dict[int, tuple[Values, ...]] = {}
    waiting = list(range(texts.size))
    while waiting:
        ahead = waiting[: room.batch * room.slots]
        members = [[ahead[place] for place in row] for row in pack([texts.length(text) for text in ahead], room)]
        said |= answers(infer(*arrays(texts, members, shape)), members, shape)
        waiting = [text for text in waiting if text not in said]
    return Outputs(*(np.stack([said[text][kind] for text in range(texts.size)]) for kind in range(3)))


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
