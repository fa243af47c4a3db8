"""Pages of lists: the items of one answer, and the token with which to ask for the next."""

from __future__ import annotations

import base64
from typing import Any

from local.service import ApiError

PAGE = 100


def page(items: list[Any], request: dict[str, Any], field: str) -> dict[str, Any]:
    """One page of a list, with the token of the next."""
    limit = min(request.get("maxResults") or PAGE, 1000)
    offset = token_offset(request.get("nextToken"))
    answer: dict[str, Any] = {field: items[offset : offset + limit]}
    if offset + limit < len(items):
        answer["nextToken"] = offset_token(offset + limit)
    return answer


def offset_token(offset: int) -> str:
    """A page token."""
    return base64.urlsafe_b64encode(f"offset:{offset}".encode()).decode()


def token_offset(token: str | None) -> int:
    """Where a page begins."""
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token).decode().removeprefix("offset:"))
    except ValueError:
        raise ApiError("InvalidToken", f"Invalid Token: '{token}'") from None
