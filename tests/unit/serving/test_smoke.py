"""Golden requests: rows of an evaluation's sample, and those that a family writes down."""

from typing import Any

import pytest

from boxcar.errors import SmokeTestFailed
from boxcar.evaluations import Evaluation
from boxcar.serving.smoke import golden, smoke_test
from boxcar.serving.spec import GoldenRequest, Smoke
from tests.unit.serving.fakes import refusal

SAMPLE: list[dict[str, Any]] = [
    {"key": "1", "values": {"price": 1.5, "brand": 'a "b", c'}, "score": 0.25},
    {"key": "2", "values": {"price": None, "brand": "d"}, "score": 0.5},
]
EVALUATION = Evaluation(inputs={"price": "numeric", "brand": "categorical"}, sample=SAMPLE)


def test_rows_are_sent_as_callers_send_them() -> None:
    asked: list[tuple[str, str]] = []

    def ask(body: str, content_type: str) -> str:
        asked.append((body, content_type))
        return "0.25\n0.50001\n"

    assert smoke_test(golden(Smoke(), EVALUATION), ask) == 1
    assert asked == [('1.5,"a ""b"", c"\n,d\n', "text/csv")]


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("0.25\n0.6\n", "line 2 is 0.6, and the evaluation says 0.5"),
        ("0.25\n", "2 rows were sent, and 1 lines came back"),
        ("nan\n0.5\n", "line 1 is nan"),
        ("yes\nno\n", "line 1 is 'yes', which is no score"),
    ],
)
def test_another_answer_is_told_with_what_was_expected(answer: str, fault: str) -> None:
    with pytest.raises(SmokeTestFailed, match=fault):
        smoke_test(golden(Smoke(), EVALUATION), lambda body, content_type: answer)


def test_a_model_that_refuses_is_a_failed_test_and_a_throttled_call_is_not() -> None:
    for code, raised in (("ModelError", SmokeTestFailed), ("ThrottlingException", Exception)):

        def ask(body: str, content_type: str, code: str = code) -> str:
            raise refusal("no", code, "InvokeEndpoint")

        with pytest.raises(raised) as told:
            smoke_test(golden(Smoke(), EVALUATION), ask)
        assert isinstance(told.value, SmokeTestFailed) == (code == "ModelError")


def test_requests_of_the_family_and_a_sample_without_scores() -> None:
    smoke = Smoke(requests=[GoldenRequest(body="1,2", contains="hello")])
    old = Evaluation(inputs={"price": "numeric"}, sample=[{"key": "1", "values": {"price": 1}}])
    assert smoke_test(golden(smoke, old), lambda body, content_type: "hello you") == 1
    with pytest.raises(SmokeTestFailed, match="'hello' is not in 'good bye'"):
        smoke_test(golden(smoke, old), lambda body, content_type: "good bye")
