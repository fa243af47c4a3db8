"""Runs statements: one thread and one connection each, a few at a time, and can be told to stop."""

import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from local.redshift import quoting
from local.redshift.copy_in import read_copy, run_copy
from local.redshift.errors import SqlError, is_conflict, redshift_text
from local.redshift.locks import TableLocks
from local.redshift.results import cast_query, column_types, store
from local.redshift.sessions import Connection
from local.redshift.statements import Record
from local.redshift.storage import Storage
from local.redshift.threads import Threads
from local.redshift.translate import QUERY, Translation, translate
from local.redshift.unload import read_unload, run_unload

AT_ONCE = 8  # statements that run; the others wait in the queue as SUBMITTED
RETRIES = 40  # of a write outside a transaction that met another: Redshift would have let it wait for the table's lock


class StatementCancelled(Exception):  # noqa: N818 (not an error: somebody asked for it)
    """Somebody asked the statement to stop, or the cloud is closing."""


@dataclass
class Running:
    """A statement on its way."""

    record: Record
    connection: Connection | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    tell: Callable[[int], None] = lambda _: None  # how many rows it turns out to have
    _winding_up: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def cancel(self) -> None:
        """Ask it to stop, and go on asking: an interrupt that comes just before a query begins is lost on DuckDB."""
        if not self.cancelled.is_set():
            self.cancelled.set()
            threading.Thread(target=self._interrupt, name="redshift-cancel", daemon=True).start()

    def _interrupt(self) -> None:
        while not self.done.wait(0.02):
            with self._lock:
                if self._winding_up:
                    return
                if self.connection is not None:
                    self.connection.duckdb.interrupt()

    def wind_up(self) -> None:
        """From here on nothing is interrupted any more: what was begun is rolled back."""
        with self._lock:
            self._winding_up = True

    def check(self) -> None:
        """Stop here if asked to.

        Raises:
            StatementCancelled: somebody did.
        """
        if self.cancelled.is_set():
            self.wind_up()
            raise StatementCancelled


