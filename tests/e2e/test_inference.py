"""What starts predictions, and what becomes of them in the warehouse: schedules, trigger files, both forms of files.

One family is trained once; each test predicts with it.
"""

import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cli import retailer
from cli.infer import start as start_inference
from cli.warehouse import warehouse
from local.client import wait_for
from tests.e2e.deployed import Deployed, Run

FAMILY = "packaging"  # the one that the stack's schedules ask for
MODELS = ("mailer", "bag")
FAR_AWAY = "Pacific/Auckland"  # half a day ahead of UTC: a schedule that forgot its zone would not be due for hours


def apply(stack: Deployed, **changes: Any) -> None:
    stack.small_family(*MODELS, name=FAMILY, **changes)


@pytest.fixture(scope="module")
def predicting(stack: Deployed) -> Deployed:
    """The stack with an approved version of each model."""
    apply(stack)
    run = stack.run({"family": FAMILY})
    assert run.output["status"] == "succeeded", run
    return stack


@pytest.fixture(scope="module")
def first(predicting: Deployed) -> Run:
    """The run of a file under triggers/inference/, for all rows."""
    before = set(predicting.executions("Inference"))
    predicting.upload({"family": FAMILY, "scope": "monthly"}, "triggers/inference/packaging.json")
    run = predicting.wait(predicting.started_since(before, machine="Inference"))
    assert (run.status, run.output["status"]) == ("SUCCEEDED", "succeeded"), run
    return run


def scores(stack: Deployed) -> dict[tuple[int, str], float]:
    """What the warehouse says: key and model → score."""
    of = warehouse(stack.session)
    identifier = retailer.execute(of, f"SELECT product_id, model, score FROM {FAMILY}_predictions")
    pages = of.data.get_paginator("get_statement_result").paginate(Id=identifier)
    rows = [[next(iter(value.values())) for value in record] for page in pages for record in page["Records"]]
    found = {(int(key), model): float(score) for key, model, score in rows}
    assert len(found) == len(rows), "one row a key and model"
    return found


def run_of(stack: Deployed, key: int) -> set[str]:
    """The runs that a key's predictions are from."""
    rows = retailer.query(
        warehouse(stack.session), f"SELECT DISTINCT run_id FROM {FAMILY}_predictions WHERE product_id = {key}"
    )
    return {run for (run,) in rows}


def plan_of(stack: Deployed, run: Run) -> dict[str, Any]:
    plan: dict[str, Any] = stack.session.read_json(f"runs/{run.name}/plan.json")
    return plan


def at(stack: Deployed, name: str) -> Run:
    """Let a schedule come, in a time zone far away, and wait for the run that it starts."""
    before = set(stack.executions("Inference"))
    due = datetime.now(ZoneInfo(FAR_AWAY)).replace(microsecond=0) + timedelta(seconds=2)
    when = {"ScheduleExpression": f"at({due:%Y-%m-%dT%H:%M:%S})", "ScheduleExpressionTimezone": FAR_AWAY}
    stack.change_schedule(name, **when, State="ENABLED")
    run = stack.wait(stack.started_since(before, 60, "Inference"))
    assert plan_of(stack, run)["source"] == f"schedule {name} at {due.astimezone(ZoneInfo('UTC')):%Y-%m-%dT%H:%M:%SZ}"
    return run


def sell(stack: Deployed, key: int, first_seen: datetime) -> None:
    """A product appears in the warehouse that was first sold then."""
    retailer.execute(
        warehouse(stack.session),
        f"INSERT INTO products (product_id, manufacturer_id, department, brand, product_category, product_type, "
        f"first_sold_week) VALUES ({key}, 2, 'GROCERY', 'National', 'SOUP', 'SOUP', 1)",
        f"INSERT INTO transactions (basket_id, product_id, quantity, sales_value, retail_disc, week, "
        f"transaction_timestamp) VALUES (1, {key}, 1, 2.5, 0, 1, '{first_seen:%Y-%m-%d %H:%M:%S}')",
    )


def test_a_file_of_s3_starts_one_run_and_every_row_gets_its_prediction(predicting: Deployed, first: Run) -> None:
    before = set(predicting.executions("Inference"))
    states = predicting.session.client("stepfunctions")
    event = states.describe_execution(executionArn=predicting.execution_arn(first.name))["input"]
    predicting.cloud.emit("aws.s3", "Object Created", json.loads(event)["detail"])  # EventBridge may deliver it twice
    again = predicting.wait(predicting.started_since(before, machine="Inference"))
    assert again.output["status"] == "duplicate" and again.output["claimed_by"].endswith(first.name)
    report = predicting.session.read_json(f"reports/{first.name}/report.json")
    predicted = scores(predicting)
    assert len(predicted) == len(MODELS) * report["rows"]["unloaded"] > 1000
    for model in report["models"]:  # serving says what training said of the rows that it was judged on
        assert model["skew"]["scores"]["rows"] > 50 and model["skew"]["scores"]["differ"] == 0, model["skew"]
    cloudwatch = predicting.session.client("cloudwatch")

    def measured() -> set[str]:
        known = cloudwatch.list_metrics(Namespace="Boxcar", MetricName="RowsPredicted")["Metrics"]
        return {one["Value"] for metric in known for one in metric["Dimensions"] if one["Name"] == "model"}

    wait_for(lambda: measured() == set(MODELS), why="rows are not measured by model")


