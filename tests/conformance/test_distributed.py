"""Distributed Map. Source: developer guide, "Map in Distributed mode", "ItemReader", "ItemBatcher", "ResultWriter"."""

import json
from typing import Any

import pytest

from tests.conformance.machinery import Case, Engine, check, machine

PROCESSOR = {
    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
    "StartAt": "Do",
    "States": {"Do": {"Type": "Pass", "End": True}},
}
READER = {
    "Resource": "arn:aws:states:::s3:getObject",
    "ReaderConfig": {"InputType": "JSONL"},
    "Arguments": {"Bucket": "b", "Key": "{% $states.input.key %}"},
}
WRITER = {"Resource": "arn:aws:states:::s3:putObject", "Arguments": {"Bucket": "b", "Prefix": "out"}}
PICKY = {
    "ProcessorConfig": PROCESSOR["ProcessorConfig"],
    "StartAt": "C",
    "States": {
        "C": {"Type": "Choice", "Choices": [{"Condition": "{% $states.input.id < 2 %}", "Next": "F"}], "Default": "S"},
        "F": {"Type": "Fail", "Error": "Bad"},
        "S": {"Type": "Succeed", "Output": "{% $states.input.id %}"},
    },
}
TEN = "\n".join(json.dumps({"id": i}) for i in range(10)).encode()


def distributed(**fields: Any) -> dict[str, Any]:
    return machine({"M": {"Type": "Map", "Label": "each", "ItemProcessor": PROCESSOR, "End": True, **fields}})


