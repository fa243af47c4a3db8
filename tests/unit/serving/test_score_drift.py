"""The drift of scores on an endpoint: of the version that is deployed or live, from enough captured answers."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from boxcar.errors import EvaluationError
from boxcar.evaluations import Evaluation
from boxcar.serving.records import Endpoint
from boxcar.serving.score_drift import ForeignCapture, Heard, ScoreWatch, place_of
from boxcar.serving.spec import Serving
from tests.unit.serving.test_captures import line

EVALUATION = Evaluation.model_validate(
    {"schema": 2, "score_bins": {"edges": [0.25, 0.5, 0.75], "counts": [700, 200, 80, 20]}}
)
WATCHED = {"capture_percent": 100, "rollback": {"max_score_drift": 0.25, "min_scores": 100}}


class Measuring:
    """A watch over the world's endpoints, and what it has measured."""

    def __init__(self, world: Any, s3: Any) -> None:
        self.world, self.s3, self.measured = world, s3, []
        family = SimpleNamespace(models={"box": SimpleNamespace(serving=Serving.model_validate(WATCHED))})
        self.watch = ScoreWatch(
            endpoints=world.endpoints, family=lambda name: SimpleNamespace(family=family),
            evaluation=lambda *version: EVALUATION, s3=s3, bucket="data",
            measure=lambda drift, config: self.measured.append((config, drift)),
        )  # fmt: skip

    def captured(self, config: str, scores: list[float], variant: str = "AllTraffic") -> str:
        key = f"capture/{config}/{self.world.record.endpoint}/{variant}/2026/11/26/10/a.jsonl"
        body = "\n".join(line(str(place), str(score)) for place, score in enumerate(scores))
        self.s3.put_object(Bucket="data", Key=key, Body=body.encode())
        return key


@pytest.fixture
def measuring(world: Any, s3: Any) -> Measuring:
    world.serving = Serving.model_validate(WATCHED)
    world.release("1.2.0")
    return Measuring(world, s3)


def test_what_answers_as_it_was_judged_does_not_drift_and_what_does_not_does(measuring: Measuring) -> None:
    config = measuring.world.record.live.config
    alike = [0.1] * 105 + [0.3] * 30 + [0.6] * 12 + [0.9] * 3
    [drift] = measuring.watch.heard([measuring.captured(config, alike)]).drifts.values()
    assert drift < 0.01
    key = measuring.captured(config, [0.9] * 150)
    [drift] = measuring.watch.heard([key, key]).drifts.values()
    assert drift > 1 and measuring.measured[-1] == (config, drift) and len(measuring.measured) == 2


def test_too_few_answers_other_variants_and_other_configurations_say_nothing(measuring: Measuring) -> None:
    config = measuring.world.record.live.config
    keys = [measuring.captured(config, [0.9] * 99), measuring.captured(config, [0.9] * 190, "Challenger")]
    keys.append(measuring.captured("another", [0.9] * 190))
    assert measuring.watch.heard(keys) == Heard({}, {})


def test_the_version_that_is_being_deployed_is_measured_by_its_own_configuration(measuring: Measuring) -> None:
    world = measuring.world
    world.take("1.3.0")
    world.deploy("1.3.0")
    config = world.target("1.3.0").config_name
    assert set(measuring.watch.heard([measuring.captured(config, [0.9] * 150)]).drifts) == {config}
    [alarm] = [one for one in world.cloudwatch.alarms.values() if one["MetricName"] == "ServedScoreDrift"][-1:]
    assert {"Name": "endpoint_config", "Value": config} in alarm["Dimensions"]
    watched = world.sagemaker.endpoints[world.record.endpoint]["_request"]["DeploymentConfig"]
    names = [one["AlarmName"] for one in watched["AutoRollbackConfiguration"]["Alarms"]]
    assert alarm["AlarmName"] in names


