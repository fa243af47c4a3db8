"""The load of predictions as the launcher starts it, against the embedded warehouse."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from boxcar.families import Inference
from boxcar.inference.warehouse import Tables
from boxcar.jobs.kind import Launch, Observation
from boxcar.kinds.statement import KIND
from boxcar.settings import Settings
from boxcar.steps import Step
from tests.unit.redshift.conftest import CALLER, ROLE, Caller, cloud, db, s3  # noqa: F401 - fixtures

BUCKET = "data-bucket"
PRICES = {"own": 0.0, "mailer": 0.22, "bag": 0.31}
SETTINGS = Settings(stack="boxcar", redshift_workgroup="boxcar", redshift_database="dev", warehouse_role_arn=ROLE)
INFERENCE = Inference(query="SELECT * FROM products", key_type="BIGINT", table="predictions", view="recommended")


class DataApi:
    """The calls of a boto3 client, answered by the embedded warehouse; with `wait`, when a statement has ended."""

    class exceptions:  # noqa: N801 - boto3's name
        ResourceNotFoundException = KeyError
        ValidationException = ValueError

    def __init__(self, caller: Caller, wait: bool = False, role: str = CALLER) -> None:
        self._caller, self._wait, self._role = caller, wait, role

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        action = "".join(part.title() for part in name.split("_"))

        def call(**request: Any) -> dict[str, Any]:
            answer = self._caller(action, self._role, **request)
            if self._wait and "Id" in answer and action.endswith("ExecuteStatement"):
                self._caller.wait(answer["Id"])
            return answer

        return call


@dataclass
class Loads:
    """Loads of one family."""

    caller: Caller
    s3: Any
    tables: Tables = field(default_factory=lambda: Tables.of("product_id", INFERENCE))
    started: int = 0
    sampled: list[str] = field(default_factory=list)  # keys whose scores are asked for

    def statement(self, options: dict[str, Any], inputs: dict[str, str] | None = None) -> str:
        """Start a statement job as the launcher does; answer its id."""
        self.started += 1
        outputs = any("unload" in entry for entry in [options, *options.get("transaction", [])])
        step = Step(name="work", kind="statement", inputs=inputs or {}, options=options, outputs=["data"] * outputs)
        KIND.check(step, SETTINGS)
        place = f"s3://{BUCKET}/runs/r/_run/work/{self.started}/"
        launch = Launch(
            job="j", name=f"boxcar-work-{self.started:010d}-1", run="r", model="", step=step, pool="statement",
            instance_type="", place=place, checkpoints="", outputs=KIND.outputs(step, place, "n"),
        )  # fmt: skip
        return KIND.start(launch, SETTINGS, lambda service: DataApi(self.caller))

    def ended(self, identifier: str) -> Observation:
        """How a statement ended, as the monitor reads it."""
        self.caller.wait(identifier)
        return KIND.describe("n", identifier, lambda service: DataApi(self.caller))

    def make_tables(self) -> None:
        done = self.ended(self.statement({"transaction": self.tables.definitions(PRICES)}))
        assert done.status == "Completed", done.reason

    def start(
        self,
        run: str,
        at: str,
        scores: dict[Any, Any],
        *,
        model: str = "bag",
        version: str = "1.0.0",
        rows: int | None = None,
    ) -> str:
        """Load predictions of one model; `rows` is how many were sent to it."""
        prefix = f"runs/{run}/{model}/predict/{self.started}/predictions/"
        lines = scores if isinstance(scores, list) else list(scores.items())
        for part in range(2):  # a transform writes a file for each of its input files
            body = "".join(f"{key},{score}\n" for key, score in lines[part::2])
            self.s3.put_object(Bucket=BUCKET, Key=f"{prefix}part-{part:05d}.csv.out", Body=body.encode())
        options = {
            "transaction": self.tables.load([0.25, 0.5, 0.75], 0.5, self.sampled),
            "parameters": {
                "rows": str(len(lines) if rows is None else rows), "model": model, "version": version, "threshold": "0.5",
                "run": run, "predicted_at": f"2026-11-26 {at}" + ":00.000" * (len(at) == 5),
            },
        }  # fmt: skip
        return self.statement(options, {"predictions": f"s3://{BUCKET}/{prefix}"})

    def load(self, *args: Any, **more: Any) -> Observation:
        return self.ended(self.start(*args, **more))

    def table(self, name: str = "predictions") -> list[tuple]:
        return self.caller.rows(f"SELECT * FROM {name} ORDER BY 1, 2, 3")


@pytest.fixture
def loads(db, s3) -> Loads:  # noqa: F811
    loads = Loads(db, s3)
    loads.make_tables()
    return loads
