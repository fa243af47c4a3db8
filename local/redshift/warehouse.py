"""The databases: one DuckDB file each, opened when first used, and connections that behave like Redshift's."""

import contextlib
import re
import shutil
import threading
from pathlib import Path

import duckdb

from local.redshift.errors import SqlError
from local.redshift.macros import MACROS, VIEWS

# Settings of DuckDB that belong to one connection.
CONNECTION = """
SET search_path = 'public,main'; SET integer_division = true; SET TimeZone = 'UTC';
SET default_null_order = 'nulls_last'; SET enable_progress_bar = false;
"""


class Warehouse:
    """All databases of one cloud, in one folder."""

    def __init__(self, folder: Path, memory_limit: str = "1GB") -> None:
        self._folder = folder
        self._memory_limit = memory_limit
        self._databases: dict[str, duckdb.DuckDBPyConnection] = {}
        self._lock = threading.Lock()
        self.scratch = folder / "scratch"  # files on their way to or from S3
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True, exist_ok=True)

    def names(self) -> list[str]:
        """The databases that exist."""
        return sorted({path.stem for path in self._folder.glob("*.duckdb")} | set(self._databases))

    def connect(self, database: str) -> duckdb.DuckDBPyConnection:
        """A connection of its own: own transaction, own temporary tables. A new name makes a new database.

        Raises:
            SqlError: the name cannot be one of a database.
        """
        name = database.lower()
        if not re.fullmatch(r"[a-z_][a-z0-9_$-]{0,126}", name) or name in {"main", "temp", "system", "public"}:
            raise SqlError(f'database "{database}" does not exist')
        with self._lock:
            if name not in self._databases:
                self._databases[name] = self._open(name)
            connection = self._databases[name].cursor()
        connection.execute(CONNECTION)
        return connection

    def _open(self, name: str) -> duckdb.DuckDBPyConnection:
        database = duckdb.connect(
            str(self._folder / f"{name}.duckdb"),
            config={
                "memory_limit": self._memory_limit,
                "threads": 1,  # see Threads
                "checkpoint_threshold": "128MB",  # a load should not wait for those before it to be tidied up
                "temp_directory": str(self.scratch / f"spill-{name}"),
                "python_enable_replacements": False,  # nor this process's variables
            },
        )
        database.execute("SET search_path = 'main'")
        database.execute("CREATE SCHEMA IF NOT EXISTS public")
        database.execute(MACROS)
        database.execute(VIEWS)
        # From here on SQL reads and writes nothing but its own database and the scratch folder.
        database.execute(f"SET allowed_directories = ['{self.scratch}']")
        database.execute("SET enable_external_access = false")
        return database

    def close(self) -> None:
        """Write everything to the files and let go of them."""
        with self._lock:
            for database in self._databases.values():
                with contextlib.suppress(duckdb.Error):  # a transaction is open; the write-ahead log has the others
                    database.execute("CHECKPOINT")
                database.close()
            self._databases.clear()
        shutil.rmtree(self.scratch, ignore_errors=True)
