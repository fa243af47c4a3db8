"""DynamoDB in memory, for tests that run a whole life hundreds of times (moto takes about 8 ms a call).

Only the expressions that the jobs table uses; any other is refused. `test_table.py` runs the same checks on moto.
"""

import bisect
import functools
import pickle
import re
from collections.abc import Iterable
from types import CodeType
from typing import Any

from botocore.exceptions import ClientError

LAST = "\U0010ffff"


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
        return {"Item": _copy(item)} if item else {}

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        answers = {}
        for table, request in RequestItems.items():
            found = [self.tables[table].get(_pk(key)) for key in request["Keys"]]
            answers[table] = [_copy(item) for item in found if item]
        return {"Responses": answers}

    def put_item(self, **request: Any) -> None:
        self._check(request, _pk(request["Item"]), "PutItem")
        self._put(request["TableName"], request["Item"])

    def update_item(self, **request: Any) -> dict[str, Any]:
        self._check(request, _pk(request["Key"]), "UpdateItem")
        self._update(request)
        return {"Attributes": _copy(self.tables[request["TableName"]][_pk(request["Key"])])}

    def delete_item(self, **request: Any) -> None:
        self._check(request, _pk(request["Key"]), "DeleteItem")
        self._unlist(request["TableName"], _pk(request["Key"]))
        self.tables[request["TableName"]].pop(_pk(request["Key"]), None)

    def transact_write_items(self, TransactItems: list[dict[str, Any]]) -> None:  # noqa: N803
        reasons: list[dict[str, Any]] = []
        for write in TransactItems:
            (request,) = write.values()
            pk = _pk(request.get("Item") or request["Key"])
            if self._holds(request, pk):
                reasons.append({"Code": "None"})
            else:
                old = _copy(self.tables[request["TableName"]].get(pk, {}))
                asked = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
                reasons.append({"Code": "ConditionalCheckFailed"} | ({"Item": old} if asked and old else {}))
        if self.conflicts and all(reason["Code"] == "None" for reason in reasons):
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
        if request["IndexName"] == "by_run":
            items = [
                item for item in self.tables["jobs"].values()
                if item.get("run") == values[":run"] and item["pk"]["S"].startswith(values[":jobs"]["S"])
            ]  # fmt: skip
            return {"Items": _copy(items)}
        if request["IndexName"] == "by_fallback":
            found = [item for item in self.tables["jobs"].values() if item.get("fallback") == values[":pool"]]
            return {"Items": sorted(_copy(found), key=lambda item: item["due"]["S"])[: request["Limit"]]}
        entries = self.index.get(values[":queue"]["S"], [])
        bound = values[":bound"]["S"]
        conditions = {
            "queue = :queue AND due >= :bound": slice(bisect.bisect_left(entries, (bound, "")), None),
            "queue = :queue AND due > :bound": slice(bisect.bisect_right(entries, (bound, LAST)), None),
            "queue = :queue AND due <= :bound": slice(None, bisect.bisect_right(entries, (bound, LAST))),
            "queue = :queue AND due < :bound": slice(None, bisect.bisect_left(entries, (bound, ""))),
        }
        entries = entries[conditions[request["KeyConditionExpression"]]]
        if start := request.get("ExclusiveStartKey"):
            entries = entries[bisect.bisect_right(entries, (start["due"]["S"], _pk(start))) :]
        page = entries[: request.get("Limit", 1000)]
        self.items_read += len(page)
        items = [_copy(self.tables["jobs"][pk]) for _, pk in page]
        if condition := request.get("FilterExpression"):
            items = [item for item in items if self._true(condition, request, item)]
        more = len(page) < len(entries)
        return {"Items": items, "Count": len(items)} | (
            {"LastEvaluatedKey": {"due": {"S": page[-1][0]}, "pk": {"S": page[-1][1]}}} if more else {}
        )

    def scan(self, **request: Any) -> dict[str, Any]:
        items: Iterable[dict[str, Any]] = self.tables[request["TableName"]].values()
        if condition := request.get("FilterExpression"):
            items = (item for item in items if self._true(condition, request, item))
        return {"Items": _copy(list(items))}

    def _check(self, request: dict[str, Any], pk: str, operation: str) -> None:
        if not self._holds(request, pk):
            response: Any = {"Error": {"Code": "ConditionalCheckFailedException"}}
            if request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
                response["Item"] = _copy(self.tables[request["TableName"]].get(pk))
            raise ConditionalCheckFailedException(response, operation)

    def _holds(self, request: dict[str, Any], pk: str) -> bool:
        condition = request.get("ConditionExpression")
        return condition is None or self._true(condition, request, self.tables[request["TableName"]].get(pk) or {})

    def _true(self, condition: str, request: dict[str, Any], item: dict[str, Any]) -> bool:
        """Comparisons, IN, attribute_(not_)exists, AND, OR and brackets: by Python, once it reads as Python."""

        def value(word: str) -> Any:
            attribute = _operand(word, request, item)
            if attribute is None:
                return None
            ((kind, content),) = attribute.items()
            return float(content) if kind == "N" else content

        def compare(left: str, sign: str, right: str) -> bool:
            one, other = value(left), value(right)
            compared = {"=": lambda: one == other, "<": lambda: one < other, "<=": lambda: one <= other}
            return one is not None and other is not None and compared[sign]()

        return bool(eval(_as_python(condition), {"value": value, "compare": compare}))

    def _put(self, table: str, item: dict[str, Any]) -> None:
        self._unlist(table, _pk(item))
        self.tables[table][_pk(item)] = _copy(item)
        if table == "jobs" and "queue" in item:
            bisect.insort(self.index.setdefault(item["queue"]["S"], []), (item["due"]["S"], _pk(item)))

    def _unlist(self, table: str, pk: str) -> None:
        old = self.tables[table].get(pk, {})
        if "queue" in old:
            self.index[old["queue"]["S"]].remove((old["due"]["S"], pk))

    def _update(self, request: dict[str, Any]) -> None:
        table = request["TableName"]
        item = _copy(self.tables[table].get(_pk(request["Key"])) or dict(request["Key"]))
        old = _copy(item)
        names = request.get("ExpressionAttributeNames", {})
        parts = re.split(r"\b(SET|REMOVE|ADD)\b", request["UpdateExpression"])[1:]
        for verb, clause in zip(parts[::2], parts[1::2], strict=True):
            for part in re.split(r",(?![^(]*\))", clause):
                words = part.split()
                name = names.get(words[0], words[0])
                if verb == "REMOVE":
                    item.pop(name, None)
                elif verb == "SET":
                    item[name] = self._value(part.split("=", 1)[1].strip(), request, old)
                else:
                    item[name] = _sum(item.get(name), request["ExpressionAttributeValues"][words[1]])
        self._put(table, item)

    def _value(self, text: str, request: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
        if " + " in text:
            one, other = text.rsplit(" + ", 1)
            return _sum(self._value(one, request, item), self._value(other, request, item))
        if default := re.fullmatch(r"if_not_exists\((\S+), (\S+)\)", text):
            return _operand(default[1], request, item) or self._value(default[2], request, item)
        found = _operand(text, request, item)
        assert found is not None, f"{text} is not there"
        return found


def _copy(value: Any) -> Any:
    """Of plain values, and several times as fast as copy.deepcopy."""
    return pickle.loads(pickle.dumps(value))


@functools.cache
def _as_python(condition: str) -> CodeType:
    """A condition over `value` and `compare`."""
    text = re.sub(r"attribute_not_exists\((\S+?)\)", r"(value('\1') is None)", condition)
    text = re.sub(r"attribute_exists\((\S+?)\)", r"(value('\1') is not None)", text)
    text = re.sub(r"([#:\w]+) IN \(([^)]*)\)", r"(value('\1') in [value(w.strip()) for w in '\2'.split(',')])", text)
    text = re.sub(r"([#:\w]+) (=|<=|<) ([#:\w]+)", r"compare('\1', '\2', '\3')", text)
    return compile(text.replace(" AND ", " and ").replace(" OR ", " or "), condition, "eval")


def _operand(word: str, request: dict[str, Any], item: dict[str, Any]) -> dict[str, Any] | None:
    if word.startswith(":"):
        given: dict[str, Any] = request["ExpressionAttributeValues"][word]
        return given
    return item.get(request.get("ExpressionAttributeNames", {}).get(word, word))


def _sum(old: dict[str, Any] | None, change: dict[str, Any]) -> dict[str, Any]:
    if "SS" in change:
        return {"SS": sorted(set((old or {"SS": []})["SS"]) | set(change["SS"]))}
    total = float((old or {"N": "0"})["N"]) + float(change["N"])
    return {"N": repr(int(total) if total.is_integer() else total)}


def _pk(key: dict[str, Any]) -> str:
    return str(key["pk"]["S"]) + (f"|{key['sk']['S']}" if "sk" in key else "")
