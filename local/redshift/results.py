"""Results, page by page on disk: a large one costs no memory, neither when it is made nor when it is read."""

import csv
import datetime as dt
import decimal
import io
import json
import re
from pathlib import Path
from typing import Any

import duckdb

from local.redshift import quoting
from local.redshift.errors import SqlError
from local.redshift.translate import Query

PAGE_ROWS = 1000
SUM_TYPES = {"BIGINT", "DECIMAL(38,0)"}
MOST_BYTES = 500 * 2**20  # of a result; https://docs.aws.amazon.com/redshift/latest/mgmt/data-api.html

# DuckDB's type -> Redshift's name, precision.
TYPES = {
    "BOOLEAN": ("bool", 1), "TINYINT": ("int2", 5), "UTINYINT": ("int2", 5), "SMALLINT": ("int2", 5),
    "INTEGER": ("int4", 10), "UINTEGER": ("int8", 19), "BIGINT": ("int8", 19), "UBIGINT": ("int8", 19),
    "HUGEINT": ("int8", 19), "FLOAT": ("float4", 8), "DOUBLE": ("float8", 17), "VARCHAR": ("varchar", 0),
    "DATE": ("date", 13), "TIMESTAMP": ("timestamp", 29), "TIMESTAMP WITH TIME ZONE": ("timestamptz", 35),
    "TIME": ("time", 15), "INTERVAL": ("interval", 0), "JSON": ("varchar", 0), "UUID": ("varchar", 0),
    '"NULL"': ("varchar", 0), "BLOB": ("varbyte", 0),
}  # fmt: skip


def store(cursor: duckdb.DuckDBPyConnection, query: Query, folder: Path) -> tuple[int, int]:
    """Run a query, write what it gives to `folder`, and say how many rows and bytes that were.

    Raises:
        SqlError: the result is larger than the Data API returns.
    """
    folder.mkdir(parents=True, exist_ok=True)
    types = column_types(cursor, query)
    columns = [column_metadata(name, kind) for name, kind in types]
    cursor.execute(cast_query(query, types, {"TIMESTAMP WITH TIME ZONE"}))
    (folder / "columns.json").write_text(json.dumps(columns))
    rows = size = page = 0
    while records := cursor.fetchmany(PAGE_ROWS):
        text = json.dumps([[field(value) for value in record] for record in records])
        (folder / f"{page}.json").write_text(text)
        rows, size, page = rows + len(records), size + len(text), page + 1
        if size > MOST_BYTES:
            raise SqlError("The result is larger than 500 MB: use UNLOAD")
    return rows, size


def column_types(cursor: duckdb.DuckDBPyConnection, query: Query) -> list[tuple[str, str]]:
    """The names and types of a query's columns, with Redshift's types for sums.

    SUM of integers is BIGINT, of BIGINT NUMERIC(38,0) (https://docs.aws.amazon.com/redshift/latest/dg/r_SUM.html); for
    DuckDB both are HUGEINT, which files cannot hold.
    """
    described = [(row[0], str(row[1])) for row in cursor.execute(f"DESCRIBE {query.sql}").fetchall()]
    if not any(kind == "HUGEINT" for _, kind in described):
        return described
    probe = described
    if query.probe:
        probe = [(row[0], str(row[1])) for row in cursor.execute(f"DESCRIBE {query.probe}").fetchall()]
    wide = {"BIGINT": "DECIMAL(38,0)"}
    return [
        (name, wide.get(summed, "BIGINT") if kind == "HUGEINT" else kind)
        for (name, kind), (_, summed) in zip(described, probe, strict=True)
    ]


def cast_query(query: Query, types: list[tuple[str, str]], as_text: set[str], more: str = "") -> str:
    """A query whose sums have Redshift's types, and whose columns of some types are text; `more` adds to its SELECT."""
    inner = [f"c{number}" for number in range(len(types))]  # names may be given twice, places not
    selected = []
    for place, (name, kind) in zip(inner, types, strict=True):
        quoted = quoting.name(name)
        target = "VARCHAR" if kind in as_text else kind if kind in SUM_TYPES else ""
        selected.append(f"CAST({place} AS {target}) AS {quoted}" if target else f"{place} AS {quoted}")
    if not more and not any(column.startswith("CAST") for column in selected):
        return query.sql
    return f"SELECT {', '.join(selected)}{more} FROM ({query.sql}) AS rs_query({', '.join(inner)})"  # noqa: S608


def load(folder: Path, page: int) -> tuple[list[dict[str, Any]], list[list[dict[str, Any]]], bool]:
    """The columns, one page of records, and whether there is another."""
    columns = json.loads((folder / "columns.json").read_text())
    path = folder / f"{page}.json"
    records = json.loads(path.read_text()) if path.exists() else []
    return columns, records, (folder / f"{page + 1}.json").exists()


def field(value: Any) -> dict[str, Any]:
    """One value in the API's shape."""
    if value is None:
        return {"isNull": True}
    if isinstance(value, bool):
        return {"booleanValue": value}
    if isinstance(value, int):
        return {"longValue": value} if -(2**63) <= value < 2**63 else {"stringValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": text(value)}


def text(value: Any) -> str:
    """A value as Redshift prints it: moments with a space, and with no more of a second than they have."""
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, dt.datetime):
        zone = "+00" if value.tzinfo else ""
        plain = value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
        shown = plain.isoformat(sep=" ")
        return (shown.rstrip("0") if "." in shown else shown) + zone
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def as_csv(records: list[list[dict[str, Any]]], columns: list[dict[str, Any]], header: bool) -> str:
    """A page as GetStatementResultV2 gives it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    if header:
        writer.writerow([column["name"] for column in columns])
    for record in records:
        writer.writerow([_plain(value) for value in record])
    return out.getvalue()


def _plain(value: dict[str, Any]) -> Any:
    if "isNull" in value:
        return ""
    if "booleanValue" in value:
        return "t" if value["booleanValue"] else "f"
    return next(iter(value.values()))


def column_metadata(name: str, duckdb_type: str, table: str = "", schema: str = "") -> dict[str, Any]:
    """A column as ColumnMetadata describes it."""
    base = duckdb_type.partition("(")[0]
    type_name, precision = TYPES.get(base, (base.lower(), 0))
    scale = 0
    if base == "DECIMAL" and (found := re.search(r"\((\d+),\s*(\d+)\)", duckdb_type)):
        type_name, precision, scale = "numeric", int(found[1]), int(found[2])
    numeric = type_name in {"int2", "int4", "int8", "numeric", "float4", "float8"}
    return {
        "name": name, "label": name, "typeName": type_name, "precision": precision, "scale": scale, "nullable": 1,
        "isCaseSensitive": type_name == "varchar", "isCurrency": False, "isSigned": numeric, "length": 0,
        "schemaName": schema, "tableName": table,
    }  # fmt: skip
