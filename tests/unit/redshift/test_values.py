"""UNLOAD and COPY on one warehouse that stays: what is wrong is named, and any value survives the way to S3 and back."""

import datetime as dt
import json
import uuid
from decimal import Decimal

import boto3
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from local.redshift.service import RedshiftData
from tests.unit.redshift.conftest import ROLE, TRUST, Caller, FakeCloud


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="data-bucket")
        boto3.client("iam").create_role(RoleName="warehouse", AssumeRolePolicyDocument=json.dumps(TRUST))
        cloud = FakeCloud(tmp_path_factory.mktemp("cloud"))
        service = RedshiftData(cloud, default_role=ROLE)
        db = Caller(cloud, service)
        db.ok("CREATE TABLE u (a INT)")
        db.ok(
            "CREATE TABLE many (n INT, i BIGINT, d DECIMAL(18,4), f DOUBLE PRECISION, s VARCHAR(200), b BOOLEAN, t TIMESTAMP, e DATE)"
        )
        db.ok("CREATE TABLE back (LIKE many)")
        yield db
        service.close()


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UNLOAD ('SELECT 1 a LIMIT 5') TO 's3://data-bucket/x/' IAM_ROLE default", "Limit clause is not supported in the outer select"),
        ("UNLOAD ('DELETE FROM t') TO 's3://data-bucket/x/' IAM_ROLE default", "UNLOAD needs a SELECT"),
        ("UNLOAD ('SELECT 1 a') TO 's3://data-bucket/x/'", "requires credentials"),
        ("UNLOAD ('SELECT 1 a') TO 'data-bucket/x/' IAM_ROLE default", "must look like s3://bucket/prefix"),
        ("UNLOAD ('SELECT 1 a') TO 's3://data-bucket/x/' IAM_ROLE 'me'", "Invalid credentials"),
        ("UNLOAD ('SELECT 1 a') TO 's3://data-bucket/x/' IAM_ROLE default ENCRYPTED", "UNLOAD … ENCRYPTED is not supported"),
        ("UNLOAD ('SELECT 1 a') TO 's3://data-bucket/x/' IAM_ROLE default FORMAT ORC", "FORMAT ORC is not supported"),
        ("UNLOAD ('SELECT 1 a') TO 's3://data-bucket/x/' IAM_ROLE default PARQUET GZIP", "compressed already"),
        ("UNLOAD ('SELECT 1 a') TO 's3://data-bucket/x/' IAM_ROLE default PARQUET PARTITION BY (b)", '"b" is not in the query'),
        ("UNLOAD ('SELECT 1 a') TO 's3://data-bucket/x/' IAM_ROLE default PARQUET PARTITION BY (a)", "All columns are partition columns"),
        ("UNLOAD ('SELECT 1 a, 2 a') TO 's3://data-bucket/x/' IAM_ROLE default PARQUET", '"a" specified more than once'),
        ("UNLOAD ('SELECT b FROM nowhere') TO 's3://data-bucket/x/' IAM_ROLE default", 'relation "nowhere" does not exist'),
        ("UNLOAD SELECT 1", 'syntax error at or near "unload"'),
        ("UNLOAD ('SELECT 1 a') TO 's3://no-such-bucket/x/' IAM_ROLE default", "S3ServiceException:"),
        ("COPY t FROM 's3://data-bucket/x/' IAM_ROLE default CSV", 'relation "t" does not exist'),
        ("COPY u FROM 's3://data-bucket/none/' IAM_ROLE default CSV", "The specified S3 prefix 'none/' does not exist"),
        ("COPY u FROM 's3://data-bucket/none' IAM_ROLE default CSV MANIFEST", "Error NoSuchKey"),
        ("COPY u FROM 's3://data-bucket/x/' IAM_ROLE default AVRO 'auto'", "COPY … AVRO is not supported"),
        ("COPY u FROM 's3://data-bucket/x/' IAM_ROLE default CSV MAXERROR 5", "MAXERROR other than 0 is not supported"),
        ("COPY u FROM 's3://data-bucket/x/' CSV", "requires credentials"),
        ("COPY u FROM 's3://data-bucket/x/' IAM_ROLE default JSON 's3://data-bucket/paths'", "with a JSONPaths file or another case, is not supported"),
        ("COPY u (nothing) FROM 's3://data-bucket/x/' IAM_ROLE default CSV", 'column "nothing" of relation "u" does not exist'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(db, sql, words):
    error = db.error(sql)
    assert error.startswith("ERROR: ")
    assert words in error


# Any value survives the way to S3 and back

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=30).filter(
    lambda s: s.strip()
)
ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.decimals(-(10**10), 10**10, places=4, allow_nan=False, allow_infinity=False),
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.none() | TEXT,
        st.none() | st.booleans(),
        st.none() | st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)),
        st.none() | st.dates(dt.date(1900, 1, 1), dt.date(2200, 1, 1)),
    ),
    min_size=1,
    max_size=8,
)


def literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    if isinstance(value, float):
        return f"'{value!r}'::DOUBLE PRECISION"
    return f"'{value}'"


@pytest.mark.parametrize("form", ["PARQUET", "CSV", "JSON"])
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(rows=ROWS)
def test_any_value_survives(db, form, rows):
    values = ", ".join(f"({number}, {', '.join(literal(value) for value in row)})" for number, row in enumerate(rows))
    null = "" if form == "PARQUET" or form == "JSON" else " NULL AS 'no such value'"
    prefix = f"s3://data-bucket/any/{uuid.uuid4().hex}/"
    done = db.batch(
        "DELETE FROM many",
        "DELETE FROM back",
        f"INSERT INTO many VALUES {values}",
        f"UNLOAD ('SELECT * FROM many') TO '{prefix}' IAM_ROLE default FORMAT AS {form}{null}",
        f"COPY back FROM '{prefix}' IAM_ROLE default FORMAT AS {form}{null}",
        "SELECT COUNT(*) FROM (SELECT * FROM many MINUS SELECT * FROM back)",
        "SELECT i, d, f, s, b FROM back ORDER BY n",
    )
    assert done["Status"] == "FINISHED", done.get("Error")
    assert db.result(done["Id"] + ":6") == [(0,)]
    back = db.result(done["Id"])
    assert [(i, d and Decimal(d), f, s, b) for i, d, f, s, b in back] == [tuple(row[:5]) for row in rows]
