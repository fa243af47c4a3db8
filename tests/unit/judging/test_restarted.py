"""A run that goes on from another: what was decided and registered stays, unless the gate has changed."""

from boxcar.jobs.names import job_id
from boxcar.plans import Gate, Plan, plan_key
from tests.unit.judging.conftest import BUCKET, JOBS, MODEL, Stack, model_plan


def _restart(stack: Stack, run: str, of: str, gate: Gate | None = None) -> None:
    """A run whose steps were all taken from another."""
    s3, dynamodb = stack.world["s3"], stack.world["dynamodb"]
    earlier = Plan.model_validate_json(s3.get_object(Bucket=BUCKET, Key=plan_key(of))["Body"].read())
    models = {MODEL: earlier.models[MODEL].model_copy(update={"gate": gate or earlier.models[MODEL].gate})}
    again = earlier.model_copy(update={"run": run, "restart_of": [of], "models": models})
    s3.put_object(Bucket=BUCKET, Key=plan_key(run), Body=again.model_dump_json().encode())
    for step in ("train", "evaluate"):
        key = {"pk": {"S": f"job#{job_id('boxcar', of, MODEL, step)}"}}
        item = dynamodb.get_item(TableName=JOBS, Key=key, ConsistentRead=True)["Item"]
        item = {**item, "pk": {"S": f"job#{job_id('boxcar', run, MODEL, step)}"}, "run": {"S": run}}
        dynamodb.put_item(TableName=JOBS, Item=item)


def test_a_candidate_that_was_approved_keeps_verdict_and_number(memory: Stack) -> None:
    first = memory.judged("run-1", score=0.9)
    said = memory.compare("run-1")
    _restart(memory, "run-2", "run-1")
    assert memory.compare("run-2") == said, "it is not weighed against itself"
    assert memory.register("run-2") == first
    assert [version["version"] for version in memory.table.history(memory.family, MODEL)] == [first.version]


def test_a_registration_that_was_killed_is_finished_under_its_number(memory: Stack) -> None:
    memory.trained("run-1", score=0.9)
    memory.compare("run-1")
    memory.table.reserve(memory.family, MODEL, "run-1", "i" * 16, "c" * 16)
    _restart(memory, "run-2", "run-1")
    memory.compare("run-2")
    assert memory.register("run-2").version == "1.0.0"
    assert memory.register("run-1").version == "1.0.0"


def test_another_gate_decides_anew(memory: Stack) -> None:
    memory.trained("run-1", model_plan(gate=Gate(min_score=0.95)), score=0.9)
    assert memory.compare("run-1").outcome == "reject"
    rejected = memory.register("run-1")
    _restart(memory, "run-2", "run-1", Gate(min_score=0.8))
    assert memory.compare("run-2").outcome == "approve"
    assert memory.register("run-2").version != rejected.version
