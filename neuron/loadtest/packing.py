"""Texts of different lengths into rows of one length: padded, in buckets of several lengths, or several to a row."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from neuron.backends.protocol import Ids, Outputs, Shape, Values


class Texts(NamedTuple):
    """Tokens of all texts, one after the other; text i is at starts[i]:starts[i + 1]."""

    ids: Ids
    types: Ids
    starts: Ids

    def length(self, text: int) -> int:
        """How many tokens a text has."""
        return int(self.starts[text + 1] - self.starts[text])

    @property
    def size(self) -> int:
        """How many texts there are."""
        return len(self.starts) - 1

    def save(self, path: Path) -> None:
        """Write them where the other processes read them."""
        np.savez(path, ids=self.ids, types=self.types, starts=self.starts)

    @classmethod
    def load(cls, path: Path) -> "Texts":
        """Read what `save` wrote."""
        with np.load(path) as arrays:
            return cls(arrays["ids"], arrays["types"], arrays["starts"])


def of_rows(ids: Ids, mask: Ids, types: Ids) -> Texts:
    """Return the texts of padded rows (rows, sequence)."""
    kept = mask != 0
    starts = np.r_[0, np.cumsum(kept.sum(axis=1))]
    return Texts(ids[kept], types[kept], starts.astype(np.int64))


def invented(count: int, sequence: int, seed: int) -> Texts:
    """Return texts of random tokens, as long as real ones: log-normal, half of them shorter than a fifth of a row."""
    draw = np.random.default_rng(seed)
    lengths = np.clip(np.round(np.exp(draw.normal(np.log(max(sequence / 5, 2)), 0.5, count))), 2, sequence)
    starts = np.r_[0, np.cumsum(lengths)].astype(np.int64)
    ids = draw.integers(1000, 30_000, starts[-1])
    return Texts(ids, np.zeros_like(ids), starts)


def pack(lengths: Sequence[int], shape: Shape) -> list[list[int]]:
    """Choose the texts of each row: at most `shape.batch` rows of at most `shape.slots` texts.

    First fit decreasing (Johnson 1973), but for the first text, which gets a place before all others, so that one that
    has waited is not passed by for ever. Texts for which there is no room are in no row. A text longer than a row
    counts as one that fills it.

    Args:
        lengths: tokens of each text, oldest text first.
        shape: of the model.
    """
    rows: list[list[int]] = []
    room: list[int] = []
    order = sorted(range(len(lengths)), key=lambda text: (text != 0, -lengths[text]))
    for text in order:
        needed = min(lengths[text], shape.sequence)
        for place, left in enumerate(room):
            if left >= needed and len(rows[place]) < shape.slots:
                break
        else:
            if len(rows) == shape.batch:
                continue
            place = len(rows)
            rows.append([])
            room.append(shape.sequence)
        rows[place].append(text)
        room[place] -= needed
    return rows


def arrays(texts: Texts, rows: Sequence[Sequence[int]], shape: Shape) -> tuple[Ids, Ids, Ids]:
    """Return ids, mask and types, each (batch, sequence); rows that hold nothing are masked.

    The mask says which text of its row a token belongs to, from 1; a text longer than the row is cut.
    """
    ids, mask, types = (np.zeros((shape.batch, shape.sequence), np.int64) for _ in range(3))
    for row, members in enumerate(rows):
        at = 0
        for slot, text in enumerate(members, 1):
            start = texts.starts[text]
            size = min(texts.length(text), shape.sequence - at)
            ids[row, at : at + size] = texts.ids[start : start + size]
            types[row, at : at + size] = texts.types[start : start + size]
            mask[row, at : at + size] = slot
            at += size
    return ids, mask, types


def answers(outputs: Outputs, rows: Sequence[Sequence[int]], shape: Shape) -> dict[int, tuple[Values, ...]]:
    """Return what the model said of each text: duplicate, intent, embedding."""
    found = {}
    for row, members in enumerate(rows):
        for slot, text in enumerate(members):
            place = row if shape.slots == 1 else (row, slot)
            found[text] = tuple(values[place] for values in outputs)
    return found
