"""Predictions get into the warehouse exactly once, whatever is repeated, late, doubled or killed."""

import json
from typing import Any

import pytest

from boxcar.inference.counts import figures
from tests.unit.inference.conftest import BUCKET
from tests.unit.inference.test_planning import plan

SCORES = {1: 0.9, 2: 0.1, 3: 0.5}


def of(loads: Any, model: str = "bag") -> dict[int, tuple]:
    """Key -> score, decision, run, version of the newest predictions."""
    return {row[0]: (row[3], row[4], row[5], row[2]) for row in loads.table() if row[1] == model}


def test_rows_arrive_with_their_decision_version_run_and_time(loads):
    assert loads.load("r1", "10:00", SCORES).status == "Completed"
    assert loads.table() == [
        (1, "bag", "1.0.0", 0.9, True, "r1", "2026-11-26 10:00:00"),
        (2, "bag", "1.0.0", 0.1, False, "r1", "2026-11-26 10:00:00"),
        (3, "bag", "1.0.0", 0.5, True, "r1", "2026-11-26 10:00:00"),  # at the threshold
    ]


def test_loading_twice_changes_nothing(loads):
    loads.load("r1", "10:00", SCORES)
    before = [loads.table(name) for name in ("predictions", "predictions_history", "predictions_loads")]
    assert loads.load("r1", "10:00", SCORES).status == "Completed"
    assert [loads.table(name) for name in ("predictions", "predictions_history", "predictions_loads")] == before


@pytest.mark.parametrize("order", [("r1", "r2"), ("r2", "r1")])
def test_an_older_run_never_overwrites_a_newer_one(loads, order):
    runs = {"r1": ("10:00", {1: 0.1, 2: 0.1}), "r2": ("11:00", {2: 0.9, 3: 0.9})}
    for run in order:
        assert loads.load(run, *runs[run]).status == "Completed"
    assert of(loads) == {1: (0.1, False, "r1", "1.0.0"), 2: (0.9, True, "r2", "1.0.0"), 3: (0.9, True, "r2", "1.0.0")}


def test_a_restart_wins_over_the_run_that_it_goes_on_from_and_never_over_a_later_one(loads):
    """Whatever its name, and though it was planned last: what it loads was unloaded by the run before."""
    first = plan({"family": "packaging"}, run="z", at="2026-11-26T10:00:00.123+00:00")
    later = plan({"family": "packaging"}, run="y", at="2026-11-26T11:00:00.000+00:00")
    again = plan({"family": "packaging"}, run="a", at="2026-11-27T10:00:00.000+00:00", after=first.predicted_at)
    assert again.created_at == "2026-11-27T10:00:00.000+00:00"
    for made, scores in ((first, {1: 0.1, 2: 0.1}), (later, {2: 0.9}), (again, {1: 0.6, 2: 0.6})):
        at = made.models["bag"].steps[1].options["parameters"]["predicted_at"].removeprefix("2026-11-26 ")
        assert loads.load(made.run, at, scores).status == "Completed"
    assert of(loads) == {1: (0.6, True, "a", "1.0.0"), 2: (0.9, True, "y", "1.0.0")}


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_of_two_runs_of_the_same_moment_one_wins_whoever_comes_first(loads, order):
    for run in order:
        assert loads.load(run, "10:00", {1: 0.2 if run == "a" else 0.8}).status == "Completed"
    assert of(loads) == {1: (0.8, True, "b", "1.0.0")}


def test_models_do_not_touch_each_other(loads):
    loads.load("r1", "10:00", {1: 0.9}, model="bag")
    loads.load("r1", "10:00", {1: 0.2}, model="mailer")
    assert of(loads, "bag")[1][0] == 0.9
    assert of(loads, "mailer")[1][0] == 0.2


def test_history_keeps_what_each_version_said(loads):
    loads.load("r1", "10:00", {1: 0.2, 2: 0.2}, version="1.0.0")
    loads.load("r2", "11:00", {1: 0.8}, version="1.0.1")
    loads.load("r3", "12:00", {1: 0.9}, version="1.0.1")
    history = [(row[0], row[2], row[3], row[5]) for row in loads.table("predictions_history")]
    assert history == [(1, "1.0.0", 0.2, "r1"), (1, "1.0.1", 0.9, "r3"), (2, "1.0.0", 0.2, "r1")]


