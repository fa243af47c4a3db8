"""Register: the same end, however often it is called, wherever it dies, and whoever registers beside it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from boxcar.errors import StepError, Throttled
from boxcar.jobs.names import job_id
from boxcar.plans import Gate
from boxcar.registry.decisions import Decision, Decisions
from boxcar.registry.differences import differences
from boxcar.registry.packages import Packages
from boxcar.verdicts import Verdict
from boxcar.versions import Version
from tests.unit.judging.conftest import BUCKET, MODEL, MODELS, Stack, model_plan
from tests.unit.judging.mortal import KilledError, Mortal, mortal


def agreed(stack: Stack) -> None:
    assert differences(stack.family, MODEL, stack.table, stack.packages, stack.clients["s3"]) == []


def state(stack: Stack) -> dict[str, Any]:
    packages = [
        stack.packages.describe(p["ModelPackageArn"])
        for p in stack.packages.packages(stack.packages.group_name(stack.family, MODEL))
    ]
    objects = stack.world["s3"].list_objects_v2(Bucket=BUCKET, Prefix="models/").get("Contents", [])
    return {
        "versions": stack.table.history(stack.family, MODEL),
        "latest": stack.table.latest(stack.family, MODEL),
        "approved": stack.table.approved(stack.family, MODEL),
        "packages": [(p["CustomerMetadataProperties"], p["ModelApprovalStatus"]) for p in packages],
        "objects": sorted(thing["Key"] for thing in objects),
    }


def test_a_first_version_is_registered_everywhere(stack):
    registered = stack.judged("run-1")
    assert (registered.version, registered.status) == ("1.0.0", "Approved")
    package = stack.packages.describe(registered.package_arn)
    assert package["ModelPackageGroupName"] == "boxcar-packaging-mailer"
    assert package["ModelApprovalStatus"] == "Approved"
    assert package["CustomerMetadataProperties"]["run"] == "run-1"
    container = package["InferenceSpecification"]["Containers"][0]
    assert container["ModelDataUrl"] == f"s3://{BUCKET}/models/packaging/mailer/1.0.0/model.tar.gz"
    assert container["Environment"]["SAGEMAKER_PROGRAM"] == "serve.py"
    assert package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"].endswith("/mailer/1.0.0/evaluation.json")
    assert stack.artifact("1.0.0") == b"artifact of run-1"
    item = stack.table.version(stack.family, MODEL, Version(1, 0, 0))
    assert item["metrics"]["roc_auc"] == 0.9
    assert item["config"]["parameters"] == {"rounds": 200, "learning_rate": 0.15, "balanced": False}
    assert item["labels"] == {"0": 750, "1": 250} and item["rows"] == {"train": 800, "validation": 200}
    assert item["verdict"]["outcome"] == "approve"
    approved = stack.table.approved(stack.family, MODEL)
    evaluation = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    assert approved["outputs"] == {"model": container["ModelDataUrl"], "evaluation": evaluation}
    assert approved["package_arn"] == registered.package_arn and approved["run"] == "run-1"
    agreed(stack)


def test_a_rejected_candidate_leaves_the_approved_one_in_place(memory):
    stack = memory
    first = stack.judged("run-1", score=0.9)
    second = stack.judged("run-2", score=0.7)
    assert (second.version, second.status) == ("1.0.1", "Rejected")
    assert stack.table.approved(stack.family, MODEL)["version"] == first.version
    assert stack.table.latest(stack.family, MODEL)["version"] == "1.0.1"
    third = stack.judged("run-3", score=0.91)
    assert (third.version, third.status) == ("1.0.2", "Approved"), "numbers go on from the rejected version"
    assert stack.table.version(stack.family, MODEL, Version(1, 0, 2))["verdict"]["compared_with"] == "1.0.0"
    agreed(stack)


def test_a_candidate_to_review_waits_and_the_approved_one_stays(stack):
    stack.judged("run-1")
    unsure = model_plan(gate=Gate(max_calibration_error=0.05))  # which the evaluation does not tell
    second = stack.judged("run-2", unsure)
    assert (second.version, second.status) == ("1.0.1", "PendingManualApproval")
    assert stack.table.approved(stack.family, MODEL)["version"] == "1.0.0"
    assert stack.table.latest(stack.family, MODEL)["status"] == "PendingManualApproval"
    package = stack.packages.describe(second.package_arn)
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert package["CustomerMetadataProperties"]["verdict"] == "review"
    assert stack.register("run-2") == second
    agreed(stack)


def test_the_verdict_lies_beside_its_version_and_the_registry_knows_where(stack):
    stack.judged("run-1")
    second = stack.judged("run-2", score=0.91)
    item = stack.table.version(stack.family, MODEL, Version(1, 0, 1))
    assert item["verdict_document"] == f"s3://{BUCKET}/models/packaging/mailer/1.0.1/verdict.json"
    known = stack.packages.describe(second.package_arn)["CustomerMetadataProperties"]
    assert known["verdict_document"] == item["verdict_document"] and known["compared_with"] == "1.0.0"
    assert (known["roc_auc"], known["roc_auc_before"]) == ("0.910000", "0.900000")
    body = stack.world["s3"].get_object(Bucket=BUCKET, Key="models/packaging/mailer/1.0.1/verdict.json")["Body"].read()
    assert Verdict.model_validate_json(body) == Verdict.model_validate(item["verdict"])


def test_a_comparison_with_what_is_no_longer_approved_is_none(memory):
    stack = memory
    stack.judged("run-1", score=0.9)
    stack.trained("run-2", score=0.7, comparison={"scores": {"roc_auc": 0.7}, "drops": {"roc_auc": {"drop": 0.0}}})
    read = "s3://b/models/packaging/mailer/0.9.0/model.tar.gz"
    stack.read_by_evaluate("run-2", read)
    verdict = stack.compare("run-2")
    assert verdict.outcome == "reject" and verdict.score_before == 0.9
    assert f"evaluate compared with {read}, but version 1.0.0 has been approved since" in verdict.reasons[0]


def test_a_comparison_with_the_approved_version_is_taken(memory):
    stack = memory
    stack.judged("run-1", score=0.9)
    stack.trained("run-2", score=0.7, comparison={"scores": {"roc_auc": 0.7}, "drops": {"roc_auc": {"drop": 0.0}}})
    stack.read_by_evaluate("run-2", stack.table.approved(stack.family, MODEL)["outputs"]["model"])
    verdict = stack.compare("run-2")
    assert verdict.outcome == "approve" and (verdict.score_before, verdict.score_before_recorded) == (0.7, 0.9)


def test_numbers_say_what_changed(memory):
    stack = memory
    stack.judged("run-1")
    assert stack.judged("run-2", model_plan(code="d" * 16)).version == "1.1.0"
    assert stack.judged("run-3", model_plan(code="d" * 16)).version == "1.1.1"
    assert stack.judged("run-4", model_plan(interface="j" * 16)).version == "2.0.0"
    assert [item["change"] for item in stack.table.history(stack.family, MODEL)] == ["first", "minor", "patch", "major"]


def test_registering_again_changes_nothing(stack):
    first = stack.judged("run-1")
    before = state(stack)
    assert stack.register("run-1") == first
    assert state(stack) == before


def test_registering_again_does_not_undo_a_rollback(stack):
    stack.judged("run-1")
    stack.judged("run-2")
    rolled_back = {**stack.table.version(stack.family, MODEL, Version(1, 0, 0))}
    item = stack.table._put(stack.family, MODEL, "approved", rolled_back, "attribute_exists(pk)")["Put"]
    stack.clients["dynamodb"].put_item(**item)
    stack.register("run-2")
    assert stack.table.approved(stack.family, MODEL)["version"] == "1.0.0"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("outcome", [0.91, 0.5], ids=["approved", "rejected"])
def test_a_crash_at_any_call_and_a_repeat_end_in_the_same_state(memory, after, outcome):
    stack, call = memory, 0
    while True:
        call += 1
        stack = stack.fresh(f"family{call}")
        stack.judged(f"run-{call}-0", score=0.9)
        run = f"run-{call}"
        stack.trained(run, score=outcome)
        stack.compare(run)
        dying, countdown = mortal(stack, call, after)
        try:
            dying.register(run)
        except KilledError:
            pass
        else:
            assert countdown[0] > 0
            break  # it needs fewer calls than that
        approved = stack.table.approved(stack.family, MODEL)["version"]
        assert approved == "1.0.0" or (after and outcome > 0.9)
        finished = stack.register(run)
        assert finished.version == "1.0.1"
        whole = state(stack)
        assert stack.register(run) == finished
        assert state(stack) == whole
        assert [item["version"] for item in whole["versions"]] == ["1.0.0", "1.0.1"]
        assert len(whole["packages"]) == 2, "one package for a run, even when its ARN was lost with the answer"
        assert whole["approved"]["version"] == ("1.0.1" if outcome > 0.9 else "1.0.0")
        agreed(stack)
    assert call > 8, "every call of Register was killed once"


def test_what_a_crash_leaves_behind_is_named(stack):
    stack.judged("run-1")
    stack.trained("run-2")
    stack.compare("run-2")
    dying = stack.with_clients(dynamodb=Mortal(stack.world["dynamodb"], [99], False))
    write = dying.clients["dynamodb"]
    calls = {"n": 0}

    def transact(**request: Any) -> Any:
        calls["n"] += 1
        if calls["n"] == 2:  # the reservation got through, the commit does not
            raise KilledError("transact_write_items")
        return stack.clients["dynamodb"].transact_write_items(**request)

    write.transact_write_items = transact
    with pytest.raises(KilledError):
        dying.register("run-2")
    (difference,) = differences(stack.family, MODEL, stack.table, stack.packages, stack.clients["s3"])
    assert "1.0.1" in difference and "not in the models table" in difference
    assert stack.table.approved(stack.family, MODEL)["version"] == "1.0.0"


class Interrupted:
    """A client in whose n-th call somebody else does something first."""

    def __init__(self, client: Any, countdown: list[int], interruption: Callable[[], None]) -> None:
        self._client, self._countdown, self._interruption = client, countdown, interruption
        self.exceptions = client.exceptions

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            self._countdown[0] -= 1
            if self._countdown[0] == 0:
                self._interruption()
            return call(*args, **kwargs)

        return counted


def test_two_runs_that_register_at_once_get_different_versions(memory):
    stack, call = memory, 0
    while True:
        call += 1
        stack = stack.fresh(f"family{call}")
        stack.judged(f"run-{call}-zero")
        one, other = f"run-{call}-one", f"run-{call}-other"
        for run in (one, other):
            stack.trained(run)
            stack.compare(run)
        got: dict[str, str] = {}
        countdown = [call]

        def register_other(got: dict[str, str] = got, other: str = other, stack: Stack = stack) -> None:
            got[other] = stack.register(other).version

        clients = {name: Interrupted(client, countdown, register_other) for name, client in stack.clients.items()}
        seen = stack.with_clients(**clients)
        try:
            got[one] = seen.register(one).version
        except Throttled:  # the other has been approved: the machine tries again
            got[one] = seen.register(one).version
        if not got.get(other):
            break  # it needs fewer calls than that
        assert sorted(got.values()) == ["1.0.1", "1.0.2"]
        assert stack.table.latest(stack.family, MODEL)["version"] == "1.0.2"
        approved = stack.table.approved(stack.family, MODEL)
        assert approved["version"] == got[other], "whoever comes first predicts, and the other was not compared with it"
        newest = stack.table.version(stack.family, MODEL, Version(1, 0, 2))
        assert newest["status"] == ("Approved" if got[other] == "1.0.2" else "PendingManualApproval")
        for run, version in got.items():
            assert stack.artifact(version) == f"artifact of {run}".encode(), "nobody overwrote another's artifact"
        agreed(stack)
    assert call > 8, "every call of Register was interrupted once"


def test_a_slow_older_run_does_not_take_the_place_of_a_newer_one(memory):
    stack = memory
    stack.judged("run-0")
    for run in ("slow", "fast"):
        stack.trained(run)
        stack.compare(run)
    slow = model_plan()
    stack.table.reserve(
        stack.family, MODEL, "slow", slow.interface_digest, slow.code_digest
    )  # … and then it was killed
    assert stack.register("fast").version == "1.0.2"
    assert stack.register("slow").version == "1.0.1"
    assert stack.table.approved(stack.family, MODEL)["version"] == "1.0.2"
    assert stack.table.latest(stack.family, MODEL)["version"] == "1.0.2"
    agreed(stack)


def test_what_was_compared_with_a_version_that_is_not_the_approved_one_any_more_waits_for_a_person(memory):
    stack = memory
    stack.judged("run-0", score=0.9)
    for run, score in (("better", 0.95), ("worse", 0.89)):
        stack.trained(run, score=score)
        assert stack.compare(run).outcome == "approve"
    assert stack.register("better").status == "Approved"
    waits = stack.register("worse")
    assert (waits.version, waits.status) == ("1.0.2", "PendingManualApproval")
    assert stack.table.approved(stack.family, MODEL)["version"] == "1.0.1"
    verdict = stack.table.version(stack.family, MODEL, Version(1, 0, 2))["verdict"]
    assert verdict["outcome"] == "review"
    assert verdict["reasons"][0] == "compared with version 1.0.0, but 1.0.1 is the approved version by now"
    assert stack.register("worse") == waits
    agreed(stack)


def test_a_rollback_between_compare_and_register_leaves_the_candidate_to_a_person(memory):
    stack = memory
    stack.judged("run-0")
    stack.judged("run-1")
    stack.trained("run-2")
    stack.compare("run-2")
    back = Decision(outcome="approved", by="ann", identity="ann", why="returns went up", at="2026-01-05T05:00:00+00:00")
    Decisions(stack.table, stack.packages).roll_back(stack.family, MODEL, Version(1, 0, 0), back)
    assert stack.register("run-2").status == "PendingManualApproval"
    assert stack.table.approved(stack.family, MODEL)["version"] == "1.0.0"
    agreed(stack)


class Refusing:
    """A registry that refuses one action."""

    def __init__(self, client: Any, action: str, code: str, message: str) -> None:
        self._client, self._action, self._code, self._message = client, action, code, message

    def __getattr__(self, name: str) -> Any:
        if name == self._action:
            raise ClientError({"Error": {"Code": self._code, "Message": self._message}}, name)
        return getattr(self._client, name)


@pytest.mark.parametrize("action", ["create_model_package_group", "create_model_package"])
def test_a_registry_that_refuses_leaves_nothing_half_registered(memory, action):
    stack = memory
    stack.trained("run-1")
    stack.compare("run-1")
    refusing = Refusing(stack.clients["sagemaker"], action, "AccessDeniedException", "not authorized")
    with pytest.raises(ClientError, match="AccessDenied"):
        stack.with_clients(sagemaker=refusing).register("run-1")
    assert stack.table.latest(stack.family, MODEL) is None and stack.table.approved(stack.family, MODEL) is None
    assert stack.register("run-1").version == "1.0.0"
    agreed(stack)


def test_an_artifact_that_is_gone_is_named(stack):
    stack.trained("run-1")
    stack.compare("run-1")
    stack.world["s3"].delete_object(Bucket=BUCKET, Key=f"runs/run-1/{MODEL}/train/1/boxcar-x/output/model.tar.gz")
    with pytest.raises(StepError, match=r"train/1/boxcar-x/output/model\.tar\.gz: does not exist"):
        stack.register("run-1")
    assert stack.table.latest(stack.family, MODEL) is None


def test_every_disagreement_is_found(stack):
    stack.judged("run-1")
    second = stack.judged("run-2")
    describe = stack.world["sagemaker"].describe_model_package

    def changed_by_hand(**request: Any) -> Any:
        return {
            **describe(**request),
            **({"ModelApprovalStatus": "Rejected"} if second.package_arn in request.values() else {}),
        }

    stack.clients["sagemaker"] = Mortal(stack.world["sagemaker"], [0], False)
    stack.clients["sagemaker"].describe_model_package = changed_by_hand
    stack.world["s3"].delete_object(Bucket=BUCKET, Key="models/packaging/mailer/1.0.0/model.tar.gz")
    stack.clients["dynamodb"].delete_item(
        TableName=MODELS, Key={"pk": {"S": "model#packaging/mailer"}, "sk": {"S": "approved"}}
    )
    found = differences(stack.family, MODEL, stack.table, stack.packages, stack.clients["s3"])
    assert len(found) == 3
    assert any("status is 'Approved' in the models table and 'Rejected' in the registry" in line for line in found)
    assert any("artifact" in line and "is gone" in line for line in found)
    assert any("approved names nothing" in line for line in found)


def test_group_names_are_what_sagemaker_allows():
    packages = Packages(None, "boxcar")
    assert packages.group_name("packaging", "own_container") == "boxcar-packaging-own-container"
    long_one, other = packages.group_name("f" * 31, "m" * 31), packages.group_name("f" * 31, "m" * 30 + "n")
    assert len(long_one) <= 63 and long_one != other and long_one.startswith("boxcar-")


def test_compare_says_the_same_again_even_after_registering(stack):
    stack.judged("run-1", score=0.9)
    stack.trained("run-2", score=0.89)
    first = stack.compare("run-2")
    stack.register("run-2")
    assert stack.compare("run-2") == first
    stored = json.loads(
        stack.world["s3"].get_object(Bucket=BUCKET, Key=f"runs/run-2/{MODEL}/verdict.json")["Body"].read()
    )
    assert stored["outcome"] == "approve" and stored["compared_with"] == "1.0.0"


def test_compare_before_the_step_has_ended_names_the_job(stack):
    stack.trained("run-1")
    stack.clients["dynamodb"].delete_item(
        TableName="boxcar-jobs",
        Key={"pk": {"S": f"job#{job_id('boxcar', 'run-1', MODEL, 'evaluate')}"}},
    )
    with pytest.raises(StepError, match=r"outputs\.evaluation is missing \(status missing\); step evaluate"):
        stack.compare("run-1")


def test_a_model_that_the_run_does_not_train_is_named(stack):
    stack.trained("run-1")
    with pytest.raises(StepError, match="does not train 'bag'; it trains mailer"):
        stack.outputs("run-1").model_plan("bag")
