"""Metric alarms: kept, evaluated each minute, and what follows from a change of state."""

import itertools
import json
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from local.clock import Clock
from local.cloudwatch import evaluation, reasons
from local.cloudwatch.announcements import Change, policies_of
from local.cloudwatch.definitions import checked, rule_of
from local.cloudwatch.evaluation import KEEP, Outcome
from local.cloudwatch.history import History
from local.cloudwatch.queries import Queries
from local.cloudwatch.statistics import PERCENTILE
from local.sagemaker.store import Store
from local.service import ApiError

logger = logging.getLogger(__name__)

STATES = ("OK", "ALARM", "INSUFFICIENT_DATA")
LISTED = 100
Alarm = dict[str, Any]
Request = dict[str, Any]


@dataclass(frozen=True)
class Range:
    """The data points of an evaluation range, most recent first: starts of periods, values, numbers of samples."""

    times: list[float]
    values: list[float | None]
    counts: list[float]  # empty for an expression


class Alarms:
    """The alarms of one cloud. `announce` is called for each change, outside of the lock."""

    def __init__(
        self,
        store: Store,
        queries: Queries,
        history: History,
        clock: Clock,
        prefix: str,
        announce: Callable[[Change], None],
    ) -> None:
        """`prefix` is what alarms' ARNs begin with, up to the name."""
        self._store = store
        self._queries = queries
        self._history = history
        self._clock = clock
        self._prefix = prefix
        self._announce = announce
        self._up_since = clock.time()
        self._lock = threading.RLock()

    def put(self, request: Request) -> Request:
        """PutMetricAlarm: a new one begins with INSUFFICIENT_DATA, one that is there keeps its state."""
        alarm, now = checked(request), self._clock.time()
        name = alarm["AlarmName"]
        with self._lock:
            known = self._store.get("alarm", name)
            state = known or {
                "AlarmArn": self._prefix + name,
                "StateValue": evaluation.INSUFFICIENT,
                "StateReason": reasons.INITIAL,
                "StateUpdatedTimestamp": now,
                "StateTransitionedTimestamp": now,
            }
            kept = {
                key: value for key, value in state.items() if key.startswith("State") or key in ("AlarmArn", "_tags")
            }
            if known is None and alarm.get("Tags"):
                kept["_tags"] = {tag["Key"]: tag["Value"] for tag in alarm["Tags"]}
            alarm.pop("Tags", None)
            record = {**alarm, **kept, "AlarmConfigurationUpdatedTimestamp": now}
            self._store.put("alarm", name, record)
        verb = "updated" if known else "created"
        self._history.add(name, now, "ConfigurationUpdate", f'Alarm "{name}" {verb}', {"type": verb.title()[:-1]})
        return {}

    def delete(self, request: Request) -> Request:
        """DeleteAlarms: all, or none when one does not exist."""
        with self._lock:
            self._require(request["AlarmNames"])
            for name in request["AlarmNames"]:
                self._store.remove("alarm", name)
                self._history.add(name, self._clock.time(), "ConfigurationUpdate", f'Alarm "{name}" deleted', {})
        return {}

    def describe(self, request: Request) -> Request:
        """DescribeAlarms, by name."""
        names, prefix = request.get("AlarmNames"), request.get("AlarmNamePrefix", "")
        action = request.get("ActionPrefix", "")
        found = [
            alarm
            for alarm in sorted(self._store.all("alarm"), key=lambda each: each["AlarmName"])
            if (names is None or alarm["AlarmName"] in names)
            and alarm["AlarmName"].startswith(prefix)
            and request.get("StateValue", alarm["StateValue"]) == alarm["StateValue"]
            and (not action or any(each.startswith(action) for each in _actions(alarm)))
        ]
        if "MetricAlarm" not in request.get("AlarmTypes", ["MetricAlarm"]):
            found = []
        start, most = int(request.get("NextToken", 0)), request.get("MaxRecords", LISTED)
        more = {"NextToken": str(start + most)} if start + most < len(found) else {}
        page = [_public(alarm) for alarm in found[start : start + most]]
        return {"MetricAlarms": page, "CompositeAlarms": [], **more}

    def of_metric(self, request: Request) -> Request:
        """DescribeAlarmsForMetric."""
        wanted = {each["Name"]: each["Value"] for each in request.get("Dimensions", [])}
        found = [
            alarm
            for alarm in self._store.all("alarm")
            if (alarm.get("Namespace"), alarm.get("MetricName")) == (request["Namespace"], request["MetricName"])
            and {each["Name"]: each["Value"] for each in alarm.get("Dimensions", [])} == wanted
            and all(
                request.get(field) in (None, alarm.get(field))
                for field in ("Statistic", "ExtendedStatistic", "Period", "Unit")
            )
        ]
        return {"MetricAlarms": [_public(alarm) for alarm in found]}

    def enable(self, request: Request, enabled: bool) -> Request:
        """EnableAlarmActions and DisableAlarmActions."""
        with self._lock:
            for name in request["AlarmNames"]:
                if self._store.get("alarm", name):  # AWS ignores names that do not exist
                    self._store.change("alarm", name, {"ActionsEnabled": enabled})
        return {}

    def set_state(self, request: Request) -> Request:
        """SetAlarmState: until the next evaluation."""
        if request["StateValue"] not in STATES:
            raise ApiError("ValidationError", f"StateValue {request['StateValue']!r} is none of {', '.join(STATES)}")
        if request.get("StateReasonData"):
            try:
                json.loads(request["StateReasonData"])
            except ValueError as error:
                raise ApiError("InvalidFormat", f"StateReasonData is not JSON: {error}") from error
        name = request["AlarmName"]
        with self._lock:
            [alarm] = self._require([name])
            why = {"StateReason": request["StateReason"], "StateReasonData": request.get("StateReasonData")}
            change = self._enter(alarm, request["StateValue"], why)
        if change:
            self._announce(change)
        return {}

    def tags(self, request: Request, action: str) -> Request:
        """TagResource, UntagResource and ListTagsForResource of alarms."""
        name = request["ResourceARN"].removeprefix(self._prefix)
        with self._lock:
            [alarm] = self._require([name])
            tags = dict(alarm.get("_tags", {}))
            if action == "ListTagsForResource":
                return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
            tags |= {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
            kept = {key: value for key, value in tags.items() if key not in request.get("TagKeys", [])}
            self._store.change("alarm", name, {"_tags": kept})
        return {}

    def evaluate(self, at: float, fine: bool | None = None) -> list[Change]:
        """Evaluate alarms as of a time, the end of their last period, and announce what changed.

        `fine` asks for those alone whose period is below a minute (True) or is not (False).
        """
        changes = []
        for record in list(self._store.all("alarm")):
            if fine is not None and fine != (rule_of(record).period < 60):
                continue
            try:
                with self._lock:
                    alarm = self._store.get("alarm", record["AlarmName"])  # as it is now, if it still is
                    change = self._evaluate(alarm, at) if alarm else None
            except Exception:
                logger.exception("alarm %s could not be evaluated", record["AlarmName"])
                continue
            if change:
                changes.append(change)
                self._announce(change)
        return changes

    def scaling(self, at: float) -> list[tuple[str, Alarm, float | None]]:
        """The scaling policies that alarms name for the state they are in: policy, alarm, value of the last period."""
        found = []
        for alarm in list(self._store.all("alarm")):
            for policy in policies_of(alarm):
                definition = rule_of(alarm)
                values = self._range(alarm, at, definition.rule.points, definition.period).values
                found.append((policy, alarm, values[0]))
        return found

    def _evaluate(self, alarm: Alarm, at: float) -> Change | None:
        definition = rule_of(alarm)
        rule, period = definition.rule, definition.period
        found = self._range(alarm, at, rule.points, period)
        outcome = evaluation.evaluate(found.values, rule)
        if outcome.state in (KEEP, alarm["StateValue"]) or self._too_few(alarm, outcome, found):
            return None
        if outcome.state == evaluation.INSUFFICIENT and min(found.times) < self._up_since:
            return None  # this cloud was down, as AWS never is: nothing could be measured
        stat = alarm.get("Statistic") or alarm.get("ExtendedStatistic")
        metric = {"unit": alarm.get("Unit"), "statistic": stat, "period": period}
        now = self._clock.time()
        why = {
            "StateReason": reasons.reason(outcome, rule, found.values, found.times, "DatapointsToAlarm" in alarm),
            "StateReasonData": reasons.reason_data(outcome, rule, found.values, found.times, found.counts, now, metric),
        }
        return self._enter(alarm, outcome.state, why)

    def _range(self, alarm: Alarm, at: float, count: int, period: int) -> Range:
        end = at
        start = end - count * period
        times = [end - number * period for number in range(1, count + 1)]
        if not alarm.get("Metrics"):
            stat = {
                "Metric": {key: alarm[key] for key in ("Namespace", "MetricName", "Dimensions") if key in alarm},
                "Period": period,
                "Stat": alarm.get("Statistic") or alarm["ExtendedStatistic"],
                "Unit": alarm.get("Unit"),
            }
            found = self._queries.series(stat, start, end)
            pairs = [found.get(time, (None, 0.0)) for time in times]
            return Range(times, [value for value, _ in pairs], [number for _, number in pairs])
        series = self._queries.evaluate(alarm["Metrics"], start, end, begin=lambda start, period: start)
        watched = next(query["Id"] for query in alarm["Metrics"] if query.get("ReturnData", True))
        return Range(times, [series[watched].get(time) for time in times], [])

    def _too_few(self, alarm: Alarm, outcome: Outcome, found: Range) -> bool:
        """Whether a percentile rests on too few samples to say anything, and the alarm is to keep its state then."""
        match = PERCENTILE.match(alarm.get("ExtendedStatistic", ""))
        if alarm.get("EvaluateLowSampleCountPercentile") != "ignore" or not match or not outcome.evaluated:
            return False
        share = float(match[1]) / 100
        least = 10 / max(1e-9, (1 - share) if share >= 0.5 else share)
        return sum(found.counts[place] for place in outcome.evaluated) < round(least, 6)

    def _enter(self, alarm: Alarm, state: str, why: dict[str, Any]) -> Change | None:
        """Set the state of an alarm; the change, if it is another than before."""
        now = self._clock.time()
        before = {
            "value": alarm["StateValue"],
            "reason": alarm["StateReason"],
            "reasonData": alarm.get("StateReasonData"),
            "timestamp": reasons.stamp(alarm["StateUpdatedTimestamp"]),
        }
        fields = {"StateValue": state, "StateUpdatedTimestamp": now, **why}
        if state != alarm["StateValue"]:
            fields["StateTransitionedTimestamp"] = now
        changed = self._store.change("alarm", alarm["AlarmName"], fields)
        if state == before["value"]:
            return None
        self._history.state(alarm["AlarmName"], now, before, changed)
        return Change(changed, before, now)

    def _require(self, names: Iterable[str]) -> list[Alarm]:
        found = {name: self._store.get("alarm", name) for name in names}
        missing = [name for name, alarm in found.items() if alarm is None]
        if missing:
            raise ApiError("ResourceNotFound", f"Alarms {missing} do not exist", 404)
        return [alarm for alarm in found.values() if alarm is not None]


def _actions(alarm: Alarm) -> Iterable[str]:
    return itertools.chain.from_iterable(
        alarm.get(field, []) for field in ("AlarmActions", "OKActions", "InsufficientDataActions")
    )


def _public(alarm: Alarm) -> Alarm:
    defaults = {"ActionsEnabled": True, "OKActions": [], "AlarmActions": [], "InsufficientDataActions": []}
    shown = {key: value for key, value in alarm.items() if not key.startswith("_") and value is not None}
    return {**defaults, **shown} if alarm.get("Metrics") else {**defaults, "Dimensions": [], **shown}
