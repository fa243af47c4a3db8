"""Connections that stay open between statements, with their temporary tables and transactions."""

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import duckdb

from local.clock import Clock
from local.service import ApiError

LONGEST_S = 24 * 3600.0
MOST = 500  # https://docs.aws.amazon.com/redshift/latest/mgmt/amazon-redshift-limits.html


@dataclass
class Connection:
    """One connection to a database, and whether a transaction is open on it."""

    duckdb: duckdb.DuckDBPyConnection
    in_transaction: bool = False
    has_snapshot: bool = False  # the transaction has read or written something
    locked: list[threading.Lock] = field(default_factory=list)  # tables, until the transaction ends

    def unlock(self) -> None:
        """The transaction has ended: others may have its tables."""
        while self.locked:
            self.locked.pop().release()

    def close(self) -> None:
        """End it; an open transaction is rolled back."""
        self.duckdb.close()
        self.unlock()


@dataclass
class Session:
    """A connection that statements share, one at a time."""

    id: str
    target: dict[str, Any]  # Database, WorkgroupName or ClusterIdentifier, …
    caller: str
    connection: Connection
    created: float
    keep_alive_s: float
    idle_since: float
    busy: str | None = None  # id of the statement that runs
    lock: threading.Lock = field(default_factory=threading.Lock)


class Sessions:
    """All open sessions of one cloud. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def open(
        self, target: dict[str, Any], caller: str, keep_alive_s: float, connect: Callable[[], Connection]
    ) -> Session:
        """A new session.

        Raises:
            ApiError: there are too many.
        """
        self.expire()
        with self._lock:
            if len(self._sessions) >= MOST:
                raise ApiError("ActiveSessionsExceededException", f"Active sessions limit exceeded: {MOST}")
            now = self._clock.time()
            session = Session(str(uuid.uuid4()), target, caller, connect(), now, keep_alive_s, now)
            self._sessions[session.id] = session
            return session

    def take(self, identifier: str, statement: str, keep_alive_s: float | None) -> Session:
        """Reserve a session for a statement.

        Raises:
            ApiError: it is closed, unknown, or busy.
        """
        self.expire()
        with self._lock:
            session = self._sessions.get(identifier)
            if session is None:
                raise ApiError(
                    "ValidationException", f"Session {identifier} is not available: it does not exist or has expired"
                )
            if session.busy:
                raise ApiError(
                    "ValidationException", f"Session {identifier} is not available: it runs statement {session.busy}"
                )
            session.busy = statement
            if keep_alive_s is not None:
                session.keep_alive_s = keep_alive_s
            return session

    def release(self, session: Session) -> None:
        """The statement has ended; the time to live starts again."""
        with self._lock:
            session.busy = None
            session.idle_since = self._clock.time()

    def expire(self) -> None:
        """Close what was idle for longer than it asked for, or is a day old."""
        now = self._clock.time()
        with self._lock:
            gone = [
                session
                for session in self._sessions.values()
                if not session.busy
                and (now - session.idle_since > session.keep_alive_s or now - session.created > LONGEST_S)
            ]
            for session in gone:
                del self._sessions[session.id]
        for session in gone:
            session.connection.close()

    def describe(self) -> list[dict[str, Any]]:
        """All open sessions, as ListSessions shows them."""
        self.expire()
        with self._lock:
            return [
                {
                    "SessionId": session.id,
                    "Status": "BUSY" if session.busy else "AVAILABLE",
                    "CreatedAt": session.created,
                    "UpdatedAt": session.idle_since,
                    "SessionAliveSeconds": int(session.keep_alive_s),
                    "SessionTtl": session.idle_since + session.keep_alive_s,
                    **{name: value for name, value in session.target.items() if name != "SecretArn"},
                    **({"CurrentStatementId": session.busy} if session.busy else {}),
                }
                for session in sorted(self._sessions.values(), key=lambda one: one.created)
            ]

    def close(self) -> None:
        """Close all."""
        with self._lock:
            sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            session.connection.close()
