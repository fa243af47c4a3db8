"""Alarms of CloudWatch that watch an endpoint, always, and stop a deployment when they ring meanwhile.

They look at a minute at a time, which is how often SageMaker measures. Their names begin like those of the stack's own
alarms, so that EventBridge brings them to the alarm queue.
"""

from typing import Any

from boxcar.measures import NAMESPACE
from boxcar.serving.targets import VARIANT, Target


def alarm_names(stack: str, target: Target) -> list[str]:
    """What the alarms of a version on its endpoint are called."""
    return [request["AlarmName"] for request in alarms(stack, target)]


def alarms(stack: str, target: Target) -> list[dict[str, Any]]:
    """PutMetricAlarm requests, one for each limit that the family sets; that of scores is about the version alone."""
    limits, requests = target.serving.rollback, []
    endpoint, config = target.endpoint, target.config_name
    measured = {"Namespace": "AWS/SageMaker", "Dimensions": [
        {"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": VARIANT},
    ]}  # fmt: skip
    if limits.max_error_percent is not None:
        requests.append({
            "AlarmName": f"{stack}/{endpoint}/errors",
            "AlarmDescription": f"More than {limits.max_error_percent:g} % of the requests of a minute were answered "
                                f"with 5xx. Look at the log group /aws/sagemaker/Endpoints/{endpoint}.",
            **measured, "MetricName": "Invocation5XXErrors", "Statistic": "Average",
            "Threshold": limits.max_error_percent / 100,
        })  # fmt: skip
    if limits.max_latency_ms is not None:
        requests.append({
            "AlarmName": f"{stack}/{endpoint}/latency",
            "AlarmDescription": f"One in a hundred requests of a minute took the model longer than "
                                f"{limits.max_latency_ms:g} ms. Give serving.max more instances, or a larger one.",
            **measured, "MetricName": "ModelLatency", "ExtendedStatistic": "p99",
            "Threshold": limits.max_latency_ms * 1000,
        })  # fmt: skip
    if limits.max_score_drift is not None:
        requests.append({
            "AlarmName": f"{stack}/{endpoint}/score-drift-{config.removeprefix(f'{endpoint}-')}",
            "AlarmDescription": f"The scores of {endpoint} are further from those that the version was judged by than "
                                f"{limits.max_score_drift:g} (population stability index). Look at capture/{config}/: "
                                "have the requests changed, or does the version answer otherwise than it was judged?",
            "Namespace": NAMESPACE, "MetricName": "ServedScoreDrift", "Statistic": "Maximum",
            "Dimensions": [{"Name": "service", "Value": stack}, {"Name": "endpoint_config", "Value": config}],
            "Threshold": limits.max_score_drift,
        })  # fmt: skip
    common = {
        "Period": 60,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    return [{**request, **common} for request in requests]
