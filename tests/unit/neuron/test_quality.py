"""The accuracy gate, on references that are made up: what passes, what does not, and what it says."""

from pathlib import Path

import numpy as np
import pytest

from neuron.backends.protocol import Ids, Outputs, Shape
from neuron.quality import FILE, answer, check, wilson
from neuron.tokens import Rows

PAIRS, QUERIES, SEQUENCE = 100, 60, 4
SHAPE = Shape(16, SEQUENCE)


def exact(input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None) -> Outputs:
    """What a text says is in its first token: its number."""
    first = input_ids[:, 0]
    one_hot = (first[:, None] % 3 == np.arange(3)).astype(np.float32)
    return Outputs((first % 2).astype(np.float32), one_hot, np.stack([first + 1.0, np.ones(len(first))], -1))


def wrong_on(*texts: int):
    def infer(input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None) -> Outputs:
        right = exact(input_ids, attention_mask)
        off = np.isin(input_ids[:, 0], texts)
        return Outputs(
            np.where(off, 1 - right.duplicate, right.duplicate),
            right.intent[:, ::-1] if off.any() else right.intent,
            right.embedding,
        )

    return infer


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    ids = np.zeros((PAIRS + QUERIES, SEQUENCE), np.int64)
    ids[:, 0] = np.arange(PAIRS + QUERIES)
    rows = Rows(ids, np.ones_like(ids), np.zeros_like(ids))
    fp32 = {f"fp32_{name}": values for name, values in answer(exact, SHAPE, rows)._asdict().items()}
    duplicate, intent = ids[:PAIRS, 0] % 2 == 1, ids[PAIRS:, 0] % 3
    np.savez(tmp_path / FILE, **rows._asdict(), duplicate=duplicate, intent=intent, **fp32)
    return tmp_path


def test_the_same_answers_pass(artifact: Path) -> None:
    said = check(exact, SHAPE, artifact)
    assert said["ok"] and said["why"] == "" and said["cosine"] == 1.0
    assert said["duplicate"]["accuracy"] == said["duplicate"]["fp32"] == 1.0 and said["duplicate"]["texts"] == PAIRS
    assert said["intent"]["low"] < 1.0 == said["intent"]["high"] or said["intent"]["high"] <= 1.0


def test_a_hundredth_less_passes_and_more_does_not(artifact: Path) -> None:
    assert check(wrong_on(7), Shape(1, SEQUENCE), artifact)["ok"]
    said = check(wrong_on(7, 8), Shape(1, SEQUENCE), artifact)
    assert not said["ok"]
    assert said["why"] == "duplicate: accuracy 0.9800 is under 99% of fp32's 1.0000"


def test_what_is_no_number_does_not_pass(artifact: Path) -> None:
    def infer(*rows: Ids) -> Outputs:
        return Outputs(*(values * np.nan for values in exact(*rows)))

    said = check(infer, SHAPE, artifact)
    assert not said["ok"] and "embeddings agree with fp32's to nan" in said["why"]


def slots_of(input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None) -> Outputs:
    """As `exact`, for each of the two texts that a row may hold."""
    first = [np.take_along_axis(input_ids, (attention_mask == slot).argmax(1)[:, None], 1) for slot in (1, 2)]
    return Outputs(*(np.stack(values, 1) for values in zip(*(exact(text, text) for text in first), strict=True)))


def first_alone(input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None) -> Outputs:
    """A device that answers the second text of a row as it does the first."""
    return Outputs(*(np.stack([values, values], 1) for values in exact(input_ids, attention_mask)))


def test_batches_that_are_not_full_change_nothing(artifact: Path) -> None:
    assert check(exact, Shape(7, SEQUENCE), artifact) == check(exact, Shape(33, SEQUENCE), artifact)


def test_rows_are_packed_as_they_are_under_load(artifact: Path) -> None:
    packed = Shape(16, 2 * SEQUENCE, 2)
    assert check(slots_of, packed, artifact)["ok"]
    said = check(first_alone, packed, artifact)
    assert not said["ok"] and "duplicate: accuracy" in said["why"]


def test_an_artifact_without_a_reference_is_no_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check(exact, SHAPE, tmp_path)


def test_the_interval_is_wilsons() -> None:
    assert wilson(90, 100) == pytest.approx((0.8256, 0.9448), abs=1e-4)
    assert wilson(10, 10)[1] <= 1.0 and wilson(0, 10)[0] >= 0.0