def test_a_version_that_was_tried_first_is_measured_while_it_is_deployed_and_not_while_it_is_tried(
    measuring: Measuring,
) -> None:
    world = measuring.world
    world.serving = Serving.model_validate({**WATCHED, "shadow": {}})
    world.take("1.3.0")
    target = world.target("1.3.0")
    world.deployer.begin_trial(target, "run-1.3.0", "arn-1.3.0", "try-1.3.0")
    assert world.record.trial
    tried = measuring.captured(world.record.trial.config, [0.9] * 150)
    assert measuring.watch.heard([tried]) == Heard({}, {})
    world.settle()
    world.deploy("1.3.0")
    deployed = measuring.captured(target.config_name, [0.9] * 150)
    assert set(measuring.watch.heard([tried, deployed]).drifts) == {target.config_name}


def test_answers_of_an_earlier_deployment_of_the_same_configuration_do_not_count(measuring: Measuring) -> None:
    world = measuring.world
    config = world.record.live.config
    before = measuring.captured(config, [0.9] * 150)
    assert set(measuring.watch.heard([before]).drifts) == {config}
    world.release("1.3.0")
    world.clock = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
    world.take("1.2.0")
    world.deploy("1.2.0")
    assert world.record.awaited and world.record.awaited.config == config
    assert measuring.watch.heard([before]) == Heard({}, {}), "while it is deployed"
    world.settle()
    world.finisher.released(world.plan("1.2.0"), world.target("1.2.0"), "arn-1.2.0", {})
    assert world.record.live.config == config
    assert measuring.watch.heard([before]) == Heard({}, {}), "when it is live"


def test_what_cannot_be_read_of_one_endpoint_keeps_no_other_from_being_measured(measuring: Measuring) -> None:
    live = measuring.world.record.live
    other = Endpoint(endpoint="a", family="packaging", model="bag", live=live.model_copy(update={"config": "a-1"}))
    measuring.world.endpoints.change(other, lambda before: before)
    watch = replace(measuring.watch, family=lambda name: SimpleNamespace(family=SimpleNamespace(models={
        "box": SimpleNamespace(serving=Serving.model_validate(WATCHED)),
        "bag": SimpleNamespace(serving=Serving.model_validate(WATCHED)),
    })), evaluation=_only_of_box)  # fmt: skip
    good, broken, foreign = (
        measuring.captured(live.config, [0.9] * 150),
        "capture/a-1/a/AllTraffic/x",
        "capture/note.txt",
    )
    heard = watch.heard([foreign, broken, good])
    assert set(heard.drifts) == {live.config}
    assert {key: type(error) for key, error in heard.failed.items()} == {
        foreign: ForeignCapture,
        broken: EvaluationError,
    }


def _only_of_box(family: str, model: str, version: str) -> Evaluation:
    if model != "box":
        raise EvaluationError("evaluation.json: does not exist")
    return EVALUATION


def test_the_alarm_of_a_version_goes_with_it_and_that_of_a_limit_with_the_limit(measuring: Measuring) -> None:
    world = measuring.world

    def scores() -> list[str]:
        return [name for name in world.cloudwatch.alarms if "score-drift" in name]

    [before] = scores()
    world.release("1.3.0")
    [after] = scores()
    assert after != before
    world.serving = Serving(rollback={"max_error_percent": None})
    world.release("1.4.0")
    assert world.cloudwatch.alarms == {} and world.record.alarms == []


def test_a_family_says_what_is_captured_where_scores_are_watched() -> None:
    with pytest.raises(ValueError, match=r"capture_percent: is 0, and rollback\.max_score_drift"):
        Serving.model_validate({"rollback": {"max_score_drift": 0.25}})


def test_a_key_that_no_endpoint_wrote_is_told() -> None:
    assert place_of("capture/c/e/AllTraffic/2026/x.jsonl") == ("c", "e", "AllTraffic")
    with pytest.raises(ForeignCapture, match="put it elsewhere"):
        place_of("capture/note.txt")
