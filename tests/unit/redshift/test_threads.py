"""Statements about many rows, and they alone, have more than one thread."""

from collections.abc import Iterator

import duckdb
import pytest

from local.redshift.threads import MANY, Threads, rows_of

THREADS = 3


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """A table of many rows, a view of a view of it, and a small table."""
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(f"CREATE TABLE sales AS SELECT range AS id FROM range({MANY})")
        connection.execute("CREATE VIEW Recent AS SELECT * FROM sales WHERE id > 5")
        connection.execute("CREATE VIEW newest AS SELECT * FROM recent")
        connection.execute("CREATE TABLE shops AS SELECT 1 AS id")
        yield connection


def threads_of(database: duckdb.DuckDBPyConnection) -> int:
    return int(database.execute("SELECT current_setting('threads')").fetchall()[0][0])


@pytest.mark.parametrize(
    ("sql", "rows"),
    [("DELETE FROM SALES", MANY), ('SELECT * FROM "newest" n', MANY), ("SELECT * FROM shops", 1), ("SELECT 1", 0)],
)
def test_rows_are_those_of_the_largest_table_that_is_named(
    database: duckdb.DuckDBPyConnection, sql: str, rows: int
) -> None:
    assert rows_of(database, sql) == rows


def test_a_statement_about_many_rows_has_more_threads_until_the_last_such_has_ended(
    database: duckdb.DuckDBPyConnection,
) -> None:
    threads = Threads(THREADS)
    with threads.running(database, "dev", "SELECT * FROM shops") as tell:
        assert threads_of(database) == 1
        with threads.running(database, "dev", "SELECT COUNT(*) FROM newest"):
            assert threads_of(database) == THREADS
            tell(MANY)  # what was copied was more than the tables had
        assert threads_of(database) == THREADS
    assert threads_of(database) == 1


def test_a_statement_that_fails_gives_its_threads_back(database: duckdb.DuckDBPyConnection) -> None:
    threads = Threads(THREADS)
    with pytest.raises(duckdb.ConversionException), threads.running(database, "dev", "SELECT 'x'::INT FROM sales"):
        database.execute("BEGIN")
        database.execute("SELECT 'x'::INT FROM sales").fetchall()
    assert database.execute("ROLLBACK") and threads_of(database) == 1
