"""DynamoDB in memory, for tests that run a whole life hundreds of times (moto takes about 8 ms a call).

Only the expressions that the jobs table uses; any other is refused. `test_table.py` runs the same checks on moto.
"""

import bisect
import copy
import re
from typing import Any

from botocore.exceptions import ClientError


class ConditionalCheckFailedException(ClientError):  # noqa: N818
    pass


class TransactionCanceledException(ClientError):  # noqa: N818
    pass


class FakeDynamoDB:
    class exceptions:  # noqa: N801 - as boto3 has it
        ClientError = ClientError
        ConditionalCheckFailedException = ConditionalCheckFailedException
        TransactionCanceledException = TransactionCanceledException

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, dict[str, Any]]] = {"jobs": {}, "models": {}}
        self.index: dict[str, list[tuple[str, str]]] = {}  # queue -> (due, pk), sorted
        self.conflicts = 0  # transactions to cancel
        self.items_read = 0

    def get_item(self, **request: Any) -> dict[str, Any]:
        item = self.tables[request["TableName"]].get(_pk(request["Key"]))
        return {"Item": copy.deepcopy(item)} if item else {}

    def put_item(self, **request: Any) -> None:
        if not self._holds(request, _pk(request["Item"])):
            raise ConditionalCheckFailedException({"Error": {"Code": "ConditionalCheckFailedException"}}, "PutItem")
        self._put(request["TableName"], request["Item"])

    def update_item(self, **request: Any) -> None:
        if not self._holds(request, _pk(request["Key"])):
            raise ConditionalCheckFailedException({"Error": {"Code": "ConditionalCheckFailedException"}}, "UpdateItem")
        self._update(request)

    def transact_write_items(self, TransactItems: list[dict[str, Any]]) -> None:  # noqa: N803
        checks = []
        for write in TransactItems:
            (request,) = write.values()
            checks.append(self._holds(request, _pk(request.get("Item") or request["Key"])))
        reasons = [{"Code": "None" if check else "ConditionalCheckFailed"} for check in checks]
        if self.conflicts and all(checks):
            self.conflicts -= 1
            reasons[-1] = {"Code": "TransactionConflict"}
        if any(reason["Code"] != "None" for reason in reasons):
            response: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise TransactionCanceledException(response, "TransactWriteItems")
        for write in TransactItems:
            ((verb, request),) = write.items()
            if verb == "Put":
                self._put(request["TableName"], request["Item"])
            else:
                self._update(request)

    def query(self, **request: Any) -> dict[str, Any]:
        values = request["ExpressionAttributeValues"]
        entries = self.index.get(values[":queue"]["S"], [])
        bound = values[":bound"]["S"]
        condition = request["KeyConditionExpression"]
        if condition == "queue = :queue AND due >= :bound":
            entries = entries[bisect.bisect_left(entries, (bound, "")) :]
        elif condition == "queue = :queue AND due <= :bound":
            entries = entries[: bisect.bisect_right(entries, (bound, "\U0010ffff"))]
        else:
            raise NotImplementedError(condition)
        if start := request.get("ExclusiveStartKey"):
            entries = entries[bisect.bisect_right(entries, (start["due"]["S"], _pk(start))) :]
        page = entries[: request.get("Limit", 1000)]
        self.items_read += len(page)
        items = [copy.deepcopy(self.tables["jobs"][pk]) for _, pk in page]
        more = len(page) < len(entries)
        return {"Items": items} | (
            {"LastEvaluatedKey": {"due": {"S": page[-1][0]}, "pk": {"S": page[-1][1]}}} if more else {}
        )

    def scan(self, **request: Any) -> dict[str, Any]:
        return {"Items": copy.deepcopy(list(self.tables[request["TableName"]].values()))}

    def _holds(self, request: dict[str, Any], pk: str) -> bool:
        item = self.tables[request["TableName"]].get(pk)
        condition, values = request.get("ConditionExpression"), request.get("ExpressionAttributeValues", {})
        if condition is None:
            return True
        if condition == "attribute_not_exists(pk)":
            return item is None
        if condition == "version = :version":
            return item is not None and item.get("version") == values[":version"]
        if condition == "attribute_not_exists(holders) OR size(holders) <= :most":
            holders = (item or {}).get("holders", {}).get("SS", [])
            return not holders or len(holders) <= int(values[":most"]["N"])
        raise NotImplementedError(condition)

    def _put(self, table: str, item: dict[str, Any]) -> None:
        self._unlist(table, _pk(item))
        self.tables[table][_pk(item)] = copy.deepcopy(item)
        if table == "jobs" and "queue" in item:
            bisect.insort(self.index.setdefault(item["queue"]["S"], []), (item["due"]["S"], _pk(item)))

    def _unlist(self, table: str, pk: str) -> None:
        old = self.tables[table].get(pk, {})
        if "queue" in old:
            self.index[old["queue"]["S"]].remove((old["due"]["S"], pk))

    def _update(self, request: dict[str, Any]) -> None:
        item = self.tables[request["TableName"]].setdefault(_pk(request["Key"]), dict(request["Key"]))
        values, names = request.get("ExpressionAttributeValues", {}), request.get("ExpressionAttributeNames", {})
        parts = re.split(r"\b(SET|REMOVE|ADD|DELETE)\b", request["UpdateExpression"])[1:]
        for verb, clause in zip(parts[::2], parts[1::2], strict=True):
            for part in clause.split(","):
                words = part.replace("=", " ").split()
                name = names.get(words[0], words[0])
                if verb == "REMOVE":
                    item.pop(name, None)
                elif verb == "SET":
                    item[name] = values[words[1]]
                else:
                    old, change = set(item.get(name, {}).get("SS", [])), set(values[words[1]]["SS"])
                    new = old | change if verb == "ADD" else old - change
                    item.pop(name, None)
                    if new:
                        item[name] = {"SS": sorted(new)}


def _pk(key: dict[str, Any]) -> str:
    return str(key["pk"]["S"]) + (f"|{key['sk']['S']}" if "sk" in key else "")
