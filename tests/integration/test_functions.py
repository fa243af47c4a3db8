"""Functions as the embedded cloud runs them: what they see, how they fail, how they are kept."""

import concurrent.futures

import pytest

from tests.integration.conftest import Deployed


def test_a_function_sees_boto3_its_layers_and_nothing_of_the_server(deployed: Deployed) -> None:
    names = ["boto3", "botocore", "ministack", "hypercorn", "pydantic", "local", "yaml"]
    seen = deployed.call(do="look", modules=names)["payload"]
    assert seen["modules"] == ["boto3", "botocore"]
    assert seen["shared"] == "the layer"
    assert "AUTH" not in seen["environment"]
    assert "PERSIST_STATE" not in seen["environment"]
    assert 5000 < seen["remaining"] <= 10000


def test_an_error_keeps_its_name_its_words_and_its_process(deployed: Deployed) -> None:
    before = deployed.call(do="look", modules=[])["payload"]["pid"]
    told = deployed.call(do="raise", text="größe")
    assert told["error"] == "OwnError"
    assert told["payload"]["errorMessage"] == "größe"
    assert 'raise OwnError(event.get("text"' in told["payload"]["stackTrace"][-1]
    assert deployed.call(do="look", modules=[])["payload"]["pid"] == before


@pytest.mark.parametrize(
    ("event", "kind", "words"),
    [
        ({"do": "exit"}, "Runtime.ExitError", "Runtime exited"),
        ({"do": "odd"}, "Runtime.MarshalError", "set is not JSON serializable"),
        ({"do": "forbidden"}, "AccessDenied", "is not authorized to perform: s3:ListAllMyBuckets because"),
    ],
)
def test_a_failure_is_told_as_aws_tells_it(deployed: Deployed, event: dict, kind: str, words: str) -> None:
    told = deployed.call(**event)
    assert told["error"] == kind
    assert words in told["payload"]["errorMessage"]
    assert deployed.call(do="nothing")["error"] is None  # the next call is served


def test_a_timeout_is_told_as_aws_tells_it(deployed: Deployed) -> None:
    functions, name = deployed.cloud.client("lambda"), deployed.outputs["Worker"]
    functions.update_function_configuration(FunctionName=name, Timeout=1)
    try:
        told = deployed.call(do="sleep", seconds=2)
    finally:
        functions.update_function_configuration(FunctionName=name, Timeout=10)
    assert told["error"] == "Sandbox.Timedout"
    assert "timed out after 1.00 seconds" in told["payload"]["errorMessage"]
    assert deployed.call(do="nothing")["error"] is None  # the next call is served


def test_what_a_function_prints_is_its_log_and_not_its_answer(deployed: Deployed) -> None:
    assert deployed.call(do="print", text="a line of its own")["payload"] == "printed"
    logs = deployed.cloud.client("logs")
    events = logs.filter_log_events(logGroupName=f"/aws/lambda/{deployed.outputs['Worker']}")["events"]
    messages = [event["message"] for event in events]
    assert "a line of its own" in messages
    assert "below: a line of its own" in messages


def test_an_error_is_one_line_in_the_servers_log(deployed: Deployed) -> None:
    deployed.call(do="raise", text="find me in the log")
    lines = (deployed.cloud.state / "server.log").read_text().splitlines()
    [line] = [line for line in lines if "find me in the log" in line]
    assert f"function {deployed.outputs['Worker']} failed: OwnError" in line


def test_calls_at_once_take_processes_of_their_own_up_to_the_cap(deployed: Deployed) -> None:
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: deployed.call(do="sleep", seconds=0.2), range(24)))
    pids = {answer["payload"]["pid"] for answer in answers}
    assert 2 <= len(pids) <= 16


def test_invocations_and_calls_are_counted(deployed: Deployed) -> None:
    cloud = deployed.cloud
    cloud.forget_calls()
    deployed.call(do="put", pk="counted")
    deployed.call(do="raise")
    told = cloud.calls()
    row = told["functions"][deployed.outputs["Worker"]]
    assert (row["invocations"], row["errors"]) == (2, 1)
    puts = [call for call in told["calls"] if call["action"] == "PutItem"]
    assert [(call["service"], call["count"]) for call in puts] == [("dynamodb", 1)]
    assert puts[0]["caller"].startswith("small-WorkerRole")


def test_a_denial_names_who_what_and_on_which_resource(deployed: Deployed) -> None:
    told = deployed.call(do="get", pk="x")
    table = f"arn:aws:dynamodb:us-east-1:000000000000:table/{deployed.outputs['Table']}"
    role = "arn:aws:sts::000000000000:assumed-role/small-WorkerRole-"
    words = told["payload"]["errorMessage"]
    assert f"User: {role}" in words
    assert f"is not authorized to perform: dynamodb:GetItem on resource: {table} because no identity-based" in words
