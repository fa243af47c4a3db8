"""AddTags, ListTags, DeleteTags."""

from typing import Any

from local.sagemaker.store import Store
from local.service import ApiError

MOST = 50
PAGE = 50


class Tags:
    """Tags by ARN."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, arn: str) -> list[dict[str, str]]:
        """The tags of a resource."""
        return list((self._store.get("tags", arn) or {"Tags": []})["Tags"])

    def set(self, arn: str, tags: list[dict[str, str]]) -> list[dict[str, str]]:
        """Add tags, or give those that are there another value."""
        both = {tag["Key"]: tag["Value"] for tag in [*self.get(arn), *tags]}
        if len(both) > MOST:
            raise ApiError("ValidationException", f"Too many tags: {len(both)}; a resource may have {MOST}.")
        merged = [{"Key": key, "Value": value} for key, value in both.items()]
        if merged:
            self._store.put("tags", arn, {"Tags": merged})
        return merged

    def add(self, request: dict[str, Any]) -> dict[str, Any]:
        """AddTags."""
        return {"Tags": self.set(request["ResourceArn"], request["Tags"])}

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """DeleteTags."""
        kept = [tag for tag in self.get(request["ResourceArn"]) if tag["Key"] not in request["TagKeys"]]
        self._store.put("tags", request["ResourceArn"], {"Tags": kept})
        return {}

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """ListTags; a resource has at most 50, which is one page."""
        return {"Tags": self.get(request["ResourceArn"])[:PAGE]}

    def forget(self, arn: str) -> None:
        """The resource is gone."""
        self._store.remove("tags", arn)
