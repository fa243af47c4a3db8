"""The asynchronous endpoint of template.yaml in virtual time, with a simulated model, and its days as pictures."""

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pygal
from botocore.exceptions import ClientError
from pygal.style import CleanStyle
from samtranslator.yaml_helper import yaml_parse

from tests.browser import EXECUTABLE, Browser
from tests.unit.sagemaker.endpoints.conftest import FAILURE, SUCCESS, VirtualCloud, VirtualEndpoints, variant

ENDPOINT = "live"
PLACE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": f"endpoint/{ENDPOINT}/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"


class MemoryS3:
    """As much of S3 as the endpoint uses: 10,000 documents are not to wait for an emulator of it."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": Key}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803
        self.objects[Key] = Body


@dataclass
class Course:
    """What was seen, look by look; times are seconds since the documents were sent."""

    at: list[float] = field(default_factory=list)
    backlog: list[int] = field(default_factory=list)
    instances: list[int] = field(default_factory=list)  # that serve
    desired: list[int] = field(default_factory=list)  # that are paid for: they serve or start


class AsyncEndpoint:
    """One endpoint without an instance, that may have AsyncMaxInstances."""

    def __init__(self, folder: Path, work_s: float, provision_s: float, waking: bool) -> None:
        template = yaml_parse(TEMPLATE.read_text())
        self.parameters = {name: each["Default"] for name, each in template["Parameters"].items()}
        self._resources = template["Resources"]
        self.cloud = VirtualCloud(folder)
        self.s3 = MemoryS3()
        self.cloud.clients["s3"] = self.s3
        self.live = VirtualEndpoints(self.cloud)
        concurrent = {"MaxConcurrentInvocationsPerInstance": self.parameters["AsyncConcurrency"]}
        output = {"S3OutputPath": "s3://data/answers", "S3FailurePath": "s3://data/answers"}
        notify = {"NotificationConfig": {"SuccessTopic": SUCCESS, "ErrorTopic": FAILURE}}
        model = self.live.model("m", work_seconds=work_s, provision_seconds=provision_s)
        config = {"OutputConfig": {**output, **notify}, "ClientConfig": concurrent}
        self.live.config("m", variant(model), AsyncInferenceConfig=config)
        self.live.api.CreateEndpoint(EndpointName=ENDPOINT, EndpointConfigName="m")
        self.cloud.let_pass(provision_s + 1)
        self._scale(waking)
        none = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}]
        self.live.api.UpdateEndpointWeightsAndCapacities(EndpointName=ENDPOINT, DesiredWeightsAndCapacities=none)
        self.cloud.let_pass(1200)  # as if it had been quiet for long

    def send(self, count: int) -> None:
        """Send so many documents at once."""
        self.s3.objects["document"] = b"text"
        for number in range(count):
            self.live.runtime.invoke_endpoint_async(
                EndpointName=ENDPOINT, InputLocation="s3://data/document", InferenceId=f"document-{number}"
            )
        self._sent, self._count = self.cloud.clock.time(), count

    def answered(self) -> list[dict[str, Any]]:
        """Notices of documents that were answered."""
        return self.cloud.messages(SUCCESS)

    def first_result(self, most_s: float) -> float | None:
        """Seconds to the first answer; None when there is none within `most_s`."""
        while not self.cloud.topics.published:
            if self.now >= most_s:
                return None
            self.cloud.let_pass(1)
        return self.now

    @property
    def now(self) -> float:
        """Seconds since the documents were sent."""
        return float(self.cloud.clock.time() - self._sent)

    def watch(self, step_s: float) -> Course:
        """Let time pass until there is no instance any more; what was seen meanwhile."""
        course = Course()
        while True:
            [told] = self.live.describe(ENDPOINT)["ProductionVariants"]
            ended = len(self.cloud.topics.published)
            course.at.append(self.now)
            course.backlog.append(self._count - ended)
            course.instances.append(told["CurrentInstanceCount"])
            course.desired.append(told["DesiredInstanceCount"])
            if ended == self._count and not told["DesiredInstanceCount"]:
                return course
            self.cloud.let_pass(step_s)

    def _scale(self, waking: bool) -> None:
        target = self._properties("DocumentsCapacity")
        bounds = {name: int(target[name]) for name in ("MinCapacity", "MaxCapacity")}
        self.live.scaling.register_scalable_target(**PLACE, **bounds)
        self._policy("DocumentsTracking", "TargetTrackingScalingPolicyConfiguration")
        if waking:
            arn = self._policy("DocumentsWaking", "StepScalingPolicyConfiguration")
            alarm = self._properties("DocumentsWakingAlarm")
            self.live.metrics.put_metric_alarm(**{**alarm, "AlarmName": "waking", "AlarmActions": [arn]})

    def _policy(self, resource: str, configuration: str) -> str:
        properties = self._properties(resource)
        made = self.live.scaling.put_scaling_policy(
            PolicyName=resource,
            PolicyType=properties["PolicyType"],
            **{configuration: properties[configuration]},
            **PLACE,
        )
        return str(made["PolicyARN"])

    def _properties(self, resource: str) -> dict[str, Any]:
        found: dict[str, Any] = self._resolved(self._resources[resource]["Properties"])
        return found

    def _resolved(self, value: Any) -> Any:
        """What a deployment would fill in: defaults of parameters, and the one name that the endpoint has here."""
        if isinstance(value, list):
            return [self._resolved(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "Ref" in value:
            return self.parameters.get(value["Ref"], value["Ref"])
        if "Fn::GetAtt" in value:
            return ENDPOINT
        return {name: self._resolved(each) for name, each in value.items()}


@contextmanager
def endpoint(work_s: float, provision_s: float, waking: bool = True) -> Iterator[AsyncEndpoint]:
    """An endpoint for a while."""
    with tempfile.TemporaryDirectory() as folder:
        made = AsyncEndpoint(Path(folder), work_s, provision_s, waking)
        try:
            yield made
        finally:
            made.live.close()


def draw(course: Course, latencies: list[float], folder: Path) -> list[Path]:
    """Backlog, instances and latency over time, in hours: a page, and a PNG of it where there is a browser.

    Args:
        course: what was seen.
        latencies: seconds from sending to the answer, of each document, ascending; all were sent at once.
        folder: where the pictures go.
    """
    hours = [at / 3600 for at in course.at]
    shares = [(each, 100 * (number + 1) / len(latencies)) for number, each in enumerate(latencies)]
    every = max(1, len(latencies) // 400)
    charts = [
        _chart("documents that wait or are worked on", [("backlog", list(zip(hours, course.backlog, strict=True)))]),
        _chart(
            "instances",
            [
                ("paid for", list(zip(hours, course.desired, strict=True))),
                ("that serve", list(zip(hours, course.instances, strict=True))),
            ],
        ),
        _chart(
            "% of documents that are answered, by hours from sending",
            [("latency", [(each / 3600, share) for each, share in shares[::every]])],
        ),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "async.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><body style='margin:0;width:900px'>{''.join(charts)}</body>")
    if EXECUTABLE is None:
        return [page]
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(Path(profile), 900, 780)
        try:
            browser.open(page.resolve().as_uri())
            browser.screenshot(folder / "async.png")
        finally:
            browser.close()
    return [page, folder / "async.png"]


def _chart(title: str, lines: list[tuple[str, list[tuple[float, float]]]]) -> str:
    chart = pygal.XY(
        title=title,
        width=900,
        height=260,
        explicit_size=True,
        show_dots=False,
        js=[],
        style=CleanStyle(title_font_size=15, label_font_size=12, legend_font_size=12),
        show_legend=len(lines) > 1,
        legend_at_bottom=True,
        disable_xml_declaration=True,
        value_formatter=lambda value: f"{value:g}",
        x_title="hours",
    )
    for name, points in lines:
        chart.add(name, points)
    return str(chart.render(is_unicode=True))
