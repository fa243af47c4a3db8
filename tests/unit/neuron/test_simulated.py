"""The simulated device: it takes its time, answers by the tokens, and breaks when it is told to."""

import time
from pathlib import Path

import numpy as np
import pytest

from neuron.backends import backend
from neuron.backends.protocol import Cores, Infer, OptionError, Shape


def device(folder: Path, slots: int = 1, **options: object) -> Infer:
    simulated = backend("simulated")
    return simulated.load(simulated.compile(None, Shape(2, 4, slots), options, folder), Cores())


IDS = np.array([[10, 20, 30, 0], [40, 40, 0, 0]])


def test_it_takes_no_less_than_it_is_told(tmp_path: Path) -> None:
    infer = device(tmp_path, service_ms=5, row_ms=2)
    started = time.perf_counter()
    infer(IDS, (IDS > 0).astype(np.int64))
    assert time.perf_counter() - started >= 0.009


def test_it_answers_each_row_by_its_own_tokens(tmp_path: Path) -> None:
    infer = device(tmp_path, service_ms=0)
    outputs = infer(IDS, (IDS > 0).astype(np.int64))
    np.testing.assert_allclose(outputs.duplicate, np.array([20, 40]) / 30_522, rtol=1e-6)
    np.testing.assert_array_equal(infer(IDS[::-1], (IDS[::-1] > 0).astype(np.int64)).duplicate, outputs.duplicate[::-1])


def test_packed_rows_have_an_answer_a_slot(tmp_path: Path) -> None:
    infer = device(tmp_path, slots=2, service_ms=0)
    outputs = infer(IDS[:1], np.array([[1, 1, 2, 0]]))
    np.testing.assert_allclose(outputs.duplicate, np.array([[15, 30]]) / 30_522, rtol=1e-6)
    assert outputs.intent.shape == (1, 2, 2)


def test_it_fails_after_as_many_batches_as_it_is_told(tmp_path: Path) -> None:
    infer = device(tmp_path, service_ms=0, fault="raise", fault_after=2)
    for _ in range(2):
        infer(IDS, IDS)
    with pytest.raises(RuntimeError, match="after 2 batches"):
        infer(IDS, IDS)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"speed": 1}, r"options\.speed: backend simulated has no such option; it has service_ms"),
        ({"service_ms": "1"}, r"options\.service_ms: '1' is not a number from 0 on"),
        ({"row_ms": -1}, r"options\.row_ms: -1 is not a number"),
        ({"fault": "burn"}, r"options\.fault: 'burn' is not one of '', 'raise'"),
    ],
)
def test_options_that_it_has_not_are_refused(tmp_path: Path, options: dict, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        device(tmp_path, **options)


def test_a_backend_that_there_is_not_is_named_with_those_that_there_are() -> None:
    with pytest.raises(KeyError, match=r"there is no 'tpu'; write one of neuronx, .*simulated"):
        backend("tpu")
