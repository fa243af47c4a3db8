"""S3, DynamoDB and SageMaker in memory, as far as Register uses them. What they do not know, they refuse.

moto does the same, but takes milliseconds a call: too long where every call of Register is killed once.
"""

# ruff: noqa: N803 - arguments are named as boto3 names them

import copy
import io
import re
from typing import Any

from botocore.exceptions import ClientError


def refusal(code: str, action: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, action)


class MemoryS3:
    class exceptions:  # noqa: N801 - as boto3 names it
        class NoSuchKey(ClientError):  # noqa: N818
            pass

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str = "") -> None:
        self.objects[Bucket, Key] = Body

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        if (Bucket, Key) not in self.objects:
            raise self.exceptions.NoSuchKey({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Bucket, Key])}

    def head_object(self, *, Bucket: str, Key: str) -> None:
        if (Bucket, Key) not in self.objects:
            raise refusal("404", "HeadObject")

    def copy(self, source: dict[str, str], bucket: str, key: str) -> None:
        self.head_object(**source)
        self.objects[bucket, key] = self.objects[source["Bucket"], source["Key"]]

    def list_objects_v2(self, *, Bucket: str, Prefix: str) -> dict[str, Any]:
        return {
            "Contents": [{"Key": key} for bucket, key in self.objects if bucket == Bucket and key.startswith(Prefix)]
        }


class MemoryDynamoDB:
    """One partition key and at most one sort key. Conditions: comparisons and existence, joined by AND or by OR."""

    exceptions = None

    def __init__(self) -> None:
        self.items: dict[tuple[str, str, str], dict[str, Any]] = {}

    @staticmethod
    def _key(table: str, item: dict[str, Any]) -> tuple[str, str, str]:
        return table, item["pk"]["S"], item.get("sk", {}).get("S", "")

    def put_item(self, *, TableName: str, Item: dict[str, Any], **condition: Any) -> None:
        if condition and not self._allowed(self.items.get(self._key(TableName, Item)), condition):
            raise refusal("ConditionalCheckFailedException", "PutItem")
        self.items[self._key(TableName, Item)] = copy.deepcopy(Item)

    def get_item(self, *, TableName: str, Key: dict[str, Any], ConsistentRead: bool = False) -> dict[str, Any]:
        assert ConsistentRead, "a decision may not rest on a stale read"
        found = self.items.get(self._key(TableName, Key))
        return {"Item": copy.deepcopy(found)} if found else {}

    def query(
        self,
        *,
        TableName: str,
        KeyConditionExpression: str,
        ExpressionAttributeValues: dict[str, Any],
        ScanIndexForward: bool,
    ) -> dict[str, Any]:
        assert KeyConditionExpression == "pk = :pk AND begins_with(sk, :versions)"
        pk, prefix = (ExpressionAttributeValues[name]["S"] for name in (":pk", ":versions"))
        found = [key for key in self.items if key[:2] == (TableName, pk) and key[2].startswith(prefix)]
        return {"Items": [copy.deepcopy(self.items[key]) for key in sorted(found, reverse=not ScanIndexForward)]}

    def transact_write_items(self, *, TransactItems: list[dict[str, Any]]) -> None:
        for write in TransactItems:
            put = write["Put"]
            allowed = self._allowed(self.items.get(self._key(put["TableName"], put["Item"])), put)
            if not allowed:
                raise refusal("TransactionCanceledException", "TransactWriteItems")
        for write in TransactItems:
            self.put_item(TableName=write["Put"]["TableName"], Item=write["Put"]["Item"])

    @staticmethod
    def _allowed(there: dict[str, Any] | None, put: dict[str, Any]) -> bool:
        """Whether a condition holds; an attribute that is not there compares with nothing."""

        def holds(clause: str) -> bool:
            if match := re.fullmatch(r"attribute_(not_)?exists\((\w+)\)", clause):
                return (match[2] in (there or {})) is (match[1] is None)
            name, sign, value = clause.split(" ")
            ((kind, given),) = put["ExpressionAttributeValues"][value].items()
            known = (there or {}).get(name, {}).get(kind)
            return known is not None and {"=": known == given, "<": known < given}[sign]

        condition = put.get("ConditionExpression", "")
        if not condition:
            return True
        if " OR " in condition:
            return any(holds(clause) for clause in condition.split(" OR "))
        return all(holds(clause) for clause in condition.split(" AND "))


class MemoryRegistry:
    """Packages by group. It forgets client tokens at once: AWS does not say for how long it keeps them."""

    exceptions = None

    def __init__(self) -> None:
        self.groups: dict[str, list[dict[str, Any]]] = {}

    def create_model_package_group(self, *, ModelPackageGroupName: str, ModelPackageGroupDescription: str) -> None:
        if ModelPackageGroupName in self.groups:
            raise refusal("ValidationException", "CreateModelPackageGroup", "Model Package Group already exists: arn")
        self.groups[ModelPackageGroupName] = []

    def create_model_package(self, **request: Any) -> dict[str, str]:
        packages = self.groups[request["ModelPackageGroupName"]]
        arn = f"arn:aws:sagemaker:eu-west-1:1:model-package/{request['ModelPackageGroupName']}/{len(packages) + 1}"
        packages.append({**request, "ModelPackageArn": arn})
        return {"ModelPackageArn": arn}

    def update_model_package(self, *, ModelPackageArn: str, **changes: Any) -> dict[str, str]:
        packages = [package for group in self.groups.values() for package in group]
        next(one for one in packages if one["ModelPackageArn"] == ModelPackageArn).update(changes)
        return {"ModelPackageArn": ModelPackageArn}

    def list_model_packages(
        self, *, ModelPackageGroupName: str, SortBy: str, SortOrder: str, NextToken: str = "0"
    ) -> dict[str, Any]:
        if ModelPackageGroupName not in self.groups:
            raise refusal("ValidationException", "ListModelPackages", "Model Package Group does not exist")
        start = int(NextToken)
        newest_first = self.groups[ModelPackageGroupName][::-1]
        page = {"ModelPackageSummaryList": copy.deepcopy(newest_first[start : start + 1])}
        return page | ({"NextToken": str(start + 1)} if start + 1 < len(newest_first) else {})

    def describe_model_package(self, *, ModelPackageName: str) -> dict[str, Any]:
        packages = [package for group in self.groups.values() for package in group]
        return next(package for package in packages if package["ModelPackageArn"] == ModelPackageName)
