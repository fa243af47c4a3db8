"""DynamoDB in memory with the indexes that lists are read from. `test_listing.py` runs the same checks on moto."""

import copy
import re
from typing import Any

from tests.unit.jobs.fake_dynamodb import FakeDynamoDB
from tests.unit.tables import resources

MOST_AT_ONCE = 40  # items a query reads, where AWS stops after 1 MB: paging is seen in small tests


class IndexedDynamoDB(FakeDynamoDB):
    """Answers queries of by_day, by_owner and by_run; all others are its parent's."""

    def query(self, **wanted: Any) -> dict[str, Any]:
        if wanted["IndexName"] == "by_queue" or "ScanIndexForward" not in wanted:
            return super().query(**wanted)
        index = next(
            index
            for index in resources()["JobsTable"]["Properties"]["GlobalSecondaryIndexes"]
            if index["IndexName"] == wanted["IndexName"]
        )
        keys = [key["AttributeName"] for key in index["KeySchema"]]
        names, values = wanted["ExpressionAttributeNames"], wanted["ExpressionAttributeValues"]
        condition, _, between = wanted["KeyConditionExpression"].partition(" AND ")
        assert condition == "#key = :key"
        assert between in ("", "created BETWEEN :from AND :to")
        assert names["#key"] == keys[0]

        def order(item: dict[str, Any]) -> tuple[str, str]:
            return item[keys[1]]["S"], item["pk"]["S"]

        of_all = self.tables["jobs"].values()
        found = [item for item in of_all if item.get(keys[0]) == values[":key"] and keys[1] in item]
        if between:
            low, high = values[":from"]["S"], values[":to"]["S"]
            found = [item for item in found if low <= item["created"]["S"] <= high]
        found.sort(key=order, reverse=True)
        if start := wanted.get("ExclusiveStartKey"):
            assert set(start) == {"pk", *keys}
            found = [item for item in found if order(item) < order(start)]
        read = found[: min(wanted["Limit"], MOST_AT_ONCE)]
        self.items_read += len(read)
        kept = [item for item in read if _passes(wanted.get("FilterExpression", ""), names, values, item)]
        answer: dict[str, Any] = {
            "Items": [copy.deepcopy(_projected(item, index, keys)) for item in kept],
            "Count": len(kept),
            "ScannedCount": len(read),
        }
        if len(read) < len(found):
            answer["LastEvaluatedKey"] = {name: read[-1][name] for name in ("pk", *keys)}
        return answer


def _projected(item: dict[str, Any], index: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    projection = index["Projection"]
    if projection["ProjectionType"] == "ALL":
        return item
    return {name: value for name, value in item.items() if name in {"pk", *keys, *projection["NonKeyAttributes"]}}


def _passes(expression: str, names: dict[str, str], values: dict[str, Any], item: dict[str, Any]) -> bool:
    for part in expression.split(" AND ") if expression else []:
        match = re.fullmatch(r"(#\w+)(?:\.(#\w+))? = (:\w+)", part)
        assert match, part
        attribute = item.get(names[match[1]])
        if match[2]:
            attribute = (attribute or {"M": {}})["M"].get(names[match[2]])
        if attribute != values[match[3]]:
            return False
    return True
