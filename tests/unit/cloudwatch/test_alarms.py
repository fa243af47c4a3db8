"""Alarms as their users meet them: a metric, a minute that ends, a state, a message, an event."""

import json

import pytest
from botocore.exceptions import ClientError

from tests.unit.cloudwatch.conftest import TOPIC, World


def test_a_new_alarm_waits_for_data_then_rings_then_rests(world: World) -> None:
    world.alarm(TreatMissingData="notBreaching")
    alarm = world.described()
    assert (alarm["StateValue"], alarm["StateReason"]) == ("INSUFFICIENT_DATA", "Unchecked: Initial alarm creation")
    world.service.tick()
    assert world.state_of() == "OK"
    assert world.described()["StateReason"] == (
        "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
        "[NonBreaching]."
    )
    world.put(3)
    assert world.service.tick() == [{"alarm": "lost", "before": "OK", "now": "ALARM"}]
    assert world.described()["StateReason"] == (
        "Threshold Crossed: 1 datapoint [3.0 (28/05/26 20:27:00)] was greater than the threshold (0.0)."
    )
    assert world.service.tick() == []  # the state must change, not last
    world.clock.now += 60
    world.put(0)
    assert world.service.tick() == [{"alarm": "lost", "before": "ALARM", "now": "OK"}]
    assert [message["NewStateValue"] for message in world.messages()] == ["ALARM"]  # only AlarmActions were given


def test_the_message_is_what_aws_sends(world: World) -> None:
    dimensions = [{"Name": "QueueName", "Value": "dead"}]
    world.alarm(Dimensions=dimensions, DatapointsToAlarm=1, AlarmDescription="Look at the log.")
    world.put(3, Dimensions=dimensions)
    world.service.tick()
    [published] = world.topics.published
    assert (published["TopicArn"], published["MessageStructure"]) == (TOPIC, "json")
    assert published["Subject"] == 'ALARM: "lost" in US East (N. Virginia)'
    assert world.messages() == [
        {
            "AlarmName": "lost",
            "AlarmDescription": "Look at the log.",
            "AWSAccountId": "000000000000",
            "AlarmConfigurationUpdatedTimestamp": "2026-05-28T20:27:00.000+0000",
            "NewStateValue": "ALARM",
            "NewStateReason": "Threshold Crossed: 1 out of the last 1 datapoints [3.0 (28/05/26 20:27:00)] was greater "
            "than the threshold (0.0) (minimum 1 datapoint for OK -> ALARM transition).",
            "StateChangeTime": "2026-05-28T20:27:00.000+0000",
            "Region": "US East (N. Virginia)",
            "AlarmArn": "arn:aws:cloudwatch:us-east-1:000000000000:alarm:lost",
            "OldStateValue": "INSUFFICIENT_DATA",
            "OKActions": [],
            "AlarmActions": [TOPIC],
            "InsufficientDataActions": [],
            "Trigger": {
                "MetricName": "Lost",
                "Namespace": "Test",
                "StatisticType": "Statistic",
                "Statistic": "SUM",
                "Unit": None,
                "Dimensions": [{"value": "dead", "name": "QueueName"}],
                "Period": 60,
                "EvaluationPeriods": 1,
                "DatapointsToAlarm": 1,
                "ComparisonOperator": "GreaterThanThreshold",
                "Threshold": 0.0,
                "TreatMissingData": "missing",
                "EvaluateLowSampleCountPercentile": "",
            },
        }
    ]
    mail = json.loads(published["Message"])["email"]
    assert mail.startswith('You are receiving this email because your Amazon CloudWatch Alarm "lost" in the US East')
    assert "- State Change: INSUFFICIENT_DATA -> ALARM" in " ".join(mail.split())
    assert "QueueName = dead" in mail


def test_the_event_is_what_eventbridge_shows(world: World) -> None:
    world.alarm(Dimensions=[{"Name": "QueueName", "Value": "dead"}])
    world.put(3, Dimensions=[{"Name": "QueueName", "Value": "dead"}])
    world.service.tick()
    [(source, detail_type, detail, resources)] = world.events
    assert (source, detail_type) == ("aws.cloudwatch", "CloudWatch Alarm State Change")
    assert resources == ["arn:aws:cloudwatch:us-east-1:000000000000:alarm:lost"]
    assert detail["alarmName"] == "lost"
    assert (detail["previousState"]["value"], detail["state"]["value"]) == ("INSUFFICIENT_DATA", "ALARM")
    assert json.loads(detail["state"]["reasonData"]) == {
        "version": "1.0",
        "queryDate": "2026-05-28T20:27:00.000+0000",
        "startDate": "2026-05-28T20:27:00.000+0000",
        "statistic": "Sum",
        "period": 60,
        "recentDatapoints": [3.0],
        "threshold": 0.0,
        "evaluatedDatapoints": [{"timestamp": "2026-05-28T20:27:00.000+0000", "sampleCount": 1.0, "value": 3.0}],
    }
    [metric] = detail["configuration"]["metrics"]
    assert metric["metricStat"] == {
        "metric": {"namespace": "Test", "name": "Lost", "dimensions": {"QueueName": "dead"}},
        "period": 60,
        "stat": "Sum",
    }


