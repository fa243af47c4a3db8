"""What lies at the inputs of a job, known by listing: nothing is read, whatever its size."""

from typing import Any

from botocore.exceptions import ClientError

from boxcar.content import content_digest
from boxcar.errors import ACCESS_DENIED_CODES
from boxcar.jobs.record import Job

NOT_OURS = {"NoSuchBucket", *ACCESS_DENIED_CODES}
WRITTEN_ONCE = ("runs/", "models/")  # in the data bucket: names there hold an attempt, or a version


class UnknownContent(Exception):  # noqa: N818
    """What lies at an input cannot be known; says why."""


def contents(inputs: dict[str, str], s3: Any) -> dict[str, str]:
    """A digest of what lies at each input, by its name.

    Raises:
        UnknownContent: an input cannot be listed.
        ClientError: S3 does not answer.
    """
    return {name: _content(name, uri, s3) for name, uri in inputs.items()}


def changed_meanwhile(job: Job, s3: Any, bucket: str) -> bool:
    """Whether an input was written to since the job was submitted: nobody knows what it has read, then."""
    if job.caching is None or not job.caching.key:
        return False
    own = tuple(f"s3://{bucket}/{folder}" for folder in WRITTEN_ONCE)
    others = {name: uri for name, uri in job.inputs.items() if not uri.startswith(own)}
    try:
        found = contents(others, s3)
    except UnknownContent:
        return True
    return any(job.caching.contents.get(name) != digest for name, digest in found.items())


def missing(outputs: dict[str, str], s3: Any) -> str:
    """The name of an output at which nothing lies, "" if there is none."""
    for name, uri in outputs.items():
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        if not s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("KeyCount"):
            return name
    return ""


def _content(name: str, uri: str, s3: Any) -> str:
    """A digest of the files, and the name of a single one: a script may find it by that."""
    try:
        found = content_digest(s3, uri)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in NOT_OURS:
            raise UnknownContent(f"inputs.{name}: {uri} cannot be listed: {error}") from None
        raise
    if not found.files and not uri.endswith("/"):  # SageMaker also takes whatever only begins so
        raise UnknownContent(f"inputs.{name}: {uri} is neither a file nor a folder")
    return f"{uri.rpartition('/')[2]}:{found.digest}".removeprefix(":")
