"""Figures above a family's alarm thresholds are told of, though the gate lets them pass."""

import copy
from pathlib import Path

import pytest

from boxcar.alarms.links import Links
from boxcar.alarms.messages import read_message
from boxcar.families import Family
from boxcar.reports.deviations import deviations
from cli.architectures import read_yaml

LINKS = Links("", "eu-west-1", "boxcar-data", "boxcar", "123456789012")
REPORT = {
    "run": "run-1", "family": "packaging", "started": 1000.0, "ended": 1600.0,
    "models": [
        {
            "model": "bag", "status": "approved", "label_shift": 0.15, "row_change": -0.3, "drift": {"a": 0.1, "b": 0.4},
            "criteria": [{"name": "score_drop", "figure": 0.004, "breached": False}],
        }
    ],
    "steps": [{"model": "bag", "step": "train", "run_s": 90.0}, {"model": "bag", "step": "evaluate", "run_s": None}],
}  # fmt: skip


def thresholds(**limits):
    document = read_yaml(Path("families/packaging.yaml"))
    return Family.model_validate({**document, "alarms": limits}).alarms


@pytest.mark.parametrize(
    ("figure", "value"),
    [
        ("label_shift", 0.15), ("row_change", 0.3), ("feature_drift", 0.4), ("score_drop", 0.004),
        ("step_seconds", 90.0), ("run_seconds", 600.0),
    ],
)  # fmt: skip
def test_each_figure_is_told_of_above_its_threshold_and_not_at_it(figure, value):
    (message,) = deviations("training", REPORT, thresholds(**{figure: {"above": value * 0.99}}))
    assert (message["figure"], message["value"]) == (figure, value)
    assert deviations("training", REPORT, thresholds(**{figure: {"above": value}})) == []


def test_the_mail_goes_to_whom_the_family_says():
    limit = {"above": 0.1, "audiences": ["business", "science"], "severity": "error"}
    (message,) = deviations("training", REPORT, thresholds(label_shift=limit))
    mail = read_message(message, LINKS, "2026-01-05T05:00:00+00:00")
    assert mail.audiences == ("business", "science") and mail.attributes["severity"] == "error"
    assert mail.subject == "[Boxcar alarm] packaging/bag: label_shift is 0.15, above 0.1"
    for part in ("run-1", "alarms.label_shift.above", "reports/run-1/index.html"):
        assert part in mail.text


def test_by_default_it_is_a_warning_to_science():
    (message,) = deviations("training", REPORT, thresholds(label_shift={"above": 0.1}))
    assert (message["audiences"], message["severity"]) == (["science"], "warning")


def test_what_the_gate_stopped_for_is_not_told_another_time():
    report = copy.deepcopy(REPORT)
    report["models"][0] |= {
        "status": "rejected",
        "criteria": [{"name": "label_shift", "figure": 0.15, "breached": True}],
    }
    found = deviations("training", report, thresholds(label_shift={"above": 0.1}, row_change={"above": 0.1}))
    assert [message["figure"] for message in found] == ["row_change"]


def test_what_was_not_measured_is_no_deviation():
    report = copy.deepcopy(REPORT) | {"started": None}
    report["models"][0] |= {"label_shift": None, "row_change": None, "drift": {}, "criteria": []}
    report["steps"] = []
    limits = {name: {"above": 0} for name in ("label_shift", "row_change", "feature_drift", "score_drop",
                                              "step_seconds", "run_seconds")}  # fmt: skip
    assert deviations("training", report, thresholds(**limits)) == []


@pytest.mark.parametrize(
    ("limits", "fault"),
    [
        ({"label_shfit": {"above": 1}}, "label_shfit"),
        ({"label_shift": {"over": 1}}, "over"),
        ({"label_shift": {"above": -1}}, "greater than or equal to 0"),
        ({"label_shift": {"above": 1, "audiences": ["managers"]}}, "managers"),
        ({"label_shift": {"above": 1, "audiences": []}}, "at least 1"),
    ],
)
def test_a_threshold_that_is_wrong_is_refused(limits, fault):
    with pytest.raises(ValueError, match=fault):
        thresholds(**limits)
