"""ResultWriter: what the children of a distributed Map returned, as the state's result or as files in S3.

Source: developer guide, "ResultWriter (Map)".
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from typing import Any

from local.stepfunctions import definition as asl
from local.stepfunctions import errors, sdk
from local.stepfunctions.errors import StateFailure
from local.stepfunctions.executions import Execution
from local.stepfunctions.history import MAX_DATA, data_size, dumps
from local.stepfunctions.map_runs import MapRun
from local.stepfunctions.strand import Strand, iso

SPOOL = 1024 * 1024  # bytes of a result file kept in memory before it goes to disk


async def results(strand: Strand, state: asl.Map, value: Any, run: MapRun) -> Any:
    """The result of the state.

    Raises:
        StateFailure: the outputs are too large for a result, or could not be written.
    """
    writer = state.writer
    if writer is None or not writer.resource:
        return collected(strand, state, run)
    arguments = strand.evaluate(writer.arguments, value)
    client = strand.run.engine.runner.client("s3", strand.run.role)
    try:
        return await strand.run.engine.runner.threaded(lambda: written(client, strand, writer, arguments, run))
    except StateFailure:
        raise
    except Exception as error:
        raise StateFailure(errors.RESULT_WRITER, sdk.failure("S3", "s3", error).cause) from error


def collected(strand: Strand, state: asl.Map, run: MapRun) -> list[Any]:
    """The outputs in the order of the items, as long as they fit in a result."""
    transformation = state.writer.transformation if state.writer else "COMPACT"
    found: list[Any] = []
    size = 2
    for child in strand.run.engine.store.children(run.arn, "SUCCEEDED"):
        for part in shaped(child, transformation):
            size += data_size(dumps(part)) + 1
            if size > MAX_DATA:
                raise StateFailure(
                    errors.DATA_LIMIT,
                    f"The state/task '{state.name}' returned a result with a size exceeding the maximum number of "
                    "bytes service limit.",
                )
            found.append(part)
    return found


def shaped(child: Execution, transformation: str) -> list[Any]:
    """What one child adds to the results: its record, its output, or the elements of its output."""
    if transformation == "NONE":
        return [record(child)]
    output = json.loads(child.output) if child.output is not None else {"Error": child.error, "Cause": child.cause}
    return output if transformation == "FLATTEN" and isinstance(output, list) else [output]


def record(child: Execution) -> dict[str, Any]:
    """A child execution as result files describe it."""
    described = child.describe(child.stopped or child.started)
    shown = {
        "ExecutionArn": child.arn, "Input": child.input, "InputDetails": {"Included": True}, "Name": child.name,
        "Output": child.output, "OutputDetails": {"Included": True},
        "Error": child.error, "Cause": child.cause, "RedriveCount": child.redrives,
        "RedriveStatus": described["redriveStatus"], "RedriveStatusReason": described.get("redriveStatusReason"),
        "StartDate": iso(child.started), "StateMachineArn": child.machine_arn, "Status": child.status,
        "StopDate": iso(child.stopped or child.started),
    }  # fmt: skip
    return {key: found for key, found in sorted(shown.items()) if found is not None}


def written(client: Any, strand: Strand, writer: asl.Writer, arguments: dict[str, Any], run: MapRun) -> dict[str, Any]:
    """Write the files and their manifest, and return where the manifest is."""
    bucket, prefix = arguments["Bucket"], str(arguments.get("Prefix", "")).rstrip("/")
    folder = "/".join(filter(None, (prefix, run.arn.rsplit(":", 1)[1])))
    files: dict[str, list[dict[str, Any]]] = {"FAILED": [], "PENDING": [], "SUCCEEDED": []}
    extension = "jsonl" if writer.output_type == "JSONL" else "json"
    for status, wanted in (("FAILED", "failed"), ("SUCCEEDED", "SUCCEEDED")):
        children = strand.run.engine.store.children(run.arn, wanted)
        key = f"{folder}/{status}_0.{extension}"
        with tempfile.SpooledTemporaryFile(SPOOL) as file:
            if not filled(file, children, writer):
                continue
            size = file.tell()
            file.seek(0)
            client.put_object(Bucket=bucket, Key=key, Body=file)
        files[status].append({"Key": key, "Size": size})
    run.written = sum(run.executions.values())
    manifest = {"DestinationBucket": bucket, "MapRunArn": run.arn, "ResultFiles": files}
    client.put_object(Bucket=bucket, Key=f"{folder}/manifest.json", Body=dumps(manifest).encode())
    return {"MapRunArn": run.arn, "ResultWriterDetails": {"Bucket": bucket, "Key": f"{folder}/manifest.json"}}


def filled(file: Any, children: Iterator[Execution], writer: asl.Writer) -> bool:
    """Write the results of the children as an array or as lines; whether there were any."""
    lines = writer.output_type == "JSONL"
    any_there = False
    for child in children:
        for part in shaped(child, writer.transformation):
            file.write(
                (b"" if lines else b"," if any_there else b"[") + dumps(part).encode() + (b"\n" if lines else b"")
            )
            any_there = True
    if any_there and not lines:
        file.write(b"]")
    return any_there
