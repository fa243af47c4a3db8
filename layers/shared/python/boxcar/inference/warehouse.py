"""The SQL of an inference run: its tables, what it unloads, and how predictions get in exactly once.

Names of tables and columns come from a checked family, so they are plain identifiers; names of models are too. Values
are bound, except inside the query of an unload, which is a text of its own: there they are `literal`s.

A load is one transaction of one session, so whatever kills it leaves nothing behind, and its staging table is its
own. It begins with LOCK on the table of loads: Redshift takes a transaction's snapshot at its first query after that
("Isolation levels in Amazon Redshift"), so loads follow each other, each sees what the ones before it wrote, and who
reads predictions never waits. Its MERGE cannot say "unless what is there is newer": the source of a MERGE is a table
and its WHEN clauses have no conditions. So rows that a newer run has predicted are taken out of the source before.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from boxcar.errors import FamilyError
from boxcar.families import Family, Inference

Statements = list[dict[str, Any]]
COLUMNS = ("model", "model_version", "score", "decision", "run_id", "predicted_at")  # after the key
KEY_TYPES = {"VARCHAR": "VARCHAR(256)"}
_PLAIN = re.compile(r"[\w .:/-]{1,256}", re.ASCII)  # keys that are safe as literals; others are not looked at


@dataclass(frozen=True)
class Tables:
    """Where the predictions of a family lie."""

    key: str
    key_type: str
    predictions: str  # the newest of each key and model
    history: str  # the newest of each key, model and version
    loads: str  # a row a run and model: what was loaded when
    view: str

    @classmethod
    def of(cls, key: str, inference: Inference) -> "Tables":
        """The names that a family gives them."""
        table = inference.table
        return cls(
            key=key,
            key_type=KEY_TYPES.get(inference.key_type, inference.key_type),
            predictions=table,
            history=f"{table}_history",
            loads=f"{table}_loads",
            view=inference.view,
        )

    def definitions(self, prices: dict[str, float]) -> Statements:
        """Make what is missing. Columns of the view follow the family's prices."""
        columns = (
            f"{self.key} {self.key_type} NOT NULL, model VARCHAR(64) NOT NULL, model_version VARCHAR(32) NOT NULL, "
            f"score DOUBLE PRECISION NOT NULL, decision BOOLEAN NOT NULL, run_id VARCHAR(128) NOT NULL, "
            f"predicted_at TIMESTAMP NOT NULL"
        )
        loads = (
            "run_id VARCHAR(128) NOT NULL, model VARCHAR(64) NOT NULL, model_version VARCHAR(32) NOT NULL, "
            "row_count BIGINT NOT NULL, predicted_at TIMESTAMP NOT NULL, loaded_at TIMESTAMP NOT NULL"
        )
        statements = [
            f"CREATE TABLE IF NOT EXISTS {self.predictions} ({columns}) DISTKEY ({self.key})",
            f"CREATE TABLE IF NOT EXISTS {self.history} ({columns}) DISTKEY ({self.key})",
            f"CREATE TABLE IF NOT EXISTS {self.loads} ({loads})",
        ]
        if prices:
            statements.append(self._recommended(prices))
        return [{"sql": sql} for sql in statements]

    def _recommended(self, prices: dict[str, float]) -> str:
        """The cheapest package that fits each key; a key that fits none has none."""
        priced = " UNION ALL ".join(
            f"SELECT '{model}' AS model, CAST({price!r} AS DOUBLE PRECISION) AS price, {place} AS place"
            for place, (model, price) in enumerate(sorted(prices.items(), key=lambda item: item[1]))
        )
        cheapest = (
            f"SELECT p.{self.key}, p.model, p.model_version, p.score, p.decision, p.run_id, p.predicted_at, c.price, "
            f"ROW_NUMBER() OVER (PARTITION BY p.{self.key} ORDER BY CASE WHEN p.decision THEN 0 ELSE 1 END, c.place) "
            f"AS place FROM {self.predictions} p JOIN ({priced}) c ON c.model = p.model"
        )

        def fitting(column: str) -> str:
            return f"CASE WHEN decision THEN {column} END"

        return (
            f"CREATE OR REPLACE VIEW {self.view} AS SELECT {self.key}, {fitting('model')} AS package, "
            f"{fitting('price')} AS price, {fitting('score')} AS score, {fitting('model_version')} AS model_version, "
            f"run_id, predicted_at FROM ({cheapest}) ranked WHERE place = 1"
        )

    def load(self, edges: list[float], threshold: float, sampled: Sequence[str] = ()) -> Statements:
        """Stage the prediction files of one model, check them, merge them, count them, and tell some keys' scores.

        Binds `rows` (how many were sent to the model), `model`, `version`, `threshold`, `run` and `predicted_at`.
        """
        key = self.key
        newer = (
            "t.predicted_at > CAST(:predicted_at AS TIMESTAMP) OR (t.predicted_at = CAST(:predicted_at AS TIMESTAMP)"
        )
        newer = f"({newer} AND t.run_id > :run))"
        merges = [
            f"CREATE TEMP TABLE fresh ({key} {self.key_type}, model VARCHAR(64), model_version VARCHAR(32), "
            f"score DOUBLE PRECISION, decision BOOLEAN, run_id VARCHAR(128), predicted_at TIMESTAMP)",
            f"INSERT INTO fresh SELECT {key}, CAST(:model AS VARCHAR(64)), CAST(:version AS VARCHAR(32)), score, "
            f"score >= CAST(:threshold AS DOUBLE PRECISION), CAST(:run AS VARCHAR(128)), "
            f"CAST(:predicted_at AS TIMESTAMP) FROM staged",
            # What is newer in the history is newer among the predictions too, so this order needs one table.
            *self._merge(self.history, "model_version"),
            *self._merge(self.predictions),
        ]
        there = f"t.{key} = s.{key} AND t.model = :model AND (t.run_id = :run OR {newer})"
        landed = f"staged s JOIN {self.predictions} t ON {there}"
        return [
            {"sql": f"LOCK {self.loads}"},
            {"sql": f"CREATE TEMP TABLE staged ({key} {self.key_type}, score DOUBLE PRECISION)"},
            {"copy": {"table": "staged", "columns": [key, "score"], "input": "predictions"}},
            _check(
                "COUNT(*) = CAST(:rows AS BIGINT)",
                "staged",
                "the model gave another number of predictions than it got rows",
            ),
            _check(f"COUNT(*) = COUNT(DISTINCT {key})", "staged", f"a {key} is missing, or was predicted twice"),
            _check(
                "COUNT(*) = 0", "staged WHERE score IS NULL OR score < 0 OR score > 1", "a score is not from 0 to 1"
            ),
            *({"sql": sql} for sql in merges),
            _check(
                "COUNT(*) = CAST(:rows AS BIGINT)", landed, "not all predictions that were staged arrived in the table"
            ),
            {
                "sql": f"INSERT INTO {self.loads} SELECT CAST(:run AS VARCHAR(128)), CAST(:model AS VARCHAR(64)), "
                f"CAST(:version AS VARCHAR(32)), COUNT(*), CAST(:predicted_at AS TIMESTAMP), GETDATE() FROM staged "
                f"WHERE NOT EXISTS (SELECT 1 FROM {self.loads} l WHERE l.run_id = :run AND l.model = :model) "
                f"HAVING COUNT(*) > 0"
            },
            {"unload": {"query": self._figures(edges, threshold) + self._sampled(sampled), "format": "JSON"}},
        ]

    def _merge(self, table: str, *more: str) -> list[str]:
        """Merge what is fresh, less what a newer run has predicted; rows are the same by key, model and `more`."""
        on = " AND ".join(f"{table}.{name} = fresh.{name}" for name in (self.key, "model", *more))
        columns = [self.key, *COLUMNS]
        updated = ", ".join(f"{name} = fresh.{name}" for name in COLUMNS if name != "model")
        return [
            f"DELETE FROM fresh USING {table} WHERE {on} AND ({table}.predicted_at > fresh.predicted_at OR "
            f"({table}.predicted_at = fresh.predicted_at AND {table}.run_id > fresh.run_id))",
            f"MERGE INTO {table} USING fresh ON {on} WHEN MATCHED THEN UPDATE SET {updated} WHEN NOT MATCHED THEN "
            f"INSERT ({', '.join(columns)}) VALUES ({', '.join(f'fresh.{name}' for name in columns)})",
        ]

    def _figures(self, edges: list[float], threshold: float) -> str:
        """How the scores of this load are distributed: rows by bin, and how many are a yes."""
        cases = " ".join(f"WHEN score < {edge!r} THEN {place}" for place, edge in enumerate(edges))
        bins = f"CASE {cases} ELSE {len(edges)} END" if edges else "0"
        return (
            f"SELECT bin, COUNT(*) AS row_count, SUM(yes) AS yes, CAST(NULL AS VARCHAR(256)) AS sampled, "
            f"CAST(NULL AS DOUBLE PRECISION) AS score FROM (SELECT {bins} AS bin, "
            f"CASE WHEN score >= {threshold!r} THEN 1 ELSE 0 END AS yes FROM staged) scored GROUP BY bin"
        )

    def _sampled(self, keys: Sequence[str]) -> str:
        """More rows of the figures: the scores of some keys."""
        listed = ", ".join(f"'{key}'" for key in keys if _PLAIN.fullmatch(key))
        if not listed:
            return ""
        return (
            f" UNION ALL SELECT NULL, NULL, NULL, CAST({self.key} AS VARCHAR(256)) AS sampled, score FROM staged "
            f"WHERE {self.key} IN ({listed})"
        )

    def unload(
        self, query: str, first_seen: str, models: list[str], since: str | None, until: str | None
    ) -> dict[str, Any]:
        """Options of the step that unloads the rows to predict.

        Args:
            query: of the family.
            first_seen: its column that says when a row is from.
            models: those that are to predict; a row that all of them have predicted is not new. Empty: all rows are.
            since: ISO 8601; only rows first seen after it, or, with `until`, at or after it. None: no matter when.
            until: ISO 8601; only rows first seen before it, predicted or not.
        """
        whole = {"query": query, "format": "PARQUET", "manifest": True}
        if not models and until is None:
            return {"unload": whole}
        rows = f"SELECT q.* FROM (\n{query.rstrip()}\n) q"
        wanted = []
        if since is not None:
            rows += " CROSS JOIN boxcar_window w"
            wanted.append(f"q.{first_seen} {'>' if until is None else '>='} w.since")
        if until is not None:
            wanted.append(f"q.{first_seen} < w.until")
        else:
            listed = ", ".join(f"'{model}'" for model in models)
            done = f"SELECT {self.key}, COUNT(*) AS models FROM {self.predictions} WHERE model IN ({listed}) GROUP BY 1"
            rows += f" LEFT JOIN ({done}) done ON done.{self.key} = q.{self.key}"
            wanted.append(f"COALESCE(done.models, 0) < {len(models)}")
        unload = {"unload": {**whole, "query": f"{rows} WHERE {' AND '.join(wanted)}"}}
        if since is None:
            return {"transaction": [unload]}
        bounds = {"since": since} | ({"until": until} if until is not None else {})
        columns = ", ".join(f"{name} TIMESTAMP" for name in bounds)
        values = ", ".join(f"CAST(:{name} AS TIMESTAMP)" for name in bounds)
        window = [
            {"sql": f"CREATE TEMP TABLE boxcar_window ({columns})"},
            {"sql": f"INSERT INTO boxcar_window SELECT {values}"},
        ]
        return {"transaction": [*window, unload], "parameters": bounds}


def _check(check: str, of: str, words: str) -> dict[str, Any]:
    return {"check": check, "of": of, "otherwise": f"CountMismatch: {words}; nothing was loaded"}


def named(family: Family) -> Inference:
    """The family's block, with the names that it leaves out.

    Raises:
        FamilyError: the family has none.
    """
    if family.inference is None:
        raise FamilyError(
            f"inference: family {family.family} has none, so nothing can be predicted; write inference.query, see "
            f"docs/inference.md"
        )
    names = {
        "table": family.inference.table or f"{family.family}_predictions",
        "view": family.inference.view or f"{family.family}_recommended",
    }
    return family.inference.model_copy(update=names)
