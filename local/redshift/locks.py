"""LOCK: transactions that lock the same table follow each other."""

import threading
from collections import defaultdict
from collections.abc import Callable

from local.redshift.sessions import Connection

LOOK_S = 0.05  # between two looks at whether the statement was cancelled


class TableLocks:
    """A lock for each table of each database. Statements that lock nothing wait for nobody, unlike on Redshift."""

    def __init__(self) -> None:
        self._locks: dict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)
        self._guard = threading.Lock()

    def take(self, connection: Connection, database: str, table: str, check: Callable[[], None]) -> None:
        """Wait until the table is free, and keep it until the connection's transaction ends.

        Args:
            connection: whose transaction it is.
            database: of the table.
            table: its name.
            check: raises when the statement is to stop waiting.
        """
        with self._guard:
            lock = self._locks[database, table]
        if lock in connection.locked:
            return
        while not lock.acquire(timeout=LOOK_S):
            check()
        connection.locked.append(lock)
        if not connection.has_snapshot:  # Redshift takes it at the first query: it sees what was committed meanwhile
            connection.duckdb.execute("ROLLBACK")
            connection.duckdb.execute("BEGIN")
