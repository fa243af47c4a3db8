"""Data between S3 and a job's folders, with the job role's own credentials."""

import json
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from local import objects
from local.sagemaker.failures import JobFailure, Stopped
from local.service import Cloud

SESSION = "SageMaker"  # the role session name that AWS uses, as IAM conditions and error messages show it
FRESH = 300.0  # seconds that a role's client is kept


class Roles:
    """S3 clients and credentials by role, kept for a while."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._clients: dict[str, tuple[float, Any, dict[str, str]]] = {}

    def assume(self, role_arn: str) -> tuple[Any, dict[str, str]]:
        """An S3 client and the environment variables that act as the role."""
        with self._lock:
            made, client, variables = self._clients.get(role_arn, (0.0, None, {}))
            if time.monotonic() - made > FRESH or client is None:
                client = self._cloud.client("s3", role_arn, SESSION)
                variables = self._cloud.credentials(role_arn, SESSION)
                self._clients[role_arn] = (time.monotonic(), client, variables)
            return client, dict(variables)


class Bucket:
    """What a job reads from and writes to S3."""

    def __init__(self, client: Any, region: str, role_arn: str, stopping: Callable[[], bool]) -> None:
        self._s3 = client
        self._region = region
        self._role_arn = role_arn
        self._stopping = stopping

    def objects(self, uri: str, data_type: str, may_be_empty: bool = False) -> list[tuple[str, str, str]]:
        """What an S3Uri names: (bucket, key, path relative to the prefix).

        Raises:
            JobFailure: nothing is there, or the role may not look.
        """
        found = list(self._manifest(uri) if data_type == "ManifestFile" else self._prefix(uri))
        if not found and not may_be_empty:
            bucket = split(uri)[0]
            raise JobFailure(
                "ClientError",
                f'Data download failed:No S3 objects found under S3 URL "{uri}" given in input data source. Please '
                f"ensure that the bucket exists in the selected region ({self._region}), that objects exist under that "
                f'S3 prefix, and that the role "{self._role_arn}" has "s3:ListBucket" permissions on bucket '
                f'"{bucket}".',
            )
        return found

    def download(self, uri: str, data_type: str, folder: Path, may_be_empty: bool = False) -> None:
        """Copy everything that an S3Uri names into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for bucket, key, path in self.objects(uri, data_type, may_be_empty):
            target = folder / path
            if not target.resolve().is_relative_to(folder.resolve()):
                raise JobFailure("ClientError", f"Data download failed:s3://{bucket}/{key} leaves its folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            self.fetch(f"s3://{bucket}/{key}", target)

    def fetch(self, uri: str, target: Path) -> None:
        """Copy one object into a file."""
        if self._stopping():
            raise Stopped
        bucket, key = split(uri)
        try:
            objects.download(self._s3, bucket, key, target)
        except Exception as error:
            raise _download_failure(uri, error) from error

    def read(self, uri: str) -> bytes:
        """The whole of one object."""
        bucket, key = split(uri)
        try:
            return self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except Exception as error:
            raise _download_failure(uri, error) from error

    def put(self, uri: str, source: Path | bytes) -> None:
        """Write one object."""
        bucket, key = split(uri)
        try:
            if isinstance(source, bytes):
                self._s3.put_object(Bucket=bucket, Key=key, Body=source)
            else:
                objects.upload(self._s3, source, bucket, key)
        except Exception as error:
            raise JobFailure(
                "ClientError", f"Artifact upload failed:Unable to upload {uri} ({reason(error)})"
            ) from error

    def put_folder(self, folder: Path, uri: str) -> None:
        """Write every file of a folder under a prefix, keeping its folders."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.put(f"{uri.rstrip('/')}/{file.relative_to(folder).as_posix()}", file)

    def put_archive(self, folder: Path, uri: str, scratch: Path) -> None:
        """Write a folder as one .tar.gz."""
        with tarfile.open(scratch, "w:gz", compresslevel=3) as archive:
            for path in sorted(folder.iterdir()):
                archive.add(path, arcname=path.name)
        self.put(uri, scratch)
        scratch.unlink()

    def _prefix(self, uri: str) -> Iterator[tuple[str, str, str]]:
        bucket, prefix = split(uri)
        keys: list[str] = []
        try:
            for part in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                keys += [item["Key"] for item in part.get("Contents", []) if not item["Key"].endswith("/")]
        except Exception as error:
            raise _download_failure(uri, error) from error
        # `data` names the folder data/ when all that begins so is in it, else what begins so is named from its folder
        whole = prefix if prefix.endswith("/") or not prefix else prefix + "/"
        base = whole if all(key.startswith(whole) for key in keys) else prefix[: prefix.rfind("/") + 1]
        return ((bucket, key, key[len(base) :]) for key in keys)

    def _manifest(self, uri: str) -> Iterator[tuple[str, str, str]]:
        try:
            first, *rest = json.loads(self.read(uri))
            prefix = first["prefix"]
        except (ValueError, KeyError, TypeError) as error:
            raise JobFailure(
                "ClientError", f"Data download failed:manifest file {uri} is not valid: {error!r}"
            ) from error
        for path in rest:
            bucket, key = split(prefix + path)
            yield bucket, key, path.lstrip("/")


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of an s3:// address."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def extract(archive: Path, folder: Path, uri: str) -> None:
    """Unpack a .tar.gz that came from `uri`."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive) as content:
            if hasattr(tarfile, "data_filter"):  # Python 3.11.4 and newer: no member leaves the folder
                content.extractall(folder, filter="data")
            else:
                content.extractall(folder)  # noqa: S202
    except tarfile.TarError as error:
        raise JobFailure("ClientError", f"Data download failed:{uri} is not a tar.gz file: {error}") from error


def reason(error: Exception) -> str:
    """Code and message of what AWS answered."""
    answer = getattr(error, "response", {}).get("Error", {})
    return f"{answer['Code']}: {answer.get('Message', '')}" if "Code" in answer else str(error)


def _download_failure(uri: str, error: Exception) -> JobFailure:
    # wording seen in FailureReason of real jobs
    return JobFailure("ClientError", f"Data download failed:Unable to download object {uri} ({reason(error)})")
