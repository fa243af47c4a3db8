"""What a version was made of is recorded when it is registered, while the files of its run are there."""

import hashlib
import re

from boxcar.content import content_digest
from boxcar.jobs.names import job_id
from boxcar.plans import Plan, plan_key
from boxcar.registry.origins import version_at
from boxcar.registry.table import ModelsTable
from boxcar.steps import Step
from boxcar.versions import Version
from tests.unit.judging.conftest import BUCKET, CODE, FAMILY, IMAGE, JOBS, MODEL, STACK, Stack, model_plan

QUERY = "SELECT product_id, is_mailer FROM package_tests"


def unloaded(stack: Stack, run: str, rows: bytes = b"rows", used: tuple[str, ...] = ("box",)) -> str:
    """Give a run an unload, and its first step the models that it uses, each in version 1.2.0."""
    s3, dynamodb = stack.world["s3"], stack.world["dynamodb"]
    plan = Plan.model_validate_json(s3.get_object(Bucket=BUCKET, Key=plan_key(run))["Body"].read())
    step = Step(name="unload", kind="statement", outputs=["data"], options={"unload": {"query": QUERY}})
    body = plan.model_copy(update={"steps": [step], "source": f"s3://{BUCKET}/triggers/training/p.json"})
    s3.put_object(Bucket=BUCKET, Key=plan_key(run), Body=body.model_dump_json().encode())
    address = f"s3://{BUCKET}/runs/{run}/_run/unload/1/data/"
    s3.put_object(Bucket=BUCKET, Key=f"runs/{run}/_run/unload/1/data/0000.parquet", Body=rows)
    upstream = {f"upstream_{model}": f"s3://{BUCKET}/models/{FAMILY}/{model}/1.2.0/model.tar.gz" for model in used}
    for model, name, field, values in (
        ("", "unload", "outputs", {"data": address}),
        (MODEL, "prepare", "inputs", {"data": address, **upstream}),
    ):
        item = {"pk": {"S": f"job#{job_id(STACK, run, model, name)}"}, "status": {"S": "Completed"}}
        item[field] = {"M": {key: {"S": value} for key, value in values.items()}}
        dynamodb.put_item(TableName=JOBS, Item=item)
    return address


def version(stack: Stack, number: str) -> dict:
    item = ModelsTable(stack.world["dynamodb"], "boxcar-models").version(FAMILY, MODEL, Version.parse(number))
    assert item is not None
    return item


def test_a_version_knows_its_rows_its_query_its_code_and_the_versions_it_uses(stack: Stack) -> None:
    stack.trained("one")
    address = unloaded(stack, "one")
    stack.compare("one")
    registered = stack.register("one")
    origin = version(stack, "1.0.0")["origin"]
    content = content_digest(stack.world["s3"], address)
    assert origin["unloaded"] == {
        "query": QUERY,
        "query_digest": hashlib.sha256(QUERY.encode()).hexdigest(),
        "address": address,
        "digest": content.digest,
        "files": 1,
        "bytes": 4,
    }
    assert (origin["code"]["digest"], origin["image"], origin["upstream"]) == (CODE.digest, IMAGE, {"box": "1.2.0"})
    assert origin["source"] == f"s3://{BUCKET}/triggers/training/p.json"
    package = stack.world["sagemaker"].describe_model_package(ModelPackageName=registered.package_arn)
    metadata = package["CustomerMetadataProperties"]
    assert metadata["data_digest"] == content.digest
    assert metadata["upstream"] == "box@1.2.0"


def test_several_versions_that_are_used_fit_into_what_metadata_may_hold(stack: Stack) -> None:
    stack.trained("one")
    unloaded(stack, "one", used=("bag", "box"))
    stack.compare("one")
    arn = stack.register("one").package_arn
    metadata = stack.world["sagemaker"].describe_model_package(ModelPackageName=arn)["CustomerMetadataProperties"]
    assert metadata["upstream"] == "bag@1.2.0 box@1.2.0"
    assert all(re.fullmatch(r"[\w .:/=+@-]{1,256}", value) for value in metadata.values()), "CustomerMetadataValue"


def test_other_rows_have_another_digest_and_the_same_rows_the_same(stack: Stack) -> None:
    digests = []
    for run, rows in (("one", b"rows"), ("two", b"rows"), ("three", b"more")):
        stack.trained(run)
        unloaded(stack, run, rows)
        stack.compare(run)
        number = stack.register(run).version
        digests.append(version(stack, number)["origin"]["unloaded"]["digest"])
    assert digests[0] == digests[1] != digests[2]


def test_a_run_that_unloads_nothing_says_so(stack: Stack) -> None:
    stack.judged("one", model_plan())
    assert version(stack, "1.0.0")["origin"]["unloaded"] is None


def test_a_version_is_read_off_the_address_of_its_files() -> None:
    assert version_at("s3://b/models/packaging/box/1.10.2/model.tar.gz") == "1.10.2"
    assert version_at("s3://b/runs/one/box/train/1/model.tar.gz") is None
