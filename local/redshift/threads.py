"""How many threads DuckDB works with: one, but while a statement about many rows runs.

Whoever waits for another thread of DuckDB's spins, and takes Python's lock at each turn. With two threads a load of a
hundred thousand rows took twice the processor time that it takes with one, and slowed down all else in the cloud.
"""

import os
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import duckdb

MANY = 500_000  # rows; DuckDB shares work out by groups of 122,880


class Threads:
    """Counts, for each database, the statements about many rows that run."""

    def __init__(self, most: int | None = None) -> None:
        """`most` threads at most; None: as many as there are processors."""
        self._most = most or os.cpu_count() or 1
        self._large: dict[str, set[object]] = defaultdict(set)
        self._lock = threading.Lock()

    @contextmanager
    def running(
        self, connection: duckdb.DuckDBPyConnection, database: str, sql: str
    ) -> Iterator[Callable[[int], None]]:
        """While a statement, or a batch, runs. What is yielded is to be told of rows that it turns out to have."""
        statement, database = object(), database.lower()  # as the warehouse opens it

        def tell(rows: int) -> None:
            if rows >= MANY:
                with self._lock:
                    self._large[database].add(statement)
                    self._set(connection, database)

        with connection.cursor() as cursor:  # of its own: a look at the catalog is no snapshot of the statement's
            tell(rows_of(cursor, sql))
        try:
            yield tell
        finally:
            with self._lock:
                if statement in self._large[database]:
                    self._large[database].remove(statement)
                    self._set(connection, database)

    def _set(self, connection: duckdb.DuckDBPyConnection, database: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET threads = {self._most if self._large[database] else 1}")


def rows_of(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    """Rows of the largest table that a statement names, itself or by a view."""
    tables = dict(connection.execute("SELECT lower(table_name), estimated_size FROM duckdb_tables()").fetchall())
    views = dict(connection.execute("SELECT lower(view_name), sql FROM duckdb_views() WHERE NOT internal").fetchall())
    names, texts = set[str](), [sql]
    while texts:
        fresh = set(re.findall(r"\w+", texts.pop().lower())) - names
        names |= fresh
        texts += [views[name] for name in fresh & views.keys()]
    return max((rows or 0 for name, rows in tables.items() if name in names), default=0)
