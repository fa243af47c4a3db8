"""How an alarm tells of a change: to its SNS topics, and as an event of EventBridge.

Sources: CloudWatch user guide, "Alarm events and EventBridge"; notifications that people have posted. An e-mail
subscription gets sentences, every other one the JSON.
"""

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local.cloudwatch.reasons import stamp

REGIONS = {"us-east-1": "US East (N. Virginia)"}
ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
SUBJECT_LENGTH = 100  # of SNS
STATISTICS = {"SampleCount": "SAMPLE_COUNT"}
Alarm = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """An alarm as it is now, and the state it was in before: value, reason, reasonData, timestamp."""

    alarm: Alarm
    before: dict[str, Any]
    at: float

    @property
    def topics(self) -> list[str]:
        """Whom to tell, if actions are enabled."""
        return [arn for arn in actions_of(self.alarm) if arn.split(":")[2] == "sns"]


def actions_of(alarm: Alarm) -> list[str]:
    """What an alarm does in the state that it is in, if its actions are enabled."""
    found: list[str] = alarm.get(ACTIONS[alarm["StateValue"]], []) if alarm.get("ActionsEnabled", True) else []
    return found


def policies_of(alarm: Alarm) -> list[str]:
    """The scaling policies among that."""
    return [arn for arn in actions_of(alarm) if arn.split(":")[2] == "autoscaling"]


def subject(change: Change, region: str) -> str:
    """ALARM: "name" in US East (N. Virginia)."""
    alarm = change.alarm
    return f'{alarm["StateValue"]}: "{alarm["AlarmName"]}" in {REGIONS.get(region, region)}'[:SUBJECT_LENGTH]


def message(change: Change, region: str, account: str) -> dict[str, Any]:
    """What an SNS subscription gets, as a dict."""
    alarm = change.alarm
    return {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription"),
        "AWSAccountId": account,
        "AlarmConfigurationUpdatedTimestamp": stamp(alarm["AlarmConfigurationUpdatedTimestamp"]),
        "NewStateValue": alarm["StateValue"],
        "NewStateReason": alarm["StateReason"],
        "StateChangeTime": stamp(change.at),
        "Region": REGIONS.get(region, region),
        "AlarmArn": alarm["AlarmArn"],
        "OldStateValue": change.before["value"],
        "OKActions": alarm.get("OKActions", []),
        "AlarmActions": alarm.get("AlarmActions", []),
        "InsufficientDataActions": alarm.get("InsufficientDataActions", []),
        "Trigger": _trigger(alarm),
    }


def event(change: Change) -> dict[str, Any]:
    """The detail of a CloudWatch Alarm State Change."""
    alarm = change.alarm
    state = {
        "value": alarm["StateValue"],
        "reason": alarm["StateReason"],
        "reasonData": alarm.get("StateReasonData"),
        "timestamp": stamp(change.at),
    }
    configuration: dict[str, Any] = {"metrics": _metrics(alarm)}
    if alarm.get("AlarmDescription"):
        configuration["description"] = alarm["AlarmDescription"]
    return {
        "alarmName": alarm["AlarmName"],
        "state": {name: value for name, value in state.items() if value is not None},
        "previousState": {name: value for name, value in change.before.items() if value is not None},
        "configuration": configuration,
    }


def text(change: Change, region: str, account: str) -> str:
    """What an e-mail subscription gets."""
    alarm, place = change.alarm, REGIONS.get(region, region)
    moment = datetime.fromtimestamp(change.at, UTC).strftime("%A %d %B, %Y %H:%M:%S UTC")
    name, state, why = alarm["AlarmName"], alarm["StateValue"], alarm["StateReason"]
    rows = {
        "Name": name,
        "Description": alarm.get("AlarmDescription", ""),
        "State Change": f"{change.before['value']} -> {state}",
        "Reason for State Change": why,
        "Timestamp": moment,
        "AWS Account": account,
        "Alarm Arn": alarm["AlarmArn"],
    }
    needed, periods = alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]), alarm["EvaluationPeriods"]
    period = _period(alarm)
    dimensions = ", ".join(f"{each['Name']} = {each['Value']}" for each in alarm.get("Dimensions", []))
    metric = {
        "MetricNamespace": alarm.get("Namespace", ""),
        "MetricName": alarm.get("MetricName", ""),
        "Dimensions": f"[{dimensions}]",
        "Period": f"{period} seconds",
        "Statistic": alarm.get("Statistic") or alarm.get("ExtendedStatistic", ""),
        "Unit": alarm.get("Unit", "not specified"),
        "TreatMissingData": alarm.get("TreatMissingData", "missing"),
    }
    if alarm.get("Metrics"):
        metric = {"Expression": next((each["Expression"] for each in alarm["Metrics"] if each.get("Expression")), "")}
    actions = {label: f"[{', '.join(alarm.get(field, []))}]" for label, field in ACTIONS.items()}
    return "\n".join(
        [
            f'You are receiving this email because your Amazon CloudWatch Alarm "{name}" in the {place} region has '
            f'entered the {state} state, because "{why}" at "{moment}".',
            "",
            "View this alarm in the AWS Management Console:",
            f"https://{region}.console.aws.amazon.com/cloudwatch/deeplink.js?region={region}#alarmsV2:alarm/{name}",
            *_section("Alarm Details:", rows),
            "",
            "Threshold:",
            f"- The alarm is in the ALARM state when the metric is {alarm['ComparisonOperator']} {alarm['Threshold']} "
            f"for at least {needed} of the last {periods} period(s) of {period} seconds.",
            *_section("Monitored Metric:", metric),
            *_section("State Change Actions:", actions),
            "",
        ]
    )


