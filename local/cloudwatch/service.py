"""The CloudWatch service: which action goes where, and when alarms are evaluated."""

import json
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from local.cloudwatch import announcements, protocol
from local.cloudwatch.alarms import Alarms
from local.cloudwatch.announcements import Alarm, Change
from local.cloudwatch.dashboards import Dashboards
from local.cloudwatch.history import History
from local.cloudwatch.metrics import KEPT_SECONDS, Metrics
from local.cloudwatch.queries import Queries
from local.cloudwatch.vended import Gauge, Queue, Vended
from local.programs.checks import faults
from local.sagemaker.store import Store
from local.sagemaker.timers import Timers
from local.service import ApiError, Cloud

logger = logging.getLogger(__name__)

MINUTE = 60.0
FINE = 10.0  # seconds between evaluations of alarms whose period is below a minute
HOUR = 3600.0
NOT_HERE = {
    "PutCompositeAlarm": "composite alarms; let an alarm watch a math expression of several metrics instead",
    "PutAnomalyDetector": "anomaly detection; write an alarm with a Threshold instead",
    "PutMetricStream": "metric streams; ask GetMetricData instead",
}


class CloudWatch:
    """Metrics, alarms and dashboards. State lies in `cloudwatch/` of the cloud's state folder.

    `queues` tells how the queues of the cloud are, `gauges` what else is looked at each minute; `may_publish(topic,
    alarm)` whether the topic's policy lets CloudWatch publish for the alarm; `scale` follows a scaling policy that an
    alarm names, whose metric has that value.
    """

    reads_every_protocol = True

    def __init__(
        self,
        cloud: Cloud,
        queues: Callable[[], Iterable[Queue]] = tuple,
        may_publish: Callable[[str, str], bool] = lambda topic, alarm: True,
        gauges: Callable[[], Iterable[Gauge]] = tuple,
        scale: Callable[[str, Alarm, float | None], None] = lambda policy, alarm, value: None,
    ) -> None:
        self._cloud = cloud
        self._clock = cloud.clock
        self._may_publish = may_publish
        self._scale = scale
        folder = cloud.state / "cloudwatch"
        self._metrics = Metrics(folder / "metrics.sqlite")
        self._store = Store(folder / "alarms.sqlite")
        self._history = History(self._store, self._clock)
        self.vended = Vended(self._metrics, self._clock, queues, gauges)
        self._queries = queries = Queries(self._metrics, self._clock)
        prefix = f"arn:aws:cloudwatch:{cloud.region}:{cloud.account}:alarm:"
        self._alarms = alarms = Alarms(self._store, queries, self._history, self._clock, prefix, self._announce)
        dashboards = Dashboards(self._store, self._clock, cloud.account)
        self._timers: Timers | None = None
        self._interval: float | None = None  # between looks before a minute is over, in seconds; None for none
        self._forgot = self._closed = self._clock.time()  # when old data was let go of, and the last minute ended
        self._actions: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "PutMetricData": queries.put_data,
            "GetMetricData": queries.get_data,
            "GetMetricStatistics": queries.get_statistics,
            "ListMetrics": queries.list_metrics,
            "PutMetricAlarm": alarms.put,
            "DescribeAlarms": alarms.describe,
            "DescribeAlarmsForMetric": alarms.of_metric,
            "DescribeAlarmHistory": self._history.describe,
            "DeleteAlarms": alarms.delete,
            "SetAlarmState": alarms.set_state,
            "EnableAlarmActions": partial(alarms.enable, enabled=True),
            "DisableAlarmActions": partial(alarms.enable, enabled=False),
            "PutDashboard": dashboards.put,
            "GetDashboard": dashboards.get,
            "ListDashboards": dashboards.list_dashboards,
            "DeleteDashboards": dashboards.delete,
            **{
                action: partial(alarms.tags, action=action)
                for action in ("TagResource", "UntagResource", "ListTagsForResource")
            },
        }

    def handle(self, action: str, request: dict[str, Any], caller_arn: str) -> dict[str, Any]:
        """Answer one action.

        Raises:
            ApiError: what AWS would refuse, and what this cloud does not implement.
        """
        if action in NOT_HERE:
            raise ApiError("InvalidAction", f"{action}: the embedded cloud has no {NOT_HERE[action]}")
        if action not in self._actions:
            known = ", ".join(sorted(self._actions))
            raise ApiError("InvalidAction", f"{action} is not implemented by the embedded cloud; it has: {known}")
        if found := faults("cloudwatch", action, request):
            raise ApiError("ValidationError", "; ".join(found))
        with self._clock.hold():
            return self._actions[action](request)

    def http(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> protocol.Answer:
        """Answer one request, in whichever of its protocols it comes."""
        spoken = protocol.protocol_of(path, headers)
        try:
            action, request = protocol.read(path, headers, body, query)
            return protocol.answer(spoken, action, self.handle(action, request, ""))
        except ApiError as error:
            return protocol.refusal(spoken, error)
        except Exception as error:
            logger.exception("cloudwatch %s %s", method, path)
            return protocol.refusal(spoken, ApiError("InternalServiceError", f"{type(error).__name__}: {error}", 500))

    def warm(self) -> None:
        """Begin to look each minute: the cloud serves from now on."""
        self._timers = timers = Timers(self._clock)
        timers.after(self._until(FINE), self._each)

    def tick(self) -> list[dict[str, str]]:
        """Look now, as if the minute that runs were over; return the alarms that changed, with both states."""
        now = self._clock.time()
        self.vended.close_minute(now // MINUTE * MINUTE)
        changes = self._alarms.evaluate(now // FINE * FINE + FINE, fine=True)
        changes += self._alarms.evaluate(now // MINUTE * MINUTE + MINUTE, fine=False)
        self._follow_policies(now // MINUTE * MINUTE + MINUTE)
        return [
            {"alarm": each.alarm["AlarmName"], "before": each.before["value"], "now": each.alarm["StateValue"]}
            for each in changes
        ]

    def look_every(self, seconds: float | None) -> None:
        """Tick in this interval from now on, beside each minute's end; None stops that."""
        was, self._interval = self._interval, seconds
        if seconds is not None and was is None and self._timers is not None:
            self._timers.after(seconds, self._soon)

    def close(self) -> None:
        """Stop looking, save."""
        if self._timers is not None:
            self._timers.close()
        self.vended.close_minute(self._clock.time() // MINUTE * MINUTE)
        self._metrics.close()
        self._store.close()

    def _until(self, step: float) -> float:
        now = self._clock.time()
        return now // step * step + step - now

    def _each(self) -> None:
        """What is done every ten seconds, and at the end of each minute for that minute."""
        now = self._clock.time()
        assert self._timers is not None
        try:
            self._alarms.evaluate(now // FINE * FINE, fine=True)
            minute = now // MINUTE * MINUTE
            if minute > self._closed:  # not "if it is the minute's first second": a machine may stall
                self._closed = minute
                self.vended.close_minute(minute - MINUTE)
                self._alarms.evaluate(minute, fine=False)
                self._follow_policies(minute)
            if now - self._forgot > HOUR:
                self._forgot = now
                self._metrics.forget(now - KEPT_SECONDS)
                self._history.forget()
        finally:
            self._timers.after(self._until(FINE), self._each)

    def _follow_policies(self, at: float) -> None:
        """Scaling policies are followed each minute for as long as the alarm is in the state that names them."""
        for policy, alarm, value in self._alarms.scaling(at):
            try:
                self._scale(policy, alarm, value)
            except Exception:
                logger.exception("alarm %s: policy %s", alarm["AlarmName"], policy)

    def _soon(self) -> None:
        if self._interval is None or self._timers is None:
            return
        try:
            self.tick()
        finally:
            self._timers.after(self._interval, self._soon)

    def _announce(self, change: Change) -> None:
        alarm, cloud = change.alarm, self._cloud
        logger.info("alarm %s: %s → %s", alarm["AlarmName"], change.before["value"], alarm["StateValue"])
        cloud.emit("aws.cloudwatch", "CloudWatch Alarm State Change", announcements.event(change), [alarm["AlarmArn"]])
        for topic in change.topics:
            try:
                if not self._may_publish(topic, alarm["AlarmArn"]):
                    raise PermissionError(f"the policy of {topic} does not let cloudwatch.amazonaws.com publish")
                cloud.client("sns").publish(
                    TopicArn=topic, **announcements.as_message(change, cloud.region, cloud.account)
                )
            except Exception as error:
                logger.error("alarm %s could not tell %s: %s", alarm["AlarmName"], topic, error)
                self._action(change, topic, str(error))
            else:
                self._action(change, topic, "")

    def _action(self, change: Change, topic: str, error: str) -> None:
        state = "Failed" if error else "Succeeded"
        data = {"actionState": state, "notificationResource": topic, **({"error": error} if error else {})}
        summary = f"{'Failed to execute' if error else 'Successfully executed'} action {topic}"
        self._history.add(change.alarm["AlarmName"], self._clock.time(), "Action", summary, data)

    # -- what the cloud tells it --

    def put_log_events(self, body: bytes) -> None:
        """A PutLogEvents that was accepted: take the metrics out of its lines."""
        request = json.loads(body)
        for event in request.get("logEvents", []):
            if embedded_in(event.get("message", "")):
                self.vended.log(request.get("logGroupName", ""), event["message"].replace("\n", " "))


def embedded_in(message: str) -> bool:
    """Whether a log event may hold metrics."""
    return "CloudWatchMetrics" in message
