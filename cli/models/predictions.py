"""Rows of predictions in the warehouse, by the Redshift Data API: which version and run they are of.

An inference run writes `<family>_predictions(<key>, model, model_version, score, decision, run_id, predicted_at)`.
"""

from typing import Any

import click

from boxcar.family_store import FamilyStore
from boxcar.inference.warehouse import named
from cli import retailer
from cli.session import Session
from cli.warehouse import warehouse

_COLUMNS = ("model_version", "score", "decision", "run_id", "predicted_at")


class Predictions:
    """The predictions of one family."""

    def __init__(self, session: Session, family: str) -> None:
        """Find the table.

        Raises:
            click.ClickException: the family was never applied.
        """
        stored = FamilyStore(session.client("dynamodb"), session.outputs["ModelsTableName"]).latest(family)
        if stored is None:
            raise click.ClickException(
                f"family {family!r} was never applied; `boxcar families list` shows what there is"
            )
        self._warehouse = warehouse(session)
        # Names of a stored family are checked: letters, digits and underscores.
        self.table, self._key = named(stored.family).table, stored.family.key

    def row(self, model: str, key: str) -> dict[str, Any]:
        """The newest prediction of a model for one key.

        Raises:
            click.ClickException: there is none, or no table of predictions.
        """
        sql = (
            f"SELECT {', '.join(_COLUMNS)} FROM {self.table} WHERE model = :model AND {self._key} = :key "  # noqa: S608
            "ORDER BY predicted_at DESC LIMIT 1"
        )
        rows = self._rows(sql, {"model": model, "key": key})
        if not rows:
            raise click.ClickException(f"{self.table} has no row with model {model!r} and {self._key} {key!r}")
        return {self._key: key, **dict(zip(_COLUMNS, rows[0], strict=True))}

    def of_version(self, model: str, version: str) -> list[dict[str, Any]]:
        """The runs that have rows of a version in the table now, newest first, with their counts.

        Raises:
            click.ClickException: there is no table of predictions.
        """
        sql = (
            f"SELECT run_id, COUNT(*), MAX(predicted_at) FROM {self.table} "  # noqa: S608
            "WHERE model = :model AND model_version = :version GROUP BY run_id ORDER BY 3 DESC"
        )
        rows = self._rows(sql, {"model": model, "version": version})
        return [dict(zip(("run_id", "row_count", "predicted_at"), row, strict=True)) for row in rows]

    def _rows(self, sql: str, parameters: dict[str, str]) -> list[list[Any]]:
        try:
            statement = retailer.execute(self._warehouse, sql, parameters=parameters)
        except retailer.RetailerError as error:
            if "does not exist" in str(error):
                problem = f"the warehouse has no table {self.table}: no inference run has written predictions yet"
                raise click.ClickException(problem) from None
            raise click.ClickException(str(error)) from None
        pages = self._warehouse.data.get_paginator("get_statement_result").paginate(Id=statement)
        return [
            [None if "isNull" in value else next(iter(value.values())) for value in record]
            for page in pages
            for record in page["Records"]
        ]
