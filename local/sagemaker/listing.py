"""List* actions: filters, order and pages."""

import base64
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from local.service import ApiError

Record = dict[str, Any]


def page(
    records: Iterable[Record],
    request: dict[str, Any],
    *,
    name: str,
    summary: Callable[[Record], Record],
    order: str = "Ascending",
    size: int = 10,
    status: str = "",
) -> tuple[list[Record], str | None]:
    """Answer one List* request: the summaries of this page, and the token of the next one.

    `name` and `status` are the fields that NameContains, StatusEquals and SortBy mean; `order` and `size` are what
    AWS takes when the request names none.
    """
    chosen = [record for record in records if _matches(record, request, name, status)]
    keys = {"Name": name, "Status": status or name}
    key = keys.get(request.get("SortBy", ""), "CreationTime")
    # by name too, so that records of one moment keep their places from page to page
    chosen.sort(key=lambda record: (record[key], record[name]), reverse=request.get("SortOrder", order) == "Descending")
    asked = {key: value for key, value in request.items() if key not in ("NextToken", "MaxResults")}
    start = _start(request.get("NextToken"), asked)
    stop = start + int(request.get("MaxResults") or size)
    token = _token(stop, asked) if stop < len(chosen) else None
    return [summary(record) for record in chosen[start:stop]], token


def _matches(record: Record, request: dict[str, Any], name: str, status: str) -> bool:
    if request.get("NameContains", "").lower() not in str(record[name]).lower():
        return False
    if status and request.get("StatusEquals", record[status]) != record[status]:
        return False
    for field in ("CreationTime", "LastModifiedTime"):
        at = record.get(field) or record["CreationTime"]
        after, before = request.get(f"{field}After"), request.get(f"{field}Before")
        if (after is not None and at < _seconds(after)) or (before is not None and at > _seconds(before)):
            return False
    return True


def _seconds(value: float | str) -> float:
    if isinstance(value, str):
        return datetime.fromisoformat(value).timestamp()
    return float(value)


def _token(start: int, asked: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([start, asked], sort_keys=True).encode()).decode()


def _start(token: str | None, asked: dict[str, Any]) -> int:
    if token is None:
        return 0
    try:
        start, before = json.loads(base64.urlsafe_b64decode(token))
    except ValueError as error:
        raise ApiError("ValidationException", "Invalid pagination token given.") from error
    if before != json.loads(json.dumps(asked)):
        raise ApiError("ValidationException", "Pagination token is for a request with other parameters.")
    return int(start)
