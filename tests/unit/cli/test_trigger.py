"""`boxcar trigger --wait`: a pipeline is green only if what it asked for is so."""

import io
import json
from typing import Any

import pytest

from cli.trigger import wait_for_run


class Session:
    """A stack whose trigger function always gives the same answer."""

    stack = "boxcar"

    def __init__(self, **answer: Any) -> None:
        self.answer = {"run": "one", "status": "SUCCEEDED", **answer}

    def client(self, service: str) -> "Session":
        return self

    def invoke(self, **_: Any) -> dict[str, Any]:
        return {"Payload": io.BytesIO(json.dumps(self.answer).encode())}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"outcome": "released", "sentence": "released: it serves"}, 0),
        ({"outcome": "nothing", "sentence": "nothing: it is live"}, 0),
        *(({"outcome": outcome}, 1) for outcome in ("rejected", "expired", "replaced", "asked")),
        ({"models": [{"model": "box", "status": "approved", "version": "1.0.1"}]}, 0),
        ({"models": [{"model": "box", "status": "rejected", "version": None}]}, 1),
        ({"status": "FAILED"}, 1),
    ],
)
def test_the_exit_code_says_whether_all_is_well(
    answer: dict[str, Any], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wait_for_run(Session(**answer), "release", "one", 0) == code  # type: ignore[arg-type]
    assert answer.get("sentence", "") in capsys.readouterr().out
