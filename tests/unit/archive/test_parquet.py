"""Parquet files, read back by two readers that know nothing of the writer."""

import itertools
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxcar.parquet import BIGINT, DOUBLES, STRING, TIMESTAMP, Column, ColumnError, write

COLUMNS = (Column("text", STRING), Column("whole", BIGINT), Column("number", DOUBLES), Column("time", TIMESTAMP))
MILLISECONDS = st.integers(-(10**13), 10**13)  # years 1653 to 2286
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.none() | st.text(st.characters(exclude_categories=("Cs",))),
            "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
            "number": st.none() | st.floats(allow_nan=False),
            "time": st.none() | MILLISECONDS.map(lambda value: datetime.fromtimestamp(value / 1000, UTC)),
        }
    ),
    max_size=40,
)


numbers = itertools.count()


def milliseconds(value: datetime | None) -> int | None:
    """Both readers give times without a zone."""
    return (
        None
        if value is None
        else round((value.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
    )


def comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "time": milliseconds(row["time"])} for row in rows]


@settings(max_examples=50, deadline=None)
@given(ROWS)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    file = tmp_path_factory.getbasetemp() / f"{next(numbers)}.parquet"  # DuckDB remembers what a name held
    file.write_bytes(write(COLUMNS, rows))
    relation = duckdb.read_parquet(str(file))
    by_duckdb = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
    by_pyarrow = pq.ParquetFile(file, page_checksum_verification=True).read().to_pylist()
    assert comparable(by_duckdb) == comparable(rows)
    assert comparable(by_pyarrow) == comparable(rows)


def test_the_types_are_those_of_the_columns(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    file.write_bytes(write(COLUMNS, []))
    assert [str(kind) for kind in duckdb.read_parquet(str(file)).types] == [column.type for column in COLUMNS]
    assert [str(field.type) for field in pq.read_schema(file)] == ["string", "int64", "double", "timestamp[ms]"]


def test_many_columns_and_long_runs(tmp_path: Path) -> None:
    columns = [Column(f"column_{number}", BIGINT) for number in range(50)]
    rows = [{f"column_{number}": place for number in range(50) if (place // 300) % 2} for place in range(1000)]
    file = tmp_path / "rows.parquet"
    file.write_bytes(write(columns, rows))
    found = pq.ParquetFile(file).read().to_pylist()
    assert [row["column_49"] for row in found] == [row.get("column_49") for row in rows]


def test_not_a_number_is_a_number(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    file.write_bytes(write([Column("number", DOUBLES)], [{"number": math.nan}]))
    assert math.isnan(pq.ParquetFile(file).read().to_pylist()[0]["number"])


def test_equal_rows_give_equal_bytes() -> None:
    rows = [{"text": "a", "time": datetime(2026, 1, 1, tzinfo=UTC)}]
    assert write(COLUMNS, rows) == write(COLUMNS, rows)


@pytest.mark.parametrize(
    ("name", "value"),
    [("text", 5), ("text", "\ud800"), ("whole", 2**63), ("whole", "5"), ("number", "x"), ("time", 5.0)],
)
def test_what_a_column_cannot_hold_is_named(name: str, value: Any) -> None:
    with pytest.raises(ColumnError, match=f"column {name}, row 1: .* is no "):
        write(COLUMNS, [{}, {name: value}])
