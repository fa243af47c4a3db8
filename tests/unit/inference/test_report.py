"""What the report of an inference run starts, tells and measures."""

import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from boxcar.alarms.links import Links
from boxcar.alarms.messages import read_message
from boxcar.inference.story import InferenceFacts
from boxcar.settings import settings
from local.cloudwatch import embedded
from tests.unit.inference.test_planning import MODELS, plan
from tests.unit.inference.test_story import SAME, facts, loaded

APP = Path(__file__).parents[3] / "functions/report_inference/app.py"
MACHINE = "arn:aws:states:eu-west-1:1:stateMachine:boxcar-training"
LINKS = Links("https://console.test", "eu-west-1", "b", "boxcar", "1")
MOVED = {**SAME, "price": {"counts": [0, 100, 900], "missing": 0}}


class States:
    """Step Functions, as StartExecution is documented: a name is taken once, unless the same input asks again."""

    class exceptions:  # noqa: N801 - boto3's name
        class ExecutionAlreadyExists(Exception):  # noqa: N818
            pass

    def __init__(self) -> None:
        self.inputs: dict[str, str] = {}

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> None:  # noqa: N803
        assert stateMachineArn == MACHINE
        if self.inputs.setdefault(name, input) != input:
            raise self.exceptions.ExecutionAlreadyExists


