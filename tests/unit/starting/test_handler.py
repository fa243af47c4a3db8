"""The function that starts machines, where Step Functions refuses."""

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from boxcar.errors import AccessDenied, Throttled
from boxcar.settings import Settings
from tests.unit.starting.test_starting import MACHINES, States
from tests.unit.starting.test_starting import family as stored

APP = Path(__file__).parents[3] / "functions/trigger_machine/app.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("functions_trigger_machine", APP)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("code", "error"), [("ThrottlingException", Throttled), ("AccessDeniedException", AccessDenied)]
)
def test_a_start_that_is_refused_for_good_is_told_by_name_and_the_token_can_be_sent_again(
    monkeypatch: pytest.MonkeyPatch, code: str, error: type[Exception]
) -> None:
    states, app = States(), load()
    starts = states.start_execution
    monkeypatch.setattr(app, "client", lambda service: states if service == "stepfunctions" else None)
    monkeypatch.setattr(app, "settings", lambda: Settings(models_table="models", machines=MACHINES))
    monkeypatch.setattr(app, "FamilyStore", lambda *_: SimpleNamespace(asked_for=stored))

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "Rate exceeded"}}, "StartExecution")

    states.start_execution = refuse  # type: ignore[method-assign]
    asked = {"machine": "training", "input": {"family": "packaging"}, "token": "pipeline-7"}
    with pytest.raises(error, match="Rate exceeded"):
        app.handler(asked, None)
    assert not states.known
    states.start_execution = starts  # type: ignore[method-assign]
    assert app.handler(asked, None)["started"] and len(states.known) == 1