def test_the_daily_schedule_predicts_what_is_new_and_makes_up_for_missed_days_and_late_rows(
    predicting: Deployed, first: Run
) -> None:
    table = predicting.session.client("dynamodb")
    mark = {"pk": {"S": f"watermark#{FAMILY}"}, "sk": {"S": "bag"}}
    name = predicting.session.outputs["ModelsTableName"]

    def watermark() -> datetime:
        return datetime.fromisoformat(table.get_item(TableName=name, Key=mark)["Item"]["first_seen"]["S"])

    seen, before = watermark(), scores(predicting)
    moments = {160: seen - timedelta(days=10), 320: seen + timedelta(days=1), 480: seen + timedelta(days=3)}
    added = {10**9 + number: moment for number, moment in moments.items()}
    too_late = 10**9 + 640
    for key, moment in {**added, too_late: seen - timedelta(days=40)}.items():
        sell(predicting, key, moment)
    run = at(predicting, "boxcar-daily-inference")
    assert run.output["status"] == "succeeded", run
    assert set(scores(predicting)) - set(before) == {(key, model) for key in added for model in MODELS}
    assert predicting.session.read_json(f"reports/{run.name}/report.json")["rows"]["unloaded"] == len(added)
    assert watermark() == moments[480]

    monthly = at(predicting, "boxcar-monthly-inference")
    assert monthly.output["status"] == "succeeded", monthly
    assert run_of(predicting, too_late) == {monthly.name}, "what is later than late_days waits for the month"


def test_a_day_whose_new_rows_are_all_bad_succeeds_and_one_of_the_future_hides_nothing(
    predicting: Deployed, first: Run
) -> None:
    sell(predicting, future := 10**9 + 800, datetime(2099, 1, 1))
    run = predicting.infer({"family": FAMILY, "scope": "daily"})
    assert run.output["status"] == "succeeded", run
    report = predicting.session.read_json(f"reports/{run.name}/report.json")
    assert report["sentence"].startswith("Nothing was predicted: all rows were rejected (1)"), report["sentence"]
    sell(predicting, fine := 10**9 + 960, datetime(2017, 12, 31))
    assert predicting.infer({"family": FAMILY, "scope": "daily"}).output["status"] == "succeeded"
    keys = {key for key, _ in scores(predicting)}
    assert fine in keys and future not in keys


def test_csv_and_parquet_give_the_same_scores(predicting: Deployed, first: Run) -> None:
    before = scores(predicting)
    apply(predicting, inference__files={"format": "csv"})
    run = predicting.infer({"family": FAMILY, "scope": "monthly"})
    assert run.output["status"] == "succeeded", run
    for one, kind in ((first, "application/x-parquet"), (run, "text/csv")):
        steps = [model["steps"][0] for model in plan_of(predicting, one)["models"].values()]
        assert [step["options"]["content_type"] for step in steps] == [kind] * len(MODELS)
    assert scores(predicting) == pytest.approx(before, abs=1e-6)


def test_of_two_runs_at_once_the_later_wins_and_their_drift_trains_once(predicting: Deployed) -> None:
    apply(predicting, inference__drift={"max_feature_drift": 0, "min_rows": 1, "retrain": True})
    trained = set(predicting.executions())
    asked = {"family": FAMILY, "scope": "monthly"}
    runs = [predicting.wait(name) for name in [start_inference(predicting.session, asked) for _ in range(2)]]
    assert [run.output["status"] for run in runs] == ["succeeded"] * 2, runs
    later = max(runs, key=lambda run: (plan_of(predicting, run)["created_at"], run.name))
    rows = retailer.query(warehouse(predicting.session), f"SELECT DISTINCT run_id FROM {FAMILY}_predictions")
    assert rows == [[later.name]]
    [training] = [name for name in predicting.executions() if name not in trained]
    predicting.session.client("stepfunctions").stop_execution(executionArn=predicting.execution_arn(training))
    for run in runs:
        wait_for(lambda run=run: predicting.mails(run.name), why=f"no mail of {run.name}")
    told = [" ".join(mail.text.split()) for run in runs for mail in predicting.mails(run.name)]
    told = [text for text in told if "drift" in text]
    assert sum(f"Started training run {training}." in text for text in told) == 1, told
    assert sum(f"drift has started {training} this week already" in text for text in told) == 1, told
    # What the earlier one unloaded is old by now: whoever starts it again goes on with it, and overwrites nothing.
    [earlier] = [run for run in runs if run != later]
    again = predicting.infer({**asked, "restart_of": earlier.name})
    assert again.output["status"] == "succeeded", again
    assert retailer.query(warehouse(predicting.session), f"SELECT DISTINCT run_id FROM {FAMILY}_predictions") == rows
