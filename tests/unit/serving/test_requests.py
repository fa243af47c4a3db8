"""What the registry says, and what a family may write of an endpoint."""

from itertools import chain, repeat
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from boxcar.errors import Throttled
from boxcar.registry.packages import Packages
from boxcar.serving.requests import PACKAGE_EVENT, Asked, read_release
from boxcar.serving.spec import Serving
from tests.unit.serving.fakes import FakeSageMaker

ARN = "arn:aws:sagemaker:us-east-1:1:model-package/boxcar-packaging-box/1"


def heard(
    *in_table: str | None, status: str = "Approved", now: str = "Approved", stack: str = "boxcar"
) -> Asked | None:
    """What becomes of the event of a package.

    `now` is its status by now, `in_table` that of the models table, look after look; the last stays.
    """
    sagemaker = FakeSageMaker()
    sagemaker.add_package(ARN, now, family="packaging", model="box", version="1.0.0")
    detail = {
        "ModelPackageArn": ARN,
        "ModelPackageGroupName": f"{stack}-packaging-box",
        "ModelApprovalStatus": status,
    }
    looks = chain(in_table, repeat(in_table[-1]))
    table: Any = SimpleNamespace(version=lambda *_: {"status": found} if (found := next(looks)) else None)
    event = {"detail-type": PACKAGE_EVENT, "detail": detail}
    return read_release(event, lambda *_: b"", Packages(sagemaker, "boxcar"), table, pause=lambda _: None)


@pytest.mark.parametrize("status", ["Approved", "Rejected"])
def test_a_decision_asks_for_what_is_approved_now(status: str) -> None:
    asked = heard(status, status=status, now=status)
    assert asked and asked.of_the_registry
    assert (asked.request.family, asked.request.model, asked.request.version) == ("packaging", "box", None)


def test_a_table_that_catches_up_in_a_moment_is_no_fault_of_the_function() -> None:
    """Else each approval may count as an error of it, and an alarm rings for nothing."""
    asked = heard(None, "PendingManualApproval", "Approved")
    assert asked and asked.of_the_registry


@pytest.mark.parametrize("in_table", [None, "PendingManualApproval"])
def test_a_registry_that_is_ahead_of_the_table_is_waited_for(in_table: str | None) -> None:
    with pytest.raises(Throttled, match="is not Approved there yet"):
        heard(in_table)


def test_another_stacks_package_and_what_is_out_of_date_are_left_alone() -> None:
    assert heard("Approved", stack="boxcar-dev") is None
    assert heard("Approved", now="Rejected") is None


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"min": 0}, "greater than or equal to 1"),
        ({"min": 2, "max": 1}, "max: is 1, less than min 2; write at least 2"),
        ({"max": 3}, "invocations_per_instance: is missing"),
        ({"canary": {"wait_s": 1800}}, "timeout_s: is 3600"),
        ({"instance": "m5.large"}, "instance"),
        ({"shadow": {}, "split": {}}, "a version is tried in one of the two ways"),
        ({"shadow": {"hours": 720, "check_minutes": 1}}, "43,200 looks in 720 hours; write at least 29"),
        ({"split": {"percent": 60}}, "less than or equal to 50"),
    ],
)
def test_what_cannot_be_is_refused(written: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Serving.model_validate(written)
