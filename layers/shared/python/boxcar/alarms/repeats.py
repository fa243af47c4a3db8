"""The same cause within an hour is one mail with a count.

The item `cause#<digest>` opens with the first alarm of a cause, which is mailed. Until it closes, others of that cause
are counted instead, in the transaction that marks each as told: an alarm is mailed or counted, once, whoever dies when.
The item is due when its hour is over. With nothing counted the sweep forgets it; else it freezes the count, hands it to
the alarm queue under a number, which is sent once, and leaves the item open for another hour.
"""

from collections.abc import Callable
from typing import Any

from boxcar.alarms.told import listed
from boxcar.attributes import Item, decode_all, encode_all
from boxcar.jobs.record import DUE, iso
from boxcar.mails import Mail

KIND = "repeated"  # of the message on the alarm queue
PREFIX = "cause#"
MOST_PLACES = 10
MOST_TEXT = 4000  # characters of the first mail that the last one repeats
AGAIN_S = 60.0  # after which a sweep that died is followed by another


class Repeats:
    """What has been told of each cause."""

    def __init__(self, dynamodb: Any, table: str, quiet_s: float, clock: Callable[[], float]) -> None:
        """`quiet_s` is how long the same cause is counted instead of mailed; 0: everything is mailed."""
        self._dynamodb = dynamodb
        self._table = table
        self._quiet_s = quiet_s
        self._clock = clock

    def is_first(self, mail: Mail) -> bool:
        """Whether to mail an alarm. If not, it is counted, and marked as told.

        Raises:
            botocore.exceptions.ClientError: somebody else counts at this moment; the message should come back.
        """
        if not (mail.cause and self._quiet_s):
            return True
        for _ in range(2):  # twice: the item may be forgotten between the two calls
            if self._opens(mail):
                return True
            try:
                self._count(mail)
            except self._dynamodb.exceptions.TransactionCanceledException as error:
                if error.response["CancellationReasons"][0]["Code"] != "ConditionalCheckFailed":
                    raise
            else:
                return False
        return True

    def _opens(self, mail: Mail) -> bool:
        now = self._clock()
        item = {
            "pk": PREFIX + mail.cause, "first": mail.id, "since": now, "quiet_s": self._quiet_s,
            "subject": mail.subject, "text": mail.text[:MOST_TEXT], "audiences": list(mail.audiences),
            "severity": mail.attributes.get("severity", ""), "places": [], "count": 0, "changes": 0, "number": 0,
            "queue": DUE, "due": iso(now + self._quiet_s),
        }  # fmt: skip
        try:
            self._dynamodb.put_item(
                TableName=self._table, Item=encode_all(item), ConditionExpression="attribute_not_exists(pk)"
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            # Its first alarm comes again when a function died before it was mailed.
            return bool(self._known(mail).get("first") == mail.id)
        return True

    def _count(self, mail: Mail) -> None:
        now, room = self._clock(), len(self._known(mail).get("places", [])) < MOST_PLACES
        place = [f"{iso(now)[:19]}Z {mail.place}"] if room else []
        counted = {
            "TableName": self._table,
            "Key": _key(PREFIX + mail.cause),
            "UpdateExpression": "SET #last = :now, places = list_append(places, :place) ADD #count :one, changes :one",
            "ConditionExpression": "attribute_exists(pk)",
            "ExpressionAttributeNames": _names("last", "count"),
            "ExpressionAttributeValues": _values({"now": now, "one": 1, "place": place}),
        }
        told = {
            "TableName": self._table,
            "Key": _key(f"alarm#{mail.id}"),
            "UpdateExpression": "SET sent = :now, counted_in = :cause, #queue = :queue, due = :due REMOVE lease",
            "ExpressionAttributeNames": _names("queue"),
            "ExpressionAttributeValues": {**_values({"now": int(now), "cause": mail.cause}), **encode_all(listed(now))},
        }
        self._dynamodb.transact_write_items(TransactItems=[{"Update": counted}, {"Update": told}])

    def _known(self, mail: Mail) -> dict[str, Any]:
        key = _key(PREFIX + mail.cause)
        return decode_all(self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item", {}))


def tell(dynamodb: Any, table: str, item: Item, send: Callable[[dict[str, Any]], None], now: float) -> None:
    """See to a cause whose hour is over.

    Raises:
        Exception: what `send` raises; the count stays frozen, and the next sweep goes on.
    """
    known = decode_all(item)
    if "frozen" not in known:
        try:
            if not known["count"]:
                dynamodb.delete_item(TableName=table, **_unless_changed(known))
                return
            _freeze(dynamodb, table, known, now)
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return  # counted or frozen since the index was read: next time, then
    told = {name: known[name] for name in ("first", "number", "subject", "text", "audiences", "severity")}
    send({"kind": KIND, "cause": known["pk"].removeprefix(PREFIX), **told, **known["frozen"]})
    dynamodb.update_item(
        TableName=table,
        Key=_key(known["pk"]),
        UpdateExpression="SET due = :due REMOVE frozen",
        ConditionExpression="#first = :first AND #number = :number",
        ExpressionAttributeNames=_names("first", "number"),
        ExpressionAttributeValues=_values(
            {"due": iso(now + known["quiet_s"]), "first": known["first"], "number": known["number"]}
        ),
    )


def _freeze(dynamodb: Any, table: str, known: dict[str, Any], now: float) -> None:
    """Put aside what a mail will say, and begin to count from zero."""
    known["number"] += 1
    known["frozen"] = {name: known[name] for name in ("count", "places", "since", "last")} | {"until": now}
    dynamodb.update_item(
        TableName=table,
        UpdateExpression=(
            "SET frozen = :frozen, #number = :number, #count = :zero, places = :none, since = :now, due = :due"
        ),
        ExpressionAttributeNames=_names("number", "count"),
        **_unless_changed(
            known, frozen=known["frozen"], number=known["number"], zero=0, none=[], now=now, due=iso(now + AGAIN_S)
        ),
    )


def _unless_changed(known: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {
        "Key": _key(known["pk"]),
        "ConditionExpression": "changes = :seen AND attribute_not_exists(frozen)",
        "ExpressionAttributeValues": _values({"seen": known["changes"], **values}),
    }


def _key(pk: str) -> Item:
    return {"pk": {"S": pk}}


def _names(*names: str) -> dict[str, str]:
    return {f"#{name}": name for name in names}


def _values(values: dict[str, Any]) -> Item:
    return encode_all({f":{name}": value for name, value in values.items()})
