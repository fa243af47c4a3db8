"""Objects of S3 to files and back, a call each: boto3's transfer manager asks first, and starts threads for each."""

import shutil
from pathlib import Path
from typing import Any

MULTIPART = 64 << 20  # bytes from which an upload goes in parts
CHUNK = 1 << 20  # bytes


def download(s3: Any, bucket: str, key: str, path: Path) -> None:
    """Copy an object into a file.

    Raises:
        ClientError, BotoCoreError: it cannot be had, or not to its end.
    """
    body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    with path.open("wb") as file:
        shutil.copyfileobj(body, file, CHUNK)


def upload(s3: Any, path: Path, bucket: str, key: str) -> None:
    """Copy a file into an object, in parts where it is large.

    Raises:
        ClientError, BotoCoreError, S3UploadFailedError: it cannot be written.
    """
    if path.stat().st_size > MULTIPART:
        s3.upload_file(str(path), bucket, key)
        return
    with path.open("rb") as file:
        s3.put_object(Bucket=bucket, Key=key, Body=file)
