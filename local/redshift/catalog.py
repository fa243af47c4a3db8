"""What there is: databases, schemas, tables and columns, as the API lists them."""

import contextlib
from collections.abc import Iterator
from typing import Any

import duckdb

from local.redshift import quoting
from local.redshift.errors import SqlError
from local.redshift.requests import check_target, paged
from local.redshift.results import column_metadata
from local.redshift.warehouse import Warehouse
from local.service import ApiError

HIDDEN = "('main', 'rs_identity')"
SYSTEM = "('pg_catalog', 'information_schema')"


class Catalog:
    """The API's lists of what there is, of one warehouse."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def list_databases(self, request: dict[str, Any]) -> dict[str, Any]:
        """ListDatabases: those that were ever connected to."""
        return paged("Databases", self._warehouse.names(), request)

    def list_schemas(self, request: dict[str, Any]) -> dict[str, Any]:
        """ListSchemas."""
        with self._connected(request) as connection:
            return paged("Schemas", schemas(connection, request.get("SchemaPattern")), request)

    def list_tables(self, request: dict[str, Any]) -> dict[str, Any]:
        """ListTables."""
        with self._connected(request) as connection:
            found = tables(connection, request.get("SchemaPattern"), request.get("TablePattern"))
            return paged("Tables", found, request)

    def describe_table(self, request: dict[str, Any]) -> dict[str, Any]:
        """DescribeTable.

        Raises:
            ApiError: there is no such table.
        """
        if not request.get("Table"):
            raise ApiError("ValidationException", "Table must be specified")
        with self._connected(request) as connection:
            found = columns(connection, request.get("Schema"), request["Table"])
        return {"TableName": request["Table"], **paged("ColumnList", found, request)}

    @contextlib.contextmanager
    def _connected(self, request: dict[str, Any]) -> Iterator[duckdb.DuckDBPyConnection]:
        check_target(request)
        try:
            connection = self._warehouse.connect(request.get("ConnectedDatabase") or request["Database"])
        except SqlError as error:
            raise ApiError("ValidationException", f"FATAL: {error}") from error
        try:
            yield connection
        finally:
            connection.close()


def schemas(connection: duckdb.DuckDBPyConnection, pattern: str | None) -> list[str]:
    """Names of schemas that match a LIKE pattern."""
    rows = connection.execute(
        f"SELECT schema_name FROM duckdb_schemas() WHERE database_name IN (current_database(), 'system') "  # noqa: S608
        f"AND schema_name NOT IN {HIDDEN} AND schema_name LIKE {quoting.text(pattern or '%')} "
        "ESCAPE '\\' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return [row[0] for row in rows]


def tables(connection: duckdb.DuckDBPyConnection, schema: str | None, table: str | None) -> list[dict[str, str]]:
    """Tables and views that match LIKE patterns."""
    schema_like, table_like = quoting.text(schema or "%"), quoting.text(table or "%")
    rows = connection.execute(
        f"""
        SELECT schema_name, table_name, CASE WHEN schema_name IN {SYSTEM} THEN 'SYSTEM TABLE' ELSE 'TABLE' END
        FROM duckdb_tables() WHERE database_name = current_database() AND schema_name NOT IN {HIDDEN}
        AND schema_name LIKE {schema_like} ESCAPE '\\' AND table_name LIKE {table_like} ESCAPE '\\'
        UNION ALL
        SELECT schema_name, view_name, CASE WHEN internal THEN 'SYSTEM VIEW' ELSE 'VIEW' END
        FROM duckdb_views() WHERE database_name = current_database() AND schema_name NOT IN {HIDDEN} AND NOT internal
        AND schema_name LIKE {schema_like} ESCAPE '\\' AND view_name LIKE {table_like} ESCAPE '\\'
        ORDER BY 1, 2
        """  # noqa: S608 (constants and literals)
    ).fetchall()
    return [{"schema": row[0], "name": row[1], "type": row[2]} for row in rows]


def columns(connection: duckdb.DuckDBPyConnection, schema: str | None, table: str) -> list[dict[str, Any]]:
    """The columns of a table or view; without a schema, of the first that has it.

    Raises:
        ApiError: there is no such table.
    """
    table_is, owner_is = quoting.text(table.lower()), quoting.text((schema or "public").lower())
    rows = connection.execute(
        f"""
        SELECT schema_name, column_name, data_type, is_nullable, column_default FROM duckdb_columns()
        WHERE database_name = current_database() AND table_name = {table_is} AND schema_name = {owner_is}
        ORDER BY column_index
        """  # noqa: S608 (literals)
    ).fetchall()
    if not rows:
        raise ApiError("ValidationException", f"Table {schema + '.' if schema else ''}{table} does not exist")
    lengths = _lengths(connection, rows[0][0], table.lower())
    described = []
    for owner, name, kind, nullable, default in rows:
        column = column_metadata(name, kind, table.lower(), owner)
        column.update(nullable=int(nullable), length=lengths.get(name, 0))
        if default is not None and "rs_identity" not in str(default):
            column["columnDefault"] = str(default)
        described.append(column)
    return described


def _lengths(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> dict[str, int]:
    """How many bytes text columns may hold, from the checks that CREATE TABLE made for them."""
    rows = connection.execute(
        f"""
        SELECT constraint_column_names[1], regexp_extract(expression, 'strlen.*<= (\\d+)', 1) FROM duckdb_constraints()
        WHERE schema_name = {quoting.text(schema)} AND table_name = {quoting.text(table)} AND constraint_type = 'CHECK'
        """  # noqa: S608 (literals)
    ).fetchall()
    return {name: int(length) for name, length in rows if length}
