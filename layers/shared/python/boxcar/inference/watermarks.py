"""How far each model of a family has come: the newest first_seen among the rows that it has predicted.

In the models table, `watermark#<family>` / model, apart from the family's versions: whoever moves one may write nothing
else. It is the warehouse's own time, not that of the run: what matters is which rows were there. It moves when a load
has committed, only forward, so a repeat changes nothing.
"""

from typing import Any

from boxcar.attributes import decode


class Watermarks:
    """Reads and moves them."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def get(self, family: str, model: str) -> str | None:
        """ISO 8601, or None before the first load."""
        item = self._dynamodb.get_item(TableName=self._table, Key=_key(family, model), ConsistentRead=True).get("Item")
        return str(decode(item["first_seen"])) if item else None

    def oldest(self, family: str, models: list[str]) -> str | None:
        """That of the model which is furthest behind; None if one has none."""
        found = [self.get(family, model) for model in models]
        return None if None in found else min((one for one in found if one), default=None)

    def move(self, family: str, model: str, first_seen: str, run: str) -> None:
        """Forward to a moment; one that lies further ahead stays."""
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item={**_key(family, model), "first_seen": {"S": first_seen}, "run": {"S": run}},
                ConditionExpression="attribute_not_exists(pk) OR first_seen < :mine",
                ExpressionAttributeValues={":mine": {"S": first_seen}},
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return


def _key(family: str, model: str) -> dict[str, Any]:
    return {"pk": {"S": f"watermark#{family}"}, "sk": {"S": model}}
