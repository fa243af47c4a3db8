"""Where the report of a run lies: a page for people and a document for programs."""

import json
from typing import Any


def write_report(s3: Any, bucket: str, report: dict[str, Any], page: str) -> str:
    """Write both, again if they are there. Returns the address of the page."""
    folder = f"reports/{report['run']}"
    document = json.dumps(report, ensure_ascii=False, indent=1)
    for name, body, kind in (
        ("report.json", document, "application/json"),
        ("index.html", page, "text/html; charset=utf-8"),
    ):
        s3.put_object(Bucket=bucket, Key=f"{folder}/{name}", Body=body.encode(), ContentType=kind)
    return f"s3://{bucket}/{folder}/index.html"
