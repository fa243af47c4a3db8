"""Documents in, summaries out: the asynchronous endpoint turned on, asked by the command, and turned off again."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from boxcar.attributes import encode_all
from cli.main import boxcar
from local.client import wait_for
from tests.e2e.deployed import ROOT, Deployed

SCIENCE = "science@boxcar.local"
TARGET = {"ServiceNamespace": "sagemaker", "ResourceIds": ["endpoint/boxcar-documents/variant/AllTraffic"]}


def run(stack: Deployed, *arguments: str) -> Result:
    return CliRunner().invoke(boxcar, ["--local", "--state", str(stack.session.state), "async", *arguments])


def instances(stack: Deployed) -> int:
    told = stack.session.client("sagemaker").describe_endpoint(EndpointName="boxcar-documents")
    return int(told["ProductionVariants"][0]["CurrentInstanceCount"])


def test_files_in_summaries_out_mails_and_failures(empty_stack: Deployed, tmp_path: Path) -> None:
    refused = run(empty_stack, "send", str(ROOT / "README.md"))
    assert refused.exit_code == 1 and "turn it on by `boxcar async on`" in refused.output
    on = run(empty_stack, "on")
    assert on.exit_code == 0, on.output
    assert "endpoint boxcar-documents is on" in on.output
    scaling, s3 = empty_stack.session.client("application-autoscaling"), empty_stack.session.client("s3")
    assert run(empty_stack, "on").output.startswith("endpoint boxcar-documents is on already")
    [target] = scaling.describe_scalable_targets(**TARGET)["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 5)

    # asleep: the stack's own alarm and policy are to wake it
    sagemaker = empty_stack.session.client("sagemaker")
    none = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}]
    sagemaker.update_endpoint_weights_and_capacities(EndpointName="boxcar-documents", DesiredWeightsAndCapacities=none)
    wait_for(lambda: instances(empty_stack) == 0, 60)

    # a text, one that the model refuses, one that is refused before
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / "wrong.json").write_text('{"txt": "no text"}')
    files = [str(ROOT / "docs/jobs.md"), str(tmp_path / "picture.png"), str(tmp_path / "wrong.json")]
    empty_stack.cloud.tick_every(0.5)
    sent = run(empty_stack, "send", *files, "--to", "here", "--wait", "--timeout", "300")
    empty_stack.cloud.tick_every(None)
    assert sent.exit_code == 1, sent.output
    assert "picture.png  failed: async/input/here/picture.png: Content-Type is 'image/png'" in sent.output
    assert "wrong.json  failed: async/input/here/wrong.json: text: is missing" in sent.output
    answer = s3.get_object(Bucket=empty_stack.bucket, Key="async/output/here/jobs.md.json")
    summary = json.loads(answer["Body"].read())
    assert summary["summarizer"] == "lexrank" and 0 < summary["summary_characters"] < summary["document_characters"]
    assert instances(empty_stack) == 1
    picture = s3.get_object(Bucket=empty_stack.bucket, Key="async/failed/here/picture.png")["Body"].read()
    assert picture == b"\x89PNG"

    def alarms() -> set[str]:
        return {mail.subject for mail in empty_stack.cloud.mails(SCIENCE) if "[Boxcar alarm]" in mail.subject}

    expected = {f"[Boxcar alarm] document async/input/here/{name} failed" for name in ("picture.png", "wrong.json")}
    wait_for(lambda: alarms() == expected, why="two failures, two mails")
    again = run(empty_stack, "send", files[0], "--to", "here", "--wait")
    assert again.exit_code == 1 and "has an answer from before" in again.output

    # one whose answer never came is found by the sweep
    sqs = empty_stack.session.client("sqs")
    lost = {"status": "Sent", "document": "async/input/here/lost.txt", "sent": 0}
    lost |= {"queue": "Documents", "due": "2026-01-01", "answer": f"s3://{empty_stack.bucket}/async/answers/lost.out"}
    empty_stack.session.client("dynamodb").put_item(
        TableName=empty_stack.session.outputs["JobsTableName"], Item=encode_all({"pk": "document#lost", **lost})
    )
    documents = sqs.get_queue_url(QueueName="boxcar-documents")["QueueUrl"]
    sqs.send_message(QueueUrl=documents, MessageBody='{"sweep": true}')
    expected |= {"[Boxcar alarm] document async/input/here/lost.txt failed"}
    wait_for(lambda: alarms() == expected, 60, why="no alarm for a lost document")

    # success is in the digest
    queue = sqs.get_queue_url(QueueName="boxcar-alarms")["QueueUrl"]

    def digests() -> list[str]:
        sqs.send_message(QueueUrl=queue, MessageBody='{"kind": "routine_due"}')
        return [mail.text for mail in empty_stack.cloud.mails(SCIENCE) if "[Boxcar digest]" in mail.subject]

    [digest, *_] = wait_for(digests, why="no digest", every=1)
    assert "1 document answered" in digest and "async/output/here/jobs.md.json" in digest

    standing = run(empty_stack, "status").output
    assert "boxcar-documents: InService, 1 instances" in standing and "not answered: 0" in standing

    off = run(empty_stack, "off")
    assert off.exit_code == 0, off.output
    assert scaling.describe_scalable_targets(**TARGET)["ScalableTargets"] == []
    assert sagemaker.list_endpoints()["Endpoints"] == []
    alarms_left = empty_stack.session.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert [alarm["AlarmName"] for alarm in alarms_left if "documents" in alarm["AlarmName"]] == []
