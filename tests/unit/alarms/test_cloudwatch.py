"""An alarm of CloudWatch becomes an alarm of Boxcar."""

import copy

import pytest

from boxcar.alarms.cloudwatch import MetricAlarmError
from boxcar.alarms.links import Links
from boxcar.alarms.messages import read_message

LINKS = Links("https://console.test", "eu-west-1", "boxcar-data", "boxcar", "123456789012")
EVENT = {
    "detail-type": "CloudWatch Alarm State Change",
    "source": "aws.cloudwatch",
    "time": "2026-01-05T03:06:00Z",
    "resources": ["arn:aws:cloudwatch:eu-west-1:123456789012:alarm:boxcar/plan-run-fails"],
    "detail": {
        "alarmName": "boxcar/plan-run-fails",
        "state": {
            "value": "ALARM",
            "reason": "Threshold Crossed: 1 datapoint [7.0] was greater than the threshold (5.0).",
            "timestamp": "2026-01-05T03:05:58.123+0000",
        },
        "previousState": {"value": "OK", "timestamp": "2026-01-04T03:05:58.123+0000"},
        "configuration": {
            "description": "The function fails again and again. Look at its log.",
            "metrics": [
                {"id": "faults", "expression": "errors + throttles", "returnData": True},
                {
                    "id": "errors",
                    "returnData": False,
                    "metricStat": {
                        "metric": {
                            "namespace": "AWS/Lambda",
                            "name": "Errors",
                            "dimensions": {"FunctionName": "boxcar-plan-run"},
                        },
                        "period": 300,
                        "stat": "Sum",
                    },
                },
            ],
        },
    },
}


def test_it_says_what_where_since_when_and_what_to_do():
    mail = read_message(EVENT, LINKS, "")
    assert mail.audiences == ("engineering",)
    assert mail.subject == "[Boxcar alarm] plan run fails (boxcar/plan-run-fails)"
    text = " ".join(mail.text.split())
    for part in (
        "[7.0] was greater than the threshold",
        "Function: boxcar-plan-run",
        "https://console.test/cloudwatch/home?region=eu-west-1#alarmsV2:alarm/boxcar%2Fplan-run-fails",
        "2026-01-05T03:05:58.123+0000",
        "What to do The function fails again and again. Look at its log.",
    ):
        assert part in text


def test_told_twice_it_is_one_and_ringing_again_it_is_another():
    again = copy.deepcopy(EVENT)
    again["detail"]["state"]["timestamp"] = "2026-01-06T03:05:58.123+0000"
    first, repeat, other = (read_message(event, LINKS, "").id for event in (EVENT, copy.deepcopy(EVENT), again))
    assert first == repeat != other


def test_when_it_is_over_engineering_reads_so_and_slack_is_left_alone():
    over = copy.deepcopy(EVENT)
    over["detail"]["previousState"] = {"value": "ALARM", "timestamp": "2026-01-05T03:05:58.123+0000"}
    over["detail"]["state"] |= {"value": "OK", "reason": "[1.0] was not greater", "timestamp": "2026-01-05T03:25:58Z"}
    mail = read_message(over, LINKS, "")
    assert mail.audiences == ("engineering",) and mail.attributes["severity"] == "info"
    assert mail.subject == "[Boxcar alarm over] plan run fails (boxcar/plan-run-fails)"
    text = " ".join(mail.text.split())
    for part in ("rings no more", "[1.0] was not greater", "Function: boxcar-plan-run", "2026-01-05T03:25:58Z",
                 "It began to ring at 2026-01-05T03:05:58.123+0000."):  # fmt: skip
        assert part in text
    rang = read_message(EVENT, LINKS, "")
    assert mail.id != rang.id and mail.cause != rang.cause


@pytest.mark.parametrize(
    ("detail", "fault"),
    [
        (None, "needs a state"),
        ({"alarmName": "x", "state": {"value": "INSUFFICIENT_DATA"}}, "needs a state whose value is ALARM or OK"),
        ({"state": {"value": "ALARM"}}, "detail.alarmName: is missing"),
    ],
)
def test_what_is_no_ringing_alarm_ends_among_the_dead_letters(detail, fault):
    with pytest.raises(MetricAlarmError, match=fault):
        read_message({**EVENT, "detail": detail}, LINKS, "")
