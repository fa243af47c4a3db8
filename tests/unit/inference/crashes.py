"""The load path, from the step that is submitted to the watermark, killed at every call to AWS and started again."""

import contextlib
import importlib.util
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3

from boxcar.inference.warehouse import Tables
from boxcar.inference.watermarks import Watermarks
from boxcar.jobs.names import job_id
from boxcar.jobs.record import COMPLETED
from boxcar.jobs.submit import StepRequest
from boxcar.jobs.table import Conflict, JobsTable
from boxcar.plans import PlannedRun, write_plan
from boxcar.steps import Step
from local.redshift.service import RedshiftData
from tests.unit.inference.conftest import INFERENCE, PRICES, DataApi
from tests.unit.inference.test_planning import plan
from tests.unit.jobs.conftest import SETTINGS, World
from tests.unit.jobs.fake_dynamodb import FakeDynamoDB
from tests.unit.jobs.fakes import Killed
from tests.unit.redshift.conftest import ROLE, Caller, FakeCloud

TABLES = Tables.of("product_id", INFERENCE)
SEEN = "2017-03-01 00:00:00.000000"
COUNTS_AT = "runs/run-1/_run/split/1/counts/"
APP = Path(__file__).parents[3] / "functions/check_counts/app.py"


@dataclass
class Crashes:
    """What became of a load that was killed at every call, before and after the call went through."""

    kills: int
    differences: list[str]  # calls after which tables or watermark were not those of a load that nobody killed


class Warehouse:
    """One embedded warehouse, which loads use one after the other."""

    def __init__(self, folder: Path) -> None:
        cloud = FakeCloud(folder)
        self.service = RedshiftData(cloud, default_role=ROLE)
        self.caller = Caller(cloud, self.service)
        for entry in TABLES.definitions(PRICES):
            self.caller.ok(entry["sql"])

    def reset(self) -> None:
        """Leave nothing in the tables but what an older run has loaded."""
        older = "VALUES (1, 'bag', '1.0.0', 0.1, FALSE, 'before', '2026-11-25 10:00:00')"
        tables = (TABLES.predictions, TABLES.history)
        emptied = [f"DELETE FROM {table}" for table in (*tables, TABLES.loads)]
        done = self.caller.batch(*emptied, *(f"INSERT INTO {table} {older}" for table in tables))
        assert done["Status"] == "FINISHED", done
        s3 = boto3.client("s3")
        for item in s3.list_objects_v2(Bucket="data", Prefix="runs/run-1/bag/load/").get("Contents", []):
            s3.delete_object(Bucket="data", Key=item["Key"])


def load_step(rows: int) -> Step:
    """The load of an inference run."""
    parameters = {"rows": str(rows), "model": "bag", "version": "1.0.0", "threshold": "0.5", "run": "run-1"}
    return Step(
        name="load", kind="statement", inputs={"predictions": "s3://data/runs/run-1/bag/predict/1/predictions/"},
        outputs=["data"], cache=False,
        options={
            "transaction": TABLES.load([0.5], 0.5),
            "parameters": {**parameters, "predicted_at": "2026-11-26 10:00:00.000"},
        },
    )  # fmt: skip


def crash_everywhere(folder: Path, rows: int = 200, every: int = 1) -> Crashes:
    """Kill the load path at each of its calls, or each so many. Needs moto's S3 and IAM, with the bucket `data` and the role."""
    warehouse = Warehouse(folder)
    body = "".join(f"{key},{key / rows}\n" for key in range(1, rows + 1))
    s3, counts = boto3.client("s3"), {"first_seen": SEEN, "models": {"bag": {"rows": rows}}}
    s3.put_object(Bucket="data", Key="runs/run-1/bag/predict/1/predictions/part.out", Body=body.encode())
    s3.put_object(Bucket="data", Key=f"{COUNTS_AT}counts.json", Body=json.dumps(counts).encode())
    made = plan({"family": "packaging", "models": ["bag"]})
    bag = made.models["bag"].model_copy(update={"steps": [load_step(rows)]})
    write_plan(s3, "data", "run-1", made.model_copy(update={"models": {"bag": bag}}))
    try:
        expected, _ = _lived(warehouse, "unharmed", None, False, rows)
        found = Crashes(0, [])
        for after in (False, True):
            for kill_at in itertools.count(1, every):
                left, log = _lived(warehouse, f"killed-{int(after)}-{kill_at}", kill_at, after, rows)
                if len(log) < kill_at:
                    break
                found.kills += 1
                if left != expected:
                    found.differences.append(f"{'after' if after else 'before'} call {kill_at}, {log[kill_at - 1]}")
        return found
    finally:
        warehouse.service.close()


def _lived(warehouse: Warehouse, name: str, kill_at: int | None, after: bool, rows: int) -> tuple[Any, list[str]]:
    """A load from its submission to its watermark. Answers what it left, and the calls it made."""
    warehouse.reset()
    world = World(
        FakeDynamoDB(), boto3.client("s3"), replace(SETTINGS, redshift_database="dev", warehouse_role_arn=ROLE)
    )
    # A role of its own: the warehouse knows the client tokens of each role.
    role = f"arn:aws:sts::123456789012:assumed-role/{name}/session"
    world.calls.services["redshift-data"] = DataApi(warehouse.caller, wait=True, role=role)
    world.calls.kill_at, world.calls.kill_after = kill_at, after
    planned = PlannedRun.model_validate(
        {
            "run": "run-1",
            "family": "packaging",
            "requested_by": "ann",
            "steps": [],
            "models": {"bag": {"steps": [load_step(rows)]}},
        }
    )
    request = StepRequest(run="run-1", model="bag", step="load", task_token="token")
    with _surviving(world) as again:
        again(lambda: world.submitter().submit_step(request, planned))
        again(world.launch)
        for _ in range(10):
            if not world.open_items():
                break
            world.clock.time += 400
            again(world.sweep)
        (item,) = world.items()
        job = JobsTable(world.dynamodb, "jobs").get(item["job"]["S"])
        assert job is not None and job.status == COMPLETED, (name, world.calls.log, job)
        again(lambda: _counted(world))
    world.calls.kill_at = None
    names = (TABLES.predictions, TABLES.history)
    tables = [warehouse.caller.rows(f"SELECT * FROM {name} ORDER BY 1, 2, 3") for name in names]
    loads = warehouse.caller.rows(f"SELECT run_id, model, model_version, row_count FROM {TABLES.loads}")
    mark = Watermarks(world.dynamodb, "models").get("packaging", "bag")
    return (tables, loads, mark), list(world.calls.log)


def _counted(world: World) -> None:
    """The function check_counts after a load, in a process of its own."""
    spec = importlib.util.spec_from_file_location("check_counts", APP)
    assert spec and spec.loader
    app: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    app.client, app.settings = world.calls.client, lambda: world.settings
    app.logger.setLevel("WARNING")
    split = {
        "pk": {"S": f"job#{job_id(world.settings.stack, 'run-1', '', 'split')}"},
        "outputs": {"M": {"counts": {"S": f"s3://data/{COUNTS_AT}"}}},
    }
    world.dynamodb.put_item(TableName="jobs", Item=split)
    app.handler({"run": "run-1", "after": "load", "model": "bag"}, None)


@contextlib.contextmanager
def _surviving(world: World) -> Iterator[Any]:
    """Whoever is killed is run again, as Lambda and the schedule would."""

    def again(act: Any) -> None:
        for _ in range(3):
            try:
                act()
                return
            except (Killed, Conflict):
                world.clock.time += 130
        raise AssertionError("killed three times")

    yield again
