"""What endpoints tell CloudWatch, in AWS's names.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html, and async-inference-monitor.html
beside it.
"""

from collections.abc import Callable

from local.sagemaker.endpoints.fleets import Variant
from local.sagemaker.model_server import Answer

NAMESPACE = "AWS/SageMaker"
MICROSECONDS = 1e6
Value = tuple[str, float, str]  # name, value, unit
Measure = Callable[[str, dict[str, str], list[Value]], None]  # namespace, dimensions, values


class EndpointMeasures:
    """Takes note of invocations."""

    def __init__(self, measure: Measure) -> None:
        self._measure = measure

    def invocation(self, endpoint: str, variant: Variant, answer: Answer, model: float, whole: float) -> None:
        """One request to a real-time endpoint; `model` and `whole` are seconds, in the model and altogether."""
        values = [
            ("Invocations", 1.0, "None"),
            # what autoscaling adds up: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html
            ("InvocationsPerInstance", 1 / max(1, variant.current), "None"),
            ("OverheadLatency", max(0.0, whole - model) * MICROSECONDS, "Microseconds"),
        ]
        self.put(endpoint, variant.name, values + _answered(answer, model))

    def processed(self, endpoint: str, variant: str, answer: Answer, model: float, more: list[Value]) -> None:
        """One request of an asynchronous endpoint that a model was asked for."""
        self.put(endpoint, variant, _answered(answer, model) + more)

    def put(self, endpoint: str, variant: str, values: list[Value]) -> None:
        """Values of a variant."""
        self._measure(NAMESPACE, {"EndpointName": endpoint, "VariantName": variant}, values)


def _answered(answer: Answer, seconds: float) -> list[Value]:
    failed = not 200 <= answer.status < 300
    return [
        ("ModelLatency", seconds * MICROSECONDS, "Microseconds"),
        ("Invocation4XXErrors", float(400 <= answer.status < 500), "None"),
        ("Invocation5XXErrors", float(answer.status >= 500 or answer.status == 0), "None"),
        ("InvocationModelErrors", float(failed), "None"),
    ]
