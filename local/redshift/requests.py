"""What a request must hold beyond its shape, and how lists are cut into pages."""

import contextlib
from typing import Any

from local.redshift.errors import SqlError
from local.redshift.translate import count_statements, parameter_names
from local.service import ApiError

LONGEST_SQL = 100 * 1024  # bytes; https://docs.aws.amazon.com/redshift/latest/mgmt/data-api.html
TARGET = ("WorkgroupName", "ClusterIdentifier", "Database", "DbUser", "SecretArn")


def check_target(request: dict[str, Any]) -> None:
    """One warehouse, one database, one way to log in; none of them with a session, which has its own.

    Raises:
        ApiError: it is not so.
    """
    if request.get("SessionId"):
        given = [name for name in TARGET if request.get(name)]
        if given:
            raise _invalid(f"{given[0]} must not be specified together with SessionId")
        return
    if bool(request.get("ClusterIdentifier")) == bool(request.get("WorkgroupName")):
        raise _invalid("Exactly one of ClusterIdentifier and WorkgroupName must be specified")
    if not request.get("Database"):
        raise _invalid("Database must be specified")
    if request.get("DbUser") and request.get("WorkgroupName"):
        raise _invalid("DbUser must not be specified together with WorkgroupName")
    if request.get("DbUser") and request.get("SecretArn"):
        raise _invalid("Only one of DbUser and SecretArn can be specified")


def check_sql(sql: str) -> None:
    """One statement, not too long.

    Raises:
        ApiError: it is not so.
    """
    size = len(sql.encode())
    if size > LONGEST_SQL:
        raise _invalid(f"The SQL statement is {size} bytes; at most {LONGEST_SQL} are allowed")
    try:
        count = count_statements(sql)
    except SqlError:
        return  # the statement will fail, not the request
    if count != 1:
        raise _invalid("Multiple sql statements are not allowed." if count else "The SQL statement is empty")


def check_parameters(parameters: list[dict[str, str]] | None, sqls: list[str]) -> None:
    """Every parameter is given once, and used.

    Raises:
        ApiError: it is not so.
    """
    if not parameters:
        return
    names = [entry["name"] for entry in parameters]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _invalid(f"Parameter name {twice[0]} is given twice")
    used: set[str] = set()
    for sql in sqls:
        with contextlib.suppress(SqlError):
            used.update(parameter_names(sql))
    unused = [name for name in names if name not in used]
    if unused:
        raise _invalid(f"Parameters list contains unused parameters. Unused parameters: {unused}")


def role_of(caller: str) -> str:
    """The role of an assumed-role session; other callers are themselves."""
    return caller.rsplit("/", 1)[0] if ":assumed-role/" in caller else caller


def paged(name: str, items: list[Any], request: dict[str, Any]) -> dict[str, Any]:
    """One page of a list, with the token of the next."""
    token = request.get("NextToken") or "0"
    if not token.isdigit():
        raise _invalid(f"NextToken: {token} is not one that this list gave")
    start, size = int(token), request.get("MaxResults") or 1000
    more = {"NextToken": str(start + size)} if len(items) > start + size else {}
    return {name: items[start : start + size], **more}


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationException", message)