class Worker:
    """Carries out statements on a connection and writes down how it went."""

    def __init__(
        self, scratch: Path, results: Path, storage: Callable[[str], Storage], save: Callable[[Record], None],
        now: Callable[[], float],
    ) -> None:  # fmt: skip
        self._scratch, self._results = scratch, results
        self._storage, self._save, self._now = storage, save, now
        self.slots = threading.Semaphore(AT_ONCE)
        self._locks = TableLocks()
        self._threads = Threads()

    def run(self, running: Running, connection: Connection) -> None:
        """Run a record's statement or batch to its end; its status says how that was."""
        record = running.record
        running.connection = connection
        began = time.perf_counter_ns()
        record.update(Status="STARTED", UpdatedAt=self._now(), RedshiftPid=random.randint(10**8, 2**30))  # noqa: S311
        self._save(record)
        try:
            running.check()
            with self._threads.running(connection.duckdb, record["Database"], record["QueryString"]) as running.tell:
                if record["batch"]:
                    self._batch(running, connection)
                else:
                    self._one(running, connection, record, record["QueryString"])
                    record["Status"] = "FINISHED"
        except (StatementCancelled, duckdb.InterruptException):
            record.update(Status="ABORTED", Error="Query was aborted by the user")
        except Exception as error:  # whatever a statement runs into is its own failure, never this thread's
            if running.cancelled.is_set():
                record.update(Status="ABORTED", Error="Query was aborted by the user")
            else:
                record.update(Status="FAILED", Error=redshift_text(error))
        record.update(Duration=time.perf_counter_ns() - began, UpdatedAt=self._now())

    def _batch(self, running: Running, connection: Connection) -> None:
        record, parts = running.record, running.record["SubStatements"]
        one_transaction = record["mode"] == "TRANSACTION"
        if one_transaction:
            _begin(connection)
        failed = ""
        for number, part in enumerate(parts, 1):
            began = time.perf_counter_ns()
            part.update(Status="STARTED", UpdatedAt=self._now())
            try:
                running.check()
                self._one(running, connection, part, part["QueryString"])
                part["Status"] = "FINISHED"
            except (StatementCancelled, duckdb.InterruptException):
                _end(connection, "ROLLBACK")
                for rest in parts[number - 1 :]:
                    rest["Status"] = "ABORTED"
                raise StatementCancelled from None
            except Exception as error:
                if running.cancelled.is_set():
                    _end(connection, "ROLLBACK")
                    part["Status"] = "ABORTED"
                    raise StatementCancelled from error
                part.update(Status="FAILED", Error=redshift_text(error))
                failed = failed or f"Query #{number} failed with {part['Error']}"
            part.update(Duration=time.perf_counter_ns() - began, UpdatedAt=self._now())
            record["HasResultSet"] = record["HasResultSet"] or part["HasResultSet"]
            if part["Status"] == "FINISHED":
                record["ResultRows"], record["ResultSize"] = part["ResultRows"], part["ResultSize"]
            if failed and one_transaction:
                for rest in parts[number:]:
                    rest["Status"] = "ABORTED"
                break
        if one_transaction:
            if not failed:
                try:
                    _end(connection, "COMMIT")
                except duckdb.Error as error:  # another transaction was faster
                    failed = redshift_text(error)
                    _end(connection, "ROLLBACK")
            else:
                _end(connection, "ROLLBACK")
        record["Status"] = "FAILED" if failed else "FINISHED"
        if failed:
            record["Error"] = failed

    def _one(self, running: Running, connection: Connection, target: Record, sql: str) -> None:
        """One statement; outside a transaction it is one by itself, tried again when it meets another."""
        parameters = {entry["name"]: entry["value"] for entry in running.record.get("QueryParameters", [])}
        target["RedshiftQueryId"] = random.randint(10**5, 10**8)  # noqa: S311 (an identifier only)
        for attempt in range(RETRIES + 1):
            own = not connection.in_transaction
            try:
                self._step(running, connection, target, sql, parameters, own)
                return
            except duckdb.Error as error:
                if running.cancelled.is_set():
                    running.wind_up()
                if own:
                    _end(connection, "ROLLBACK")
                elif isinstance(error, duckdb.TransactionException) or not running.record["batch"]:
                    _end(connection, "ROLLBACK")  # a failed transaction takes no more statements
                if not (own and is_conflict(error)) or attempt == RETRIES:
                    raise
                running.check()
                time.sleep(random.uniform(0.005, 0.05))  # noqa: S311 (two writers must not keep step)
            except BaseException:
                if running.cancelled.is_set():
                    running.wind_up()
                if own:
                    _end(connection, "ROLLBACK")
                raise

    def _step(
        self, running: Running, connection: Connection, target: Record, sql: str, parameters: dict[str, str], own: bool
    ) -> None:
        verb = _verb(sql)
        if verb in {"UNLOAD", "COPY"}:
            if own:
                _begin(connection)
            connection.has_snapshot = connection.in_transaction
            if verb == "UNLOAD":
                unload = read_unload(sql)
                rows = run_unload(connection.duckdb, unload, self._storage(unload.options.role), self._scratch)
            else:
                copy = read_copy(sql)
                rows = run_copy(connection.duckdb, copy, self._storage(copy.options.role), self._scratch)
                running.tell(rows)
            running.check()
            if own:
                _end(connection, "COMMIT")
            target["ResultRows"] = rows
            return
        translation = translate(sql, parameters)
        if translation.kind == "lock":
            self._lock(running, connection, translation.statements, own)
            return
        connection.has_snapshot = connection.in_transaction
        self._translated(connection, translation, target, own)

    def _lock(self, running: Running, connection: Connection, tables: list[str], own: bool) -> None:
        for table in tables:
            name = quoting.text(table.rpartition(".")[2])
            known = f"SELECT 1 FROM duckdb_tables() WHERE table_name = {name}"  # noqa: S608
            if not connection.duckdb.execute(known).fetchall():
                raise SqlError(f'relation "{table}" does not exist')
            if not own:  # outside a transaction a lock is gone with its own statement
                self._locks.take(connection, running.record["Database"], table, running.check)

    def _translated(self, connection: Connection, translation: Translation, target: Record, own: bool) -> None:
        database, kind = connection.duckdb, translation.kind
        if kind == "begin":
            _begin(connection)
        elif kind in {"commit", "rollback"}:
            _end(connection, kind.upper())
        elif kind == "query":
            assert translation.query is not None
            rows, size = store(database, translation.query, self._results / target["Id"].replace(":", "/"))
            target.update(HasResultSet=True, ResultRows=rows, ResultSize=size)
        elif kind != "nothing":
            if own:
                _begin(connection)
            for guard in translation.guards:
                database.execute(guard).fetchall()
            statements = translation.statements
            if translation.query is not None:
                typed = cast_query(translation.query, column_types(database, translation.query), set())
                statements = [statement.replace(f'SELECT "{QUERY}"', typed) for statement in statements]
            answers = [database.execute(statement).fetchall() for statement in statements]
            if kind == "write":
                target.update(ResultRows=sum(int(answer[0][0]) for answer in answers if answer), ResultSize=0)
            if own:
                _end(connection, "COMMIT")
            elif kind == "truncate":  # TRUNCATE commits the transaction it is in
                _end(connection, "COMMIT")
                _begin(connection)


def _verb(sql: str) -> str:
    found = re.match(r"(?s)(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*(\w+)", sql)
    return found[1].upper() if found else ""


def _begin(connection: Connection) -> None:
    if not connection.in_transaction:
        connection.duckdb.execute("BEGIN")
        connection.in_transaction, connection.has_snapshot = True, False


def _end(connection: Connection, how: str) -> None:
    if connection.in_transaction:
        connection.in_transaction = False
        try:
            connection.duckdb.execute(how)
        except duckdb.Error:
            if how == "COMMIT":
                raise
        finally:
            connection.unlock()
