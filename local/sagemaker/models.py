"""CreateModel, DescribeModel, ListModels, DeleteModel."""

from typing import Any

from local.sagemaker.containers import Containers, PullError
from local.sagemaker.data import Roles, split
from local.sagemaker.events import SageMakerEvents
from local.sagemaker.listing import page
from local.sagemaker.requests import output_members, refuse
from local.sagemaker.simulated import is_simulated
from local.sagemaker.store import Store
from local.sagemaker.tags import Tags
from local.service import ApiError, Cloud

KIND = "model"


class Models:
    """Models, which name an image, an archive and a role."""

    def __init__(
        self, cloud: Cloud, store: Store, tags: Tags, events: SageMakerEvents, roles: Roles, containers: Containers
    ) -> None:
        self._cloud = cloud
        self._roles = roles
        self._containers = containers
        self._store = store
        self._tags = tags
        self._events = events

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """CreateModel."""
        name = request["ModelName"]
        arn = self._arn(name)
        if "PrimaryContainer" not in request:
            raise refuse("CreateModel without PrimaryContainer", sorted(request), "PrimaryContainer")
        container = request["PrimaryContainer"]
        for field in ("Image", "ModelPackageName", "ModelDataSource", "MultiModelConfig"):
            if (field in container) != (field == "Image"):
                raise refuse(f"PrimaryContainer.{field}", container.get(field), "Image and ModelDataUrl")
        if "ExecutionRoleArn" not in request:
            raise ApiError("ValidationException", "ExecutionRoleArn is required when the model has a container.")
        self._check(container, request["ExecutionRoleArn"])
        record = {key: value for key, value in request.items() if key != "Tags"}
        record |= {"ModelArn": arn, "CreationTime": self._cloud.clock.time()}
        record.setdefault("EnableNetworkIsolation", False)
        if not self._store.add(KIND, name, record):
            raise ApiError("ValidationException", f'Cannot create already existing model "{arn}".')
        self._tags.set(arn, request.get("Tags", []))
        self._events.model(arn, name, record["CreationTime"])
        return {"ModelArn": arn}

    def _check(self, container: dict[str, Any], role_arn: str) -> None:
        """The image and the archive must be there now, and the role be allowed to read the archive."""
        image, data = container["Image"], container.get("ModelDataUrl")
        if is_simulated(image):
            return  # nothing of it is read
        try:
            self._containers.image(image, role_arn)
        except PullError as error:
            raise ApiError("ValidationException", f"Requested image {image} not found. ({error})") from error
        if not data:
            return
        bucket, key = split(data)
        try:
            self._roles.assume(role_arn)[0].head_object(Bucket=bucket, Key=key)
        except Exception as error:
            if getattr(error, "response", {}).get("Error", {}).get("Code") in ("404", "NoSuchKey", "NoSuchBucket"):
                raise ApiError("ValidationException", f"Could not find model data at {data}.") from error
            raise ApiError(
                "ValidationException",
                f'Could not access model data at {data}. Please ensure that the role "{role_arn}" exists and that its '
                'trust relationship policy allows the action "sts:AssumeRole" for the service principal '
                '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and that the '
                f"object is located in {self._cloud.region}.",
            ) from error

    def found(self, name: str) -> dict[str, Any]:
        """The record of a model.

        Raises:
            ApiError: ValidationException when there is none.
        """
        return self._store.found(KIND, name, f'Could not find model "{self._arn(name)}".')

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """DescribeModel."""
        record = self.found(request["ModelName"])
        return {key: record[key] for key in output_members("DescribeModel") if key in record}

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """ListModels."""
        members = ("ModelName", "ModelArn", "CreationTime")
        models, token = page(
            self._store.all(KIND),
            request,
            name="ModelName",
            order="Descending",
            summary=lambda record: {key: record[key] for key in members},
        )
        return {"Models": models, **({"NextToken": token} if token else {})}

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """DeleteModel."""
        record = self.found(request["ModelName"])
        self._store.remove(KIND, request["ModelName"])
        self._tags.forget(record["ModelArn"])
        self._events.model(record["ModelArn"], record["ModelName"], record["CreationTime"])
        return {}

    def _arn(self, name: str) -> str:
        return f"arn:aws:sagemaker:{self._cloud.region}:{self._cloud.account}:model/{name.lower()}"
