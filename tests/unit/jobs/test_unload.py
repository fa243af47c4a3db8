"""The SQL of an unload keeps the query's meaning, whatever is in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxcar.errors import StepError
from boxcar.kinds.statement import unload_sql

TARGET = "s3://data/runs/run-1/_run/unload/1/data/"
ROLE = "arn:aws:iam::123456789012:role/boxcar-warehouse"


def _quoted(sql: str) -> str:
    """The query as Redshift reads it, or an assertion that the statement is not one UNLOAD with one query."""
    start, end = "UNLOAD (", f") TO '{TARGET}' IAM_ROLE '{ROLE}' FORMAT PARQUET"
    assert sql.startswith(start) and sql.endswith(end)
    inside = sql[len(start) : -len(end)]
    if inside.startswith("$$"):
        assert inside.endswith("$$") and "$$" not in inside[2:-2]
        return inside[2:-2]
    assert inside[0] == inside[-1] == "'"
    read, rest = "", inside[1:-1]
    while rest:
        if rest[0] in "'\\":
            assert rest[:2] == rest[0] * 2, "an unescaped quote or backslash"
            rest = rest[1:]
        read, rest = read + rest[0], rest[1:]
    return read


@given(st.text(alphabet="ab '$\\;-\n\"", max_size=30).filter(lambda text: text.strip("; \n")))
def test_the_query_comes_out_as_it_went_in(query: str) -> None:
    read = _quoted(unload_sql(query, TARGET, ROLE))
    assert read.strip() == query.strip().rstrip(";").strip()
    assert read.endswith("\n"), "a closing comment would hide what follows"


def test_plain_queries_stay_readable() -> None:
    sql = unload_sql("select 'it''s' as a;", TARGET, "")
    assert sql == f"UNLOAD ($$\nselect 'it''s' as a\n$$) TO '{TARGET}' IAM_ROLE default FORMAT PARQUET"


@pytest.mark.parametrize(
    "target", ["s3://data/it's/", "s3://data", "/tmp/x", "s3://data/a b/", "s3://data/x' IAM_ROLE '"]
)
def test_targets_that_could_break_out_are_refused(target: str) -> None:
    with pytest.raises(StepError, match="is not an S3 prefix"):
        unload_sql("select 1", target, ROLE)


def test_a_role_that_is_none_is_refused() -> None:
    with pytest.raises(StepError, match="BOXCAR_WAREHOUSE_ROLE_ARN"):
        unload_sql("select 1", TARGET, "default' --")
