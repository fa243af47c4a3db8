"""Releases: turns, deployments that end well, badly, late or not at all, and what is left over."""

import pytest

from boxcar.errors import EndpointBusy, NotPossible, ReleaseRefused
from boxcar.serving.spec import Rollback, Serving, Shadow
from tests.unit.serving.conftest import NAME, World
from tests.unit.serving.fakes import refusal


def test_what_a_release_makes_takes_the_place_of_what_was_there(world: World) -> None:
    world.serving = Serving(max=3, invocations_per_instance=600)
    world.release("1.0.0")
    one = world.sagemaker.everything
    assert [len(names) for names in one] == [1, 1, 1] and len(world.cloudwatch.alarms) == 1
    assert [target["MaxCapacity"] for target in world.scaling.targets.values()] == [3]
    world.release("1.0.1")
    two = world.sagemaker.everything
    assert [len(names) for names in two] == [1, 1, 1]
    assert not two[0] & one[0] and not two[1] & one[1]
    assert world.record.live and world.record.live.version == "1.0.1" and world.record.holder is None
    assert [(told["version"], told["instead_of"], told["number"]) for told in world.told] == [
        ("1.0.0", "", 1), ("1.0.1", "1.0.0", 2),
    ]  # fmt: skip
    world.cleaner.remove(world.record)
    assert world.sagemaker.everything == (set(), set(), set())
    assert not world.cloudwatch.alarms and not world.scaling.targets and world.endpoints.get(NAME) is None


def test_what_is_live_is_not_deployed_again(world: World) -> None:
    world.release("1.0.0")
    world.sagemaker.calls.clear()
    world.take("1.0.0")
    world.states.answers.clear()
    assert world.deploy("1.0.0") == "live"
    assert world.states.answers == {"deploy-1.0.0": {"status": "live"}} and not world.sagemaker.calls


@pytest.mark.parametrize("before", [(), ("1.0.0",)])
def test_what_is_in_service_and_was_never_published_is_still_to_be_tested(
    world: World, before: tuple[str, ...]
) -> None:
    for version in before:
        world.release(version)
    world.take("1.0.1")
    world.deploy("1.0.1")
    world.sagemaker.settle(NAME)  # the function died before it could write anything down
    assert world.deploy("1.0.1") == "deployed"
    assert world.states.answers["deploy-1.0.1"] == {"status": "deployed"}


def test_instances_and_limits_that_the_family_changes_take_effect_while_the_version_serves_on(world: World) -> None:
    world.release("1.0.0")
    world.sagemaker.calls.clear()
    world.serving = Serving(min=2, rollback=Rollback(max_error_percent=None, max_latency_ms=50))
    world.take("1.0.0")
    world.states.answers.clear()
    assert world.deploy("1.0.0") == "live"
    world.finisher.released(world.plan("1.0.0"), world.target("1.0.0"), "arn-1.0.0", {})
    assert world.sagemaker.calls == ["update_endpoint_weights_and_capacities"], "no new fleet"
    assert world.sagemaker.endpoints[NAME]["ProductionVariants"][0]["DesiredInstanceCount"] == 2
    assert list(world.cloudwatch.alarms) == [f"boxcar/{NAME}/latency"] == world.record.alarms
    live = world.record.live
    assert live and (live.number, live.beside) == (2, world.serving.beside_the_configuration)
    assert [(told["number"], told["instead_of"]) for told in world.told] == [(1, ""), (2, "1.0.0")]

    world.serving = Serving(min=2, max=6, invocations_per_instance=600)
    world.take("1.0.0")
    world.deploy("1.0.0")
    world.finisher.released(world.plan("1.0.0"), world.target("1.0.0"), "arn-1.0.0", {})
    assert [target["MaxCapacity"] for target in world.scaling.targets.values()] == [6]


def test_limits_that_could_not_be_set_are_set_by_a_repeat_and_until_then_nobody_takes_them_for_set(
    world: World,
) -> None:
    world.release("1.0.0")
    world.serving = Serving(max=6, invocations_per_instance=600)
    world.scaling.refuses = refusal("Rate exceeded", "ThrottlingException", "RegisterScalableTarget")
    with pytest.raises(Exception, match="Rate exceeded"):
        world.release("1.0.1")
    assert world.finisher.failed(NAME, "run-1.0.1", "arn-1.0.1"), "the version serves all the same"
    live = world.record.live
    assert live and (live.version, live.number, live.beside) == ("1.0.1", 2, ""), "nobody knows which limits hold"
    world.scaling.refuses = None
    plan = world.plan("1.0.1").model_copy(update={"instead_of": "1.0.0"})
    world.finisher.released(plan, world.target("1.0.1"), "arn-1.0.1", {})
    assert (world.told[-1]["version"], world.told[-1]["instead_of"]) == ("1.0.1", "1.0.0")
    live = world.record.live
    assert live and (live.number, live.beside) == (2, world.serving.beside_the_configuration)
    assert [target["MaxCapacity"] for target in world.scaling.targets.values()] == [6]
    assert not world.finisher.failed(NAME, "run-1.0.2", "arn-1.0.2")


