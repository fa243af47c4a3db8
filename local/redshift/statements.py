"""The statements that were asked for, as the API shows them. They live in SQLite, so that a kill loses none."""

import json
import shutil
import sqlite3
import threading
import uuid
from pathlib import Path
from typing import Any

Record = dict[str, Any]  # what DescribeStatement shows, and some more in lower case
FINAL = {"FINISHED", "FAILED", "ABORTED"}
KEPT_S = 24 * 3600.0  # https://docs.aws.amazon.com/redshift/latest/mgmt/data-api.html: results are kept for 24 hours
TOKENS_KEPT_S = 8 * 3600.0  # and client tokens for eight


class Statements:
    """All statements of one cloud, newest kept for a day. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self.results = folder / "results"
        self.results.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(folder / "statements.sqlite", check_same_thread=False, isolation_level=None)
        self._db.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;"
            "CREATE TABLE IF NOT EXISTS statements "
            "(id TEXT PRIMARY KEY, created REAL, status TEXT, name TEXT, document TEXT);"
            "CREATE INDEX IF NOT EXISTS newest ON statements (created DESC);"
            "CREATE TABLE IF NOT EXISTS tokens (token TEXT PRIMARY KEY, id TEXT, created REAL);"
        )

    def add(self, record: Record, token: str | None) -> None:
        """Store a new statement, and the client token that stands for it."""
        with self._lock:
            if token:
                row = (token, record["Id"], record["CreatedAt"])
                self._db.execute("INSERT OR REPLACE INTO tokens VALUES (?, ?, ?)", row)
            self.save(record)

    def by_token(self, token: str) -> Record | None:
        """The statement that a client token stands for."""
        with self._lock:
            found = self._db.execute("SELECT id FROM tokens WHERE token = ?", (token,)).fetchone()
            return self.get(found[0]) if found else None

    def save(self, record: Record) -> None:
        """Write the statement as it is now."""
        row = (
            record["Id"],
            record["CreatedAt"],
            record["Status"],
            record.get("StatementName") or "",
            json.dumps(record),
        )
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO statements VALUES (?, ?, ?, ?, ?)", row)

    def get(self, identifier: str) -> Record | None:
        """A statement by its id, as a copy; a batch's id without the `:n` of a part."""
        with self._lock:
            found = self._db.execute(
                "SELECT document FROM statements WHERE id = ?", (identifier.partition(":")[0],)
            ).fetchone()
        return json.loads(found[0]) if found else None

    def newest(self, name: str, statuses: set[str], before: float, limit: int) -> list[Record]:
        """Statements, newest first, whose name begins with `name`, made before a moment (epoch seconds)."""
        with self._lock:
            rows = self._db.execute(
                "SELECT document FROM statements WHERE substr(name, 1, ?) = ? AND created < ? "  # noqa: S608 (marks only)
                f"AND status IN ({','.join('?' * len(statuses))}) ORDER BY created DESC LIMIT ?",
                (len(name), name, before, *sorted(statuses), limit),
            ).fetchall()
        return [json.loads(row[0]) for row in rows]

    def unfinished(self) -> list[Record]:
        """Statements that were neither finished, failed nor aborted."""
        with self._lock:
            rows = self._db.execute(
                "SELECT document FROM statements WHERE status NOT IN ('FINISHED', 'FAILED', 'ABORTED') ORDER BY created"
            ).fetchall()
        return [json.loads(row[0]) for row in rows]

    def forget(self, now: float) -> None:
        """Drop what is older than AWS keeps it."""
        with self._lock:
            old = self._db.execute("SELECT id FROM statements WHERE created < ?", (now - KEPT_S,)).fetchall()
            for (identifier,) in old:
                shutil.rmtree(self.results / identifier, ignore_errors=True)
                self._db.execute("DELETE FROM statements WHERE id = ?", (identifier,))
            self._db.execute("DELETE FROM tokens WHERE created < ?", (now - TOKENS_KEPT_S,))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()


def new_record(request: dict[str, Any], sqls: list[str], batch: bool, caller: str, now: float) -> Record:
    """A statement as it is when it has just been asked for."""
    identifier = str(uuid.uuid4())
    record: Record = {
        "Id": identifier,
        "Status": "SUBMITTED",
        "CreatedAt": now,
        "UpdatedAt": now,
        "Duration": -1,
        "HasResultSet": False,
        "ResultRows": -1,
        "ResultSize": -1,
        "RedshiftPid": 0,
        "RedshiftQueryId": 0,
        "QueryString": sqls[0] if not batch else ";\n".join(sqls),
        "ResultFormat": request.get("ResultFormat", "JSON"),
        "caller": caller,
        "batch": batch,
        "event": bool(request.get("WithEvent")),
        "mode": request.get("ExecutionMode", "TRANSACTION"),
    }
    for name in ("Database", "DbUser", "SecretArn", "ClusterIdentifier", "WorkgroupName", "StatementName"):
        if request.get(name):
            record[name] = request[name]
    if request.get("Parameters"):
        record["QueryParameters"] = request["Parameters"]
    if batch:
        record["SubStatements"] = [new_part(f"{identifier}:{number}", sql, now) for number, sql in enumerate(sqls, 1)]
    return record


def new_part(identifier: str, sql: str, now: float) -> Record:
    """One statement of a batch."""
    return {
        "Id": identifier, "Status": "SUBMITTED", "CreatedAt": now, "UpdatedAt": now, "Duration": -1, "QueryString": sql,
        "HasResultSet": False, "ResultRows": -1, "ResultSize": -1, "RedshiftQueryId": 0,
    }  # fmt: skip