@pytest.mark.parametrize(
    ("scores", "rows", "words"),
    [
        (SCORES, 4, "another number of predictions"),
        (SCORES, 2, "another number of predictions"),
        ([(1, 0.9), (2, 0.1), (1, 0.8)], 3, "predicted twice"),
        ([(1, 0.9), ("", 0.1)], 2, "a product_id is missing"),
        ({1: 1.5}, 1, "not from 0 to 1"),
        ({1: ""}, 1, "not from 0 to 1"),
    ],
)
def test_numbers_that_do_not_match_stop_the_load_and_say_why(loads, scores, rows, words):
    loads.load("r0", "09:00", {1: 0.3})
    before = loads.table(), loads.table("predictions_history"), loads.table("predictions_loads")
    done = loads.load("r1", "10:00", scores, rows=rows)
    assert done.status == "Failed"
    assert done.reason.startswith("CountMismatch: ") and words in done.reason and "nothing was loaded" in done.reason
    assert (loads.table(), loads.table("predictions_history"), loads.table("predictions_loads")) == before


def test_loads_at_once_leave_each_key_once_and_the_newest(loads):
    keys = range(300)
    started = [
        loads.start(f"r{number}", f"1{number}:00", dict.fromkeys(keys, number / 10), model=model)
        for number in (3, 1, 2, 0)
        for model in ("bag", "mailer")
    ]
    assert [loads.ended(identifier).status for identifier in started] == ["Completed"] * 8
    for model in ("bag", "mailer"):
        rows = [row for row in loads.table() if row[1] == model]
        assert [row[0] for row in rows] == list(keys)
        assert {row[5] for row in rows} == {"r3"}
    assert len(loads.table("predictions_loads")) == 8


def test_a_load_that_is_cancelled_leaves_nothing(loads):
    loads.caller.ok("CREATE TABLE other AS SELECT 1 a")
    hold = loads.caller(
        "ExecuteStatement", Sql="BEGIN", SessionKeepAliveSeconds=60, WaitTimeSeconds=10, WorkgroupName="boxcar", Database="dev",
    )["SessionId"]  # fmt: skip
    loads.caller.ok("LOCK predictions_loads", SessionId=hold)
    identifier = loads.start("r1", "10:00", SCORES)  # waits for the lock
    loads.caller("CancelStatement", Id=identifier)
    assert loads.ended(identifier).status == "Stopped"
    loads.caller.ok("COMMIT", SessionId=hold)
    assert loads.table() == []


def test_the_scores_of_sample_rows_come_out_beside_the_figures(loads):
    loads.sampled = ["3", "5", "99", "'; DROP TABLE predictions; --"]
    loads.load("r1", "10:00", {1: 0.1, 3: 0.5, 5: 0.9})
    found = figures(loads.s3, f"s3://{BUCKET}/runs/r/_run/work/{loads.started}/")
    assert found.sampled == {"3": 0.5, "5": 0.9}
    assert sum(line["row_count"] for line in found.bins) == 3


def test_the_figures_of_a_load_are_rows_by_bin(loads):
    loads.load("r1", "10:00", {1: 0.1, 2: 0.3, 3: 0.5, 4: 0.75, 5: 0.9})
    keys = [item["Key"] for item in loads.s3.list_objects_v2(Bucket=BUCKET, Prefix="runs/r/_run/work/")["Contents"]]
    lines = [
        json.loads(line)
        for key in keys
        for line in loads.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode().splitlines()
    ]
    assert sorted((line["bin"], line["row_count"], line["yes"]) for line in lines) == [
        (0, 1, 0),
        (1, 1, 0),
        (2, 1, 1),
        (3, 2, 2),
    ]


def test_the_view_gives_the_cheapest_package_that_fits(loads):
    loads.load("r1", "10:00", {1: 0.9, 2: 0.1, 3: 0.1}, model="own")
    loads.load("r1", "10:00", {1: 0.9, 2: 0.9, 3: 0.1}, model="mailer")
    loads.load("r1", "10:00", {1: 0.9, 2: 0.9, 3: 0.1}, model="bag")
    rows = loads.caller.rows("SELECT product_id, package, price, score FROM recommended ORDER BY 1")
    assert rows == [(1, "own", 0.0, 0.9), (2, "mailer", 0.22, 0.9), (3, None, None, None)]


def test_tables_can_be_made_again(loads):
    loads.load("r1", "10:00", SCORES)
    loads.make_tables()
    assert len(loads.table()) == 3
