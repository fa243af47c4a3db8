"""Parquet files of rows: whatever the rows hold, two readers find it again; nothing else is reached or written."""

import json
import math
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxcar.archive import BIGINT, DOUBLES, DUCKDB, STRING, TIMESTAMP, Column, ColumnError, parquet

COLUMNS = (Column("text", STRING), Column("whole", BIGINT), Column("number", DOUBLES), Column("time", TIMESTAMP))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.none() | st.text(st.characters(exclude_categories=("Cs",))),
            "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
            "number": st.none() | st.floats(allow_nan=False),
            "time": st.none() | st.datetimes(timezones=st.just(UTC)),
        }
    ),
    max_size=40,
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parquet") / "rows.parquet"


@settings(max_examples=15, deadline=None)
@given(ROWS)
def test_what_is_written_is_read(file: Path, rows: list[dict[str, Any]]) -> None:
    file.write_bytes(parquet(COLUMNS, rows))
    expected = [{**row, "time": row["time"] and row["time"].replace(tzinfo=None)} for row in rows]
    with duckdb.connect() as connection:  # each anew: DuckDB remembers what a name held
        relation = connection.read_parquet(str(file))
        assert [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()] == expected
    assert pq.ParquetFile(file).read().to_pylist() == expected


def test_text_that_looks_like_something_else_stays_text(file: Path) -> None:
    rows = [
        {"text": text} for text in ("2026-01-01", "5", "null", "", "[1]", '{"a": 1}', '"', "a\nb", "\x00", "\ufeffa")
    ]
    file.write_bytes(parquet(COLUMNS, rows))
    assert [row["text"] for row in pq.ParquetFile(file).read().to_pylist()] == [row["text"] for row in rows]


def test_the_types_are_those_of_the_columns(file: Path) -> None:
    file.write_bytes(parquet(COLUMNS, []))
    with duckdb.connect() as connection:
        assert [str(kind) for kind in connection.read_parquet(str(file)).types] == [c.type for c in COLUMNS]
    assert [str(field.type) for field in pq.read_schema(file)] == ["string", "int64", "double", "timestamp[us]"]


def test_many_rows_stay_in_their_order(file: Path) -> None:
    file.write_bytes(parquet(COLUMNS, [{"whole": place, "text": "x" * 5000} for place in range(1000)]))
    assert [row["whole"] for row in pq.ParquetFile(file).read().to_pylist()] == list(range(1000))


def test_a_row_as_large_as_an_item_can_be(file: Path) -> None:
    """An item of 400 KB, all of it control characters, which JSON writes as six; DuckDB takes lines of 16 MB."""
    text = json.dumps("\x01" * 400_000)
    file.write_bytes(parquet(COLUMNS, [{"text": text}]))
    assert pq.ParquetFile(file).read().to_pylist()[0]["text"] == text


def test_not_a_number_is_a_number(file: Path) -> None:
    file.write_bytes(parquet(COLUMNS, [{"number": math.nan}]))
    assert math.isnan(pq.ParquetFile(file).read().to_pylist()[0]["number"])


def test_equal_rows_give_equal_bytes_in_another_process_too() -> None:
    program = (
        "import sys; from datetime import UTC, datetime; from boxcar.archive import COLUMNS, parquet\n"
        "values = {'VARCHAR': 'größe', 'BIGINT': 5, 'DOUBLE': 0.1, 'TIMESTAMP': datetime(2026, 1, 1, tzinfo=UTC)}\n"
        "rows = [{c.name: values[c.type] if n % 3 else None for c in COLUMNS} for n in range(100)]\n"
        "sys.stdout.buffer.write(parquet(COLUMNS, rows))"
    )
    runs = [subprocess.run([sys.executable, "-c", program], capture_output=True, check=True) for _ in range(2)]
    assert runs[0].stdout == runs[1].stdout != b""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("text", 5), ("text", "\ud800"), ("whole", 2**63), ("whole", "5"), ("whole", True), ("whole", 1.5)],
        *[("number", "x"), ("number", 10**400), ("time", 5.0), ("time", datetime(2026, 1, 1))],
    ],
)
def test_what_a_column_cannot_hold_is_named(name: str, value: Any) -> None:
    with pytest.raises(ColumnError, match=f"column {name}, row 1: .* is no "):
        parquet(COLUMNS, [{}, {name: value}])


def test_nothing_is_left_in_the_folder_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    parquet(COLUMNS, [{"text": "a"}])
    assert list(tmp_path.iterdir()) == []


def test_the_network_is_out_of_reach() -> None:
    with duckdb.connect(config=DUCKDB) as connection, pytest.raises(duckdb.Error, match="httpfs"):
        connection.read_parquet("s3://data/rows.parquet")
