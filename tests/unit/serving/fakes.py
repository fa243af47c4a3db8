"""SageMaker's endpoints, their alarms and their scaling, in memory: what is made, what is served, and what is refused."""

import io
import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::123456789012:role/endpoint"


def refusal(message: str, code: str = "ValidationException", call: str = "CreateModel") -> ClientError:
    """What a client raises."""
    return ClientError({"Error": {"Code": code, "Message": message}}, call)


class FakeSageMaker:
    """Models, configurations and endpoints. A deployment is under way until `settle` says how it ended."""

    def __init__(self) -> None:
        self.packages: dict[str, dict[str, Any]] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.refuses: dict[str, ClientError] = {}  # call -> what it raises
        self.calls: list[str] = []

    def add_package(self, arn: str, status: str = "Approved", **told: str) -> None:
        """A version in the registry."""
        container = {"Image": "image:1", "ModelDataUrl": f"s3://data/{arn}/model.tar.gz", "Environment": {"A": "b"}}
        self.packages[arn] = {
            "ModelPackageArn": arn,
            "ModelApprovalStatus": status,
            "CustomerMetadataProperties": told,
            "InferenceSpecification": {"Containers": [container]},
        }

    def describe_model_package(self, *, ModelPackageName: str) -> dict[str, Any]:  # noqa: N803
        return self.packages[ModelPackageName]

    def create_model(self, **request: Any) -> None:
        self._called("create_model")
        self._add(self.models, request["ModelName"], request)

    def create_endpoint_config(self, **request: Any) -> None:
        self._called("create_endpoint_config")
        for variant in [*request["ProductionVariants"], *request.get("ShadowProductionVariants", [])]:
            self._found(self.models, variant["ModelName"])
        self._add(self.configs, request["EndpointConfigName"], request)

    def describe_endpoint_config(self, *, EndpointConfigName: str) -> dict[str, Any]:  # noqa: N803
        return dict(self._found(self.configs, EndpointConfigName))

    def create_endpoint(self, **request: Any) -> None:
        self._called("create_endpoint")
        self._found(self.configs, request["EndpointConfigName"])
        self._add(self.endpoints, request["EndpointName"], {**_counts(), **request, "EndpointStatus": "Creating"})

    def update_endpoint(self, **request: Any) -> None:
        self._called("update_endpoint")
        self._found(self.configs, request["EndpointConfigName"])
        endpoint = self._found(self.endpoints, request["EndpointName"])
        if endpoint["EndpointStatus"] != "InService":
            raise refusal("Cannot update in-progress endpoint", call="UpdateEndpoint")
        endpoint.pop("FailureReason", None)
        endpoint |= {"EndpointStatus": "Updating", "_next": request["EndpointConfigName"], "_request": request}

    def describe_endpoint(self, *, EndpointName: str) -> dict[str, Any]:  # noqa: N803
        return dict(self._found(self.endpoints, EndpointName))

    def update_endpoint_weights_and_capacities(
        self,
        *,
        EndpointName: str,  # noqa: N803
        DesiredWeightsAndCapacities: list[dict[str, Any]],  # noqa: N803
    ) -> None:
        self._called("update_endpoint_weights_and_capacities")
        for wanted in DesiredWeightsAndCapacities:
            for variant in self._found(self.endpoints, EndpointName)["ProductionVariants"]:
                if variant["VariantName"] == wanted["VariantName"]:
                    variant |= dict.fromkeys(
                        ("DesiredInstanceCount", "CurrentInstanceCount"), wanted["DesiredInstanceCount"]
                    )

    def delete_endpoint(self, *, EndpointName: str) -> None:  # noqa: N803
        self._called("delete_endpoint")
        self._found(self.endpoints, EndpointName)
        del self.endpoints[EndpointName]

    def delete_endpoint_config(self, *, EndpointConfigName: str) -> None:  # noqa: N803
        self._called("delete_endpoint_config")
        self._found(self.configs, EndpointConfigName)
        del self.configs[EndpointConfigName]

    def delete_model(self, *, ModelName: str) -> None:  # noqa: N803
        self._called("delete_model")
        self._found(self.models, ModelName)
        del self.models[ModelName]

    def settle(self, name: str, failure: str = "") -> None:
        """End what is under way: well, or with a failure."""
        endpoint = self.endpoints[name]
        if endpoint["EndpointStatus"] == "Creating":
            endpoint["EndpointStatus"] = "Failed" if failure else "InService"
        elif endpoint["EndpointStatus"] == "Updating":
            endpoint["EndpointStatus"] = "InService"
            if not failure:
                endpoint["EndpointConfigName"] = endpoint["_next"]
            if not failure and not endpoint["_request"].get("RetainAllVariantProperties"):
                endpoint |= _counts()  # as the configuration begins
        if failure:
            endpoint["FailureReason"] = failure

    @property
    def everything(self) -> tuple[set[str], set[str], set[str]]:
        """Names of all that there is: models, configurations, endpoints."""
        return set(self.models), set(self.configs), set(self.endpoints)

    def _called(self, call: str) -> None:
        self.calls.append(call)
        if call in self.refuses:
            raise self.refuses[call]

    @staticmethod
    def _add(things: dict[str, dict[str, Any]], name: str, request: dict[str, Any]) -> None:
        if name in things:
            raise refusal(f'Cannot create already existing "{name}".')
        things[name] = request

    @staticmethod
    def _found(things: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
        if name not in things:
            raise refusal(f'Could not find "{name}".')
        return things[name]


def _counts() -> dict[str, Any]:
    return {"ProductionVariants": [{"VariantName": "AllTraffic", "CurrentInstanceCount": 1, "DesiredInstanceCount": 1}]}


class FakeRuntime:
    """What an endpoint answers: a line of `score` a line."""

    def __init__(self, score: Callable[[], float]) -> None:
        self._score = score

    def invoke_endpoint(self, *, Body: bytes, **_: Any) -> dict[str, Any]:  # noqa: N803
        answer = "".join(f"{self._score()}\n" for _ in Body.splitlines())
        return {"Body": io.BytesIO(answer.encode())}


class FakeCloudWatch:
    """Alarms and dashboards by name; `measured` is what a metric of a variant has come to, nothing if it is not told."""

    def __init__(self) -> None:
        self.alarms: dict[str, dict[str, Any]] = {}
        self.ringing: set[str] = set()
        self.dashboards: dict[str, Any] = {}
        self.measured: dict[tuple[str, str], float] = {}  # variant, metric

    def get_metric_data(self, *, MetricDataQueries: list[dict[str, Any]], **_: Any) -> dict[str, Any]:  # noqa: N803
        results = []
        for query in MetricDataQueries:
            metric = query["MetricStat"]["Metric"]
            key = (metric["Dimensions"][1]["Value"], metric["MetricName"])
            results.append({"Id": query["Id"], "Values": [self.measured[key]] if key in self.measured else []})
        return {"MetricDataResults": results}

    def put_dashboard(self, *, DashboardName: str, DashboardBody: str) -> None:  # noqa: N803
        self.dashboards[DashboardName] = json.loads(DashboardBody)

    def delete_dashboards(self, *, DashboardNames: list[str]) -> None:  # noqa: N803
        for name in DashboardNames:
            if self.dashboards.pop(name, None) is None:
                raise refusal(f"Dashboard {name} does not exist", "ResourceNotFound", "DeleteDashboards")

    def put_metric_alarm(self, **request: Any) -> None:
        self.alarms[request["AlarmName"]] = request

    def describe_alarms(self, *, AlarmNames: list[str]) -> dict[str, Any]:  # noqa: N803
        states = {name: "ALARM" if name in self.ringing else "OK" for name in AlarmNames if name in self.alarms}
        return {"MetricAlarms": [{"AlarmName": name, "StateValue": state} for name, state in states.items()]}

    def delete_alarms(self, *, AlarmNames: list[str]) -> None:  # noqa: N803
        for name in AlarmNames:
            self.alarms.pop(name, None)


class FakeScaling:
    """Scalable targets by resource."""

    def __init__(self) -> None:
        self.targets: dict[str, dict[str, Any]] = {}
        self.refuses: ClientError | None = None

    def register_scalable_target(self, **request: Any) -> None:
        if self.refuses:
            raise self.refuses
        self.targets[request["ResourceId"]] = request

    def put_scaling_policy(self, **request: Any) -> None:
        self.targets[request["ResourceId"]]["policy"] = request

    def deregister_scalable_target(self, **request: Any) -> None:
        if self.targets.pop(request["ResourceId"], None) is None:
            raise refusal("No scalable target", "ObjectNotFoundException", "DeregisterScalableTarget")


def event(endpoint: str) -> dict[str, Any]:
    """A batch of one message: what EventBridge says of an endpoint."""
    body = {"detail-type": "SageMaker Endpoint State Change", "detail": {"EndpointName": endpoint}}
    return {"Records": [{"messageId": "m", "body": json.dumps(body)}]}
