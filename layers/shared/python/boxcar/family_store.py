"""Families in the models table: `family#<name>` holds every version that was applied, and which is the latest."""

from typing import Any

from botocore.exceptions import ClientError
from pydantic import ValidationError

from boxcar.errors import FamilyError, TriggerError
from boxcar.families import FamilyVersion
from boxcar.family_checks import faults_of


class FamilyStore:
    """Reads and appends versions of families."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def latest(self, family: str) -> FamilyVersion | None:
        """The newest version, or None for a family that was never applied.

        Raises:
            FamilyError: what is stored cannot be read as a family.
        """
        pointer = self._item(family, "latest")
        if pointer is None:
            return None
        number = int(pointer["number"]["N"])
        item = self._item(family, _version_key(number))
        if item is None:
            raise FamilyError(f"family {family!r}: version {number} is missing from the table; apply its file again")
        try:
            return FamilyVersion.model_validate_json(item["document"]["S"])
        except ValidationError as error:
            raise FamilyError(faults_of(error, f"family {family!r} version {number} in table {self._table}")) from None

    def asked_for(self, family: str, source: str) -> FamilyVersion:
        """The newest version of the family that a trigger names.

        Args:
            family: its name.
            source: where the trigger came from, for messages.

        Raises:
            TriggerError: there is none.
            FamilyError: what is stored cannot be read as a family.
        """
        version = self.latest(family)
        if version is None:
            known = ", ".join(self.names()) or "(none; run `boxcar families apply FILE`)"
            raise TriggerError(f"{source}: family: {family!r} was never applied; write one of {known}")
        return version

    def names(self) -> list[str]:
        """Every family there is, for messages that say what could have been meant."""
        item = self._get({"pk": {"S": "families"}, "sk": {"S": "names"}})
        return sorted(item["names"]["SS"]) if item else []

    def append(self, version: FamilyVersion) -> None:
        """Store a new version and make it the latest.

        Raises:
            FamilyError: somebody else applied the same family meanwhile.
        """
        key = {"pk": {"S": f"family#{version.family.family}"}}
        number = {"N": str(version.number)}
        try:
            self._dynamodb.transact_write_items(
                TransactItems=[
                    {
                        "Put": {
                            "TableName": self._table,
                            "Item": {
                                **key,
                                "sk": {"S": _version_key(version.number)},
                                "document": {"S": version.model_dump_json()},
                            },
                            "ConditionExpression": "attribute_not_exists(pk)",
                        }
                    },
                    {"Put": {"TableName": self._table, "Item": {**key, "sk": {"S": "latest"}, "number": number}}},
                    {
                        "Update": {
                            "TableName": self._table,
                            "Key": {"pk": {"S": "families"}, "sk": {"S": "names"}},
                            "UpdateExpression": "ADD #names :name",
                            "ExpressionAttributeNames": {"#names": "names"},
                            "ExpressionAttributeValues": {":name": {"SS": [version.family.family]}},
                        }
                    },
                ]
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "TransactionCanceledException":
                raise
            raise FamilyError(
                f"{version.file}: version {version.number} of family {version.family.family!r} was applied by "
                f"somebody else just now; look at it and apply yours again"
            ) from error

    def _item(self, family: str, sort_key: str) -> dict[str, Any] | None:
        return self._get({"pk": {"S": f"family#{family}"}, "sk": {"S": sort_key}})

    def _get(self, key: dict[str, Any]) -> dict[str, Any] | None:
        item: dict[str, Any] | None = self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True).get(
            "Item"
        )
        return item


def _version_key(number: int) -> str:
    return f"version#{number:06d}"
