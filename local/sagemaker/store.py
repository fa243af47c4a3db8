"""What SageMaker remembers, in one SQLite file that a restart finds again."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local.service import ApiError

Record = dict[str, Any]


class Store:
    """Records by kind (`training-job`, `model`, …) and name, kept in memory and written through to disk.

    A record's fields that begin with `_` are the service's own; answers leave them out.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._database = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        # A kill of the process loses nothing; only a loss of power could.
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=OFF")
        self._database.execute("CREATE TABLE IF NOT EXISTS records (kind, name, body, PRIMARY KEY (kind, name))")
        self._records: dict[str, dict[str, Record]] = {}
        for kind, name, body in self._database.execute("SELECT kind, name, body FROM records ORDER BY rowid"):
            self._records.setdefault(kind, {})[name] = json.loads(body)

    def add(self, kind: str, name: str, record: Record) -> bool:
        """Keep a new record; False, and nothing done, when the name is taken."""
        with self._lock:
            if name in self._records.get(kind, {}):
                return False
            self.put(kind, name, record)
            return True

    def put(self, kind: str, name: str, record: Record) -> None:
        """Keep a record, new or changed."""
        with self._lock:
            self._records.setdefault(kind, {})[name] = record
            self._database.execute(
                "INSERT INTO records VALUES (?, ?, ?) ON CONFLICT (kind, name) DO UPDATE SET body = excluded.body",
                (kind, name, json.dumps(record)),
            )

    def change(self, kind: str, name: str, fields: Record) -> Record:
        """Set fields of a record and return the whole, as it is now."""
        with self._lock:
            record = self._records[kind][name]
            record.update(fields)
            self.put(kind, name, record)
            return dict(record)

    def count(self, kind: str, name: str, field: str) -> int:
        """Add one to a number of a record and return it; two callers never get the same."""
        with self._lock:
            number = int(self._records[kind][name][field]) + 1
            self.change(kind, name, {field: number})
            return number

    def get(self, kind: str, name: str) -> Record | None:
        """A copy of the record, or None."""
        with self._lock:
            record = self._records.get(kind, {}).get(name)
            return None if record is None else dict(record)

    def found(self, kind: str, name: str, missing: str) -> Record:
        """A copy of the record.

        Raises:
            ApiError: ValidationException with these words when there is none.
        """
        record = self.get(kind, name)
        if record is None:
            raise ApiError("ValidationException", missing)
        return record

    def remove(self, kind: str, name: str) -> bool:
        """Forget a record; False when there is none."""
        with self._lock:
            found = self._records.get(kind, {}).pop(name, None)
            self._database.execute("DELETE FROM records WHERE kind = ? AND name = ?", (kind, name))
            return found is not None

    def all(self, kind: str) -> Iterator[Record]:
        """Copies of every record of a kind, oldest first."""
        with self._lock:
            return iter([dict(record) for record in self._records.get(kind, {}).values()])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()
