"""Prepare: check the rows of one model, split them, learn the categories. A processing job.

Inputs: config, data (Parquet, as the warehouse unloaded it), upstream_<u> (model.tar.gz) for each model u whose
predictions are features. Outputs: train, validation (Parquet), serving (CSV), schema.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from columns import Schema, canonical, draw, score_column, slice_column, texts
from container import Folders, InputError, run
from rows import count_labels, labels, read_parquet, unique_keys

if TYPE_CHECKING:
    from trained import Trained

# A category of fewer training rows says nothing that holds next week; it trains what OTHER means instead.
MINIMUM_CATEGORY_ROWS = 10


def prepare(folders: Folders) -> None:
    """Turn the rows of the unload into what train, predict and evaluate read.

    Raises:
        InputError: naming file, column or label, what was found, and what to write instead.
    """
    config = folders.config()
    key, label, features = config["key"], config["label"], config["features"]
    upstream = {model: _load_upstream(folders, model) for model in config["upstream"]}
    inputs = _inputs(features, upstream)

    sliced = [config["fairness"]["slice"]] if config.get("fairness") else []
    table = read_parquet(folders.input("data"), list(dict.fromkeys([key, label, *inputs, *sliced])))
    keys, values = unique_keys(table, key), labels(table, label)
    labelled = ~np.isnan(values)
    _check_rows(config, values[labelled])

    rows = canonical(table, inputs)
    # Rows come from the warehouse in any order; the draw puts them in one that only the keys decide.
    chance = draw(keys, "validation")
    order = np.argsort(chance, kind="stable")
    order = order[labelled[order]]
    held_out = int((chance[order] < config["validation_ratio"]).sum())
    parts = {"train": order[held_out:], "validation": order[:held_out]}
    counts = {name: count_labels(values[part]) for name, part in parts.items()}
    _check_classes(config, counts)

    own = [*features["numeric"], *(score_column(model) for model in upstream), *features["categorical"]]
    for name, part in parts.items():
        columns = {key: keys.take(part), label: pa.array(values[part].astype(np.int8))}
        if name == "validation":  # a column need not be a feature for its values to be treated alike
            columns |= {slice_column(column): texts(table.column(column), column).take(part) for column in sliced}
        scored = _add_scores(rows.take(part), upstream)
        chosen = pa.table({**columns, **{column: scored.column(column) for column in own}})
        pq.write_table(chosen, folders.output(name) / f"{name}.parquet")

    train, validation = parts.values()
    _write_csv(
        pa.table({key: keys.take(validation)} | {column: rows.column(column).take(validation) for column in inputs}),
        folders.output("serving") / "validation.csv",
    )
    without_label = len(labelled) - len(order)
    Schema(
        key=key,
        label=label,
        numeric=features["numeric"],
        categorical=features["categorical"],
        upstream=config["upstream"],
        categories={column: _categories(rows.column(column).take(train)) for column in features["categorical"]},
        inputs=inputs,
        rows={"train": len(train), "validation": len(validation), "dropped_without_label": without_label},
        labels=counts,
    ).save(folders.output("schema"))
    print(
        f"{config['model']}: {len(train)} rows to train, {len(validation)} to validate, "
        f"{without_label} dropped because {label!r} is null"
    )


def _load_upstream(folders: Folders, model: str) -> Trained:
    """Unpack an upstream model into the schema output, from where training takes it along."""
    from trained import Trained, unpack  # and with it XGBoost, which takes longer to load than all else here

    archive = folders.input(f"upstream_{model}") / "model.tar.gz"
    return Trained.load(unpack(archive, folders.output("schema") / "upstream" / model))


def _add_scores(rows: pa.Table, upstream: dict[str, Trained]) -> pa.Table:
    if not upstream:
        return rows
    from trained import add_scores

    return add_scores(rows, upstream)


def _inputs(features: dict[str, list[str]], upstream: dict[str, Trained]) -> dict[str, str]:
    """All columns to read, own ones first, each numeric or categorical."""
    inputs = dict.fromkeys(features["numeric"], "numeric") | dict.fromkeys(features["categorical"], "categorical")
    for model, trained in upstream.items():
        for column, kind in trained.schema.inputs.items():
            if inputs.setdefault(column, kind) != kind:
                raise InputError(
                    f"column {column!r} is {inputs[column]} here, but model {model}, whose predictions are used, was "
                    f"trained with it as {kind}; list it the same way in the features of both"
                )
    return inputs


def _check_rows(config: dict[str, Any], values: np.ndarray) -> None:
    if len(values) < config["minimum_rows"]:
        raise InputError(
            f"{_who(config)}: only {len(values)} rows have a label {config['label']!r}, fewer than source.minimum_rows "
            f"({config['minimum_rows']}); check source.query, or lower the minimum if so few are meant"
        )


def _check_classes(config: dict[str, Any], counts: dict[str, dict[str, int]]) -> None:
    total = {value: sum(part[value] for part in counts.values()) for value in ("0", "1")}
    for value, other in (("0", "1"), ("1", "0")):
        if not total[other]:
            raise InputError(
                f"{_who(config)}: label column {config['label']!r} holds only {value} ({total[value]} rows), and a "
                f"model needs rows of both classes; check source.query for a filter on the label, or leave the model "
                f"out of the run"
            )
        for name, part in counts.items():
            if not part[other]:
                raise InputError(
                    f"{_who(config)}: the {name} rows ({sum(part.values())}) hold no {other} in label column "
                    f"{config['label']!r} ({total[other]} in all); get more rows of that class, or change "
                    f"validation.ratio ({config['validation_ratio']})"
                )


def _who(config: dict[str, Any]) -> str:
    return f"family {config['family']}, model {config['model']}"


def _categories(column: pa.ChunkedArray) -> list[str]:
    """The names that come often enough to be learned, by falling frequency, equals by name."""
    counts = [(item["values"], item["counts"]) for item in pc.value_counts(column.drop_null()).to_pylist()]
    frequent = [(-count, name) for name, count in counts if count >= MINIMUM_CATEGORY_ROWS]
    return [name for _, name in sorted(frequent)]


def _write_csv(table: pa.Table, path: Path) -> None:
    """Write lines without a header, as a caller would send them. Missing is nothing between two commas."""
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")
    pyarrow.csv.write_csv(table, path, options)


if __name__ == "__main__":
    folders = Folders(__file__)
    run(lambda: prepare(folders), lambda: folders.message)