@pytest.mark.parametrize(("version", "became"), [("1.0.0", "none"), ("1.0.1", "none"), ("1.0.2", "updating")])
def test_only_a_newer_version_is_tried_before_it_takes_the_place(world: World, version: str, became: str) -> None:
    world.release("1.0.1")
    world.serving = Serving(shadow=Shadow(), instance="ml.m5.xlarge")
    world.take(version)
    arguments = world.target(version), f"run-{version}", f"arn-{version}", f"try-{version}"
    assert world.deployer.begin_trial(*arguments) == became
    assert bool(world.record.trial) == (became == "updating")


def test_the_second_of_two_releases_waits_for_its_turn(world: World) -> None:
    assert (world.take("1.0.0"), world.take("1.0.1")) == ("has it", "waits")
    assert world.take("1.0.1") == "waits", "a repeat takes no second place"
    assert list(world.states.answers) == ["turn-1.0.0"]
    with pytest.raises(NotPossible, match="not the turn"):
        world.deploy("1.0.1")
    world.finisher.end(NAME, "arn-1.0.0")
    assert "turn-1.0.1" in world.states.answers
    assert world.record.holder and world.record.holder.version == "1.0.1" and not world.record.waiting


def test_a_release_that_was_stopped_leaves_its_turn_to_the_next(world: World) -> None:
    for version in ("1.0.0", "1.0.1", "1.0.2"):
        world.take(version)
    world.states.ended = {"arn-1.0.0", "arn-1.0.1"}  # the second gave up while it waited
    world.watcher.run_ended("arn-1.0.0")
    assert world.record.holder and world.record.holder.version == "1.0.2"
    assert "turn-1.0.2" in world.states.answers


def test_a_turn_that_was_given_and_not_told_is_told_by_the_sweep(world: World) -> None:
    world.take("1.0.0")
    holder = world.record.holder
    assert holder
    untold = holder.model_copy(update={"token": "turn-again"})
    world.endpoints.change(world.record, lambda before: before.model_copy(update={"holder": untold}))
    world.watcher.sweep()
    assert "turn-again" in world.states.answers and world.record.holder == holder


@pytest.mark.parametrize("call", ["create_model", "create_endpoint_config", "create_endpoint"])
def test_what_sagemaker_refuses_leaves_nothing(world: World, call: str) -> None:
    world.sagemaker.refuses = {call: refusal("Requested image not found.")}
    world.take("1.0.0")
    with pytest.raises(ReleaseRefused, match=f"{call}: ValidationException: Requested image not found"):
        world.deploy("1.0.0")
    world.finisher.failed(NAME, "run-1.0.0", "arn-1.0.0")
    assert world.sagemaker.everything == (set(), set(), set())
    assert not world.cloudwatch.alarms and world.record.holder is None and not world.record.made


def test_an_endpoint_that_cannot_be_made_is_removed(world: World) -> None:
    world.take("1.0.0")
    assert world.deploy("1.0.0") == "creating"
    world.settle("the container did not start")
    error, cause = world.states.answers["deploy-1.0.0"]
    assert error == "EndpointFailed" and "the container did not start" in cause
    world.finisher.failed(NAME, "run-1.0.0", "arn-1.0.0")
    assert world.sagemaker.everything == (set(), set(), set())


def test_an_endpoint_that_stays_creating_is_removed_when_it_comes_to_rest(world: World) -> None:
    world.take("1.0.0")
    world.deploy("1.0.0")
    world.finisher.failed(NAME, "run-1.0.0", "arn-1.0.0")  # the Task timed out
    assert world.sagemaker.endpoints, "SageMaker lets nobody delete it yet"
    world.sagemaker.settle(NAME)
    world.watcher.sweep()
    assert world.sagemaker.everything == (set(), set(), set())


def test_a_deployment_that_is_rolled_back_leaves_the_version_before(world: World) -> None:
    world.release("1.0.0")
    before = world.sagemaker.everything
    world.take("1.0.1")
    assert world.deploy("1.0.1") == "updating"
    request = world.sagemaker.endpoints[NAME]["_request"]
    rollback = request["DeploymentConfig"]["AutoRollbackConfiguration"]
    assert rollback == {"Alarms": [{"AlarmName": f"boxcar/{NAME}/errors"}]}
    world.settle("an alarm is in ALARM")
    assert world.states.answers["deploy-1.0.1"][0] == "RolledBack"
    world.finisher.failed(NAME, "run-1.0.1", "arn-1.0.1")
    assert world.sagemaker.everything == before
    assert world.record.live and world.record.live.version == "1.0.0"


def test_an_alarm_that_rings_already_does_not_undo_the_version_that_is_to_quiet_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.serving = Serving(rollback=Rollback(max_latency_ms=50))
    world.release("1.0.1")
    errors, latency = f"boxcar/{NAME}/errors", f"boxcar/{NAME}/latency"
    world.cloudwatch.ringing = {errors}
    world.take("1.0.0")
    assert world.deploy("1.0.0") == "updating"
    deployment = world.sagemaker.endpoints[NAME]["_request"]["DeploymentConfig"]
    assert deployment["AutoRollbackConfiguration"] == {"Alarms": [{"AlarmName": latency}]}
    assert f"do not stop this deployment: {errors}" in caplog.text


