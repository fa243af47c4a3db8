"""Do the models table and SageMaker's registry tell the same story?"""

from typing import Any

from botocore.exceptions import ClientError

from boxcar.registry.decisions import decisions_of
from boxcar.registry.packages import Packages
from boxcar.registry.table import ModelsTable


def differences(family: str, model: str, table: ModelsTable, packages: Packages, s3: Any) -> list[str]:
    """Everything that the table, the registry and the artifacts disagree on, one sentence each."""
    versions = {item["package_arn"]: item for item in table.history(family, model)}
    described = {
        summary["ModelPackageArn"]: packages.describe(summary["ModelPackageArn"])
        for summary in packages.packages(packages.group_name(family, model))
    }
    found = []
    for arn, package in described.items():
        label = f"{family}/{model} {package.get('CustomerMetadataProperties', {}).get('version', '(no version)')}"
        if arn in versions:
            found += _compare(f"{family}/{model} {versions[arn]['version']}", versions[arn], package)
        else:
            found.append(f"{label}: package {arn} is in the registry, but not in the models table")
    for arn, item in versions.items():
        if arn not in described:
            found.append(f"{family}/{model} {item['version']}: is in the models table, but its package {arn} is gone")
        for name, address in _files(item).items():
            if not _exists(s3, address):
                found.append(f"{family}/{model} {item['version']}: its {name} {address} is gone")
    return found + _pointer_differences(family, model, table, list(versions.values()))


def _compare(label: str, item: dict[str, Any], package: dict[str, Any]) -> list[str]:
    metadata = package.get("CustomerMetadataProperties", {})
    container = package["InferenceSpecification"]["Containers"][0]
    pairs = {
        "version": (item["version"], metadata.get("version")),
        "run": (item["run"], metadata.get("run")),
        "status": (item["status"], package.get("ModelApprovalStatus")),
        "artifact": (item["outputs"]["model"], container.get("ModelDataUrl")),
        "interface_digest": (item["interface_digest"], metadata.get("interface_digest")),
        "code_digest": (item["code_digest"], metadata.get("code_digest")),
        "decision": (_decision(item), package.get("ApprovalDescription")),
    }
    return [
        f"{label}: {name} is {ours!r} in the models table and {theirs!r} in the registry"
        for name, (ours, theirs) in pairs.items()
        if ours != theirs
    ]


def _decision(item: dict[str, Any]) -> str | None:
    decisions = decisions_of(item)
    return decisions[-1].sentence if decisions else None


def _pointer_differences(family: str, model: str, table: ModelsTable, versions: list[dict[str, Any]]) -> list[str]:
    latest, approved = table.latest(family, model), table.approved(family, model)
    by_version = {item["version"]: item for item in versions}
    found = []
    newest = max((item["sort_key"] for item in versions), default=None)
    if (latest or {}).get("sort_key") != newest:
        named = latest["version"] if latest else "nothing"
        found.append(f"{family}/{model}: latest names {named}, the newest version has the sort key {newest}")
    if approved is None and any(item["status"] == "Approved" for item in versions):
        found.append(f"{family}/{model}: a version is approved, but approved names nothing")
    if approved is not None:
        item = by_version.get(approved["version"])
        if item is None:
            found.append(f"{family}/{model}: approved names {approved['version']}, which is not in the models table")
        elif item["status"] != "Approved":
            found.append(f"{family}/{model}: approved names {approved['version']}, whose status is {item['status']}")
    return found


def _files(item: dict[str, Any]) -> dict[str, str]:
    """What must lie in the bucket for a version. The oldest ones have no verdict of their own there."""
    files = {"artifact": item["outputs"]["model"], "evaluation": item["evaluation"]}
    return {**files, "verdict": item["verdict_document"]} if "verdict_document" in item else files


def _exists(s3: Any, address: str) -> bool:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
            return False
        raise
    return True
