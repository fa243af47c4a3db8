"""Which cloud a command speaks to, and what the stack there is called."""

import json
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import click
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.client import CloudClient
from local.server import STATE, status


@dataclass
class Session:
    """One AWS account and region (or the embedded cloud) and one stack in it."""

    stack: str
    local: bool
    state: Path = STATE
    _clients: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def cloud(self) -> CloudClient:
        """The embedded cloud.

        Raises:
            click.ClickException: it does not run.
        """
        running = status(self.state)
        if running is None:
            raise click.ClickException("the embedded cloud does not run; start it with `boxcar local up`")
        return CloudClient(running)

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make the SAM CLI, or any other AWS tool, speak to the same cloud."""
        return self.cloud.environment() if self.local else dict(os.environ)

    def client(self, service: str) -> Any:
        """One boto3 client a service."""
        if self.local:
            return self.cloud.client(service)
        if service not in self._clients:
            self._clients[service] = boto3.client(service, config=Config(retries={"mode": "standard"}))
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
