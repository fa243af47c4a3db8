"""What the API shows of statements: one described, many listed, and the pages of a result."""

from typing import Any

from local.redshift import results
from local.redshift.requests import TARGET, role_of
from local.redshift.statements import FINAL, Record, Statements
from local.service import ApiError

DESCRIBED = {
    "Id", "SecretArn", "DbUser", "Database", "ClusterIdentifier", "Duration", "Error", "Status", "CreatedAt",
    "UpdatedAt", "RedshiftPid", "HasResultSet", "QueryString", "ResultRows", "ResultSize", "RedshiftQueryId",
    "QueryParameters", "SubStatements", "WorkgroupName", "ResultFormat", "SessionId",
}  # fmt: skip
STARTED = (
    "Id", "CreatedAt", "Database", "DbUser", "SecretArn", "ClusterIdentifier", "WorkgroupName", "SessionId", "Status",
    "HasResultSet",
)  # fmt: skip
LISTED = (
    "Id", "SecretArn", "Status", "StatementName", "CreatedAt", "UpdatedAt", "QueryParameters", "SessionId",
    "ResultFormat", "QueryString",
)  # fmt: skip


def started(record: Record) -> dict[str, Any]:
    """The answer to ExecuteStatement."""
    return {name: record[name] for name in STARTED if name in record}


def described(record: Record, identifier: str, now: float) -> dict[str, Any]:
    """The answer to DescribeStatement, for a statement or for `<id>:n`, a part of a batch."""
    target = part_of(record, identifier) or record
    shown = {name: value for name, value in list(target.items()) if name in DESCRIBED}
    if target["Status"] not in FINAL:
        shown["Duration"] = int((now - target["CreatedAt"]) * 1e9)
    return shown


def part_of(record: Record, identifier: str) -> Record | None:
    """The part of a batch that `<id>:n` names; None for a whole statement's id.

    Raises:
        ApiError: there is no such part.
    """
    if ":" not in identifier:
        return None
    found = next((part for part in record.get("SubStatements", []) if part["Id"] == identifier), None)
    if found is None:
        raise ApiError("ResourceNotFoundException", "Query does not exist.")
    return found


def result_page(record: Record, request: dict[str, Any], statements: Statements, form: str) -> dict[str, Any]:
    """The answer to GetStatementResult (JSON) and GetStatementResultV2 (CSV).

    Raises:
        ApiError: there is no result, or it has the other form.
    """
    target = part_of(record, request["Id"]) or record
    if record["ResultFormat"] != form:
        other = "GetStatementResultV2" if form == "JSON" else "GetStatementResult"
        raise ApiError(
            "ValidationException", f"The statement ran with ResultFormat {record['ResultFormat']}: use {other}"
        )
    if target is record and record["batch"]:  # a batch's result is that of the last part that has one
        target = next((part for part in reversed(record["SubStatements"]) if part["HasResultSet"]), record)
    if not target["HasResultSet"] or target["Status"] != "FINISHED":
        message = "Query does not have result. Please check query status with DescribeStatement."
        raise ApiError("ResourceNotFoundException", message)
    token = request.get("NextToken") or "0"
    if not token.isdigit():
        raise ApiError("ValidationException", f"NextToken: {token} is not one that this result gave")
    page = int(token)
    folder = statements.results / target["Id"].replace(":", "/")
    columns, records, more = results.load(folder, page)
    answer: dict[str, Any] = {"ColumnMetadata": columns, "TotalNumRows": target["ResultRows"], "Records": records}
    if form == "CSV":
        answer["Records"] = [{"CSVRecords": results.as_csv(records, columns, header=page == 0)}]
        answer["ResultFormat"] = "CSV"
    if more:
        answer["NextToken"] = str(page + 1)
    return answer


def listing(request: dict[str, Any], caller: str, statements: Statements) -> dict[str, Any]:
    """The answer to ListStatements: those of the caller's role, or with RoleLevel off of its session, newest first."""
    status = request.get("Status", "FINISHED")
    statuses = {*FINAL, "SUBMITTED", "PICKED", "STARTED"} if status == "ALL" else {status}
    limit = request.get("MaxResults") or 100
    before = float(request.get("NextToken") or "inf")
    whole_role = request.get("RoleLevel", True)
    mine: list[Record] = []
    while len(mine) <= limit:
        found = statements.newest(request.get("StatementName", ""), statuses, before, 100)
        mine += [
            record
            for record in found
            if (role_of(record["caller"]) == role_of(caller) if whole_role else record["caller"] == caller)
            and all(record.get(name) == request[name] for name in TARGET[:3] if request.get(name))
        ]
        if len(found) < 100:
            break
        before = found[-1]["CreatedAt"]
    shown = []
    for record in mine[:limit]:
        entry = {name: record[name] for name in LISTED if name in record} | {"IsBatchStatement": record["batch"]}
        if record["batch"]:
            entry["QueryStrings"] = [part["QueryString"] for part in record["SubStatements"]]
        shown.append(entry)
    more = {"NextToken": repr(mine[limit - 1]["CreatedAt"])} if len(mine) > limit else {}
    return {"Statements": shown, **more}
