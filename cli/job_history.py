"""Jobs that have left the jobs table: read from the Parquet files under `history/` in the data bucket."""

import json
import tempfile
from collections.abc import Callable, Iterator
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

import click
import duckdb

from boxcar import archive
from boxcar.jobs.documents import iso_time, shortened
from cli.session import Session

# For the rows of one day; DuckDB goes to disk beyond it, and nowhere for extensions.
SETTINGS: dict[str, Any] = {"memory_limit": "256MB", "threads": 1, "autoinstall_known_extensions": False}
# What a list shows of a job, in the shape of the jobs API (boxcar.jobs.documents.JobSummary).
TEXTS = ("job", "run", "model", "step", "kind", "family", "owner", "sweep", "status", "failure", "instance_type")
TIMES = ("created", "started", "ended")
NUMBERS = {"priority": 0, "units": 1, "seconds": 0.0, "billable_seconds": 0.0, "attempt": 0}


def read_archived(
    session: Session, first_day: date, last_day: date, warn: Callable[[str], None] | None = None
) -> list[dict[str, Any]]:
    """Summaries of archived jobs that were submitted from one day to another, both included, oldest first.

    Each job is there once, however often it was archived. Days without files are days without jobs. A file that cannot
    be read is left out, and `warn` (by default a line on standard error) is told its name and why.

    Args:
        session: which stack.
        first_day: in UTC.
        last_day: in UTC.
        warn: takes one sentence.
    """
    warn = warn or _to_stderr
    s3, bucket = session.client("s3"), session.outputs["BucketName"]
    found: list[dict[str, Any]] = []
    connection = duckdb.connect(config=SETTINGS)
    try:
        for _, keys in groupby(_keys(s3, bucket, first_day, last_day), key=lambda key: key.split("/")[2]):
            with tempfile.TemporaryDirectory(prefix="boxcar-history-") as folder:  # one day at a time
                files = {}
                for number, key in enumerate(keys):
                    files[Path(folder) / f"{number}.parquet"] = f"s3://{bucket}/{key}"
                    s3.download_file(bucket, key, str(Path(folder) / f"{number}.parquet"))
                found += _rows(connection, _readable(connection, files, warn))
    finally:
        connection.close()
    return found


def _keys(s3: Any, bucket: str, first_day: date, last_day: date) -> Iterator[str]:
    """Keys of the Parquet files of some days, in order; one listing, however many days there are."""
    behind = archive.day_prefix(f"{last_day}") + "\U0010ffff"
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=archive.JOBS, StartAfter=archive.day_prefix(f"{first_day}")
    )
    for page in pages:
        for entry in page.get("Contents", []):
            if entry["Key"] > behind:
                return
            if entry["Key"].endswith(".parquet"):
                yield entry["Key"]


def _readable(connection: duckdb.DuckDBPyConnection, files: dict[Path, str], warn: Callable[[str], None]) -> list[str]:
    """Return the files that can be read to their end; warn about the others."""
    readable = []
    for file, name in files.items():
        try:
            # every column: a file may be whole at its end and broken in its middle
            connection.execute(f"SELECT max(columns(*)) FROM read_parquet({_quoted([str(file)])})").fetchall()  # noqa: S608
        except duckdb.Error as error:
            reason = str(error).splitlines()[0].replace(str(file), name)
            warn(f"{name} cannot be read, its jobs are left out: {reason}")
        else:
            readable.append(str(file))
    return readable


def _rows(connection: duckdb.DuckDBPyConnection, files: list[str]) -> list[dict[str, Any]]:
    if not files:
        return []
    # The empty table brings the columns that older files lack.
    empty = ", ".join(f"NULL::{column.type} AS {column.name}" for column in archive.COLUMNS)
    answer = connection.execute(
        f"""
        WITH jobs AS (
            SELECT {empty} WHERE false UNION ALL BY NAME FROM read_parquet({_quoted(files)}, union_by_name = true)
        )
        SELECT {", ".join((*TEXTS, *NUMBERS))}, reason, tags,
               {", ".join(f"epoch_ms({name}) / 1000 AS {name}" for name in TIMES)}
        FROM jobs
        QUALIFY row_number() OVER (PARTITION BY job, jobs.created ORDER BY version DESC) = 1
        ORDER BY jobs.created, job
        """  # noqa: S608 - names are this project's own
    )
    names = [column[0] for column in answer.description]
    return [_summary(dict(zip(names, row, strict=True))) for row in answer.fetchall()]


def _quoted(files: list[str]) -> str:
    """Return a list in SQL: DuckDB loads pandas, which takes a second, when it is handed parameters."""
    return "[" + ", ".join("'" + file.replace("'", "''") + "'" for file in files) + "]"


def _summary(row: dict[str, Any]) -> dict[str, Any]:
    times = {name: iso_time(row[name]) for name in TIMES}
    return {
        **{name: row[name] or "" for name in TEXTS},
        **{name: default if row[name] is None else row[name] for name, default in NUMBERS.items()},
        "reason": shortened(row["reason"] or ""),
        "tags": json.loads(row["tags"] or "{}"),
        "created_at": times["created"],
        "started": times["started"],
        "ended": times["ended"],
        "waiting_for": "",
    }


def _to_stderr(sentence: str) -> None:
    click.echo(f"warning: {sentence}", err=True)