CASES = [
    Case(
        "the items of an array",
        distributed(Items=[1, 2]),
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 MapStateEntered input={} name=M
3 <2 MapStateStarted length=2
4 <3 MapRunStarted mapRunArn=<arn>:mapRun:machine/each:<uuid>
5 <4 MapRunSucceeded
6 <5 MapStateSucceeded
7 <4 MapStateExited name=M output=[1,2]
8 <7 ExecutionSucceeded output=[1,2]
""",
    ),
    Case(
        "a file that is not there",
        distributed(ItemReader=READER),
        input={"key": "none"},
        status="FAILED",
        history="""
1 <0 ExecutionStarted input={"key":"none"} roleArn=<role>
2 <0 MapStateEntered input={"key":"none"} name=M
3 <2 MapStateStarted length=0
4 <3 MapRunStarted mapRunArn=<arn>:mapRun:machine/each:<uuid>
5 <4 MapRunFailed cause=The specified key does not exist. (Service: S3, Status Code: 404, Request ID: request) error=States.ItemReaderFailed
6 <5 MapStateFailed
7 <6 ExecutionFailed cause=The specified key does not exist. (Service: S3, Status Code: 404, Request ID: request) error=States.ItemReaderFailed
""",
    ),
    Case(
        "more failures than are tolerated",
        distributed(
            Items=[{"id": 1}],
            ItemProcessor=PICKY,
            Catch=[{"ErrorEquals": ["States.ExceedToleratedFailureThreshold"], "Next": "Z"}],
        )
        | {},
        status="FAILED",
        history="""
1 <0 ExecutionStarted input={} roleArn=<role>
2 <0 MapStateEntered input={} name=M
3 <2 MapStateStarted length=1
4 <3 MapRunStarted mapRunArn=<arn>:mapRun:machine/each:<uuid>
5 <4 MapRunFailed cause=The specified tolerated failure threshold was exceeded error=States.ExceedToleratedFailureThreshold
6 <5 MapStateFailed
7 <6 MapStateExited name=M output={"Error":"States.ExceedToleratedFailureThreshold","Cause":"The specified tolerated failure threshold was exceeded"}
8 <7 FailStateEntered input={"Error":"States.ExceedToleratedFailureThreshold","Cause":"The specified tolerated failure threshold was exceeded"} name=Z
9 <8 ExecutionFailed error=Caught
""",
    ),
]
CASES[2].machine["States"]["Z"] = {"Type": "Fail", "Error": "Caught"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_history(case: Case) -> None:
    check(case)


FILES: list[tuple[str, bytes, dict[str, Any], Any]] = [
    ("a.jsonl", b'{"id":1}\n\n{"id":2}\n', {"InputType": "JSONL"}, [{"id": 1}, {"id": 2}]),
    ("a.json", b'[1, {"x": [2]}, "three"]', {"InputType": "JSON"}, [1, {"x": [2]}, "three"]),
    ("b.json", b'{"a":{"b":[1,2]}}', {"InputType": "JSON", "ItemsPointer": "/a/b"}, [1, 2]),
    ("c.json", b"[1,2,3,4]", {"InputType": "JSON", "MaxItems": 2}, [1, 2]),
    (
        "a.csv",
        b'id,name\n1,"a,b"\n2,\n3\n',
        {"InputType": "CSV"},
        [{"id": "1", "name": "a,b"}, {"id": "2", "name": ""}, {"id": "3", "name": ""}],
    ),
    (
        "b.csv",
        b"1;2\n",
        {"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["x", "y"], "CSVDelimiter": "SEMICOLON"},
        [{"x": "1", "y": "2"}],
    ),
]


@pytest.mark.parametrize(("key", "body", "config", "items"), FILES, ids=[file[0] for file in FILES])
def test_a_file_is_read_item_by_item(key: str, body: bytes, config: dict[str, Any], items: Any) -> None:
    with Engine() as engine:
        engine.aws.objects[f"b/{key}"] = body
        ended = engine.run(distributed(ItemReader={**READER, "ReaderConfig": config}), {"key": key})
        assert json.loads(ended["output"]) == items


def test_a_large_array_is_read_without_holding_it() -> None:
    with Engine() as engine:
        engine.aws.objects["b/big.json"] = json.dumps(
            [{"id": i, "pad": "x" * 50} for i in range(3000)], indent=1
        ).encode()
        ended = engine.run(
            distributed(
                ItemReader={**READER, "ReaderConfig": {"InputType": "JSON"}},
                ItemBatcher={"MaxItemsPerBatch": 1000},
                ItemProcessor={
                    **PROCESSOR,
                    "States": {"Do": {"Type": "Pass", "Output": "{% $count($states.input.Items) %}", "End": True}},
                },
            ),
            {"key": "big.json"},
        )
        assert json.loads(ended["output"]) == [1000, 1000, 1000]


def test_something_that_is_no_array_cannot_be_mapped_over() -> None:
    with Engine() as engine:
        engine.aws.objects["b/o.json"] = b'{"a":1}'
        ended = engine.run(distributed(ItemReader={**READER, "ReaderConfig": {"InputType": "JSON"}}), {"key": "o.json"})
        assert (ended["error"], ended["cause"]) == (
            "States.ItemReaderFailed",
            "Attempting to map over non-iterable node.",
        )


def test_batches_hold_to_both_limits_and_carry_their_input() -> None:
    with Engine() as engine:
        engine.aws.objects["b/ten"] = TEN
        ended = engine.run(
            distributed(
                ItemReader=READER, ItemBatcher={"MaxItemsPerBatch": 4, "BatchInput": {"k": "{% $states.input.key %}"}}
            ),
            {"key": "ten"},
        )
        batches = json.loads(ended["output"])
        assert [len(batch["Items"]) for batch in batches] == [4, 4, 2]
        assert batches[0]["BatchInput"] == {"k": "ten"}
        small = engine.wait(
            engine.start(
                engine.create(distributed(ItemReader=READER, ItemBatcher={"MaxInputBytesPerBatch": 40})), {"key": "ten"}
            )
        )
        sizes = [len(json.dumps(batch, separators=(",", ":"))) for batch in json.loads(small["output"])]
        assert max(sizes) <= 40 and len(sizes) > 3


def test_results_are_written_as_aws_lays_them_out() -> None:
    with Engine() as engine:
        engine.aws.objects["b/ten"] = TEN
        ended = engine.run(
            distributed(ItemReader=READER, ItemProcessor=PICKY, ResultWriter=WRITER, ToleratedFailurePercentage=20),
            {"key": "ten"},
        )
        result = json.loads(ended["output"])
        run = result["MapRunArn"].rsplit(":", 1)[1]
        assert result["ResultWriterDetails"] == {"Bucket": "b", "Key": f"out/{run}/manifest.json"}
        manifest = json.loads(engine.aws.objects[f"b/out/{run}/manifest.json"])
        assert [file["Key"] for file in manifest["ResultFiles"]["FAILED"]] == [f"out/{run}/FAILED_0.json"]
        written = json.loads(engine.aws.objects[f"b/out/{run}/SUCCEEDED_0.json"])
        assert [record["Output"] for record in written] == [str(i) for i in range(2, 10)]
        assert set(written[0]) >= {
            "ExecutionArn",
            "Input",
            "Name",
            "Output",
            "StartDate",
            "StateMachineArn",
            "Status",
            "StopDate",
        }
        assert json.loads(engine.aws.objects[f"b/out/{run}/FAILED_0.json"])[0]["Error"] == "Bad"
        described = engine("DescribeMapRun", mapRunArn=result["MapRunArn"])
        assert (described["status"], described["itemCounts"]["failed"], described["itemCounts"]["succeeded"]) == (
            "SUCCEEDED",
            2,
            8,
        )


def test_a_map_run_that_failed_leaves_its_result_files_too() -> None:
    with Engine() as engine:
        engine.aws.objects["b/ten"] = TEN
        ended = engine.run(
            distributed(ItemReader=READER, ItemProcessor=PICKY, ResultWriter=WRITER, MaxConcurrency=1), {"key": "ten"}
        )
        assert ended["error"] == "States.ExceedToleratedFailureThreshold"
        run = engine("ListMapRuns", executionArn=ended["executionArn"])["mapRuns"][0]["mapRunArn"].rsplit(":", 1)[1]
        files = json.loads(engine.aws.objects[f"b/out/{run}/manifest.json"])["ResultFiles"]
        assert [len(files[status]) for status in ("FAILED", "SUCCEEDED")] == [1, 0]


def test_a_selector_sees_where_an_item_is_from() -> None:
    selector = "{% $states.context.Map.Item.Source %}"
    with Engine() as engine:
        assert engine.run(distributed(Items=[1], ItemSelector=selector))["output"] == '["STATE_DATA"]'
    with Engine() as engine:
        engine.aws.objects["b/ten"] = b"1"
        ended = engine.run(distributed(ItemReader=READER, ItemSelector=selector), {"key": "ten"})
        assert ended["output"] == '["s3://b/ten"]'


@pytest.mark.parametrize(
    ("config", "expected"), [({"Transformation": "COMPACT"}, [[1], [2]]), ({"Transformation": "FLATTEN"}, [1, 2])]
)
def test_results_are_transformed(config: dict[str, Any], expected: Any) -> None:
    with Engine() as engine:
        assert (
            json.loads(engine.run(distributed(Items=[[1], [2]], ResultWriter={"WriterConfig": config}))["output"])
            == expected
        )


def test_children_are_executions_of_the_map_run() -> None:
    with Engine() as engine:
        ended = engine.run(distributed(Items=[{"id": 1}, {"id": 2}], ItemProcessor=PICKY, ToleratedFailureCount=1))
        run = engine("ListMapRuns", executionArn=ended["executionArn"])["mapRuns"][0]["mapRunArn"]
        failed = engine("ListExecutions", mapRunArn=run, statusFilter="FAILED")["executions"]
        assert len(failed) == 1
        child = engine("DescribeExecution", executionArn=failed[0]["executionArn"])
        assert (child["error"], child["mapRunArn"], child["redriveStatus"]) == ("Bad", run, "REDRIVABLE_BY_MAP_RUN")
        assert child["stateMachineArn"].endswith(":stateMachine:machine/each")
        assert engine.history(child["executionArn"]).splitlines()[-1] == "5 <4 ExecutionFailed error=Bad"
