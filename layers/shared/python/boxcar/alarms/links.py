"""Addresses that a reader of a mail can open."""

from dataclasses import dataclass
from urllib.parse import quote

from boxcar.settings import Settings

# Pages of the console, by the resource type in an ARN. A kind that is not here has no link, and is told all the same.
_JOB_PAGES = {
    "sagemaker:training-job": "sagemaker/home?region={region}#/jobs/{name}",
    "sagemaker:processing-job": "sagemaker/home?region={region}#/processing-jobs/{name}",
    "sagemaker:transform-job": "sagemaker/home?region={region}#/transform-jobs/{name}",
    "batch:job": "batch/home?region={region}#jobs/detail/{name}",
}


@dataclass(frozen=True)
class Links:
    """Links into the console. Without a console they are empty, and a mail shows addresses in S3 alone."""

    console_url: str
    region: str
    bucket: str
    stack: str
    account: str
    partition: str = "aws"

    @classmethod
    def of(cls, settings: Settings) -> "Links":
        """What the environment says; account and partition come from the topic's ARN."""
        arn = settings.topic_arn.split(":")
        known = len(arn) >= 6
        return cls(
            console_url=settings.console_url,
            region=settings.region,
            bucket=settings.bucket,
            stack=settings.stack,
            account=arn[4] if known else "",
            partition=arn[1] if known else "aws",
        )

    def execution_arn(self, machine: str, run: str) -> str:
        """ARN of a run, or "" when the account is not known."""
        if not (self.account and machine and run):
            return ""
        return f"arn:{self.partition}:states:{self.region}:{self.account}:execution:{self.stack}-{machine}:{run}"

    def execution(self, arn: str) -> str:
        """Where the graph of a run can be seen."""
        if not (self.console_url and arn):
            return ""
        return f"{self.console_url}/states/home?region={self.region}#/v2/executions/details/{arn}"

    def job(self, arn: str) -> str:
        """Where one attempt of a job can be seen."""
        parts = arn.split(":", 5)
        if not self.console_url or len(parts) < 6:
            return ""
        resource, _, name = parts[5].partition("#")[0].partition("/")  # behind #: the log stream of a Batch job
        page = _JOB_PAGES.get(f"{parts[2]}:{resource}", "")
        return f"{self.console_url}/{page.format(region=parts[3], name=name)}" if page else ""

    def metric_alarm(self, name: str) -> str:
        """Where the graph of a CloudWatch alarm can be seen."""
        if not self.console_url:
            return ""
        return f"{self.console_url}/cloudwatch/home?region={self.region}#alarmsV2:alarm/{quote(name, safe='')}"

    def file(self, address: str) -> str:
        """Where an s3:// address can be opened."""
        if not (self.console_url and address.startswith("s3://")):
            return ""
        bucket, _, key = address.removeprefix("s3://").partition("/")
        return f"{self.console_url}/s3/object/{quote(bucket)}?region={self.region}&prefix={quote(key)}"

    def report(self, run: str) -> str:
        """Where the page of a run can be opened, or its address."""
        address = f"s3://{self.bucket}/reports/{run}/index.html"
        return self.file(address) or address

    def machine_of(self, state_machine_arn: str) -> str:
        """The name that a machine has in Boxcar: its ARN's last part without the stack."""
        return state_machine_arn.rsplit(":", 1)[-1].removeprefix(f"{self.stack}-")
