"""Where MiniStack's DynamoDB lets items expire, and where its Lambda reads the streams of tables."""

import threading
from collections.abc import Callable
from typing import Any

EXPECTED = {
    "ministack.services.dynamodb": {
        "_ttl_settings": "AccountRegionScopedDict",
        "_tables": "AccountRegionScopedDict",
        "_remove_item": "table pk_val sk_val",
        "_emit_stream_event": "table_name event_name old_item new_item replicate",
        "_build_change_record": "table event_name old_item new_item view_type",
        "_stream_records": "AccountRegionScopedDict",
        "_stream_trimmed": "AccountRegionScopedDict",
        "stream_start_position": "table_name account_id region",
        "stream_end_position": "table_name account_id region",
        "stream_records_since": "table_name position limit account_id region",
    },
    "ministack.services.dynamodb_streams": {
        "_decode_iterator": "token",
    },
    "ministack.services.lambda_svc": {
        "_poll_dynamodb_streams": "",
        "_iter_all_esms": "",
        "_dynamodb_stream_positions": "AccountRegionScopedDict",
        "_apply_filter_criteria": "records esm",
        "_get_func_record_for_qualifier": "name qualifier",
    },
}
CALLS = {
    "ministack.services.lambda_svc._poll_loop": "_poll_dynamodb_streams()",
    "ministack.services.dynamodb._ttl_reaper": "_remove_item(table, pk_val, sk_val)",
    "ministack.services.dynamodb._emit_stream_event": "record = _build_change_record(table, event_name,",
}
REAPER = "dynamodb-ttl-reaper"  # MiniStack's own thread
EXPIRED = {"userIdentity": {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}}  # as the streams' API says it
OLDEST_EXPIRY_S = 5 * 365 * 86400  # DynamoDB leaves items alone whose time is longer past

_expiring = threading.local()


def take_expiry(account: str, region: str) -> Callable[[float, str], int]:
    """Stop MiniStack's removal of expired items, which writes nothing to streams; return ours.

    The function returned removes what has expired at a time (seconds since the epoch) in one table, or in all with "",
    and returns how many items that were. A stream says of them what AWS's says: removed by the service itself.
    Source: DynamoDB developer guide, "Time to Live" and "Using DynamoDB Streams and Time to Live".
    """
    from ministack.core.responses import request_scope
    from ministack.services import dynamodb

    remove, build = dynamodb._remove_item, dynamodb._build_change_record

    def _remove_item(table: dict[str, Any], pk_val: str, sk_val: str) -> Any:
        return None if threading.current_thread().name == REAPER else remove(table, pk_val, sk_val)

    def _build_change_record(*arguments: Any) -> dict[str, Any]:
        record: dict[str, Any] = build(*arguments)
        return {**record, **EXPIRED} if getattr(_expiring, "now", False) else record

    def expire(now: float, only: str = "") -> int:
        count = 0
        for key, setting in dynamodb._ttl_settings.all_items():
            name = key[-1]
            table = dynamodb._tables.get_scoped(*key)
            if table is None or setting.get("TimeToLiveStatus") != "ENABLED" or only not in ("", name):
                continue
            attribute = setting["AttributeName"]
            for pk, items in list(table["items"].items()):
                for sk, item in list(items.items()):
                    if not _is_over(item.get(attribute), now) or remove(table, pk, sk) is None:
                        continue
                    _expiring.now = True
                    try:
                        with request_scope(account, region):
                            dynamodb._emit_stream_event(name, "REMOVE", item, None)
                    finally:
                        _expiring.now = False
                    count += 1
        return count

    dynamodb._remove_item, dynamodb._build_change_record = _remove_item, _build_change_record
    return expire


def _is_over(attribute: Any, now: float) -> bool:
    """Whether a time to live has passed; what is not a number never does."""
    if not isinstance(attribute, dict) or "N" not in attribute:
        return False
    return now - OLDEST_EXPIRY_S < float(attribute["N"]) <= now


def table_with_expiry(name: str) -> bool:
    """Whether there is a table of that name whose items may expire."""
    from ministack.services import dynamodb

    return any(key[-1] == name for key, _ in dynamodb._ttl_settings.all_items())


