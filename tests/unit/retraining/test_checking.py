"""The daily look: each family gets its line, whatever becomes of the others and of the events."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest

from boxcar.families import Family
from boxcar.retraining.checking import Checker
from boxcar.retraining.facts import write_drift

NOW = datetime(2026, 11, 26, 5, 0, tzinfo=UTC)


def version(family: str, retraining: dict[str, Any] | None) -> Any:
    document = {
        "family": family, "key": "id", "source": {"query": "SELECT * FROM t"}, "retraining": retraining,
        "models": {"box": {"label": "first"}, "bag": {"label": "second"}},
    }  # fmt: skip
    return SimpleNamespace(family=Family.model_validate(document))


@dataclass
class World:
    """Everything that a look asks and tells."""

    families: dict[str, Any]
    approved: dict[str, Any] = field(default_factory=dict)  # model -> its approved version
    statement: str = "STARTED"
    trained: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    looks: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def checker(self) -> Checker:
        return Checker(
            store=self, table=self, packages=self, redshift=self, warehouse=dict, s3=self, stack="boxcar", bucket="b",
            train=self.train, tell=self.told.append, later=self.looks.append, now=lambda: NOW,
        )  # type: ignore[arg-type]  # fmt: skip

    def names(self) -> list[str]:
        return list(self.families)

    def latest(self, name: str) -> Any:
        if isinstance(self.families[name], Exception):
            raise self.families[name]
        return self.families[name]

    def approved_version(self, family: str, model: str) -> Any:
        return self.approved.get(model)

    def group_name(self, family: str, model: str) -> str:
        return f"{family}-{model}"

    def packages(self, group: str) -> Any:
        return iter(())

    exceptions = SimpleNamespace(NoSuchKey=KeyError)

    def put_object(self, Key: str, Body: bytes, **_: Any) -> None:  # noqa: N803
        self.files[Key] = Body

    def get_object(self, Key: str, **_: Any) -> Any:  # noqa: N803
        return {"Body": BytesIO(self.files[Key])}

    def execute_statement(self, **request: Any) -> dict[str, str]:
        return {"Id": request["ClientToken"]}

    def describe_statement(self, Id: str) -> dict[str, str]:  # noqa: N803
        return {"Status": self.statement}

    def get_statement_result(self, Id: str) -> dict[str, Any]:  # noqa: N803
        return {"Records": [[{"longValue": 900}, {"longValue": 100}]]}

    def train(self, asked: dict[str, Any], token: str) -> str:
        self.trained.append((asked, token))
        return "f-1"


def test_a_family_that_cannot_be_looked_at_does_not_hold_up_the_others_and_comes_back() -> None:
    policy = {"max_age_days": 30}
    world = World({"a": ValueError("half a document"), "b": version("b", policy), "c": version("c", None)})
    with pytest.raises(ExceptionGroup) as caught:
        world.checker().all()
    assert [(str(error), error.__notes__) for error in caught.value.exceptions] == [("half a document", ["family a"])]
    assert [message["family"] for message in world.told] == ["b"]


def test_another_set_of_models_on_one_day_is_another_run_and_the_same_set_is_not() -> None:
    world = World({"f": version("f", {"max_age_days": 30})})
    world.checker().all()
    world.checker().all()
    world.approved["bag"] = {"version": "1.0.0", "created": NOW.isoformat()}
    world.checker().all()
    (both, first), (_, again), (one, other) = world.trained
    assert both["models"] == ["box", "bag"] and one["models"] == ["box"]
    assert first == again != other


def test_labels_whose_event_got_lost_are_looked_at_later_until_they_are_counted() -> None:
    world = World({"f": version("f", {"min_new_labels": 500})})
    created = {"version": "1.0.0", "created": NOW.isoformat(), "rows": {"train": 100}}
    world.approved = {"box": created, "bag": created}
    world.checker().all()
    assert world.told == []
    (look,) = world.looks
    world.checker().labels_counted(look["family"], look["labels_counted"])
    assert world.told == [] and world.looks == [look, look], "it still runs"
    world.statement = "FINISHED"
    world.checker().labels_counted(look["family"], look["labels_counted"])
    (message,) = world.told
    assert message["lines"][0].startswith("box: train: 800 labels are new")
    assert message["lines"][1].startswith("bag: leave: ")


def test_labels_that_could_not_be_counted_are_told_as_unknown() -> None:
    world = World({"f": version("f", {"min_new_labels": 500})}, statement="FAILED")
    world.approved = {"box": {"version": "1.0.0", "created": NOW.isoformat(), "rows": {"train": 100}}}
    world.checker().labels_counted("f", "s")
    assert "nobody knows how many labels are new" in world.told[0]["lines"][0]


def test_a_policy_that_was_taken_away_meanwhile_decides_nothing() -> None:
    world = World({"f": version("f", None)}, statement="FINISHED")
    world.checker().labels_counted("f", "s")
    assert world.told == [] and world.trained == []


def test_a_run_of_one_model_leaves_what_was_seen_of_the_others() -> None:
    world = World({"f": version("f", {"drift": True})})
    created = {"version": "1.0.0", "created": (NOW - timedelta(days=3)).isoformat()}
    world.approved = {"box": created, "bag": created}
    for model, run in (("bag", "r1"), ("box", "r2")):
        write_drift(world, "b", "f", model, run, NOW - timedelta(days=1), [f"{model}: feature price drifted by 0.5"])
    world.checker().all()
    assert [line.partition(";")[0] for line in world.told[0]["lines"]] == [
        f"{model}: train: feature price drifted by 0.5 in run {run}" for model, run in (("box", "r2"), ("bag", "r1"))
    ]
