"""Where the report of a run lies: a page for people and a document for programs."""

import json
from typing import Any


def write_report(s3: Any, bucket: str, report: dict[str, Any], page: str, table: str | None = None) -> str:
    """Write both, and a table beside them if there is one, again if they are there. Returns the address of the page."""
    folder = f"reports/{report['run']}"
    document = json.dumps(report, ensure_ascii=False, indent=1)
    files = [("report.json", document, "application/json"), ("index.html", page, "text/html; charset=utf-8")]
    if table is not None:
        files.append(("table.csv", table, "text/csv; charset=utf-8"))
    for name, body, kind in files:
        s3.put_object(Bucket=bucket, Key=f"{folder}/{name}", Body=body.encode(), ContentType=kind)
    return f"s3://{bucket}/{folder}/index.html"
