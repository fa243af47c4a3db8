"""What outlives an execution, and the process: records and histories of executions, in SQLite.

Memory holds what runs; everything that ended is here, so that a map run of a hundred thousand child executions costs
disk, not memory.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local.stepfunctions.executions import Execution

SMALL = 16 * 1024  # bytes of a history that is stored as it is
BATCH = 500  # rows of child executions in one transaction
VERSION = 2  # of the tables below
SCHEMA = """
CREATE TABLE IF NOT EXISTS executions (
    arn TEXT PRIMARY KEY, owner TEXT NOT NULL, status TEXT NOT NULL, sequence INTEGER NOT NULL,
    record TEXT NOT NULL, history BLOB
);
CREATE INDEX IF NOT EXISTS by_owner ON executions (owner, sequence);
CREATE TABLE IF NOT EXISTS documents (kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id));
"""

SAVE = """
INSERT INTO executions VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (arn) DO UPDATE SET status = excluded.status, record = excluded.record, history = excluded.history
"""


class Store:
    """Executions and other documents in one file of the folder; without a folder, in a temporary one."""

    def __init__(self, folder: Path | None) -> None:
        self._temporary = None if folder else Path(tempfile.mkdtemp(prefix="stepfunctions-"))
        home = folder or self._temporary
        assert home is not None
        home.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(home / "executions.sqlite", check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")  # survives the death of the process, which is what happens here
        self._db.execute("PRAGMA cache_size=-4000")
        if self._db.execute("PRAGMA user_version").fetchone()[0] != VERSION:  # executions of another layout
            self._db.executescript(f"DROP TABLE IF EXISTS executions; PRAGMA user_version={VERSION}")
        self._db.executescript(SCHEMA)
        self._pending = 0

    def close(self) -> None:
        """Write what is left and let go of the file."""
        self._commit()
        self._db.close()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _commit(self) -> None:
        if self._pending:
            self._db.execute("COMMIT")
            self._pending = 0

    def save(self, execution: Execution, events: list[dict[str, Any]] | None) -> None:
        """Write a record, and its history when it ended."""
        if not self._pending:
            self._db.execute("BEGIN")
        self._pending += 1
        history = None if events is None else packed(json.dumps(events).encode())
        owner = execution.map_run or execution.machine_arn
        record = json.dumps(execution.row())
        self._db.execute(SAVE, (execution.arn, owner, execution.status, execution.order, record, history))
        if not execution.map_run or self._pending >= BATCH:
            self._commit()

    def load(self, arn: str) -> Execution | None:
        """The record of an execution."""
        row = self._db.execute("SELECT record FROM executions WHERE arn = ?", (arn,)).fetchone()
        return Execution(**json.loads(row[0])) if row else None

    def history(self, arn: str) -> list[dict[str, Any]]:
        """The events of an execution that ended."""
        row = self._db.execute("SELECT history FROM executions WHERE arn = ?", (arn,)).fetchone()
        return json.loads(row[0] if row[0][:1] == b"[" else zlib.decompress(row[0])) if row and row[0] else []

    def find(self, owner: str, status: str | None, limit: int, offset: int) -> list[Execution]:
        """Executions of a machine or map run, newest first."""
        where = "owner = ?" + (" AND status = ?" if status else "")
        parameters = [owner, *([status] if status else []), limit, offset]
        rows = self._db.execute(
            f"SELECT record FROM executions WHERE {where} ORDER BY sequence DESC, rowid DESC LIMIT ? OFFSET ?",  # noqa: S608
            parameters,
        )
        return [Execution(**json.loads(row[0])) for row in rows]

    def children(self, map_run: str, status: str) -> Iterator[Execution]:
        """The children of a map run in the order of their items: those that SUCCEEDED, or that `failed` in any way."""
        last = -1
        while True:  # page by page: no cursor stays open while others write
            rows = self._db.execute(
                "SELECT sequence, record FROM executions WHERE owner = ? AND sequence > ? "
                "AND (status = 'SUCCEEDED') = ? ORDER BY sequence LIMIT 500",
                (map_run, last, status == "SUCCEEDED"),
            ).fetchall()
            for _, record in rows:
                yield Execution(**json.loads(record))
            if not rows:
                return
            last = rows[-1][0]

    def unfinished(self, map_run: str) -> Iterator[Execution]:
        """The children of a map run that a redrive runs again."""
        return self.children(map_run, "failed")

    def running(self) -> list[Execution]:
        """Executions that were running when the process died."""
        rows = self._db.execute("SELECT record FROM executions WHERE status = 'RUNNING'").fetchall()
        return [Execution(**json.loads(row[0])) for row in rows]

    def put(self, kind: str, name: str, body: dict[str, Any]) -> None:
        """Write a document."""
        self._commit()
        self._db.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (kind, name, json.dumps(body)))

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """A document."""
        row = self._db.execute("SELECT body FROM documents WHERE kind = ? AND id = ?", (kind, name)).fetchone()
        return json.loads(row[0]) if row else None

    def remove(self, kind: str, name: str) -> None:
        """Forget a document."""
        self._db.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, name))

    def all(self, kind: str) -> list[dict[str, Any]]:
        """All documents of a kind, in the order of their names."""
        rows = self._db.execute("SELECT body FROM documents WHERE kind = ? ORDER BY id", (kind,))
        return [json.loads(row[0]) for row in rows]


def packed(data: bytes) -> bytes:
    """A history as it is stored: compressed where that pays."""
    return zlib.compress(data, 1) if len(data) > SMALL else data
