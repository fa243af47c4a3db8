"""RegisterScalableTarget, DescribeScalableTargets, DeregisterScalableTarget."""

import hashlib
import re
from typing import Any

from local.sagemaker.store import Store
from local.service import ApiError, Cloud

KIND = "target"
NAMESPACE, DIMENSION = "sagemaker", "sagemaker:variant:DesiredInstanceCount"
RESOURCE = re.compile(r"endpoint/(?P<endpoint>[^/]+)/variant/(?P<variant>[^/]+)")
ROLE = (
    "arn:aws:iam::{account}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)
FIELDS = ("ServiceNamespace", "ResourceId", "ScalableDimension")
PAGE = 50
Record = dict[str, Any]


class Targets:
    """Variants of endpoints whose instance counts may be changed, and between which bounds."""

    def __init__(self, cloud: Cloud, store: Store) -> None:
        self._cloud = cloud
        self._store = store

    def register(self, request: Record) -> Record:
        """RegisterScalableTarget: a new one, or other bounds for one that is there."""
        key = key_of(request)
        known = self._store.get(KIND, key)
        record = known or {
            **{field: request[field] for field in FIELDS},
            "RoleARN": ROLE.format(account=self._cloud.account),
            "CreationTime": self._cloud.clock.time(),
            "SuspendedState": {
                "DynamicScalingInSuspended": False,
                "DynamicScalingOutSuspended": False,
                "ScheduledScalingSuspended": False,
            },
            "ScalableTargetARN": self._arn(key),
        }
        for field in ("MinCapacity", "MaxCapacity"):
            if field in request:
                record[field] = request[field]
            elif field not in record:
                raise invalid(f"{field} must be given for a new scalable target")
        if not 0 <= record["MinCapacity"] <= record["MaxCapacity"]:
            words = f"MinCapacity {record['MinCapacity']} must be from 0 to MaxCapacity {record['MaxCapacity']}"
            raise invalid(words)
        asynchronous = "AsyncInferenceConfig" in self.endpoint(record)
        if not asynchronous and record["MinCapacity"] < 1:
            raise invalid("MinCapacity 0 is for asynchronous endpoints; write 1 or more")
        record["SuspendedState"] |= request.get("SuspendedState", {})
        if request.get("Tags"):
            record["_tags"] = request["Tags"]
        self._store.put(KIND, key, record)
        return {"ScalableTargetARN": record["ScalableTargetARN"]}

    def describe(self, request: Record) -> Record:
        """DescribeScalableTargets."""
        found = [
            {name: value for name, value in record.items() if not name.startswith("_")}
            for record in self._store.all(KIND)
            if matches(record, request) and record["ResourceId"] in request.get("ResourceIds", [record["ResourceId"]])
        ]
        return page("ScalableTargets", found, request)

    def found(self, request: Record) -> Record:
        """The target that a request names.

        Raises:
            ApiError: ObjectNotFoundException.
        """
        record = self._store.get(KIND, key_of(request))
        if record is None:
            raise missing("scalable target", request)
        return record

    def endpoint(self, target: Record) -> Record:
        """DescribeEndpoint of a target's endpoint.

        Raises:
            ApiError: ValidationException when there is no such endpoint or variant.
        """
        parts = RESOURCE.fullmatch(target["ResourceId"])
        assert parts is not None
        try:
            told: Record = self._cloud.client("sagemaker").describe_endpoint(EndpointName=parts["endpoint"])
        except Exception as error:
            raise invalid(f"{target['ResourceId']}: {error}") from error
        if all(variant["VariantName"] != parts["variant"] for variant in told.get("ProductionVariants", [])):
            raise invalid(f"{target['ResourceId']}: the endpoint has no such variant")
        return told

    def remove(self, request: Record) -> None:
        """Forget the target that a request names."""
        self._store.remove(KIND, key_of(request))

    def _arn(self, key: str) -> str:
        place = f"arn:aws:application-autoscaling:{self._cloud.region}:{self._cloud.account}"
        return f"{place}:scalable-target/{hashlib.sha256(key.encode()).hexdigest()[:36]}"


def key_of(request: Record) -> str:
    """What a request is about, checked.

    Raises:
        ApiError: ValidationException for what this cloud does not scale.
    """
    if (request["ServiceNamespace"], request["ScalableDimension"]) != (NAMESPACE, DIMENSION):
        told = f"{request['ServiceNamespace']} {request['ScalableDimension']}"
        raise invalid(f"the embedded cloud does not scale {told}; it scales {NAMESPACE} {DIMENSION}")
    if not RESOURCE.fullmatch(request["ResourceId"]):
        raise invalid(f"ResourceId {request['ResourceId']!r} must be endpoint/<name>/variant/<name>")
    return "|".join(request[field] for field in FIELDS)


def matches(record: Record, request: Record) -> bool:
    """Whether a record is of the namespace, resource and dimension that a Describe names, as far as it does."""
    return all(request.get(field, record[field]) == record[field] for field in FIELDS)


def page(field: str, found: list[Record], request: Record) -> Record:
    """One page of a Describe."""
    start, most = int(request.get("NextToken", 0)), request.get("MaxResults", PAGE)
    more = {"NextToken": str(start + most)} if start + most < len(found) else {}
    return {field: found[start : start + most], **more}


def missing(what: str, request: Record, more: str = "") -> ApiError:
    """AWS's answer to a name that is not there."""
    place = (
        f"service namespace: {request['ServiceNamespace']}, resource ID: {request['ResourceId']}, scalable dimension: "
    )
    return ApiError("ObjectNotFoundException", f"No {what} found for {place}{request['ScalableDimension']}{more}")


def invalid(message: str) -> ApiError:
    """A request that cannot be."""
    return ApiError("ValidationException", message)
