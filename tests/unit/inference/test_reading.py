"""By which code the rows of a run are read: that of the versions that predict, as far as they agree."""

from typing import Any

import pytest

from boxcar.steps import Code, Step
from tests.unit.inference.test_planning import MODELS, SERVING_CODE, approved, plan


def served(digest: str, split: str, created: str = "2026-11-20T00:00:00+00:00", **more: Any) -> dict[str, Any]:
    """What is other in a version that was trained with this code."""
    code = Code(
        digest=digest, archive=f"s3://b/{digest}.tar.gz", prefix=f"s3://b/{digest}/", scripts={"split.py": split}
    )
    step = Step.model_validate(approved("bag")["serving"]).model_copy(update={"code": code})
    return {"serving": step.model_dump(mode="json"), "created": created, **more}


def test_rows_are_read_by_the_code_of_the_versions_and_not_by_what_was_applied_since():
    made = plan({"family": "packaging"})
    assert made.steps[2].code == SERVING_CODE and made.read_otherwise == []
    same = {name: served(name, "s") for name in MODELS}  # other code, of which the split uses none
    assert plan({"family": "packaging"}, approved_as=same).read_otherwise == []


def test_where_versions_do_not_agree_the_newest_is_read_for_and_the_others_are_named():
    newer = {**{name: served("a", "s") for name in MODELS}, "bag": served("b", "t", "2026-11-21T00:00:00+00:00")}
    made = plan({"family": "packaging"}, approved_as=newer)
    assert made.steps[2].code.digest == "b"
    assert made.read_otherwise == ["mailer", "box", "own_container"]


@pytest.mark.parametrize(
    "of_all",
    [
        served("a", "s", config={"architecture": "other_trees"}),
        {"serving": {**(of := served("a", "s")["serving"]), "code": {**of["code"], "scripts": {"serve.py": "s"}}}},
    ],
    ids=["another architecture", "no such script yet"],
)
def test_code_that_cannot_split_is_replaced_by_what_was_applied_and_that_is_said(of_all):
    made = plan({"family": "packaging"}, approved_as=dict.fromkeys(MODELS, of_all))
    assert made.steps[2].code.digest == "new" and made.read_otherwise == MODELS
