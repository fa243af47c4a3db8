"""A new version is tried beside the one that is live: as a shadow, or on a share of the requests."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from boxcar.serving.captures import read_captures
from boxcar.serving.records import Endpoints, Trial
from boxcar.serving.targets import SHADOW, VARIANT
from local.client import wait_for
from tests.e2e.deployed import Deployed, Run
from tests.e2e.served import Served, served_by
from tests.e2e.test_reviews import command

LONG = {"hours": 1, "check_minutes": 0.04}  # looked at each 3 s


@pytest.fixture
def asking(empty_stack: Deployed) -> Iterator[Any]:
    """Ask an endpoint until told otherwise: a score a request."""
    return Asking(empty_stack)


class Asking:
    def __init__(self, stack: Deployed) -> None:
        self._runtime = stack.session.client("sagemaker-runtime")

    def __call__(self, served: Served, numbers: range) -> dict[str, str]:
        """Ask once a number; which variant answered each."""
        return {
            f"request-{number}": self._runtime.invoke_endpoint(
                EndpointName=served.name, Body=f"{number},1\n".encode(), ContentType="text/csv",
                InferenceId=f"request-{number}",
            )["InvokedProductionVariant"]
            for number in numbers
        }  # fmt: skip


def tried(served: Served, version: str) -> str:
    """Begin a release that tries a version, and wait until it answers."""
    run = served.start(version)
    wait_for(lambda: on_trial(served), 60, why="no trial")
    return run


def on_trial(served: Served) -> bool:
    record, sagemaker = served.record(), served.stack.session.client("sagemaker")
    seen = sagemaker.describe_endpoint(EndpointName=served.name)
    return bool(
        record.trial and seen["EndpointStatus"] == "InService" and seen["EndpointConfigName"] == record.trial.config
    )


def let_the_hour_pass(served: Served, answers: int) -> None:
    """As soon as so many answers of both versions are captured."""
    trial, s3 = served.record().trial, served.stack.session.client("s3")
    assert trial

    def captured() -> bool:
        both = [read_captures(s3, served.stack.bucket, trial.config, served.name, v) for v in (VARIANT, SHADOW)]
        return all(len(each.records) >= answers for each in both)

    wait_for(captured, 60, why="nothing is captured")
    served.stack.cloud.tick()
    table = served.stack.session.outputs["ModelsTableName"]
    Endpoints(served.stack.session.client("dynamodb"), table).change(
        served.record(), lambda before: before.model_copy(update={"trial": _an_hour_ago(before.trial)})
    )


def _an_hour_ago(trial: Trial | None) -> Trial | None:
    return trial.model_copy(update={"since": trial.since - 3600}) if trial else None


def ended(served: Served, run: str) -> Run:
    """Let minutes end, so that what CloudWatch measured is there, until the release has ended."""
    return served.until_ended(run, served.stack.cloud.tick, 240)


def report_of(served: Served, run: str) -> dict[str, Any]:
    body = served.stack.session.client("s3").get_object(Bucket=served.stack.bucket, Key=f"reports/{run}/report.json")
    report: dict[str, Any] = json.loads(body["Body"].read())
    return report


def test_a_shadow_that_agrees_is_released_and_one_that_does_not_is_removed(
    empty_stack: Deployed, asking: Asking
) -> None:
    served = served_by(empty_stack, smoke={}, shadow={**LONG, "minimum": 5, "max_latency_ratio": None})
    served.version("1.0.0", MESSAGE="0.25")
    served.release()  # nothing is live that it could be compared with

    run = tried(served, served.version("1.0.1", MESSAGE="0.26"))
    assert "1.0.1" in command(served.stack, "endpoints", "show", f"{served.family}/mailer")
    assert set(asking(served, range(20)).values()) == {"AllTraffic"}
    assert served.answer() == "0.25", "nobody sees the shadow's answers"
    let_the_hour_pass(served, 20)
    assert ended(served, run).status == "SUCCEEDED"
    assert served.answer() == "0.26"
    report = report_of(served, run)
    assert report["status"] == "promote" and report["answers"]["pairs"] == report["answers"]["equal"] >= 20, report
    assert report["traffic"]["tried"]["requests"] >= 20 and report["traffic"]["tried"]["failed"] == 0
    told = wait_for(lambda: served.stack.mails(run, "release"), why="nobody was told")
    assert f"reports/{run}/index.html" in told[0].text
    before = served.things()
    assert len(before["configs"]) == len(before["models"]) == 1 and served.record().trial is None

    run = tried(served, served.version("1.0.2", MESSAGE="0.9"))
    asking(served, range(20))
    let_the_hour_pass(served, 20)
    lost = ended(served, run)
    assert lost.error == "TrialLost" and "scores have shifted" in lost.cause, lost
    assert served.answer() == "0.26"
    wait_for(lambda: served.things() == before, why="something is left")
    [mail] = wait_for(lambda: served.stack.mails(run), why="nobody was told")
    assert mail.to.startswith("science") and f"reports/{run}/index.html" in mail.text


def test_of_two_versions_the_better_one_serves(empty_stack: Deployed, asking: Asking) -> None:
    split = {**LONG, "percent": 50, "minimum": 20, "metric": "outcome"}
    served = served_by(empty_stack, smoke={}, split=split)
    served.version("1.0.0", MESSAGE="0.25")
    served.release()
    number = 0
    for version, gain, error in (("1.0.1", 1, ""), ("1.0.2", 0, "TrialLost")):
        run = tried(served, served.version(version))
        answered = asking(served, range(number, number + 120))
        number += 120
        challenged = [identifier for identifier, variant in answered.items() if variant == "Challenger"]
        assert 20 < len(challenged) < 100
        # the better version sells each time, the other every fifth time
        lines = [
            json.dumps({"inference_id": one, "outcome": int((one in challenged) == bool(gain) or one.endswith("3"))})
            for one in answered
        ]
        served.stack.session.client("s3").put_object(
            Bucket=served.stack.bucket, Key=f"outcomes/{served.name}/{version}.jsonl", Body="\n".join(lines).encode()
        )
        assert ended(served, run).error == error
        assert served.answer() == "hello from 1.0.1"
        wait_for(lambda: len(served.things()["configs"]) == 1, why="something is left")


def test_a_version_that_errs_is_taken_back_at_once(empty_stack: Deployed, asking: Asking) -> None:
    served = served_by(empty_stack, smoke={}, split={**LONG, "percent": 50}, rollback={"max_error_percent": None})
    served.version("1.0.0")
    served.release()
    before = served.things()
    run = tried(served, served.version("1.0.1", OUTCOME="AlgorithmError"))
    runtime = served.stack.session.client("sagemaker-runtime")
    for _ in range(20):
        try:
            runtime.invoke_endpoint(EndpointName=served.name, Body=b"1", TargetVariant="Challenger")
        except runtime.exceptions.ModelError:
            continue
    lost = ended(served, run)
    assert lost.error == "TrialLost" and "requests failed, more than 1 %" in lost.cause, lost
    wait_for(lambda: served.things() == before, why="something is left")


def test_scores_that_are_not_those_that_were_judged_give_the_requests_back(
    empty_stack: Deployed, asking: Asking
) -> None:
    """Every request is answered well, and quickly."""
    watched = {"max_error_percent": None, "max_score_drift": 0.25, "min_scores": 100}
    served = served_by(empty_stack, smoke={}, capture_percent=100, canary={"wait_s": 300}, rollback=watched)
    judged = [900, 100, 0, 0, 0, 0, 0, 0, 0, 0]
    served.version("1.0.0", MESSAGE="0.05", scores=judged)
    served.release()
    before = served.things()
    run = served.start(served.version("1.0.1", MESSAGE="0.95", scores=judged))

    def ask_for_a_minute() -> None:
        asking(served, range(30))
        served.stack.cloud.tick()

    ended = served.until_ended(run, ask_for_a_minute)
    assert ended.error == "RolledBack" and "score-drift" in ended.cause, ended
    assert served.answer() == "0.05"
    wait_for(lambda: served.things() == before, why="something is left")


def test_a_version_that_is_taken_back_while_it_is_tried_answers_nobody_any_more(empty_stack: Deployed) -> None:
    served = served_by(empty_stack, smoke={}, split={"percent": 50})  # looked at once an hour
    served.version("1.0.0")
    served.release()
    before = served.things()
    run = tried(served, served.version("1.0.1"))
    back = command(served.stack, "models", "rollback", f"{served.family}/mailer", "--why", "trained on old prices")
    assert "1.0.0" in back
    following = served.start()  # its turn comes when the trial is over, which is looked at for its sake
    gone = served.stack.wait(run)
    assert gone.error == "VersionNotApproved" and "1.0.1 was rejected while it was tried" in gone.cause, gone
    assert served.stack.wait(following).output["version"] == "1.0.0"
    wait_for(lambda: served.things() == before, why="something is left")


def test_a_person_ends_a_trial_and_a_stopped_release_leaves_nothing(empty_stack: Deployed) -> None:
    served = served_by(empty_stack, smoke={}, shadow={})  # looked at once an hour
    served.version("1.0.0")
    served.release()
    before = served.things()
    run = tried(served, served.version("1.0.1"))
    served.stack.session.client("stepfunctions").stop_execution(executionArn=served.stack.execution_arn(run))
    wait_for(lambda: served.things() == before, 60, why="something is left")
    assert served.record().trial is None

    run = tried(served, served.version("1.0.2"))
    assert "takes the place" in command(served.stack, "endpoints", "end-trial", f"{served.family}/mailer", "--promote")
    assert served.stack.wait(run).status == "SUCCEEDED"
    assert served.answer() == "hello from 1.0.2"
    assert "no version is tried" in command(served.stack, "endpoints", "end-trial", f"{served.family}/mailer", "--back")