def test_a_version_that_fails_its_smoke_test_gives_its_place_back(world: World) -> None:
    world.release("1.0.0")
    before = world.sagemaker.everything
    world.take("1.0.1")
    world.deploy("1.0.1")
    world.settle()
    assert world.deployer.take_back(NAME, "arn-1.0.1", "back") == "updating"
    world.settle()
    assert world.states.answers["back"] == {"status": "deployed"}
    world.finisher.failed(NAME, "run-1.0.1", "arn-1.0.1")
    assert world.sagemaker.everything == before


@pytest.mark.parametrize("back", [False, True])
def test_an_endpoint_that_had_failed_is_made_anew(world: World, back: bool) -> None:
    world.serving = Serving(max=4, invocations_per_instance=600)
    world.release("1.0.0")
    world.take("1.0.1")
    world.sagemaker.endpoints[NAME]["EndpointStatus"] = "Failed"

    def ask() -> str:
        return world.deployer.take_back(NAME, "arn-1.0.1", "deploy-1.0.1") if back else world.deploy("1.0.1")

    with pytest.raises(EndpointBusy, match="had failed before"):
        ask()
    assert not world.scaling.targets, "AWS wants the scalable target gone first"
    assert ask() == "creating"
    world.settle()
    assert world.states.answers["deploy-1.0.1"] == {"status": "deployed"}
    endpoint = world.sagemaker.endpoints[NAME]
    assert ("1-0-0" in endpoint["EndpointConfigName"]) == back
    assert {tag["Key"]: tag["Value"] for tag in endpoint["Tags"]}["boxcar:model"] == "box"
    assert world.record.live and world.record.live.beside == "", "it is scaled again by the next release"


def test_a_deployment_that_ends_after_its_release_was_given_up_is_undone(world: World) -> None:
    world.serving = Serving(max=4, invocations_per_instance=600)
    world.release("1.0.0")
    scaled_out = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 4}]
    world.sagemaker.update_endpoint_weights_and_capacities(EndpointName=NAME, DesiredWeightsAndCapacities=scaled_out)
    before = world.sagemaker.everything
    world.take("1.0.1")
    world.deploy("1.0.1")
    world.finisher.failed(NAME, "run-1.0.1", "arn-1.0.1")  # the Task timed out while SageMaker was at it
    world.settle()
    assert world.sagemaker.endpoints[NAME]["EndpointStatus"] == "Updating", "back to the version before"
    world.settle()
    assert world.sagemaker.everything == before
    endpoint = world.sagemaker.endpoints[NAME]
    assert world.record.live and endpoint["EndpointConfigName"] == world.record.live.config
    assert endpoint["ProductionVariants"][0]["DesiredInstanceCount"] == 4, "autoscaling found so many to be right"


def test_a_lost_event_is_made_up_for_by_the_sweep(world: World) -> None:
    world.take("1.0.0")
    world.deploy("1.0.0")
    world.watcher.sweep()
    assert "deploy-1.0.0" not in world.states.answers, "it is still under way"
    world.sagemaker.settle(NAME)
    world.watcher.sweep()
    world.watcher.sweep()
    assert world.states.answers["deploy-1.0.0"] == {"status": "deployed"}


def test_a_throttled_update_is_asked_for_again(world: World) -> None:
    world.release("1.0.0")
    world.take("1.0.1")
    world.sagemaker.refuses = {"update_endpoint": refusal("Rate exceeded", "ThrottlingException")}
    with pytest.raises(Exception, match="Rate exceeded"):
        world.deploy("1.0.1")
    world.sagemaker.refuses = {}
    assert world.deploy("1.0.1") == "updating"
    assert world.deploy("1.0.1") == "waits"
    assert world.sagemaker.calls.count("update_endpoint") == 2


def test_an_endpoint_that_is_scaled_just_now_is_waited_for(world: World) -> None:
    world.release("1.0.0")
    world.sagemaker.endpoints[NAME]["EndpointStatus"] = "Updating"
    world.take("1.0.1")
    with pytest.raises(EndpointBusy, match="is Updating"):
        world.deploy("1.0.1")


def test_one_instance_hands_over_at_once_and_two_by_a_canary(world: World) -> None:
    types = [
        world.target("1.0.0").deployment(count, [])["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["Type"]
        for count in (1, 2)
    ]
    assert types == ["ALL_AT_ONCE", "CANARY"]


@pytest.mark.parametrize("failure", ["", "no capacity"])
def test_an_event_before_the_request_is_written_down_is_made_up_for_at_once(world: World, failure: str) -> None:
    world.take("1.0.0")
    create = world.sagemaker.create_endpoint

    def at_once(**request: object) -> None:
        create(**request)
        world.settle(failure)  # in service, or failed, and told before the function goes on

    world.sagemaker.create_endpoint = at_once  # type: ignore[method-assign]
    world.deploy("1.0.0")
    told = world.states.answers["deploy-1.0.0"]
    assert told == {"status": "deployed"} if not failure else "no capacity" in str(told)
    assert world.record.awaited is None
