"""S3 as the warehouse reaches it: with the role that a statement names, so that IAM decides."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local import objects
from local.redshift.errors import SqlError
from local.service import Cloud

ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/(?:[\w+=,.@/-]*/)?([\w+=,.@-]+)")


class Storage:
    """One bucket and role, for one statement.

    Raises (everywhere):
        SqlError: S3 or IAM says no, in the words Redshift passes on.
    """

    def __init__(self, cloud: Cloud, role: str, default_role: str | None) -> None:
        self.role = _role(cloud, role, default_role)
        try:
            self._s3 = cloud.client("s3", role_arn=self.role, session="RedshiftIamRoleSession")
        except (ClientError, BotoCoreError, KeyError, PermissionError) as error:
            raise SqlError(_not_assumable(cloud, self.role, str(error))) from error

    def objects(self, url: str) -> list[tuple[str, int]]:
        """Keys and sizes (bytes) of what begins with an S3 address."""
        bucket, prefix = split(url)
        try:
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            return [(entry["Key"], entry["Size"]) for page in pages for entry in page.get("Contents", [])]
        except (ClientError, BotoCoreError) as error:
            raise SqlError(_s3_text(error)) from error

    def upload(self, path: Path, bucket: str, key: str) -> None:
        """Put a file, in parts where it is large."""
        self._do(objects.upload, self._s3, path, bucket, key)

    def download(self, bucket: str, key: str, path: Path) -> None:
        """Get a file."""
        self._do(objects.download, self._s3, bucket, key, path)

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object."""
        self._do(self._s3.delete_object, Bucket=bucket, Key=key)

    def put_json(self, bucket: str, key: str, document: Any) -> None:
        """Put a small JSON document."""
        self._do(self._s3.put_object, Bucket=bucket, Key=key, Body=json.dumps(document, indent=2).encode())

    def get_json(self, bucket: str, key: str) -> Any:
        """A small JSON document.

        Raises:
            SqlError: there is none, or it is no JSON.
        """
        body = self._do(self._s3.get_object, Bucket=bucket, Key=key)["Body"].read()
        try:
            return json.loads(body)
        except ValueError as error:
            raise SqlError(f"Invalid manifest file s3://{bucket}/{key}: {error}") from error

    def _do(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        from boto3.exceptions import S3UploadFailedError

        try:
            return call(*arguments, **named)
        except (ClientError, BotoCoreError, S3UploadFailedError) as error:
            raise SqlError(_s3_text(error)) from error


def split(url: str) -> tuple[str, str]:
    """Bucket and key of an S3 address.

    Raises:
        SqlError: it is not one.
    """
    found = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", url, re.DOTALL)
    if not found:
        raise SqlError(f"Invalid S3 URI: '{url}' must look like s3://bucket/prefix")
    return found[1], found[2] or ""


def _role(cloud: Cloud, role: str, default_role: str | None) -> str:
    """The ARN behind IAM_ROLE, which must exist and let Redshift assume it."""
    if role.lower() == "default":
        if not default_role:
            raise SqlError(
                "The default IAM role is not set for this warehouse\n  Detail: IAM_ROLE default needs one; "
                "set it on the cluster or namespace, or write the role's ARN"
            )
        role = default_role
    found = ROLE.fullmatch(role)
    if not found:
        raise SqlError(
            f"Invalid credentials. Must be of the format: IAM_ROLE 'arn:aws:iam::<account>:role/<name>', not '{role}'"
        )
    try:
        known = cloud.client("iam").get_role(RoleName=found[1])["Role"]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "NoSuchEntity":
            raise SqlError(_not_assumable(cloud, role, "there is no such role")) from error
        raise SqlError(f"cannot look up {role}: {error}") from error
    trust = json.dumps(known.get("AssumeRolePolicyDocument", {}))
    if "redshift.amazonaws.com" not in trust and "redshift-serverless.amazonaws.com" not in trust:
        raise SqlError(_not_assumable(cloud, role, "its trust policy does not name redshift.amazonaws.com"))
    return role


def _not_assumable(cloud: Cloud, role: str, why: str) -> str:
    user = f"arn:aws:redshift:{cloud.region}:{cloud.account}:dbuser:boxcar/awsuser"
    return f"User {user} is not authorized to assume IAM Role {role}\n  Detail: {why}"


def _s3_text(error: Exception) -> str:
    """S3's refusal as Redshift passes it on."""
    response = getattr(error, "response", None)
    cause = error.__context__ if response is None else error
    response = response or getattr(cause, "response", None)
    if not response:
        return f"S3ServiceException:{error}"
    given = response.get("Error", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = given.get("Code", "Unknown")
    message = "Access Denied" if code == "AccessDenied" else given.get("Message", code)
    request = response.get("ResponseMetadata", {}).get("RequestId", "")
    text = f"S3ServiceException:{message},Status {status},Error {code},Rid {request},CanRetry {int(status >= 500)}"
    detail = given.get("Message", "")
    return f"{text}\n  Detail: {detail}" if detail and detail != message else text