def test_an_alarm_looks_at_its_own_dimensions_only(world: World) -> None:
    world.alarm(Dimensions=[{"Name": "QueueName", "Value": "mine"}])
    world.put(3)
    world.put(3, Dimensions=[{"Name": "QueueName", "Value": "other"}])
    world.put(3, Dimensions=[{"Name": "QueueName", "Value": "mine"}, {"Name": "Stage", "Value": "x"}])
    world.service.tick()
    assert world.state_of() == "INSUFFICIENT_DATA"
    world.put(3, Dimensions=[{"Name": "QueueName", "Value": "mine"}])
    world.service.tick()
    assert world.state_of() == "ALARM"


def test_m_out_of_n(world: World) -> None:
    world.alarm(EvaluationPeriods=3, DatapointsToAlarm=2)
    for minutes_ago, value in enumerate((0, 5)):
        world.put(value, minutes_ago)
    world.service.tick()
    assert world.state_of() == "OK"
    world.put(7, 2)
    world.service.tick()
    assert world.described()["StateReason"] == (
        "Threshold Crossed: 2 out of the last 3 datapoints [5.0 (28/05/26 20:26:00), 7.0 (28/05/26 20:25:00)] were "
        "greater than the threshold (0.0) (minimum 2 datapoints for OK -> ALARM transition)."
    )


def test_a_period_of_five_minutes_ends_with_any_minute(world: World) -> None:
    world.alarm(Period=300, Threshold=4.0)
    for minutes_ago in range(5):
        world.put(1, minutes_ago)
    world.service.tick()
    assert world.state_of() == "ALARM"
    world.clock.now += 60  # now one of the five has no value: 4 is not more than 4
    world.service.tick()
    assert world.state_of() == "OK"


def test_a_period_of_ten_seconds_needs_data_as_fine(world: World) -> None:
    world.alarm(Period=10)
    world.put(1, StorageResolution=1, Timestamp=world.clock.now + 3)
    world.clock.now += 5
    assert world.service.tick() == [{"alarm": "lost", "before": "INSUFFICIENT_DATA", "now": "ALARM"}]


def test_what_goes_silent_tells_so_but_for_a_cloud_that_was_down_meanwhile(world: World) -> None:
    world.alarm(ComparisonOperator="LessThanThreshold", Threshold=1.0, AlarmActions=[], InsufficientDataActions=[TOPIC])
    world.service.tick()
    assert not world.topics.published, "it was silent from the beginning"
    world.put(1)
    world.service.tick()
    assert world.state_of() == "OK"

    world.clock.now += 3600
    world.restart()
    world.service.tick()
    assert world.state_of() == "OK"
    world.clock.now += 60
    world.put(1)
    world.service.tick()
    world.clock.now += 600
    world.service.tick()
    assert world.state_of() == "INSUFFICIENT_DATA" and len(world.topics.published) == 1


def test_missing_data_of_dynamodb_is_ignored_whatever_is_asked(world: World) -> None:
    world.alarm(Namespace="AWS/DynamoDB", TreatMissingData="breaching")
    world.service.tick()
    assert world.state_of() == "INSUFFICIENT_DATA"


def test_a_percentile_of_few_samples_can_be_ignored(world: World) -> None:
    fields = {"Statistic": None, "ExtendedStatistic": "p90", "Threshold": 1.0}
    world.alarm(**fields, EvaluateLowSampleCountPercentile="ignore")
    world.alarm(**fields, AlarmName="always")
    world.api.put_metric_data(Namespace="Test", MetricData=[{"MetricName": "Lost", "Values": [5.0], "Counts": [99.0]}])
    world.service.tick()
    assert (world.state_of(), world.state_of("always")) == ("INSUFFICIENT_DATA", "ALARM")  # 10/(1-.9) = 100 are needed
    world.put(5)
    world.service.tick()
    assert world.state_of() == "ALARM"