def iterator_stream(iterator: str) -> str | None:
    """ARN of the stream that a shard iterator belongs to, None for one that is not valid."""
    from ministack.services import dynamodb_streams

    told = dynamodb_streams._decode_iterator(iterator) or {}
    return str(told["arn"]) if told.get("arn") else None


class TableStreams:
    """The streams of tables, as whoever reads for Lambda sees them. Positions count from a stream's first record."""

    def __init__(self, account: str, region: str) -> None:
        from ministack.services import lambda_svc

        def _poll_dynamodb_streams() -> bool:
            return False

        lambda_svc._poll_dynamodb_streams = _poll_dynamodb_streams
        self._scope = (account, region)

    def mappings(self) -> list[dict[str, Any]]:
        """Event source mappings of table streams that are switched on."""
        from ministack.services import lambda_svc

        found = [mapping for _, _, mapping in lambda_svc._iter_all_esms()]
        return [
            mapping
            for mapping in found
            if mapping.get("EventSourceArn", "").split(":")[2:3] == ["dynamodb"]
            and str(mapping.get("Enabled", True)).lower() == "true"
            and self._is_live(mapping["EventSourceArn"])
        ]

    def begin(self, mapping: dict[str, Any]) -> int:
        """Where a mapping begins to read. Streams are empty after a restart, whatever was read before."""
        from ministack.core.responses import request_scope
        from ministack.services import lambda_svc

        start, end = self.range(mapping["EventSourceArn"])
        with request_scope(*self._scope):
            known = lambda_svc._dynamodb_stream_positions.get(mapping["UUID"])
        if known is None:
            known = end if mapping.get("StartingPosition") == "LATEST" else start
        return min(max(int(known), start), end)

    def range(self, stream_arn: str) -> tuple[int, int]:
        """The oldest position that can still be read, and the one behind the newest."""
        from ministack.services import dynamodb

        table, (account, region) = _table(stream_arn), self._scope
        return (
            dynamodb.stream_start_position(table, account_id=account, region=region),
            dynamodb.stream_end_position(table, account_id=account, region=region),
        )

    def read(self, stream_arn: str, position: int, limit: int) -> list[dict[str, Any]]:
        """Records from a position on, as they stand in Lambda's events."""
        from ministack.services import dynamodb

        account, region = self._scope
        found = dynamodb.stream_records_since(_table(stream_arn), position, limit, account_id=account, region=region)
        return [_as_event(record) for record in found]

    def forget(self, stream_arn: str, position: int) -> None:
        """Let go of records before a position."""
        from ministack.services import dynamodb

        table, (account, region) = _table(stream_arn), self._scope
        records = dynamodb._stream_records.get_scoped(account, region, table)
        trimmed = dynamodb._stream_trimmed.get_scoped(account, region, table) or 0
        if records and position > trimmed:
            del records[: position - trimmed]
            dynamodb._stream_trimmed.set_scoped(account, region, table, position)

    def passed(self, records: list[dict[str, Any]], mapping: dict[str, Any]) -> list[dict[str, Any]]:
        """Those records that the mapping's FilterCriteria let through."""
        from ministack.services import lambda_svc

        found: list[dict[str, Any]] = lambda_svc._apply_filter_criteria(records, mapping)
        return found

    def role(self, mapping: dict[str, Any]) -> str:
        """ARN of the role of the mapping's function, "" when there is no such function."""
        from ministack.core.responses import request_scope
        from ministack.services import lambda_svc

        with request_scope(*self._scope):
            record, _ = lambda_svc._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))
        return str(((record or {}).get("config") or record or {}).get("Role", ""))

    def _is_live(self, stream_arn: str) -> bool:
        from ministack.services import dynamodb

        table = dynamodb._tables.get_scoped(*self._scope, _table(stream_arn))
        return bool(table) and table.get("LatestStreamArn") == stream_arn


def _as_event(record: dict[str, Any]) -> dict[str, Any]:
    """A record as Lambda's events write it: all names of `userIdentity` begin in lower case there."""
    identity = record.get("userIdentity")
    if not identity:
        return record
    return {**record, "userIdentity": {"type": identity["Type"], "principalId": identity["PrincipalId"]}}


def _table(stream_arn: str) -> str:
    """arn:aws:dynamodb:…:table/<name>/stream/<label> → <name>."""
    return stream_arn.split("/")[1]
