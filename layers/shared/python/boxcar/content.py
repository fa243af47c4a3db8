"""What lies at an address of S3, as one digest, without reading it: names, sizes and ETags say whether bytes differ."""

import hashlib
import json
from typing import Any

from boxcar.steps import Document


class ContentDigest(Document):
    """The objects at one address.

    Equal digests mean equal names and bytes. Different ones mean different bytes, or the same uploaded in other parts:
    the ETag of a multipart upload depends on where it was cut. Rows unloaded twice may differ in their order alone.
    """

    digest: str  # sha256, 64 hex digits, over the sorted lines `["relative key", size, "ETag"]`
    files: int  # 0: nothing lies there, such as an unload of no rows
    bytes: int


def content_digest(s3: Any, uri: str) -> ContentDigest:
    """Digest what lies at an address, by one ListObjectsV2 for each thousand objects.

    Args:
        s3: needs s3:ListBucket on the bucket.
        uri: `s3://bucket/folder/`, or `s3://bucket/folder/file`; both may be moved elsewhere without another digest.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    folder = key if key.endswith("/") else f"{key}/"
    listed = []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key):
        for found in page.get("Contents", []):
            if found["Key"] != key and not found["Key"].startswith(folder):
                continue  # model.tar.gz.old beside model.tar.gz
            relative = found["Key"].removeprefix(folder) if found["Key"] != key else ""
            listed.append((relative, found["Size"], found["ETag"].strip('"')))
    lines = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in sorted(listed))
    digest = hashlib.sha256(lines.encode()).hexdigest()
    return ContentDigest(digest=digest, files=len(listed), bytes=sum(size for _, size, _ in listed))
