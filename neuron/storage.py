"""Documents and artifacts, in a folder or in S3: `s3://bucket/key` or a path."""

import json
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any


class Storage:
    """Reads and writes at addresses; `s3` is a client of boto3, made when the first address in S3 is met."""

    def __init__(self, s3: Any = None) -> None:
        self._client = s3

    def read(self, address: str) -> dict[str, Any]:
        """Read a JSON document.

        Raises:
            FileNotFoundError: there is nothing at the address.
            ValueError: it is not a JSON object.
        """
        with tempfile.TemporaryDirectory() as folder:
            found = self._fetch(address, Path(folder) / "document")
            try:
                document = json.loads(found.read_text())
            except json.JSONDecodeError as error:
                raise ValueError(f"{address}: not JSON: {error}") from error
        if not isinstance(document, dict):
            raise ValueError(f"{address}: {type(document).__name__} where a JSON object is wanted")
        return document

    def write(self, document: dict[str, Any], address: str) -> None:
        """Write a JSON document, whole or not at all."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "document"
            path.write_text(json.dumps(document, indent=1))
            self._store(path, address)

    def fetch_folder(self, address: str, folder: Path) -> Path:
        """Unpack what `store_folder` packed into `folder`, and return it.

        Raises:
            FileNotFoundError: there is nothing at the address.
        """
        with tempfile.TemporaryDirectory() as beside:
            packed = self._fetch(address, Path(beside) / "artifact.tar")
            folder.mkdir(parents=True, exist_ok=True)
            with tarfile.open(packed) as archive:
                archive.extractall(folder, filter="data")
        return folder

    def store_folder(self, folder: Path, address: str) -> int:
        """Pack a folder into one file at the address, whole or not at all; return its size in bytes."""
        with tempfile.TemporaryDirectory() as beside:
            packed = Path(beside) / "artifact.tar"
            with tarfile.open(packed, "w") as archive:
                for path in sorted(folder.iterdir()):
                    archive.add(path, path.name)
            size = packed.stat().st_size
            self._store(packed, address)
        return size

    def _fetch(self, address: str, path: Path) -> Path:
        if not address.startswith("s3://"):
            if not Path(address).is_file():
                raise FileNotFoundError(f"{address}: no such file")
            return Path(address)
        from botocore.exceptions import ClientError

        bucket, key = _bucket_and_key(address)
        try:
            self._s3().download_file(bucket, key, str(path))
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                raise FileNotFoundError(f"{address}: no such object") from error
            raise
        return path

    def _store(self, path: Path, address: str) -> None:
        if address.startswith("s3://"):
            bucket, key = _bucket_and_key(address)
            self._s3().upload_file(str(path), bucket, key)
            return
        target = Path(address)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as partial:
            shutil.copyfile(path, partial.name)
        Path(partial.name).replace(target)

    def _s3(self) -> Any:
        if self._client is None:
            import boto3

            self._client = boto3.client("s3")
        return self._client


def _bucket_and_key(address: str) -> tuple[str, str]:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    if not bucket or not key:
        raise ValueError(f"{address}: write s3://bucket/key")
    return bucket, key
