"""What services measure of themselves, minute by minute."""

import threading
from pathlib import Path
from typing import Any

from local.client import wait_for
from local.clock import VirtualClock
from tests.unit.cloudwatch.conftest import START, QueueState, World


def sums(
    world: World, namespace: str, name: str, minute: int = 0, stat: str = "Sum", **dimensions: str
) -> float | None:
    found = world.api.get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=START + 60 * minute,
        EndTime=START + 60 * minute + 60,
        Period=60,
        Statistics=[stat],
    )["Datapoints"]
    return found[0][stat] if found else None


def test_queues_are_measured_as_they_are_at_the_end_of_a_minute(world: World) -> None:
    world.queues = [QueueState("dead", visible=2, in_flight=1, oldest=90.0), QueueState("empty")]
    world.service.tick()
    world.queues[0].visible = 1
    world.service.tick()  # of a minute that is looked at twice, the last look counts
    assert sums(world, "AWS/SQS", "ApproximateNumberOfMessagesVisible", stat="Maximum", QueueName="dead") == 1.0
    assert sums(world, "AWS/SQS", "ApproximateNumberOfMessagesNotVisible", stat="Maximum", QueueName="dead") == 1.0
    assert sums(world, "AWS/SQS", "ApproximateAgeOfOldestMessage", stat="Maximum", QueueName="dead") == 90.0
    assert sums(world, "AWS/SQS", "ApproximateNumberOfMessagesVisible", stat="Maximum", QueueName="empty") == 0.0


def test_messages_are_counted(world: World) -> None:
    world.queues = [QueueState("work")]
    for size in (10, 30):
        world.service.vended.queue("work", "NumberOfMessagesSent", size)
    world.service.vended.queue("work", "NumberOfMessagesReceived")
    world.service.tick()
    world.service.vended.queue("work", "NumberOfMessagesSent", 5)
    world.service.tick()
    assert sums(world, "AWS/SQS", "NumberOfMessagesSent", QueueName="work") == 3.0
    assert sums(world, "AWS/SQS", "NumberOfMessagesReceived", QueueName="work") == 1.0
    assert sums(world, "AWS/SQS", "NumberOfMessagesDeleted", QueueName="work") == 0.0
    assert sums(world, "AWS/SQS", "SentMessageSize", stat="Average", QueueName="work") == 15.0


def test_what_was_counted_is_written_down_before_the_cloud_stops(world: World) -> None:
    world.queues = [QueueState("work")]
    world.service.vended.queue("work", "NumberOfMessagesSent", 10)
    world.restart()
    assert sums(world, "AWS/SQS", "NumberOfMessagesSent", QueueName="work") == 1.0


def test_invocations_by_function_and_over_all(world: World) -> None:
    world.service.vended.invocation("plan", 0.25, failed=False, throttled=False)
    world.service.vended.invocation("plan", 0.75, failed=True, throttled=False)
    world.service.vended.invocation("other", 1.0, failed=False, throttled=True)
    assert sums(world, "AWS/Lambda", "Invocations", FunctionName="plan") == 2.0
    assert sums(world, "AWS/Lambda", "Errors", FunctionName="plan") == 1.0
    assert sums(world, "AWS/Lambda", "Duration", stat="Maximum", FunctionName="plan") == 750.0
    assert sums(world, "AWS/Lambda", "Throttles", FunctionName="plan") == 0.0
    assert sums(world, "AWS/Lambda", "Throttles", FunctionName="other") == 1.0
    assert sums(world, "AWS/Lambda", "Invocations", FunctionName="other") is None  # throttled is not invoked
    assert sums(world, "AWS/Lambda", "Invocations") == 2.0


def test_executions_are_counted_by_how_they_end(world: World) -> None:
    def event(status: str, **more: Any) -> None:
        detail = {"stateMachineArn": "arn:machine", "status": status, "startDate": 1000, **more}
        world.service.vended.event("aws.states", "Step Functions Execution Status Change", detail)

    event("RUNNING")
    event("FAILED", stopDate=3500)
    world.service.vended.event("aws.sagemaker", "SageMaker Training Job State Change", {"status": "FAILED"})
    assert sums(world, "AWS/States", "ExecutionsStarted", StateMachineArn="arn:machine") == 1.0
    assert sums(world, "AWS/States", "ExecutionsFailed", StateMachineArn="arn:machine") == 1.0
    assert sums(world, "AWS/States", "ExecutionTime", StateMachineArn="arn:machine") == 2500.0
    assert sums(world, "AWS/States", "ExecutionsSucceeded", StateMachineArn="arn:machine") is None


def test_deliveries_of_schedules_and_rules(world: World) -> None:
    schedule = "arn:aws:scheduler:us-east-1:000000000000:schedule/default/boxcar-sweep"
    rule = "arn:aws:events:us-east-1:000000000000:rule/boxcar-failed-runs"
    for source in (schedule, rule):
        for what in ("attempted", "erred", "attempted", "delivered"):
            world.service.vended.delivery(source, what)
        for what in ("attempted", "erred", "failed", "buried"):
            world.service.vended.delivery(source, what)
    group, named = {"ScheduleGroup": "default"}, {"RuleName": "boxcar-failed-runs"}
    assert sums(world, "AWS/Scheduler", "InvocationAttemptCount", **group) == 3.0
    assert sums(world, "AWS/Scheduler", "TargetErrorCount", **group) == 2.0
    assert sums(world, "AWS/Scheduler", "InvocationDroppedCount", **group) == 1.0
    assert sums(world, "AWS/Scheduler", "InvocationsSentToDeadLetterCount", **group) == 1.0
    assert sums(world, "AWS/Events", "Invocations", **named) == 2.0  # not the attempt that was tried again
    assert sums(world, "AWS/Events", "FailedInvocations", **named) == 1.0
    assert sums(world, "AWS/Events", "InvocationsSentToDlq", **named) == 1.0
    assert sums(world, "AWS/Events", "InvocationsFailedToBeSentToDlq", **named) is None
    assert sums(world, "AWS/Events", "Invocations") == 2.0


def test_alarms_are_looked_at_each_minute_of_the_clouds_clock(tmp_path: Path) -> None:
    clock = VirtualClock(START)
    world = World(tmp_path, clock=clock, queues=[QueueState("dead")])  # type: ignore[arg-type]
    sampled = threading.Event()
    dimensions = [{"Name": "QueueName", "Value": "dead"}]
    alarm = {"Namespace": "AWS/SQS", "MetricName": "ApproximateNumberOfMessagesVisible", "Dimensions": dimensions}
    with clock.hold():
        world.alarm(**alarm, Statistic="Maximum", EvaluationPeriods=30)  # half an hour of virtual time
        world.service.warm()
        world.queues[0].visible = 1
        sampled.set()
    wait_for(lambda: world.state_of() == "ALARM", 20, every=0.01)
    world.service.close()
    assert world.messages()[0]["NewStateReason"].startswith("Threshold Crossed: 30 datapoints [1.0 (28/05/26 20:56:00)")
