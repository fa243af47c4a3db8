"""A family's policy: what trains a model, what leaves it, and the line that says why."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from boxcar.alarms.links import Links
from boxcar.alarms.messages import read_message
from boxcar.families import Family, Retraining
from boxcar.retraining.facts import Facts
from boxcar.retraining.labels import count_sql, family_of, statement_name
from boxcar.retraining.policy import decide

NOW = datetime(2026, 11, 26, 5, 0, tzinfo=UTC)
THEN = NOW - timedelta(days=20)
FACTS = Facts("box", "1.2.0", THEN, 5000, 5400, THEN, "Approved")
POLICY = Retraining(max_age_days=30, min_new_labels=1000, drift=True)


def line(policy: Retraining = POLICY, **facts: Any) -> str:
    return decide(policy, replace(FACTS, **facts), NOW).line


def test_a_model_that_is_fine_is_left_and_the_line_has_every_figure() -> None:
    assert line() == (
        "box: leave: version 1.2.0 is 20 days old of 30, 400 of 1,000 labels are new, nothing has drifted since"
    )


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"trained": NOW - timedelta(days=31)}, "train: version 1.2.0 is 31 days old, more than 30"),
        ({"labelled": 6000}, "train: 1,000 labels are new, at least 1,000"),
        ({"drift": "feature price drifted by 0.500, more than 0.25 in run r"}, "train: feature price drifted"),
        ({"approved": None, "trained": None, "rows": None}, "train: no version of it is approved"),
        (
            {"newest_status": "PendingManualApproval", "labelled": 9000},
            "leave: its newest version waits for a decision",
        ),
        (
            {"newest": NOW - timedelta(hours=5), "labelled": 9000},
            "leave: was trained today, and is at most every 3 days",
        ),
        ({"newest": NOW - timedelta(days=2), "approved": None, "trained": None}, "leave: was trained 2 days ago"),
        ({"labelled": None}, "leave: version 1.2.0 is 20 days old of 30, nobody knows how many labels are new"),
        ({"labelled": 4000}, "0 of 1,000 labels are new"),
    ],
)
def test_what_decides(facts: dict, said: str) -> None:
    assert said in line(**facts)


def test_what_the_policy_leaves_out_is_not_looked_at() -> None:
    nothing = Retraining()
    assert line(nothing, labelled=10**9, drift="far", trained=NOW - timedelta(days=900)) == (
        "box: leave: version 1.2.0 is 900 days old"
    )


def test_labels_are_counted_by_model_in_one_query() -> None:
    document = {
        "family": "f", "key": "id", "source": {"query": "SELECT * FROM t;\n"},
        "models": {"a": {"label": "first"}, "b": {"label": "second"}},
    }  # fmt: skip
    family = Family.model_validate(document)
    assert count_sql(family) == "SELECT COUNT(first), COUNT(second) FROM (SELECT * FROM t) AS labelled"
    assert family_of("boxcar", statement_name("boxcar", "packaging")) == "packaging"
    assert family_of("boxcar", "boxcar-packaging-1") == family_of("boxcar", "retraining-other-packaging") == ""


def test_what_was_decided_is_news_of_the_day() -> None:
    message = {"kind": "retraining", "family": "f", "day": "2026-11-26", "run": "f-1", "lines": [line()]}
    mail = read_message(message, Links("", "eu-west-1", "data", "boxcar", ""), "2026-11-26T05:00:00Z")
    assert mail is not None and mail.routine and mail.audiences == ("science",)
    assert "Started training run f-1." in mail.text and "box: leave" in mail.text
