"""The dashboard of one endpoint, as CloudWatch draws it.

Metrics: https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html, and async-inference-monitor.html
beside it. Format: "Dashboard Body Structure and Syntax" of the CloudWatch API reference.
"""

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from boxcar.measures import NAMESPACE

_OF_SAGEMAKER = "AWS/SageMaker"
_OF_INSTANCES = "/aws/sagemaker/Endpoints"
_COLUMNS = 24  # of a dashboard
_WIDTH, _HEIGHT, _HEADING = 8, 6, 2  # three graphs side by side, below a heading
_PERIOD = 60  # seconds: as often as SageMaker measures
Metric = list[Any]
Graph = tuple[str, str, list[Metric]]  # title, statistic, metrics


@dataclass(frozen=True)
class Pictured:
    """What a dashboard must know of an endpoint.

    Attributes:
        subject: what serves, such as `packaging/box`, or the name of a summariser.
        version: that is live; "" where the subject has none.
        since: when it became live, ISO 8601; "" if nobody knows.
        asynchronous: it takes requests from a queue.
        watched: stack and configuration whose scores are watched for drift; None: they are not.
    """

    endpoint: str
    variant: str
    subject: str
    version: str
    since: str
    region: str
    asynchronous: bool = False
    watched: tuple[str, str] | None = None


def document(pictured: Pictured) -> dict[str, Any]:
    """The body of the endpoint's dashboard.

    AWS has no metric for the number of instances, so it is a quotient: real-time endpoints add 1 / instances for each
    request, asynchronous ones divide their backlog by it. Without requests, or without a backlog, it has no value.
    """
    graphs = _asynchronous(pictured) if pictured.asynchronous else _real_time(pictured)
    if pictured.watched:
        stack, config = pictured.watched
        drift: Metric = [NAMESPACE, "ServedScoreDrift", "service", stack, "endpoint_config", config]
        graphs.append(("Drift of scores: population stability index", "Maximum", [drift]))
    utilization = [_of_variant(pictured, name, _OF_INSTANCES) for name in ("CPUUtilization", "MemoryUtilization")]
    graphs.append(("CPU, in percent of one core, and memory, in percent", "Average", utilization))
    return {"widgets": [_heading(pictured), *(_widget(pictured, place, graph) for place, graph in enumerate(graphs))]}


def put_dashboard(cloudwatch: Any, pictured: Pictured) -> None:
    """Put the dashboard of an endpoint, under the endpoint's name; it takes the place of the one before."""
    cloudwatch.put_dashboard(DashboardName=pictured.endpoint, DashboardBody=json.dumps(document(pictured)))


def forget_dashboard(cloudwatch: Any, endpoint: str) -> None:
    """Delete the dashboard of an endpoint. Without one nothing happens."""
    try:
        cloudwatch.delete_dashboards(DashboardNames=[endpoint])
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ResourceNotFound", "DashboardNotFoundError"):
            raise


def _real_time(pictured: Pictured) -> list[Graph]:
    whole, share = (_of_variant(pictured, name) for name in ("Invocations", "InvocationsPerInstance"))
    return [
        ("Invocations", "Sum", [whole]),
        _errors(pictured),
        _latency("Latency of the model, in milliseconds", pictured, "ModelLatency"),
        _latency("Latency that SageMaker adds, in milliseconds", pictured, "OverheadLatency"),
        _instances("Instances, while there are requests", "Sum", whole, share),
    ]


def _asynchronous(pictured: Pictured) -> list[Graph]:
    ended = [_of_variant(pictured, name) for name in ("InvocationsProcessed", "InvocationFailures", "ExpiredRequests")]
    whole, share = (_of_queue(pictured, f"ApproximateBacklogSize{of}") for of in ("", "PerInstance"))
    return [
        ("Requests that were worked on, failed, expired", "Sum", ended),
        _errors(pictured),
        _latency("Latency of the model, in milliseconds", pictured, "ModelLatency"),
        ("Backlog", "Maximum", [whole, _of_queue(pictured, "HasBacklogWithoutCapacity")]),
        ("Age of the oldest request, in seconds", "Maximum", [_of_queue(pictured, "ApproximateAgeOfOldestRequest")]),
        _instances("Instances, while there is a backlog; none count as one", "Average", whole, share),
    ]


def _errors(pictured: Pictured) -> Graph:
    names = ("Invocation4XXErrors", "Invocation5XXErrors", "InvocationModelErrors")
    return "Errors", "Sum", [_of_variant(pictured, name) for name in names]


def _latency(title: str, pictured: Pictured, name: str) -> Graph:
    """Percentiles of a metric that SageMaker measures in microseconds."""
    metrics: list[Metric] = []
    for stat in ("p50", "p90", "p99"):
        metrics.append([{"expression": f"{stat}us / 1000", "label": stat, "id": stat}])
        metrics.append([*_of_variant(pictured, name), {"id": f"{stat}us", "stat": stat, "visible": False}])
    return title, "p99", metrics


def _instances(title: str, stat: str, whole: Metric, share: Metric) -> Graph:
    quotient = [{"expression": "whole / share", "label": "instances", "id": "instances"}]
    hidden = [[*whole, {"id": "whole", "visible": False}], [*share, {"id": "share", "visible": False}]]
    return title, stat, [quotient, *hidden]


def _of_variant(pictured: Pictured, name: str, namespace: str = _OF_SAGEMAKER) -> Metric:
    return [namespace, name, "EndpointName", pictured.endpoint, "VariantName", pictured.variant]


def _of_queue(pictured: Pictured, name: str) -> Metric:
    return [_OF_SAGEMAKER, name, "EndpointName", pictured.endpoint]


def _heading(pictured: Pictured) -> dict[str, Any]:
    version = f" {pictured.version}" if pictured.version else ""
    since = f", live since {pictured.since}" if pictured.since else ""
    logs = f"Logs: `/aws/sagemaker/Endpoints/{pictured.endpoint}`."
    text = f"## {pictured.endpoint}\n{pictured.subject}{version}{since}. {logs}"
    return {"type": "text", "x": 0, "y": 0, "width": _COLUMNS, "height": _HEADING, "properties": {"markdown": text}}


def _widget(pictured: Pictured, place: int, graph: Graph) -> dict[str, Any]:
    title, stat, metrics = graph
    row, column = divmod(place, _COLUMNS // _WIDTH)
    properties: dict[str, Any] = {
        "title": title,
        "region": pictured.region,
        "view": "timeSeries",
        "stat": stat,
        "period": _PERIOD,
        "metrics": metrics,
    }
    if pictured.version and pictured.since:
        properties["annotations"] = {"vertical": [{"label": pictured.version, "value": pictured.since}]}
    corner = {"x": column * _WIDTH, "y": _HEADING + row * _HEIGHT}
    return {"type": "metric", **corner, "width": _WIDTH, "height": _HEIGHT, "properties": properties}
