"""The model registry: groups, and versioned packages in them."""

from typing import Any

from local.sagemaker.events import SageMakerEvents
from local.sagemaker.listing import page
from local.sagemaker.requests import output_members, refuse
from local.sagemaker.store import Store
from local.sagemaker.tags import Tags
from local.service import ApiError, Cloud

GROUP, PACKAGE, TOKEN = "model-package-group", "model-package", "model-package-token"
SUMMARY = (
    "ModelPackageName", "ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn", "ModelPackageDescription",
    "CreationTime", "ModelPackageStatus", "ModelApprovalStatus", "ModelLifeCycle", "ModelPackageRegistrationType",
)  # fmt: skip
GROUP_SUMMARY = (
    "ModelPackageGroupName", "ModelPackageGroupArn", "ModelPackageGroupDescription", "CreationTime",
    "ModelPackageGroupStatus",
)  # fmt: skip


class Registry:
    """ModelPackageGroup and ModelPackage."""

    def __init__(self, cloud: Cloud, store: Store, tags: Tags, events: SageMakerEvents) -> None:
        self._cloud = cloud
        self._store = store
        self._tags = tags
        self._events = events

    def create_group(self, request: dict[str, Any], caller_arn: str) -> dict[str, Any]:
        """CreateModelPackageGroup."""
        name = request["ModelPackageGroupName"]
        arn = self._arn(GROUP, name)
        record = {key: value for key, value in request.items() if key != "Tags"} | {
            "ModelPackageGroupArn": arn,
            "CreationTime": self._cloud.clock.time(),
            "CreatedBy": _user(caller_arn),
            "ModelPackageGroupStatus": "Completed",
            "_versions": 0,
        }
        if not self._store.add(GROUP, name, record):
            raise ApiError("ValidationException", f"Model Package Group already exists: {arn}")
        self._tags.set(arn, request.get("Tags", []))
        return {"ModelPackageGroupArn": arn}

    def describe_group(self, request: dict[str, Any]) -> dict[str, Any]:
        """DescribeModelPackageGroup."""
        record = self._group(request["ModelPackageGroupName"])
        return {key: record[key] for key in output_members("DescribeModelPackageGroup") if key in record}

    def list_groups(self, request: dict[str, Any]) -> dict[str, Any]:
        """ListModelPackageGroups."""
        groups, token = page(
            self._store.all(GROUP), request, name="ModelPackageGroupName", summary=lambda r: _part(r, GROUP_SUMMARY)
        )
        return {"ModelPackageGroupSummaryList": groups, **({"NextToken": token} if token else {})}

    def delete_group(self, request: dict[str, Any]) -> dict[str, Any]:
        """DeleteModelPackageGroup: only when it is empty."""
        group = self._group(request["ModelPackageGroupName"])
        name, arn = group["ModelPackageGroupName"], group["ModelPackageGroupArn"]
        if any(package.get("ModelPackageGroupName") == name for package in self._store.all(PACKAGE)):
            raise ApiError(
                "ConflictException", f"Model Package Group {arn} cannot be deleted: it still contains Model Packages."
            )
        self._store.remove(GROUP, name)
        self._tags.forget(arn)
        return {}

    def create(self, request: dict[str, Any], caller_arn: str) -> dict[str, Any]:
        """CreateModelPackage: the next version of a group. A ClientToken seen before answers as the first time."""
        if "ModelPackageGroupName" not in request:
            raise refuse("a model package without a group", request.get("ModelPackageName"), "ModelPackageGroupName")
        if "ModelPackageName" in request:
            raise ApiError(
                "ValidationException", "Both ModelPackageName and ModelPackageGroupName are provided in the input."
            )
        for field in ("SourceAlgorithmSpecification", "ValidationSpecification"):
            if field in request:
                raise refuse(field, request[field], "InferenceSpecification")
        token = request.get("ClientToken", "")
        before = self._store.get(TOKEN, token) if token else None
        if before is not None:
            return {"ModelPackageArn": before["ModelPackageArn"]}
        group = self._group(request["ModelPackageGroupName"])
        name = group["ModelPackageGroupName"]
        version = self._store.count(GROUP, name, "_versions")
        now = self._cloud.clock.time()
        arn = f"{self._arn(PACKAGE, name)}/{version}"
        record = {key: value for key, value in request.items() if key not in ("Tags", "ClientToken")} | {
            "ModelPackageName": f"{name}/{version}",
            "ModelPackageGroupName": name,
            "ModelPackageVersion": version,
            "ModelPackageArn": arn,
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
            "ModelApprovalStatus": request.get("ModelApprovalStatus", "PendingManualApproval"),
            "CertifyForMarketplace": request.get("CertifyForMarketplace", False),
            "CreationTime": now,
            "CreatedBy": _user(caller_arn),
        }
        self._store.put(PACKAGE, arn, record)
        if token:
            self._store.put(TOKEN, token, {"ModelPackageArn": arn})
        self._tags.set(arn, request.get("Tags", []))
        self._events.package(record)
        return {"ModelPackageArn": arn}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """DescribeModelPackage, by ARN or by `group/version`."""
        record = self._package(request["ModelPackageName"])
        return {key: record[key] for key in output_members("DescribeModelPackage") if key in record}

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """ListModelPackages: of one group, or with no group named the unversioned ones, of which there are none."""
        kind = request.get("ModelPackageType", "Versioned" if "ModelPackageGroupName" in request else "Unversioned")
        group = (
            self._group(request["ModelPackageGroupName"])["ModelPackageGroupName"]
            if ("ModelPackageGroupName" in request)
            else None
        )
        packages = [
            package
            for package in self._store.all(PACKAGE)
            if kind != "Unversioned"
            and group in (None, package["ModelPackageGroupName"])
            and request.get("ModelApprovalStatus", package["ModelApprovalStatus"]) == package["ModelApprovalStatus"]
        ]
        found, token = page(packages, request, name="ModelPackageName", summary=lambda r: _part(r, SUMMARY))
        return {"ModelPackageSummaryList": found, **({"NextToken": token} if token else {})}

    def update(self, request: dict[str, Any], caller_arn: str) -> dict[str, Any]:
        """UpdateModelPackage: approval, and metadata added, changed or removed by key."""
        record = self._package(request["ModelPackageArn"])
        arn = record["ModelPackageArn"]
        properties = {**record.get("CustomerMetadataProperties", {}), **request.get("CustomerMetadataProperties", {})}
        for key in request.get("CustomerMetadataPropertiesToRemove", []):
            properties.pop(key, None)
        changes: dict[str, Any] = {
            key: request[key]
            for key in (
                "ModelApprovalStatus", "ApprovalDescription", "InferenceSpecification", "SourceUri", "ModelCard",
                "ModelLifeCycle", "ModelPackageRegistrationType",
            )
            if key in request
        }  # fmt: skip
        if "CustomerMetadataProperties" in record or properties:
            changes["CustomerMetadataProperties"] = properties
        if "AdditionalInferenceSpecificationsToAdd" in request:
            more = [
                *record.get("AdditionalInferenceSpecifications", []),
                *request["AdditionalInferenceSpecificationsToAdd"],
            ]
            changes["AdditionalInferenceSpecifications"] = more
        changes |= {"LastModifiedTime": self._cloud.clock.time(), "LastModifiedBy": _user(caller_arn)}
        self._events.package(self._store.change(PACKAGE, arn, changes))
        return {"ModelPackageArn": arn}

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """DeleteModelPackage; its version number is never given again."""
        arn = self._package(request["ModelPackageName"])["ModelPackageArn"]
        self._store.remove(PACKAGE, arn)
        self._tags.forget(arn)
        return {}

    def _group(self, name: str) -> dict[str, Any]:
        short = name.rsplit("/", 1)[-1]
        record = self._store.get(GROUP, short)
        if record is None:
            raise ApiError("ValidationException", f"ModelPackageGroup {self._arn(GROUP, short)} does not exist.")
        return record

    def _package(self, name: str) -> dict[str, Any]:
        arn = name if name.startswith("arn:") else self._arn(PACKAGE, name)
        record = self._store.get(PACKAGE, arn)
        if record is None:
            raise ApiError("ValidationException", f"ModelPackage {arn} does not exist.")
        return record

    def _arn(self, kind: str, name: str) -> str:
        return f"arn:aws:sagemaker:{self._cloud.region}:{self._cloud.account}:{kind}/{name.lower()}"


def _part(record: dict[str, Any], members: tuple[str, ...]) -> dict[str, Any]:
    return {key: record[key] for key in members if key in record}


def _user(caller_arn: str) -> dict[str, Any]:
    return {"IamIdentity": {"Arn": caller_arn}}
