"""The rows to predict that cannot be predicted: sorted out, counted by reason, written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from columns import texts


class Rejects:
    """Rows that cannot be predicted, each with the first reason.

    Attributes:
        rows: how many.
        before: those of them that were first seen up to the watermark: the runs before have counted most of them.
        reasons: rows by reason.
    """

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self._path, self._key, self._first_seen, self._ranges = (
            path,
            config["key"],
            config["first_seen"],
            config["ranges"],
        )
        self._latest, self._watermark = _moment(config["latest"]), _moment(config["watermark"])
        self._writer: Any = None
        self.rows = self.before = 0
        self.reasons: Counter[str] = Counter()

    def sort_out(self, batch: pa.Table, inputs: dict[str, str]) -> pa.Table:
        """The good rows of a batch; the others are written down."""
        reason = pa.nulls(batch.num_rows, pa.string())
        for bad, words in self._faults(batch, inputs):
            fresh = pc.and_(pc.fill_null(bad, False), pc.is_null(reason))
            reason = pc.if_else(fresh, pa.scalar(words), reason)
        if reason.null_count == batch.num_rows:
            return batch
        is_good = pc.is_null(reason)
        rejected = batch.filter(pc.invert(is_good))
        self._write(rejected, reason.drop_null() if hasattr(reason, "drop_null") else reason)
        return batch.filter(is_good)

    def close(self) -> None:
        """Finish the file; there is one even if nothing was rejected."""
        if self._writer is None:
            self._path.write_bytes(b"")
        else:
            self._writer.close()

    def _faults(self, batch: pa.Table, inputs: dict[str, str]) -> Iterator[tuple[Any, str]]:
        keys = texts(batch.column(self._key), self._key)
        yield pc.is_null(keys).combine_chunks(), f"{self._key} is missing"
        late = pc.greater_equal(self._seen(batch), self._latest)
        yield late.combine_chunks(), f"{self._first_seen} is in the future, at or after {self._latest}"
        for name, kind in inputs.items():
            column = batch.column(name)
            if kind != "numeric" or not (pa.types.is_floating(column.type) or name in self._ranges):
                continue
            values = column.cast(pa.float64(), safe=False)
            yield pc.is_inf(values).combine_chunks(), f"{name} is infinite"
            if name in self._ranges:
                least, most = self._ranges[name]
                outside = pc.or_(pc.less(values, least), pc.greater(values, most))
                yield outside.combine_chunks(), f"{name} is not from {least:g} to {most:g}"

    def _write(self, rejected: pa.Table, reasons: pa.Array) -> None:
        self.rows += rejected.num_rows
        self.before += pc.sum(pc.less_equal(self._seen(rejected), self._watermark)).as_py() or 0
        self.reasons.update(reasons.to_pylist())
        table = rejected.append_column("reason", reasons.cast(pa.string()))
        if self._writer is None:
            self._writer = pyarrow.csv.CSVWriter(str(self._path), table.schema)
        self._writer.write_table(table)

    def _seen(self, batch: pa.Table) -> pa.ChunkedArray:
        return batch.column(self._first_seen).cast(pa.timestamp("us"))


def _moment(text: str | None) -> pa.Scalar:
    return pa.scalar(datetime.fromisoformat(text) if text else None, pa.timestamp("us"))
