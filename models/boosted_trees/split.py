"""Split: the rows to predict, as files that the transform takes. A processing job.

Inputs: config, data (Parquet, as the warehouse unloaded it). Outputs: files (`files/<set>/part-00000.parquet`, key
first, then what the models of the set read), rejects (the rows that cannot be predicted, and why), counts
(counts.json). Models that can read the same files share them: the plan says which set each reads. Rows stream through
in batches, so memory does not grow with them.

Columns go through the same door as in training (`columns.canonical`), so a value is read here as it was there. What
cannot be a value is rejected row by row; a column that is missing is an error that names it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from columns import KEY, canonical, texts
from container import Folders, InputError, run, write_json
from distributions import count
from rejects import Rejects
from rows import parquet_files

BATCH_ROWS = 16_384
Counted = dict[str, dict[str, Any]]  # of one batch: column and bins -> counts
SAME = 1e-6  # relative; numbers of a sample row that differ by less are the same number


def split(folders: Folders) -> None:
    """Write files, rejects and counts.

    Raises:
        InputError: a column that a model was trained with is missing, or two models read one in different ways.
    """
    config = folders.config()
    models, key, first_seen = config["models"], config["key"], config["first_seen"]
    inputs = _inputs(models)
    writers = _writers(folders.output("files"), models, config)
    rejects = Rejects(folders.output("rejects") / "rejects.csv", config)
    skew = {name: Skew(model) for name, model in models.items()}
    features = {name: Features(model) for name, model in models.items()}
    rows, newest = 0, None
    for batch in _batches(folders.input("data"), key, first_seen, models, inputs):
        rows += batch.num_rows
        good = rejects.sort_out(batch, inputs)
        if good.num_rows == 0:
            continue
        newest = _later(newest, good.column(first_seen))
        table = canonical(good, inputs).append_column(KEY, texts(good.column(key), key))
        for writer in writers.values():
            writer.write(table)
        counted: Counted = {}
        for name in models:
            skew[name].compare(table)
            features[name].count(table, counted)
    files = {place: writer.close() for place, writer in writers.items()}
    counts = {
        "schema": 1,
        "rows": rows,
        "rejected": rejects.rows,
        "rejected_before": rejects.before,
        "rejects": dict(rejects.reasons),
        "first_seen": newest,
        "models": {
            name: {
                "rows": writers[model["files"]].rows,
                "files": files[model["files"]],
                "features": features[name].counts,
                "skew": skew[name].document(),
            }
            for name, model in models.items()
        },
    }
    rejects.close()
    write_json(folders.output("counts") / "counts.json", counts)
    print(f"{config['family']}: {rows} rows, {rejects.rows} rejected {dict(rejects.reasons)}")


class Writer:
    """The files of one set, each about as large as the transform should get: CSV on disk, Parquet in memory."""

    def __init__(self, folder: Path, inputs: dict[str, str], config: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._columns = [KEY, *inputs]
        self._types = pa.schema(
            [(KEY, pa.string())]
            + [(name, pa.float64() if kind == "numeric" else pa.string()) for name, kind in inputs.items()]
        )
        self._format, self._target = config["format"], int(config["target_mb"] * 2**20)
        self._files: list[dict[str, Any]] = []
        self._sink: Any = None
        self._writer: Any = None
        self._size = 0  # bytes of the present file's rows
        self.rows = 0

    def write(self, table: pa.Table) -> None:
        """Add rows, in a new file if the present one is large enough."""
        if self._writer is None:
            self._open()
        chosen = table.select(self._columns)
        self._writer.write_table(chosen)
        self._files[-1]["rows"] += chosen.num_rows
        self.rows += chosen.num_rows
        # A request holds a whole Parquet file, so it is the rows in memory that must not be too many.
        self._size = self._size + chosen.nbytes if self._format == "parquet" else self._sink.tell()
        if self._size >= self._target:
            self._end_file()

    def close(self) -> list[dict[str, Any]]:
        """What was written: name, rows and bytes of each file."""
        self._end_file()
        return self._files

    def _open(self) -> None:
        path = self._folder / f"part-{len(self._files):05d}.{self._format}"
        self._sink = pa.OSFile(str(path), "wb")
        if self._format == "parquet":
            self._writer = pq.ParquetWriter(self._sink, self._types, compression="snappy")
        else:
            options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")
            self._writer = pyarrow.csv.CSVWriter(self._sink, self._types, write_options=options)
        self._files.append({"name": path.name, "rows": 0, "bytes": 0})
        self._size = 0

    def _end_file(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._sink.close()
            self._files[-1]["bytes"] = (self._folder / self._files[-1]["name"]).stat().st_size
            self._writer = None


class Features:
    """Rows in the bins that training described a model's features with."""

    def __init__(self, model: dict[str, Any]) -> None:
        self._bins: dict[str, tuple[str, dict[str, Any]]] = {}
        for name, bins in model["features"].items():
            if name in model["inputs"]:  # others are scores of other models, which nobody knows yet
                kind = {"values": bins["values"]} if bins.get("values") is not None else {"edges": bins["edges"]}
                self._bins[name] = json.dumps([name, kind]), kind
        self.counts: dict[str, dict[str, Any]] = {}

    def count(self, table: pa.Table, counted: Counted) -> None:
        """Add a batch. Models that were trained on the same rows have the same bins: `counted` is what others found."""
        for name, (bins, kind) in self._bins.items():
            if bins not in counted:
                counted[bins] = count(table.column(name), kind)
            found = counted[bins]
            before = self.counts.setdefault(name, {"counts": [0] * len(found["counts"]), "missing": 0})
            before["counts"] = [a + b for a, b in zip(before["counts"], found["counts"], strict=True)]
            before["missing"] += found["missing"]


