"""Which cloud a command speaks to, and what the stack there is called."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import click
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.server import STATE, status


@dataclass
class Session:
    """One AWS account and region (or the embedded cloud) and one stack in it."""

    stack: str
    local: bool
    state: Path = STATE
    _clients: dict[str, Any] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make the SAM CLI, or any other AWS tool, speak to the same cloud."""
        if not self.local:
            return {}
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
        }

    @cached_property
    def endpoint(self) -> str:
        """Where the embedded cloud answers.

        Raises:
            click.ClickException: it does not run.
        """
        running = status(self.state)
        if running is None:
            raise click.ClickException("the embedded cloud does not run; start it with `boxcar local up`")
        return running.endpoint

    def client(self, service: str) -> Any:
        """One boto3 client a service."""
        if service not in self._clients:
            more: dict[str, Any] = {}
            if self.local:
                more = {
                    "endpoint_url": self.endpoint,
                    "region_name": "us-east-1",
                    "aws_access_key_id": "test",
                    "aws_secret_access_key": "test",
                }
            self._clients[service] = boto3.client(service, config=Config(retries={"mode": "standard"}), **more)
        return self._clients[service]

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The outputs of the deployed stack.

        Raises:
            click.ClickException: the stack is not deployed, or AWS does not answer.
        """
        try:
            stacks = self.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"]
        except (ClientError, BotoCoreError) as error:
            how = "boxcar --local deploy" if self.local else "sam build && sam deploy --guided"
            raise click.ClickException(f"stack {self.stack!r} is not there ({error}); deploy it with `{how}`") from None
        return {output["OutputKey"]: output.get("OutputValue", "") for output in stacks[0].get("Outputs", [])}

    def read_json(self, key: str) -> Any:
        """A JSON document of the data bucket, or None when there is none."""
        s3 = self.client("s3")
        try:
            return json.loads(s3.get_object(Bucket=self.outputs["BucketName"], Key=key)["Body"].read())
        except s3.exceptions.NoSuchKey:
            return None
