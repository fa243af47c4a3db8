"""What EventBridge and its Scheduler measure of their deliveries: AWS/Events by rule, AWS/Scheduler by group.

Sources: EventBridge user guide, "Monitoring Amazon EventBridge"; EventBridge Scheduler user guide, "Monitoring Amazon
EventBridge Scheduler with Amazon CloudWatch".
"""

from collections.abc import Iterator

from local.cloudwatch.metrics import Metric

ATTEMPTED, ERRED, DELIVERED, FAILED = "attempted", "erred", "delivered", "failed"
BURIED, NOT_BURIED = "buried", "not buried"  # taken by the dead-letter queue or not
OF_RULES = {
    ATTEMPTED: ["InvocationAttempts"],
    DELIVERED: ["Invocations"],
    FAILED: ["Invocations", "FailedInvocations"],
    BURIED: ["InvocationsSentToDlq"],
    NOT_BURIED: ["InvocationsFailedToBeSentToDlq"],
}
OVER_ALL = ("Invocations", "InvocationAttempts")  # those that AWS has without a dimension, too
OF_SCHEDULES = {
    ATTEMPTED: ["InvocationAttemptCount"],
    ERRED: ["TargetErrorCount"],
    FAILED: ["InvocationDroppedCount"],
    BURIED: ["InvocationsSentToDeadLetterCount"],
    NOT_BURIED: ["InvocationsFailedToBeSentToDeadLetterCount"],
}


def metrics_of(source_arn: str, what: str) -> Iterator[Metric]:
    """The metrics that grow by one when something happened to a delivery of a rule or a schedule."""
    parts = source_arn.split("/")
    if ":scheduler:" in source_arn:
        for name in OF_SCHEDULES.get(what, []):
            yield Metric.of("AWS/Scheduler", name, {"ScheduleGroup": parts[1] if len(parts) > 2 else "default"})
            yield Metric.of("AWS/Scheduler", name, {})
        return
    dimensions = {"RuleName": parts[-1], **({"EventBusName": parts[1]} if len(parts) > 2 else {})}
    for name in OF_RULES.get(what, []):
        yield Metric.of("AWS/Events", name, dimensions)
        if name in OVER_ALL:
            yield Metric.of("AWS/Events", name, {})
