"""A small stack, deployed by the real SAM CLI to the embedded cloud."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.client import CloudClient, wait_for

STACK = Path(__file__).with_name("stack")
SAM = Path(sys.executable).with_name("sam")


@dataclass
class Deployed:
    """The small stack and what it is made of."""

    cloud: CloudClient
    name: str
    outputs: dict[str, str]

    def call(self, **event: Any) -> dict[str, Any]:
        """Invoke the worker: {"error": type or None, "payload": …, "log": tail}."""
        answer = self.cloud.client("lambda").invoke(FunctionName=self.outputs["Worker"], Payload=json.dumps(event))
        payload = json.loads(answer["Payload"].read())
        return {"error": payload.get("errorType") if answer.get("FunctionError") else None, "payload": payload}

    def item(self, pk: str, seconds: float = 60) -> dict[str, Any]:
        """What the worker put under a key; waits for it."""
        table = self.cloud.client("dynamodb")

        def look() -> dict[str, Any] | None:
            return table.get_item(TableName=self.outputs["Table"], Key={"pk": {"S": pk}}).get("Item")

        return wait_for(look, seconds, why=f"item {pk}")

    def dead_letters(self, count: int = 1, seconds: float = 60) -> list[dict[str, Any]]:
        """Take messages from the dead-letter queue."""
        found: list[dict[str, Any]] = []
        queue, url = self.cloud.client("sqs"), self.outputs["Dead"]

        def take() -> bool:
            told = queue.receive_message(QueueUrl=url, WaitTimeSeconds=0, MessageAttributeNames=["All"])
            for message in told.get("Messages", []):
                queue.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                found.append(message)
            return len(found) >= count

        wait_for(take, seconds, why=f"{count} dead letters")
        return found


def sam_deploy(cloud: CloudClient, name: str, *parameters: str) -> None:
    """Run `sam deploy` on the small stack."""
    command = [str(SAM), "deploy", "--template-file", "template.yaml", "--stack-name", name, "--resolve-s3"]
    command += ["--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-progressbar"]
    command += ["--no-fail-on-empty-changeset", "--parameter-overrides", *(parameters or ("Revision=1",))]
    done = subprocess.run(command, cwd=STACK, env=cloud.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def outputs_of(cloud: CloudClient, name: str) -> dict[str, str]:
    [stack] = cloud.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


@pytest.fixture(scope="session")
def deployed(cloud: CloudClient) -> Deployed:
    """The small stack, made once."""
    sam_deploy(cloud, "small")
    return Deployed(cloud, "small", outputs_of(cloud, "small"))
