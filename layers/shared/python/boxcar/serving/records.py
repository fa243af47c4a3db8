"""What is known of each endpoint: one item in the models table, `endpoints` / name of the endpoint.

It holds the version that is live, whose turn it is to change the endpoint and who waits for theirs, what a deployment
waits for, and everything that was made for the endpoint, written down before it is made, so that nothing is forgotten.
"""

from collections.abc import Callable
from typing import Any, Literal

from boxcar.attributes import decode_all, encode_all
from boxcar.errors import Throttled
from boxcar.serving.spec import TrialKind
from boxcar.steps import Document

PARTITION = "endpoints"
_TRIES = 12


class Live(Document):
    """The version that serves."""

    version: str
    config: str  # name of the endpoint's configuration
    run: str
    since: str  # ISO 8601, UTC
    number: int  # counts the changes of what is live
    alarms: list[str] | None = None  # that watch it; None: all that the endpoint has
    beside: str = ""  # Serving.beside_the_configuration that is in effect; "": nobody knows


class Turn(Document):
    """A release that may change the endpoint, or waits until it may."""

    execution: str  # ARN
    run: str
    version: str
    token: str = ""  # of the Task that waits for the turn; "" once it has been told


class Awaited(Document):
    """A deployment that a Task waits for."""

    token: str
    config: str  # that is to be in service
    begun: bool = False  # SageMaker has been asked for it
    since: float = 0.0  # seconds since the epoch


class Trial(Document):
    """A version that is tried beside the one that is live."""

    kind: TrialKind
    version: str
    config: str
    run: str
    since: float  # seconds since the epoch
    seen: str = ""  # what was seen when it was last looked at
    wish: Literal["", "promote", "back"] = ""  # what a person wants it to end with
    token: str = ""  # of the Task that waits for the next look


class Endpoint(Document):
    """One endpoint."""

    endpoint: str
    family: str
    model: str
    live: Live | None = None
    holder: Turn | None = None
    waiting: list[Turn] = []  # in the order in which they came
    awaited: Awaited | None = None
    trial: Trial | None = None
    made: dict[str, list[str]] = {}  # configuration → models
    alarms: list[str] = []  # of CloudWatch
    revision: int = 0  # of the record, for conditional writes


class Endpoints:
    """Reads and writes the records."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def get(self, name: str) -> Endpoint | None:
        """The record of an endpoint."""
        item = self._dynamodb.get_item(TableName=self._table, Key=_key(name), ConsistentRead=True).get("Item")
        return _read(item) if item else None

    def all(self) -> list[Endpoint]:
        """Every endpoint there is: one a model that serves."""
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": PARTITION}},
            ConsistentRead=True,
        )
        return [_read(item) for page in pages for item in page["Items"]]

    def change(self, endpoint: Endpoint, changed: Callable[[Endpoint], Endpoint]) -> Endpoint:
        """Write what a function makes of the record as it is now; of `endpoint`, if there is none yet.

        Raises:
            Throttled: others kept changing it.
        """
        for _ in range(_TRIES):
            before = self.get(endpoint.endpoint) or endpoint.model_copy(update={"revision": 0})
            after = changed(before)
            if after == before and before.revision:
                return before
            after = after.model_copy(update={"revision": before.revision + 1})
            condition = "revision = :seen" if before.revision else "attribute_not_exists(pk)"
            values = {":seen": before.revision} if before.revision else {}
            try:
                self._dynamodb.put_item(
                    TableName=self._table,
                    Item=encode_all({**after.model_dump(mode="json"), "pk": PARTITION, "sk": after.endpoint}),
                    ConditionExpression=condition,
                    **({"ExpressionAttributeValues": encode_all(values)} if values else {}),
                )
            except self._dynamodb.exceptions.ConditionalCheckFailedException:
                continue
            return after
        raise Throttled(f"endpoint {endpoint.endpoint}: others keep changing its record")

    def forget(self, name: str) -> None:
        """Delete the record."""
        self._dynamodb.delete_item(TableName=self._table, Key=_key(name))


def _key(name: str) -> dict[str, Any]:
    return {"pk": {"S": PARTITION}, "sk": {"S": name}}


def _read(item: dict[str, Any]) -> Endpoint:
    return Endpoint.model_validate({n: value for n, value in decode_all(item).items() if n not in ("pk", "sk")})