class Reports:
    """The function, its facts given, and what it did."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        spec = importlib.util.spec_from_file_location("report_inference", APP)
        assert spec and spec.loader
        self.module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)
        self.states, self.messages = States(), []
        self.files: dict[str, bytes] = {}
        nothing = SimpleNamespace(get_item=lambda **_: {}, put_item=lambda **_: {}, delete_item=lambda **_: {})
        clients = {
            "stepfunctions": self.states,
            "sqs": SimpleNamespace(send_message=lambda **told: self.messages.append(json.loads(told["MessageBody"]))),
            "s3": SimpleNamespace(put_object=lambda **put: self.files.update({put["Key"]: put["Body"]})),
            "dynamodb": nothing,
        }
        monkeypatch.setattr(self.module, "client", clients.__getitem__)
        monkeypatch.setattr(self.module, "render", lambda report: "")
        self._patch = monkeypatch

    def __call__(
        self, known: InferenceFacts, run: str = "run-1", results: Any = None, error: Any = None
    ) -> dict[str, Any]:
        self.messages.clear()
        self._patch.setattr(self.module, "gather", lambda *_, **__: known)
        event = {"run": run, "results": loaded(*known.plan.models) if results is None else results, "error": error}
        answer: dict[str, Any] = self.module.handler(event, None)
        return answer

    @property
    def drift_files(self) -> list[str]:
        return [key for key in self.files if key.startswith("reports/drift/")]

    def mail(self, kind: str) -> Any:
        [message] = [message for message in self.messages if message["kind"] == kind]
        return " ".join(read_message(message, LINKS, "2026-11-26T10:00:00+00:00").text.split())


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Any:
    named = {"TRAINING_MACHINE_ARN": MACHINE, "STACK": "boxcar", "BUCKET": "b", "ALARM_QUEUE_URL": "https://q"}
    for name, value in named.items():
        monkeypatch.setenv(f"BOXCAR_{name}", value)
    settings.cache_clear()
    yield Reports(monkeypatch)
    settings.cache_clear()


def drifted(retrain: bool = True, run: str = "run-1", **request: Any) -> InferenceFacts:
    known = facts()
    inference = known.plan.inference
    drift = inference.drift.model_copy(update={"retrain": retrain})
    known.plan = plan({"family": "packaging", **request}).model_copy(
        update={"inference": inference.model_copy(update={"drift": drift})}
    )
    known.counts["models"] = {name: {**one, "features": MOVED} for name, one in known.counts["models"].items()}
    known.run = run
    return known


def test_drift_starts_one_training_and_the_mail_names_it(reports: Reports) -> None:
    assert reports(drifted())["status"] == "succeeded"
    [(name, request)] = reports.states.inputs.items()
    assert name.startswith("packaging-drift-20") and "-W" in name
    assert json.loads(request) == {"family": "packaging", "requested_by": "drift in run-1"}
    assert f"Started training run {name}." in reports.mail("drift")


def test_a_report_that_is_written_again_starts_nothing_more(reports: Reports) -> None:
    for _ in range(2):
        reports(drifted())
        assert "Started training run" in reports.mail("drift"), "the mail of a repeat is the same"
    assert len(reports.states.inputs) == 1


def test_another_run_of_the_week_that_drifts_starts_no_second_training(reports: Reports) -> None:
    reports(drifted())
    reports(drifted(run="run-2"), "run-2")
    [name] = reports.states.inputs
    assert f"Started no training: drift has started {name} this week already." in reports.mail("drift")


@pytest.mark.parametrize(
    "known", [lambda: drifted(retrain=False), lambda: drifted(day="2017-03-31")], ids=["not asked for", "backfill"]
)
def test_drift_of_a_family_that_does_not_ask_for_it_or_of_a_past_day_is_only_told(
    reports: Reports, known: Callable[[], InferenceFacts]
) -> None:
    reports(known())
    assert reports.states.inputs == {}
    assert bool(reports.drift_files) == (known().plan.day is None), "a past day is not what a policy decides by"
    assert "training" not in reports.mail("drift").partition("What Boxcar did")[2].partition("What to do")[0]


@pytest.mark.parametrize(
    ("results", "error"),
    [
        ([], {"error": "TooManyRejects", "cause": "11 of 100 rows"}),
        ([{"model": name, "status": "failed", "error": "CountMismatch", "cause": "x"} for name in MODELS], None),
    ],
    ids=["the run failed", "the models failed"],
)
def test_rows_that_did_not_get_in_start_nothing(reports: Reports, results: Any, error: Any) -> None:
    reports(drifted(), results=results, error=error)
    assert reports.states.inputs == {} and reports.drift_files == []
    assert "drift" not in [message["kind"] for message in reports.messages]


def test_what_has_drifted_is_left_for_the_models_that_loaded_each_by_itself(reports: Reports) -> None:
    failed = {"model": "box", "status": "failed", "error": "CountMismatch", "cause": "x"}
    reports(drifted(models=["bag", "box"]), results=[*loaded("bag"), failed])
    assert reports.drift_files == ["reports/drift/packaging/bag.json"]
    assert json.loads(reports.files["reports/drift/packaging/bag.json"])["run"] == "run-1"


def test_a_model_without_an_approved_version_is_told_to_science(reports: Reports) -> None:
    answer = reports(facts(plan=plan({"family": "packaging"}, without=("bag",))))
    assert answer["skipped"] == ["bag"]
    [message] = [message for message in reports.messages if message["kind"] == "model_skipped"]
    mail = read_message(message, LINKS, "2026-11-26T10:00:00+00:00")
    assert mail.audiences == ("science",)
    assert mail.subject == "[Boxcar alarm] packaging/bag was skipped: no approved version"


def test_without_drift_nothing_is_started(reports: Reports) -> None:
    reports(facts())
    assert reports.states.inputs == {}
    assert [message["kind"] for message in reports.messages] == ["inference_report"]


def test_rows_rejects_drift_and_seconds_are_measured_by_model(reports: Reports, capsys: pytest.CaptureFixture) -> None:
    reports(drifted())
    found = {
        (metric.name, *(value for name, value in metric.dimensions if name in ("machine", "model"))): sample.total
        for document in embedded.documents(capsys.readouterr().out)
        for metric, sample in embedded.read(document, time.time())[60]
    }
    assert found[("RowsRejected",)] == 3
    assert ("RunSeconds", "inference") in found
    for model in MODELS:
        assert found[("RowsPredicted", model)] == 1000
        assert found[("FeatureDrift", model)] > 1 and found[("ScoreDrift", model)] == pytest.approx(0, abs=0.01)
