"""What the stack measures of itself, in the embedded metric format: CloudWatch reads it from functions' log lines.

Every metric is in METRICS with its unit and dimensions; `service` is the stack. Dimensions are names that people choose
and that stay few (families, models, steps, pools), never runs or jobs: CloudWatch bills each combination.
"""

from collections.abc import Mapping

from boxcar.settings import settings

NAMESPACE = "Boxcar"
METRICS = {
    # compare_versions
    "ModelScore": ("None", ("family", "model")),  # in the unit of the gate's metric
    "VerdictsApprove": ("Count", ("family",)),
    "VerdictsReview": ("Count", ("family",)),
    "VerdictsReject": ("Count", ("family",)),
    # launch_jobs
    "JobsLaunched": ("Count", ()),
    "CapacityHeld": ("Count", ("pool",)),  # units in use
    "CapacityLimit": ("Count", ("pool",)),  # as configured or learned; nothing where none is known
    # monitor_jobs, watch_endpoints, send_documents
    "Sweeps": ("Count", ("sweep",)),  # that came to their end; an alarm rings when there are none
    # report_run, report_inference
    "RunSeconds": ("Seconds", ("machine", "family")),
    "StepSeconds": ("Seconds", ("family", "step")),  # of all attempts of one step
    # report_inference
    "RowsPredicted": ("Count", ("family", "model")),
    "RowsRejected": ("Count", ("family",)),
    "FeatureDrift": ("None", ("family", "model")),  # population stability index of the feature that moved furthest
    "ScoreDrift": ("None", ("family", "model")),
    # measure_scores
    "ServedScoreDrift": ("None", ("endpoint_config",)),  # likewise; a configuration for each version that is released
    # send_alarms
    "AlarmsSent": ("Count", ()),
    "AlarmsCounted": ("Count", ()),  # not mailed, since their cause had been
    "AlarmsPutBy": ("Count", ()),  # for the digest
    "AlarmsFailed": ("Count", ()),  # came back to the queue
}


def measure(values: Mapping[str, float], **dimensions: str) -> None:
    """Write down metrics that have the same dimensions, but for the stack.

    Raises:
        KeyError: METRICS does not know the metric, or knows it with other dimensions.
    """
    from aws_lambda_powertools.metrics import EphemeralMetrics

    for name in values:
        if set(METRICS[name][1]) != set(dimensions):
            raise KeyError(f"{name}: has dimensions {', '.join(METRICS[name][1])}, not {', '.join(dimensions)}")
    if not values:
        return
    metrics = EphemeralMetrics(namespace=NAMESPACE, service=settings().stack or "boxcar")
    for dimension, named in dimensions.items():
        metrics.add_dimension(dimension, named)
    for name, value in values.items():
        metrics.add_metric(name, METRICS[name][0], value)
    metrics.flush_metrics()
