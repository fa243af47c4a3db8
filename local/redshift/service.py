"""The Redshift Data API: statements in, states, results and events out."""

import threading
from collections.abc import Callable
from typing import Any

from local.redshift.catalog import Catalog
from local.redshift.errors import SqlError
from local.redshift.history import described, listing, result_page, started
from local.redshift.requests import TARGET, check_parameters, check_sql, check_target, paged, role_of
from local.redshift.sessions import Connection, Session, Sessions
from local.redshift.statements import FINAL, KEPT_S, Record, Statements, new_record
from local.redshift.storage import Storage
from local.redshift.validation import validate
from local.redshift.warehouse import Warehouse
from local.redshift.worker import Running, Worker
from local.service import ApiError, Cloud

MOST_ACTIVE = 500  # statements; https://docs.aws.amazon.com/redshift/latest/mgmt/amazon-redshift-limits.html
Request = dict[str, Any]


class RedshiftData:
    """One warehouse. `default_role` is what IAM_ROLE default means: the ARN set on a cluster or namespace."""

    def __init__(self, cloud: Cloud, default_role: str | None = None) -> None:
        folder = cloud.state / "redshift"
        folder.mkdir(parents=True, exist_ok=True)
        self.default_role = default_role
        self._cloud = cloud
        self._warehouse = Warehouse(folder)
        self._catalog = Catalog(self._warehouse)
        self._statements = Statements(folder)
        self._sessions = Sessions(cloud.clock)
        self._worker = Worker(
            self._warehouse.scratch,
            self._statements.results,
            lambda role: Storage(cloud, role, self.default_role),
            self._statements.save,
            cloud.clock.time,
        )
        self._running: dict[str, Running] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._abort_unfinished()

    def handle(self, action: str, request: Request, caller_arn: str) -> dict[str, Any]:
        """Answer one action.

        Raises:
            ApiError: what AWS would refuse.
        """
        validate(action, request)
        actions: dict[str, Callable[[], dict[str, Any]]] = {
            "ExecuteStatement": lambda: self._execute(request, [request["Sql"]], caller_arn),
            "BatchExecuteStatement": lambda: self._execute(request, request["Sqls"], caller_arn),
            "CancelStatement": lambda: self._cancel(request),
            "DescribeStatement": lambda: described(self._waited(request), request["Id"], self._cloud.clock.time()),
            "GetStatementResult": lambda: result_page(self._waited(request), request, self._statements, "JSON"),
            "GetStatementResultV2": lambda: result_page(self._waited(request), request, self._statements, "CSV"),
            "ListStatements": lambda: listing(request, caller_arn, self._statements),
            "ListSessions": lambda: self._list_sessions(request),
            "ListDatabases": lambda: self._catalog.list_databases(request),
            "ListSchemas": lambda: self._catalog.list_schemas(request),
            "ListTables": lambda: self._catalog.list_tables(request),
            "DescribeTable": lambda: self._catalog.describe_table(request),
        }
        return actions[action]()

    def close(self) -> None:
        """Stop what runs. It is unfinished then, and aborted when the cloud starts again, as after a kill."""
        self._closing.set()
        with self._lock:
            running = list(self._running.values())
        for one in running:
            one.cancel()
        stopped = [one.done.wait(5) for one in running]
        self._statements.close()
        if all(stopped):  # else a thread still holds a connection, and closing under it would wait for it
            self._sessions.close()
            self._warehouse.close()

    def _execute(self, request: Request, sqls: list[str], caller: str) -> dict[str, Any]:
        check_target(request)
        for sql in sqls:
            check_sql(sql)
        check_parameters(request.get("Parameters"), sqls)
        now = self._cloud.clock.time()
        self._statements.forget(now)
        record = new_record(request, sqls, "Sqls" in request, caller, now)
        token = request.get("ClientToken")
        with self._lock:  # one at a time, so that a client token cannot start two
            known = self._statements.by_token(f"{role_of(caller)} {token}") if token else None
            if known is not None:
                return started(known)
            if len(self._running) >= MOST_ACTIVE:
                message = f"Active statements exceeded the allowed quota ({MOST_ACTIVE})"
                raise ApiError("ActiveStatementsExceededException", message)
            session = self._session(request, record, caller)
            self._statements.add(record, f"{role_of(caller)} {token}" if token else None)
            running = self._running[record["Id"]] = Running(record)
        answer = started(record)
        name = f"redshift-{record['Id']}"
        threading.Thread(target=self._work, args=(running, session), name=name, daemon=True).start()
        if request.get("WaitTimeSeconds"):
            running.done.wait(request["WaitTimeSeconds"])
            answer = started(self._find(record["Id"]))
        return answer

    def _session(self, request: Request, record: Record, caller: str) -> Session | None:
        """The session that the statement continues or opens; None where it asks for neither."""
        keep = request.get("SessionKeepAliveSeconds")
        if request.get("SessionId"):
            session = self._sessions.take(request["SessionId"], record["Id"], keep)
        elif keep:
            target = {name: record[name] for name in TARGET if name in record}
            session = self._sessions.open(target, caller, keep, lambda: self._connect(record["Database"]))
            self._sessions.take(session.id, record["Id"], None)
        else:
            return None
        record["SessionId"] = session.id
        record.update(session.target)
        return session

    def _connect(self, database: str) -> Connection:
        try:
            return Connection(self._warehouse.connect(database))
        except SqlError as error:
            raise ApiError("ValidationException", f"FATAL: {error}") from error

    def _work(self, running: Running, session: Session | None) -> None:
        record = running.record
        try:
            with self._worker.slots:
                try:
                    connection = (
                        session.connection if session else Connection(self._warehouse.connect(record["Database"]))
                    )
                    try:
                        self._worker.run(running, connection)
                    finally:
                        if session is None:
                            connection.close()
                except Exception as error:  # no connection, then: the statement fails, whatever the reason
                    record.update(Status="FAILED", Error=f"FATAL: {error}", UpdatedAt=self._cloud.clock.time())
                finally:
                    if session:
                        self._sessions.release(session)
            if not self._closing.is_set():
                self._statements.save(record)
                if record["event"]:
                    self._emit(record)
        finally:
            with self._lock:
                self._running.pop(record["Id"], None)
            running.done.set()

    def _emit(self, record: Record) -> None:
        """https://docs.aws.amazon.com/redshift/latest/mgmt/data-api-monitoring-events.html"""
        region, account = self._cloud.region, self._cloud.account
        if record.get("ClusterIdentifier"):
            resource = f"arn:aws:redshift:{region}:{account}:cluster:{record['ClusterIdentifier']}"
        else:
            resource = f"arn:aws:redshift-serverless:{region}:{account}:workgroup/{record.get('WorkgroupName', '')}"
        detail: dict[str, Any] = {"principal": record["caller"]}
        if record.get("StatementName"):
            detail["statementName"] = record["StatementName"]
        detail |= {
            "statementId": record["Id"],
            "redshiftQueryId": record["RedshiftQueryId"] or -1,
            "state": record["Status"],
            "rows": record["ResultRows"],
            "expireAt": int(record["CreatedAt"] + KEPT_S),
        }
        self._cloud.emit("aws.redshift-data", "Redshift Data Statement Status Change", detail, [resource])

    def _abort_unfinished(self) -> None:
        """A kill leaves statements behind: their transactions are gone, so they are aborted, and who waits is told."""
        left = self._statements.unfinished()
        for record in left:
            record.update(Status="ABORTED", Error="The warehouse was restarted", UpdatedAt=self._cloud.clock.time())
            for part in record.get("SubStatements", []):
                if part["Status"] not in FINAL:
                    part["Status"] = "ABORTED"
            self._statements.save(record)
        announced = [record for record in left if record["event"]]
        if announced:
            threading.Thread(target=self._announce, args=(announced,), name="redshift-restart", daemon=True).start()

    def _announce(self, records: list[Record]) -> None:
        """The event bus may start after the warehouse: try for half a minute."""
        for record in records:
            for _ in range(60):
                try:
                    self._emit(record)
                    break
                except Exception:
                    if self._closing.wait(0.5):
                        return

    def _find(self, identifier: str) -> Record:
        """A statement as it is now.

        Raises:
            ApiError: there is none.
        """
        record = self._statements.get(identifier)
        if record is None:
            raise ApiError("ResourceNotFoundException", "Query does not exist.")
        with self._lock:
            running = self._running.get(record["Id"])
        return running.record if running and record["Status"] not in FINAL else record

    def _waited(self, request: Request) -> Record:
        """The statement that a request names, after WaitTimeSeconds if it has not ended before."""
        record = self._find(request["Id"])
        with self._lock:
            running = self._running.get(record["Id"])
        if running and request.get("WaitTimeSeconds"):
            running.done.wait(request["WaitTimeSeconds"])
            record = self._find(request["Id"])
        return record

    def _cancel(self, request: Request) -> dict[str, Any]:
        record = self._find(request["Id"])
        with self._lock:
            running = self._running.get(record["Id"])
        if running is None or record["Status"] in FINAL:
            message = f"Could not cancel a query that is already in {record['Status']} state with ID: {record['Id']}"
            raise ApiError("ValidationException", message)
        running.cancel()
        return {"Status": True}

    def _list_sessions(self, request: Request) -> dict[str, Any]:
        wanted = [name for name in (*TARGET[:3], "SessionId", "Status") if request.get(name)]
        found = [one for one in self._sessions.describe() if all(one.get(name) == request[name] for name in wanted)]
        return paged("Sessions", found, request)
