"""What became of alarms: changes of configuration and state, and actions."""

import itertools
import json
from typing import Any

from local.clock import Clock
from local.sagemaker.store import Store

KEPT_SECONDS = 30 * 86400.0
LISTED = 100


class History:
    """DescribeAlarmHistory's items, kept for 30 days as on AWS."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._order = itertools.count(len(list(store.all("history"))))

    def add(self, alarm: str, at: float, kind: str, summary: str, data: dict[str, Any]) -> None:
        """Keep one item."""
        item = {
            "AlarmName": alarm,
            "AlarmType": "MetricAlarm",
            "Timestamp": at,
            "HistoryItemType": kind,
            "HistorySummary": summary,
            "HistoryData": json.dumps({"version": "1.0", **data}),
        }
        key = f"{at:.6f}-{next(self._order)}"
        self._store.put("history", key, {**item, "_key": key})

    def state(self, alarm: str, at: float, before: dict[str, Any], now: dict[str, Any]) -> None:
        """Keep a change of state."""
        old, new = before["value"], now["StateValue"]
        data = {
            "oldState": _state(old, before["reason"], before.get("reasonData")),
            "newState": _state(new, now["StateReason"], now.get("StateReasonData")),
        }
        self.add(alarm, at, "StateUpdate", f"Alarm updated from {old} to {new}", data)

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """DescribeAlarmHistory: newest first unless asked otherwise."""
        found = [
            item
            for item in self._store.all("history")
            if request.get("AlarmName", item["AlarmName"]) == item["AlarmName"]
            and request.get("HistoryItemType", item["HistoryItemType"]) == item["HistoryItemType"]
            and request.get("StartDate", 0) <= item["Timestamp"] <= request.get("EndDate", item["Timestamp"])
        ]
        if request.get("ScanBy", "TimestampDescending") == "TimestampDescending":
            found.reverse()
        start, most = int(request.get("NextToken", 0)), request.get("MaxRecords", LISTED)
        more = {"NextToken": str(start + most)} if start + most < len(found) else {}
        page = [{key: value for key, value in item.items() if key != "_key"} for item in found[start : start + most]]
        return {"AlarmHistoryItems": page, **more}

    def forget(self) -> None:
        """Let go of what is too old."""
        oldest = self._clock.time() - KEPT_SECONDS
        for item in self._store.all("history"):
            if item["Timestamp"] < oldest:
                self._store.remove("history", item["_key"])


def _state(value: str, reason: str, data: str | None) -> dict[str, Any]:
    told: dict[str, Any] = {"stateValue": value, "stateReason": reason}
    return {**told, "stateReasonData": json.loads(data)} if data else told