class Skew:
    """Rows that the model was judged on and that come again: are the values the same that it was judged with?"""

    def __init__(self, model: dict[str, Any]) -> None:
        self._sample = {row["key"]: row["values"] for row in model.get("sample") or []}
        self._keys = pa.array(list(self._sample), pa.string())
        self._columns = list(model["inputs"])
        self._rows = 0
        self._differ: Counter[str] = Counter()
        self._examples: dict[str, dict[str, Any]] = {}
        self._changed: list[str] = []

    def compare(self, table: pa.Table) -> None:
        """Look for rows of the sample in a batch."""
        if not self._sample:
            return
        found = table.filter(pc.is_in(table.column(KEY), value_set=self._keys))
        for row in found.to_pylist():
            self._rows += 1
            known = self._sample[row[KEY]]
            differ = [name for name in self._columns if not _same(known.get(name), row[name])]
            if differ:
                self._changed.append(row[KEY])
            for name in differ:
                self._differ[name] += 1
                example = {"key": row[KEY], "training": known.get(name), "serving": row[name]}
                self._examples.setdefault(name, example)

    def document(self) -> dict[str, Any]:
        """How many sample rows came, in how many of them each column differs, and which rows those are."""
        return {
            "rows": self._rows,
            "differ": dict(self._differ),
            "examples": self._examples,
            "changed": self._changed,
        }


def _same(before: Any, now: Any) -> bool:
    if isinstance(before, int | float) and isinstance(now, int | float):
        return math.isclose(before, now, rel_tol=SAME, abs_tol=SAME)
    return bool(before == now)


def _inputs(models: dict[str, dict[str, Any]]) -> dict[str, str]:
    """All columns that any model reads."""
    inputs: dict[str, str] = {}
    for name, model in models.items():
        for column, kind in model["inputs"].items():
            if inputs.setdefault(column, kind) != kind:
                raise InputError(
                    f"column {column!r} is {inputs[column]} to one model and {kind} to {name}; train the family again"
                )
    return inputs


def _writers(folder: Path, models: dict[str, dict[str, Any]], config: dict[str, Any]) -> dict[str, Writer]:
    """A writer for each set of files, with the columns that any of its models reads."""
    sets: dict[str, dict[str, dict[str, Any]]] = {}
    for name, model in models.items():
        sets.setdefault(model["files"], {})[name] = model
    return {place: Writer(folder / place, _inputs(sharing), config) for place, sharing in sets.items()}


def _batches(
    folder: Path, key: str, first_seen: str, models: dict[str, dict[str, Any]], inputs: dict[str, str]
) -> Iterator[pa.Table]:
    wanted = list(dict.fromkeys([key, first_seen, *inputs]))
    for path in parquet_files(folder):
        try:
            with pq.ParquetFile(path) as file:
                there = file.schema_arrow.names
                for column in wanted:
                    if column not in there:
                        raise InputError(_lacks(path, column, models, there))
                for batch in file.iter_batches(BATCH_ROWS, columns=wanted):
                    yield pa.Table.from_batches([batch])
        except (pa.ArrowInvalid, OSError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{folder.name}/{path.name} is not a complete Parquet file ({reason})") from None


def _lacks(path: Path, column: str, models: dict[str, dict[str, Any]], there: list[str]) -> str:
    readers = ", ".join(name for name, model in models.items() if column in model["inputs"])
    why = f"model {readers} was trained with it" if readers else "the key and first_seen are needed"
    return f"{path.name} has no column {column!r}: {why}; select it in inference.query. It has: {', '.join(there)}"


def _later(newest: str | None, column: pa.ChunkedArray) -> str | None:
    moment = pc.max(column.cast(pa.timestamp("us"))).as_py()
    if moment is None:
        return newest
    text = moment.isoformat(sep=" ", timespec="microseconds")
    return text if newest is None or text > newest else newest


if __name__ == "__main__":
    folders = Folders(__file__)
    run(lambda: split(folders), lambda: folders.message)
