"""The Redshift Data API: statements in, states, results and events out."""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from local.redshift import catalog, results
from local.redshift.errors import SqlError
from local.redshift.sessions import Connection, Session, Sessions
from local.redshift.statements import FINAL, Record, Statements, new_record
from local.redshift.storage import Storage
from local.redshift.translate import count_statements, parameter_names
from local.redshift.validation import validate
from local.redshift.warehouse import Warehouse
from local.redshift.worker import Running, Worker
from local.service import ApiError, Cloud

LONGEST_SQL = 100 * 1024  # bytes; https://docs.aws.amazon.com/redshift/latest/mgmt/data-api.html
MOST_ACTIVE = 500
TARGET = ("WorkgroupName", "ClusterIdentifier", "Database", "DbUser", "SecretArn")
SHOWN = {
    "Id", "SecretArn", "DbUser", "Database", "ClusterIdentifier", "Duration", "Error", "Status", "CreatedAt", "UpdatedAt",
    "RedshiftPid", "HasResultSet", "QueryString", "ResultRows", "ResultSize", "RedshiftQueryId", "QueryParameters",
    "SubStatements", "WorkgroupName", "ResultFormat", "SessionId",
}  # fmt: skip


class RedshiftData:
    """One warehouse. `default_role` is what IAM_ROLE default means: the ARN set on a cluster or namespace."""

    def __init__(self, cloud: Cloud, default_role: str | None = None) -> None:
        folder = cloud.state / "redshift"
        folder.mkdir(parents=True, exist_ok=True)
        self.default_role = default_role
        self._cloud = cloud
        self._warehouse = Warehouse(folder)
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
        self._closing = False
        self._abort_unfinished()

    def handle(self, action: str, request: dict[str, Any], caller_arn: str) -> dict[str, Any]:
        """Answer one action.

        Raises:
            ApiError: what AWS would refuse.
        """
        validate(action, request)
        actions: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
            "ExecuteStatement": self._execute, "BatchExecuteStatement": self._execute, "DescribeStatement": self._describe,
            "GetStatementResult": self._result, "GetStatementResultV2": self._result_v2, "ListStatements": self._list,
            "CancelStatement": self._cancel, "ListDatabases": self._databases, "ListSchemas": self._schemas,
            "ListTables": self._tables, "DescribeTable": self._table, "ListSessions": self._list_sessions,
        }  # fmt: skip
        return actions[action](request, caller_arn)

    def close(self) -> None:
        """Stop what runs. It is unfinished then, and aborted when the cloud starts again, as after a kill."""
        self._closing = True
        with self._lock:
            running = list(self._running.values())
        for one in running:
            one.cancel()
        for one in running:
            one.done.wait(5)
        self._sessions.close()
        self._warehouse.close()
        self._statements.close()

    # Statements

    def _execute(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        batch = "Sqls" in request
        sqls = request["Sqls"] if batch else [request["Sql"]]
        session_id = request.get("SessionId")
        self._check_target(request)
        for sql in sqls:
            _check_sql(sql)
        _check_parameters(request.get("Parameters"), sqls)
        now = self._cloud.clock.time()
        self._statements.forget(now)
        record = new_record(request, sqls, batch, caller, now)
        with self._lock:  # one at a time, so that a client token cannot start two
            if len(self._running) >= MOST_ACTIVE:
                raise ApiError("ActiveStatementsExceededException", f"Active statements exceeded the allowed quota ({MOST_ACTIVE})")
            token = request.get("ClientToken")
            known = self._statements.add(record, f"{_role_of(caller)} {token}" if token else None)
            if known is not record:
                return self._started(known)
            try:
                session = self._session(request, record, session_id, caller)
            except ApiError:
                record.update(Status="FAILED", Error="Session is not available", event=False)
                self._statements.save(record)
                raise
            running = self._running[record["Id"]] = Running(record)
        self._statements.save(record)
        answer = self._started(record)
        threading.Thread(target=self._work, args=(running, session), name=f"redshift-{record['Id']}", daemon=True).start()
        self._wait(record["Id"], request)
        if request.get("WaitTimeSeconds"):
            answer = self._started(self._find(record["Id"]))
        return answer

    def _check_target(self, request: dict[str, Any]) -> None:
        if request.get("SessionId"):
            given = [name for name in TARGET if request.get(name)]
            if given:
                raise ApiError("ValidationException", f"{given[0]} must not be specified together with SessionId")
            return
        if bool(request.get("ClusterIdentifier")) == bool(request.get("WorkgroupName")):
            raise ApiError("ValidationException", "Exactly one of ClusterIdentifier and WorkgroupName must be specified")
        if not request.get("Database"):
            raise ApiError("ValidationException", "Database must be specified")
        if request.get("DbUser") and request.get("WorkgroupName"):
            raise ApiError("ValidationException", "DbUser must not be specified together with WorkgroupName")
        if request.get("DbUser") and request.get("SecretArn"):
            raise ApiError("ValidationException", "Only one of DbUser and SecretArn can be specified")

    def _session(self, request: dict[str, Any], record: Record, session_id: str | None, caller: str) -> Session | None:
        keep = request.get("SessionKeepAliveSeconds")
        if session_id:
            session = self._sessions.take(session_id, record["Id"], keep)
        elif keep:
            target = {name: record[name] for name in TARGET if name in record}

            def connect() -> Connection:
                try:
                    return Connection(self._warehouse.connect(record["Database"]))
                except SqlError as error:
                    raise ApiError("ValidationException", str(error)) from error

            session = self._sessions.open(target, caller, keep, connect)
            self._sessions.take(session.id, record["Id"], None)
        else:
            return None
        record["SessionId"] = session.id
        record.update(session.target)
        return session

    def _work(self, running: Running, session: Session | None) -> None:
        record = running.record
        connection: Connection | None = session.connection if session else None
        try:
            with self._worker.slots:
                try:
                    if connection is None:
                        connection = Connection(self._warehouse.connect(record["Database"]))
                    self._worker.run(running, connection)
                except Exception as error:  # no connection, then: the statement fails, whatever the reason
                    record.update(Status="FAILED", Error=f"FATAL: {error}", UpdatedAt=self._cloud.clock.time())
                finally:
                    if session:
                        self._sessions.release(session)
                    elif connection is not None:
                        connection.close()
            if not self._closing:
                self._finish(record)
        finally:
            with self._lock:
                self._running.pop(record["Id"], None)
            running.done.set()

    def _finish(self, record: Record) -> None:
        self._statements.save(record)
        if record["event"]:
            self._emit(record)

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
            "expireAt": int(record["CreatedAt"]) + 24 * 3600,
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
        """The event bus may start after the warehouse: try for a while."""
        for record in records:
            for _ in range(60):
                try:
                    self._emit(record)
                    break
                except Exception:
                    time.sleep(0.5)

    def _find(self, identifier: str) -> Record:
        record = self._statements.get(identifier)
        if record is None:
            raise ApiError("ResourceNotFoundException", "Query does not exist.")
        with self._lock:
            running = self._running.get(record["Id"])
        return running.record if running and record["Status"] not in FINAL else record

    def _wait(self, identifier: str, request: dict[str, Any]) -> None:
        """WaitTimeSeconds: hold the answer until the statement ends, at most that long."""
        with self._lock:
            running = self._running.get(identifier.partition(":")[0])
        if running and request.get("WaitTimeSeconds"):
            running.done.wait(request["WaitTimeSeconds"])

    def _started(self, record: Record) -> dict[str, Any]:
        names = ("Id", "CreatedAt", "Database", "DbUser", "SecretArn", "ClusterIdentifier", "WorkgroupName", "SessionId",
                 "Status", "HasResultSet")  # fmt: skip
        return {name: record[name] for name in names if name in record}

    def _describe(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        identifier = request["Id"]
        self._wait(identifier, request)
        record = self._find(identifier)
        part = _part(record, identifier)
        if part is not None:
            return {name: value for name, value in part.items() if name in SHOWN}
        shown = {name: value for name, value in list(record.items()) if name in SHOWN}
        if record["Status"] not in FINAL and shown.get("Duration", -1) < 0:
            shown["Duration"] = int((self._cloud.clock.time() - record["CreatedAt"]) * 1e9)
        return shown

    def _page(self, request: dict[str, Any], wanted: str) -> tuple[list, list, str | None, int, int]:
        self._wait(request["Id"], request)
        record = self._find(request["Id"])
        target = _part(record, request["Id"]) or record
        if record["ResultFormat"] != wanted:
            other = "GetStatementResultV2" if wanted == "JSON" else "GetStatementResult"
            raise ApiError("ValidationException", f"The statement ran with ResultFormat {record['ResultFormat']}: use {other}")
        if target is record and record["batch"]:  # a batch's result is its last part's that has one
            target = next((part for part in reversed(record["SubStatements"]) if part["HasResultSet"]), record)
        if not target["HasResultSet"] or target["Status"] not in FINAL:
            raise ApiError(
                "ResourceNotFoundException", "Query does not have result. Please check query status with DescribeStatement."
            )
        page = int(request.get("NextToken") or 0)
        folder = self._statements.results / target["Id"].replace(":", "/")
        columns, records, more = results.load(folder, page)
        return columns, records, str(page + 1) if more else None, target["ResultRows"], page

    def _result(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        columns, records, token, total, _ = self._page(request, "JSON")
        return {
            "Records": records, "ColumnMetadata": columns, "TotalNumRows": total, **({"NextToken": token} if token else {})
        }  # fmt: skip

    def _result_v2(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        columns, records, token, total, page = self._page(request, "CSV")
        text = results.as_csv(records, columns, header=page == 0)
        return {
            "Records": [{"CSVRecords": text}], "ColumnMetadata": columns, "TotalNumRows": total, "ResultFormat": "CSV",
            **({"NextToken": token} if token else {}),
        }  # fmt: skip

    def _list(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        status = request.get("Status", "FINISHED")
        statuses = {status} if status != "ALL" else {*FINAL, "SUBMITTED", "PICKED", "STARTED"}
        limit = request.get("MaxResults") or 100
        before = float(request.get("NextToken") or "inf")
        whole_role = request.get("RoleLevel", True)
        mine: list[Record] = []
        while len(mine) <= limit:
            found = self._statements.newest(request.get("StatementName", ""), statuses, before, 100)
            mine += [
                record
                for record in found
                if (_role_of(record["caller"]) == _role_of(caller) if whole_role else record["caller"] == caller)
                and all(record.get(name) == request[name] for name in TARGET[:3] if request.get(name))
            ]
            if len(found) < 100:
                break
            before = found[-1]["CreatedAt"]
        names = ("Id", "SecretArn", "Status", "StatementName", "CreatedAt", "UpdatedAt", "QueryParameters", "SessionId", "ResultFormat")
        statements = [
            {name: record[name] for name in names if name in record}
            | {"QueryString": record["QueryString"], "IsBatchStatement": record["batch"]}
            | ({"QueryStrings": [part["QueryString"] for part in record["SubStatements"]]} if record["batch"] else {})
            for record in mine[:limit]
        ]
        more = {"NextToken": repr(mine[limit - 1]["CreatedAt"])} if len(mine) > limit else {}
        return {"Statements": statements, **more}

    def _cancel(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        record = self._find(request["Id"])
        with self._lock:
            running = self._running.get(record["Id"])
        if running is None or record["Status"] in FINAL:
            raise ApiError("ValidationException", f"Could not cancel a query that is already in {record['Status']} state with ID: {record['Id']}")
        running.cancel()
        return {"Status": True}

    # What there is

    @contextlib.contextmanager
    def _connected(self, request: dict[str, Any]) -> Any:
        self._check_target(request)
        database = request["Database"]
        try:
            connection = self._warehouse.connect(request.get("ConnectedDatabase") or database)
        except SqlError as error:
            raise ApiError("ValidationException", f"FATAL: {error}") from error
        try:
            yield connection
        finally:
            connection.close()

    def _databases(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        return _paged("Databases", self._warehouse.names(), request)

    def _schemas(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        with self._connected(request) as connection:
            return _paged("Schemas", catalog.schemas(connection, request.get("SchemaPattern")), request)

    def _tables(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        with self._connected(request) as connection:
            found = catalog.tables(connection, request.get("SchemaPattern"), request.get("TablePattern"))
            return _paged("Tables", found, request)

    def _table(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        if not request.get("Table"):
            raise ApiError("ValidationException", "Table must be specified")
        with self._connected(request) as connection:
            found = catalog.columns(connection, request.get("Schema"), request["Table"])
        return {"TableName": request["Table"], **_paged("ColumnList", found, request)}

    def _list_sessions(self, request: dict[str, Any], caller: str) -> dict[str, Any]:
        found = [
            session
            for session in self._sessions.describe()
            if all(session.get(name) == request[name] for name in (*TARGET[:3], "SessionId", "Status") if request.get(name))
        ]
        return _paged("Sessions", found, request)


def _part(record: Record, identifier: str) -> Record | None:
    """The part of a batch that `<id>:n` names."""
    if ":" not in identifier:
        return None
    found = next((part for part in record.get("SubStatements", []) if part["Id"] == identifier), None)
    if found is None:
        raise ApiError("ResourceNotFoundException", "Query does not exist.")
    return found


def _role_of(caller: str) -> str:
    """The role of an assumed-role session; other callers are themselves."""
    return caller.rsplit("/", 1)[0] if ":assumed-role/" in caller else caller


def _paged(name: str, items: list, request: dict[str, Any]) -> dict[str, Any]:
    start, size = int(request.get("NextToken") or 0), request.get("MaxResults") or 1000
    more = {"NextToken": str(start + size)} if len(items) > start + size else {}
    return {name: items[start : start + size], **more}


def _check_sql(sql: str) -> None:
    if len(sql.encode()) > LONGEST_SQL:
        raise ApiError("ValidationException", f"The SQL statement is {len(sql.encode())} bytes; at most {LONGEST_SQL} are allowed")
    try:
        count = count_statements(sql)
    except SqlError:
        return  # the statement fails, not the request
    if count > 1:
        raise ApiError("ValidationException", "Multiple sql statements are not allowed.")
    if count == 0:
        raise ApiError("ValidationException", "The SQL statement is empty")


def _check_parameters(parameters: list[dict[str, str]] | None, sqls: list[str]) -> None:
    if not parameters:
        return
    names = [entry["name"] for entry in parameters]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ApiError("ValidationException", f"Parameter name {twice[0]} is given twice")
    used: set[str] = set()
    for sql in sqls:
        with contextlib.suppress(SqlError):
            used.update(parameter_names(sql))
    unused = [name for name in names if name not in used]
    if unused:
        raise ApiError("ValidationException", f"Parameters list contains unused parameters. Unused parameters: {unused}")