def _section(title: str, rows: dict[str, Any]) -> list[str]:
    return ["", title, *(f"- {name + ':':<29}{value}" for name, value in rows.items())]


def _trigger(alarm: Alarm) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if alarm.get("Metrics"):
        told["Metrics"] = alarm["Metrics"]
    else:
        told |= {"MetricName": alarm["MetricName"], "Namespace": alarm["Namespace"]}
        if alarm.get("Statistic"):
            statistic = STATISTICS.get(alarm["Statistic"], alarm["Statistic"].upper())
            told |= {"StatisticType": "Statistic", "Statistic": statistic}
        else:
            told |= {"StatisticType": "ExtendedStatistic", "ExtendedStatistic": alarm["ExtendedStatistic"]}
        told["Unit"] = alarm.get("Unit")
        told["Dimensions"] = [{"value": each["Value"], "name": each["Name"]} for each in alarm.get("Dimensions", [])]
    told |= {"Period": _period(alarm), "EvaluationPeriods": alarm["EvaluationPeriods"]}
    if "DatapointsToAlarm" in alarm:
        told["DatapointsToAlarm"] = alarm["DatapointsToAlarm"]
    return {
        **told,
        "ComparisonOperator": alarm["ComparisonOperator"],
        "Threshold": alarm["Threshold"],
        "TreatMissingData": alarm.get("TreatMissingData", "missing"),
        "EvaluateLowSampleCountPercentile": alarm.get("EvaluateLowSampleCountPercentile", ""),
    }


def _period(alarm: Alarm) -> int:
    found = (query["MetricStat"]["Period"] for query in alarm.get("Metrics", []) if query.get("MetricStat"))
    return int(alarm.get("Period") or next(found, 60))


def _metrics(alarm: Alarm) -> list[dict[str, Any]]:
    if not alarm.get("Metrics"):
        # the id is made up on AWS, too; one of the alarm's own stays the same
        id_ = str(uuid.uuid5(uuid.NAMESPACE_URL, alarm["AlarmArn"]))
        stat = {
            "metric": _metric(alarm),
            "period": alarm["Period"],
            "stat": alarm.get("Statistic") or alarm["ExtendedStatistic"],
        }
        return [{"id": id_, "metricStat": stat, "returnData": True}]
    told = []
    for query in alarm["Metrics"]:
        one: dict[str, Any] = {"id": query["Id"], "returnData": query.get("ReturnData", True)}
        if query.get("Label"):
            one["label"] = query["Label"]
        if query.get("MetricStat"):
            stat = query["MetricStat"]
            metric = _metric(stat["Metric"])
            one["metricStat"] = {"metric": metric, "period": stat["Period"], "stat": stat["Stat"]}
        else:
            one["expression"] = query["Expression"]
        told.append(one)
    return told


def _metric(metric: dict[str, Any]) -> dict[str, Any]:
    dimensions = {each["Name"]: each["Value"] for each in metric.get("Dimensions", [])}
    return {"namespace": metric["Namespace"], "name": metric["MetricName"], "dimensions": dimensions}


def as_message(change: Change, region: str, account: str) -> dict[str, str]:
    """The parameters of sns:Publish, but for the topic."""
    told = {"default": json.dumps(message(change, region, account)), "email": text(change, region, account)}
    return {"Subject": subject(change, region), "MessageStructure": "json", "Message": json.dumps(told)}
