"""What the load test's figures rest on: percentiles and their intervals, packing, and a queue with a known answer."""

import math

import numpy as np
import pytest

from neuron.backends import backend
from neuron.backends.protocol import Cores, Shape
from neuron.loadtest.packing import Texts, answers, arrays, invented, of_rows, pack
from neuron.loadtest.percentiles import histogram, interval, latencies, merged, queries_needed


def of(values: np.ndarray):
    found = histogram()
    for value in values:
        found.record_value(int(value))
    return found


def test_how_many_queries_a_percentile_takes() -> None:
    """MLPerf's table: 23,886 for p90, 50,425 for p95, 262,742 for p99."""
    assert [queries_needed(share) for share in (0.90, 0.95, 0.99)] == [23_886, 50_425, 262_742]


def test_an_interval_holds_the_true_percentile_as_often_as_it_says() -> None:
    draw = np.random.default_rng(3)
    true = -math.log(0.01)  # p99 of an exponential with mean 1 ms
    held = sum(
        low <= true <= high for low, high in (interval(of(draw.exponential(1000, 3000)), 99) for _ in range(300))
    )
    assert 290 <= held <= 300


def test_few_queries_leave_the_interval_open() -> None:
    low, high = interval(of(np.arange(1, 101) * 1000), 99)
    assert low < 99 and high is None
    assert interval(of(np.arange(1, 5001) * 10), 99)[1] is not None


def test_histograms_of_several_processes_are_one() -> None:
    values = np.random.default_rng(1).integers(1, 10**6, 1000)
    parts = [of(part).encode().decode() for part in np.array_split(values, 3)]
    assert latencies(merged(parts)) == latencies(of(values))
    assert latencies(of(values))["p100"] == pytest.approx(values.max() / 1000, rel=1e-3)


def test_no_text_is_lost_or_cut_by_packing() -> None:
    texts, shape = invented(300, 40, seed=2), Shape(6, 64, 5)
    waiting, rounds = list(range(texts.size)), 0
    while waiting:
        rows = pack([texts.length(text) for text in waiting], shape)
        taken = [text for row in rows for text in row]
        assert 0 in taken, "the oldest does not wait again"
        assert len(set(taken)) == len(taken) and len(rows) <= 6
        for row in rows:
            assert len(row) <= 5 and sum(texts.length(waiting[text]) for text in row) <= 64
        waiting = [text for place, text in enumerate(waiting) if place not in taken]
        rounds += 1
    assert rounds < 25, "300 texts of about 8 tokens fill rows of 64"


def test_a_text_longer_than_a_row_is_cut() -> None:
    texts = Texts(np.arange(10), np.zeros(10, np.int64), np.array([0, 10]))
    ids, mask, _ = arrays(texts, pack([10], Shape(1, 4)), Shape(1, 4))
    assert ids.tolist() == [[0, 1, 2, 3]] and mask.tolist() == [[1, 1, 1, 1]]


def test_padded_rows_become_texts_and_rows_again() -> None:
    ids = np.array([[5, 6, 0], [7, 0, 0]])
    texts = of_rows(ids, (ids > 0).astype(np.int64), np.zeros_like(ids))
    assert [texts.length(text) for text in range(texts.size)] == [2, 1]
    assert np.array_equal(arrays(texts, [[0], [1]], Shape(2, 3))[0], ids)


def test_packed_answers_are_what_each_text_gets_alone(tmp_path) -> None:
    from neuron.weights import random_model

    texts, torch_cpu = invented(12, 24, seed=4), backend("torch")
    alone, packed = Shape(12, 24), Shape(4, 64, 4)
    said = {}
    for shape in (alone, packed):
        model = random_model("minilm", 8, shape.slots, 1)
        infer = torch_cpu.load(torch_cpu.compile(model, shape, {}, tmp_path / str(shape.slots)), Cores(0, 1))
        rows = [[text] for text in range(12)] if shape is alone else pack([texts.length(i) for i in range(12)], shape)
        assert sum(map(len, rows)) == 12
        said[shape] = answers(infer(*arrays(texts, rows, shape)), rows, shape)
    for text in range(12):
        for one, other in zip(said[alone][text], said[packed][text], strict=True):
            np.testing.assert_allclose(one, other, atol=2e-5)
