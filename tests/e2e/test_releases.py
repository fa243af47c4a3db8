"""Approved versions reach their endpoints: by themselves and by command, one after the other, and never half.

Versions here are simulated, so that each can fail as it should: tests/e2e/served.py.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.client import wait_for
from tests.e2e.deployed import Deployed
from tests.e2e.served import Served, served_by
from tests.e2e.test_reviews import command


def test_a_version_is_released_updated_and_deleted_and_nothing_is_left(empty_stack: Deployed) -> None:
    served = served_by(empty_stack, max=2, invocations_per_instance=100)
    before = served.things()
    served.version("1.0.0")
    served.release()
    assert served.answer() == "hello from 1.0.0"
    one = served.things()
    assert {kind: len(names) for kind, names in one.items()} == {
        "models": 1, "configs": 1, "endpoints": 1, "dashboards": 1, "alarms": 3, "targets": 1,
    }  # fmt: skip
    mail = wait_for(lambda: [m for m in served.stack.cloud.mails() if served.name in m.subject], why="no mail")[0]
    assert f"{served.family}/mailer 1.0.0 serves on {served.name}" in mail.subject
    assert f"/endpoints/{served.name}/invocations" in mail.text and "invoke-endpoint" in mail.text

    again = served.release()
    assert again.output["status"] == "nothing" and "is live" in again.output["why"]
    assert served.things() == one

    served_by(empty_stack, name=served.family, max=3, invocations_per_instance=100)
    assert served.release().output["version"] == "1.0.0"
    assert all(served.things()[kind] == one[kind] for kind in ("models", "configs")), "nothing was deployed"
    targets = served.stack.session.client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[f"endpoint/{served.name}/variant/AllTraffic"]
    )["ScalableTargets"]
    assert [target["MaxCapacity"] for target in targets] == [3]
    wait_for(lambda: [m for m in served.stack.cloud.mails() if "limits that its family has now" in
                      " ".join(m.text.split())], why="nobody was told")  # fmt: skip

    served.version("1.0.1")
    served.release()
    assert served.answer() == "hello from 1.0.1"
    two = served.things()
    assert {kind: len(names) for kind, names in two.items()} == {kind: len(names) for kind, names in one.items()}
    assert two["models"] != one["models"], "the model before is gone"

    assert "1.0.1" in command(served.stack, "endpoints", "show", f"{served.family}/mailer")
    assert "is deleted" in command(served.stack, "endpoints", "delete", f"{served.family}/mailer", "--yes")
    wait_for(lambda: served.things() == before, why="something is left")


def test_an_approval_releases_by_itself_where_the_family_says_so(empty_stack: Deployed) -> None:
    served = served_by(empty_stack, automatic=True)
    served.version("1.0.0")
    record = wait_for(lambda: (found := served.record()).live and not found.holder and found, 180, why="not released")
    assert record.live and record.live.version == "1.0.0"
    assert served.stack.wait(record.live.run).status == "SUCCEEDED"


@pytest.fixture(scope="module")
def busy(empty_stack: Deployed) -> Served:
    """A model whose version 1.0.0 serves."""
    served = served_by(empty_stack)
    served.version("1.0.0")
    served.release()
    return served


@pytest.mark.parametrize(
    ("version", "error", "audience"),
    [
        ({"approved": False}, "VersionNotApproved", "science"),
        ({"image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/nowhere:1"}, "ReleaseRefused", "engineering"),
        ({"OUTCOME": "InternalServerError"}, "RolledBack", "engineering, science"),  # it does not start
        ({"MESSAGE": "good bye"}, "SmokeTestFailed", "science"),
    ],
)
def test_a_release_that_fails_leaves_what_served_before(
    busy: Served, version: dict[str, Any], error: str, audience: str
) -> None:
    before = busy.things()
    number = busy.version(f"2.0.{busy.numbers}", current=False, **version)
    run = busy.stack.wait(busy.start(number))
    assert (run.status, run.error) == ("FAILED", error), run
    assert busy.answer() == "hello from 1.0.0"
    wait_for(lambda: busy.things() == before, why="something is left")
    alarms = wait_for(lambda: busy.stack.mails(run.name), why="nobody was told")
    assert error in alarms[0].subject or error in alarms[0].text
    assert {mail.to.split("@")[0] for mail in alarms} <= set(audience.split(", "))


def test_an_endpoint_that_cannot_be_made_is_deleted(empty_stack: Deployed) -> None:
    served = served_by(empty_stack)
    run = served.stack.wait(served.start(served.version("1.0.0", OUTCOME="InternalServerError")))
    assert (run.status, run.error) == ("FAILED", "EndpointFailed"), run
    wait_for(lambda: not any(served.things().values()), why="something is left")
    alarms = wait_for(lambda: served.stack.mails(run.name), why="nobody was told")
    assert {mail.to.split("@")[0] for mail in alarms} == {"engineering"}


def test_an_endpoint_that_stays_creating_is_given_up_and_deleted_when_it_has_come_to_rest(
    empty_stack: Deployed, hurried: None
) -> None:
    served = served_by(empty_stack)
    run = served.stack.wait(served.start(served.version("1.0.0", PROVISION_SECONDS="8")))
    assert (run.status, run.error) == ("FAILED", "States.Timeout"), run
    alarms = wait_for(lambda: served.stack.mails(run.name), why="nobody was told")
    assert {mail.to.split("@")[0] for mail in alarms} == {"engineering"}
    wait_for(lambda: not any(served.things().values()), 60, why="something is left")
    assert served.record().holder is None


@pytest.fixture
def hurried(empty_stack: Deployed) -> Iterator[None]:
    """The release machine waits for a deployment for three seconds only."""
    states, arn = empty_stack.session.client("stepfunctions"), empty_stack.session.outputs["ReleaseMachineArn"]
    definition = states.describe_state_machine(stateMachineArn=arn)["definition"]
    changed = json.loads(definition)
    changed["States"]["Deploy"]["TimeoutSeconds"] = 3
    states.update_state_machine(stateMachineArn=arn, definition=json.dumps(changed))
    yield
    states.update_state_machine(stateMachineArn=arn, definition=definition)


def test_of_two_releases_at_once_one_waits_and_a_throttled_update_is_asked_again(busy: Served) -> None:
    busy.stack.cloud.add_fault(service="sagemaker", action="UpdateEndpoint", error="ThrottlingException", count=2)
    first = busy.start(busy.version("3.0.0", current=False))
    second = busy.start(busy.version("3.0.1", current=False))
    ended = [busy.stack.wait(run) for run in (first, second)]
    assert [run.status for run in ended] == ["SUCCEEDED", "SUCCEEDED"], ended
    wait_for(lambda: len(busy.things()["configs"]) == 1, why="something is left")
    assert busy.answer() in ("hello from 3.0.0", "hello from 3.0.1")
    live = busy.record().live
    assert live and live.version in busy.answer()


def test_an_alarm_during_the_canary_gives_the_requests_back(empty_stack: Deployed) -> None:
    served = served_by(empty_stack, min=2, canary={"wait_s": 10})
    served.version("1.0.0")
    served.release()
    before = served.things()
    run = served.start(served.version("1.0.1"))
    cloudwatch, sagemaker = (served.stack.session.client(name) for name in ("cloudwatch", "sagemaker"))

    def ring() -> None:  # again and again: a minute that ends meanwhile finds that all is well
        if sagemaker.describe_endpoint(EndpointName=served.name)["EndpointStatus"] != "Updating":
            return  # what rings before the deployment begins does not stop it
        cloudwatch.set_alarm_state(AlarmName=before["alarms"][0], StateValue="ALARM", StateReason="a test")

    ended = served.until_ended(run, ring)
    assert ended.error == "RolledBack" and "ALARM" in ended.cause, ended
    assert served.answer() == "hello from 1.0.0"
    wait_for(lambda: served.things() == before, why="something is left")
    assert "1.0.0" in command(served.stack, "endpoints", "list")


def test_a_version_is_taken_back_while_its_alarm_rings(empty_stack: Deployed) -> None:
    served = served_by(empty_stack, canary={"wait_s": 2})
    for number in ("1.0.0", "1.0.1"):
        served.version(number)
        served.release()
    cloudwatch = served.stack.session.client("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName=served.things()["alarms"][0], StateValue="ALARM", StateReason="a test")
    run = served.stack.wait(served.start("1.0.0"))
    assert run.status == "SUCCEEDED", run
    assert served.answer() == "hello from 1.0.0"


def test_a_release_that_cannot_set_its_limits_says_that_its_version_serves_and_the_next_sets_them(
    empty_stack: Deployed,
) -> None:
    served = served_by(empty_stack, max=3, invocations_per_instance=100)
    fault = {"service": "application-autoscaling", "action": "RegisterScalableTarget"}
    empty_stack.cloud.add_fault(**fault, error="AccessDeniedException", count=1)
    run = served.stack.wait(served.start(served.version("1.0.0")))
    assert (run.status, run.error) == ("FAILED", "AccessDenied") and "1.0.0 serves all the same" in run.cause, run
    assert served.answer() == "hello from 1.0.0" and not served.things()["targets"]
    alarms = wait_for(lambda: served.stack.mails(run.name), why="nobody was told")
    assert "serves all the same" in " ".join(alarms[0].text.split())
    assert served.release().output["version"] == "1.0.0"
    assert len(served.things()["targets"]) == 1
