"""Which cloud a command speaks to, and what the stack there is called."""

import json
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import click
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from cli.api import JobsApi, Query, embedded_url
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

    @cached_property
    def api(self) -> JobsApi:
        """The jobs API of the stack, called as whoever this session is.

        Raises:
            click.ClickException: the stack has no API yet, or there are no credentials.
        """
        url = self.outputs.get("JobsApiUrl")
        if not url:
            raise click.ClickException(
                f"stack {self.stack!r} has no output JobsApiUrl: deploy this version of it first"
            )
        if self.local:
            root = Credentials("test", "test")
            return JobsApi(embedded_url(url, self.cloud.endpoint), self.cloud.region, root)
        credentials = boto3.Session().get_credentials()
        if credentials is None:
            raise click.ClickException("there are no AWS credentials; set AWS_PROFILE, or run `aws configure`")
        return JobsApi(url.rstrip("/"), urlsplit(url).netloc.split(".")[2], credentials)  # <id>.execute-api.<region>.…

    def call_api(
        self, method: str, path: str, query: Query | None = None, body: Any = None, check: bool = True
    ) -> tuple[int, Any]:
        """Call the jobs API: `call_api("GET", "/jobs", {"status": "Failed"})` → status and document.

        Raises:
            cli.api.ApiProblem: (a click.ClickException with `status` and `problem`) the API refused; with `check`.
        """
        return self.api.call(method, path, query, body, check)

    def read_json(self, key: str) -> Any:
        """A JSON document of the data bucket, or None when there is none."""
        s3 = self.client("s3")
        try:
            return json.loads(s3.get_object(Bucket=self.outputs["BucketName"], Key=key)["Body"].read())
        except s3.exceptions.NoSuchKey:
            return None