def test_metric_math_is_watched(world: World) -> None:
    def stat(id_: str, name: str) -> dict[str, object]:
        metric = {"Namespace": "Test", "MetricName": name}
        return {"Id": id_, "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}, "ReturnData": False}

    rate = {"Id": "rate", "Expression": "100 * FILL(failed, 0) / all_"}
    without = dict.fromkeys(("Namespace", "MetricName", "Statistic", "Period"))
    world.alarm(**without, Metrics=[stat("failed", "Failed"), stat("all_", "All"), rate], Threshold=5.0)
    world.put(100, name="All")
    world.service.tick()
    assert world.state_of() == "OK"
    world.put(6, name="Failed")
    world.service.tick()
    assert world.state_of() == "ALARM"
    assert "[6.0 (28/05/26 20:27:00)] was greater than the threshold (5.0)" in world.described()["StateReason"]


def test_fine_periods_of_an_expression_end_every_ten_seconds(world: World) -> None:
    metric = {"Namespace": "Test", "MetricName": "Lost"}
    stat = {"Id": "lost", "MetricStat": {"Metric": metric, "Period": 20, "Stat": "Sum"}, "ReturnData": False}
    without = dict.fromkeys(("Namespace", "MetricName", "Statistic", "Period"))
    world.alarm(**without, Metrics=[stat, {"Id": "twice", "Expression": "lost * 2"}], Threshold=5.0)
    world.put(3, StorageResolution=1, Timestamp=world.clock.now + 12)
    world.clock.now += 21  # the period that ends at 30 begins at 10
    world.service.tick()
    assert world.state_of() == "ALARM"


def test_a_state_that_is_set_lasts_until_the_next_look(world: World) -> None:
    world.alarm(TreatMissingData="notBreaching", OKActions=[TOPIC])
    world.api.set_alarm_state(AlarmName="lost", StateValue="ALARM", StateReason="a drill")
    assert [message["NewStateReason"] for message in world.messages()] == ["a drill"]
    world.service.tick()
    assert [message["NewStateValue"] for message in world.messages()] == ["ALARM", "OK"]


def test_actions_can_be_switched_off(world: World) -> None:
    world.alarm()
    world.api.disable_alarm_actions(AlarmNames=["lost", "never was"])
    world.put(1)
    world.service.tick()
    assert (world.state_of(), world.topics.published) == ("ALARM", [])
    world.api.enable_alarm_actions(AlarmNames=["lost"])
    world.clock.now += 60
    world.put(0)
    world.service.tick()
    world.clock.now += 60
    world.put(1)
    world.service.tick()
    assert len(world.topics.published) == 1


def test_a_topic_that_does_not_let_cloudwatch_in_gets_nothing_and_history_says_so(world: World) -> None:
    world.forbidden.add(TOPIC)
    world.alarm()
    world.put(1)
    world.service.tick()
    assert (world.state_of(), world.topics.published) == ("ALARM", [])
    [item] = world.api.describe_alarm_history(HistoryItemType="Action")["AlarmHistoryItems"]
    assert json.loads(item["HistoryData"])["actionState"] == "Failed"


def test_an_sns_that_is_down_does_not_stop_other_alarms(world: World) -> None:
    world.topics.down = True
    world.alarm()
    world.alarm(AlarmName="other")
    world.put(1)
    assert {each["alarm"] for each in world.service.tick()} == {"lost", "other"}


def test_an_update_keeps_the_state_and_replaces_the_rest(world: World) -> None:
    world.alarm(AlarmDescription="first")
    world.put(1)
    world.service.tick()
    world.alarm(Threshold=9.0)
    alarm = world.described()
    assert (alarm["StateValue"], alarm["Threshold"], alarm.get("AlarmDescription")) == ("ALARM", 9.0, None)
    world.service.tick()
    assert world.state_of() == "OK"


def test_alarms_metrics_and_history_survive_a_restart(world: World) -> None:
    world.alarm()
    world.put(1)
    world.service.tick()
    world.restart()
    assert world.state_of() == "ALARM"
    assert world.service.tick() == []  # the sample is still there
    history = world.api.describe_alarm_history(AlarmName="lost")["AlarmHistoryItems"]
    kinds = [item["HistoryItemType"] for item in history]
    assert kinds == ["Action", "StateUpdate", "ConfigurationUpdate"]
    assert history[1]["HistorySummary"] == "Alarm updated from INSUFFICIENT_DATA to ALARM"


def test_alarms_are_found_by_state_prefix_and_metric(world: World) -> None:
    for name in ("a-1", "a-2", "b-1"):
        world.alarm(AlarmName=name)
    world.api.set_alarm_state(AlarmName="a-2", StateValue="OK", StateReason="test")
    api = world.api

    def names(**wanted: object) -> list[str]:
        return [alarm["AlarmName"] for alarm in api.describe_alarms(**wanted)["MetricAlarms"]]

    assert names(AlarmNamePrefix="a-") == ["a-1", "a-2"]
    assert names(StateValue="OK") == ["a-2"]
    assert names(ActionPrefix="arn:aws:lambda") == []
    pages = api.get_paginator("describe_alarms").paginate(PaginationConfig={"PageSize": 1})
    assert [page["MetricAlarms"][0]["AlarmName"] for page in pages] == ["a-1", "a-2", "b-1"]
    assert len(api.describe_alarms_for_metric(Namespace="Test", MetricName="Lost")["MetricAlarms"]) == 3
    api.delete_alarms(AlarmNames=["a-1", "b-1"])
    assert names() == ["a-2"]
    with pytest.raises(ClientError, match="ResourceNotFound"):
        api.delete_alarms(AlarmNames=["a-1", "a-2"])
    assert names() == ["a-2"]  # none, when one does not exist


def test_tags_of_an_alarm(world: World) -> None:
    world.alarm(Tags=[{"Key": "team", "Value": "x"}])
    arn = world.described()["AlarmArn"]
    world.api.tag_resource(ResourceARN=arn, Tags=[{"Key": "stage", "Value": "dev"}])
    world.api.untag_resource(ResourceARN=arn, TagKeys=["team"])
    assert world.api.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "stage", "Value": "dev"}]
