"""Rows to S3 and back: formats, names of files, what is there already, roles, manifests, and files that are wrong."""

import gzip
import io
import json
import uuid

import boto3
import duckdb
import pytest

from local.redshift.service import RedshiftData
from tests.unit.redshift.conftest import ROLE, TRUST, Caller

pytestmark = pytest.mark.usefixtures("s3")

OUT = "s3://data-bucket/out/"
FORMATS = ["PARQUET", "CSV", "JSON", "CSV GZIP", "JSON GZIP", "CSV DELIMITER ';' HEADER", "DELIMITER '|' ADDQUOTES"]


def keys(s3, prefix="out/"):
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket="data-bucket", Prefix=prefix).get("Contents", [])]


def body(s3, key):
    return s3.get_object(Bucket="data-bucket", Key=key)["Body"].read()


def parquet(s3, key, tmp_path):
    path = tmp_path / uuid.uuid4().hex
    path.write_bytes(body(s3, key))
    return duckdb.sql(f"FROM read_parquet('{path}')")


@pytest.fixture
def numbers(db):
    db.ok("CREATE TABLE t AS WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 100) "
          "SELECT i, i % 3 AS m, 'n' || i AS name FROM r")  # fmt: skip
    return db


def test_each_slice_writes_a_file(numbers, s3, tmp_path):
    done = numbers.ok(f"UNLOAD ('SELECT i, name FROM t') TO '{OUT}' IAM_ROLE default FORMAT AS PARQUET")
    assert done["ResultRows"] == 100
    assert keys(s3) == ["out/0000_part_00.parquet", "out/0001_part_00.parquet"]
    rows = [row for key in keys(s3) for row in parquet(s3, key, tmp_path).fetchall()]
    assert sorted(rows) == [(i, f"n{i}") for i in range(1, 101)]


def test_an_order_is_kept(numbers, s3, tmp_path):
    numbers.ok(f"UNLOAD ('SELECT i FROM t ORDER BY i DESC') TO '{OUT}' IAM_ROLE default PARQUET")
    rows = [row[0] for key in keys(s3) for row in parquet(s3, key, tmp_path).fetchall()]
    assert rows == list(range(100, 0, -1))


def test_parallel_off_writes_one_file(numbers, s3):
    numbers.ok(f"UNLOAD ('SELECT i FROM t') TO '{OUT}' IAM_ROLE default PARQUET PARALLEL OFF")
    assert keys(s3) == ["out/0000_part_00.parquet"]


@pytest.mark.parametrize(
    "options", ["PARQUET", "PARQUET PARTITION BY (m)", "CSV", "JSON PARALLEL OFF", "CSV HEADER PARALLEL OFF"]
)
def test_no_rows_write_no_data(numbers, s3, cloud, options):
    done = numbers.ok(
        f"UNLOAD ('SELECT i, m FROM t WHERE i < 0') TO '{OUT}' IAM_ROLE default {options}", WithEvent=True
    )
    assert done["ResultRows"] == 0
    assert keys(s3) == []
    assert cloud.events[-1]["detail"]["rows"] == 0


def test_partitions_are_folders(numbers, s3, tmp_path):
    numbers.ok("UPDATE t SET m = NULL WHERE m = 2")
    numbers.ok(f"UNLOAD ('SELECT i, m FROM t') TO '{OUT}' IAM_ROLE default PARQUET PARTITION BY (m)")
    assert {key.rsplit("/", 1)[0] for key in keys(s3)} == {"out/m=0", "out/m=1", "out/m=__HIVE_DEFAULT_PARTITION__"}
    table = parquet(s3, keys(s3, "out/m=1/")[0], tmp_path)
    assert table.columns == ["i"]
    assert all(row[0] % 3 == 1 for row in table.fetchall())


def test_partition_columns_are_kept_if_asked_for(numbers, s3, tmp_path):
    numbers.ok(f"UNLOAD ('SELECT i, m FROM t') TO '{OUT}' IAM_ROLE default PARQUET PARTITION BY (m) INCLUDE")
    assert parquet(s3, keys(s3, "out/m=1/")[0], tmp_path).columns == ["i", "m"]


def test_a_manifest_names_the_files(numbers, s3):
    numbers.ok(f"UNLOAD ('SELECT i FROM t') TO '{OUT}' IAM_ROLE default PARQUET MANIFEST VERBOSE")
    manifest = json.loads(body(s3, "out/manifest"))
    files = [entry["url"].removeprefix("s3://data-bucket/") for entry in manifest["entries"]]
    assert files == [key for key in keys(s3) if key.endswith(".parquet")]
    assert manifest["entries"][0]["meta"]["content_length"] == len(body(s3, files[0]))
    assert manifest["meta"]["record_count"] == 100
    assert manifest["schema"]["elements"][0]["name"] == "i"


def test_what_is_there_is_not_overwritten_unless_asked_for(numbers, s3):
    unload = f"UNLOAD ('SELECT i FROM t') TO '{OUT}' IAM_ROLE default PARQUET"
    s3.put_object(Bucket="data-bucket", Key="out/old.parquet", Body=b"old")
    assert "Specified unload destination on S3 is not empty" in numbers.error(unload)
    numbers.ok(f"{unload} ALLOWOVERWRITE")
    assert "out/old.parquet" in keys(s3)
    numbers.ok(f"{unload} CLEANPATH")
    assert keys(s3) == ["out/0000_part_00.parquet", "out/0001_part_00.parquet"]
    assert "mutually exclusive" in numbers.error(f"{unload} CLEANPATH ALLOWOVERWRITE")


def test_large_files_are_cut(db, s3):
    db.ok("CREATE TABLE big AS WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 700) "
          "SELECT MD5(a.i || '-' || b.i) AS h, MD5(b.i || '+' || a.i) AS g FROM r a JOIN r b ON b.i <= 400")  # fmt: skip
    done = db.ok(f"UNLOAD ('SELECT h, g FROM big') TO '{OUT}' IAM_ROLE default PARQUET PARALLEL OFF MAXFILESIZE 5 MB")
    assert done["ResultRows"] == 280_000
    assert len(keys(s3)) >= 2
    assert "between 5 MB and 6.2 GB" in db.error(
        f"UNLOAD ('SELECT h FROM big') TO '{OUT}x/' IAM_ROLE default PARQUET MAXFILESIZE 1 MB"
    )


def test_text_formats(db, s3):
    query = "SELECT 1 AS a, ''x,y'' AS b, NULL::INT AS c, TRUE AS d"
    db.ok(f"UNLOAD ('{query}') TO '{OUT}csv' IAM_ROLE default CSV HEADER PARALLEL OFF")
    assert body(s3, "out/csv0000_part_00") == b'a,b,c,d\n1,"x,y",,true\n'
    db.ok(f"UNLOAD ('{query}') TO '{OUT}json' IAM_ROLE default JSON PARALLEL OFF GZIP")
    assert json.loads(gzip.decompress(body(s3, "out/json0000_part_00.gz"))) == {
        "a": 1,
        "b": "x,y",
        "c": None,
        "d": True,
    }


def test_dollar_quotes_and_nested_quotes(db, s3, tmp_path):
    db.ok(f"UNLOAD ($$SELECT 'it''s' AS a$$) TO '{OUT}' IAM_ROLE default PARQUET PARALLEL OFF")
    assert parquet(s3, keys(s3)[0], tmp_path).fetchall() == [("it's",)]


# Roles


def test_the_role_of_the_statement_is_used(db, cloud):
    db.ok(f"UNLOAD ('SELECT 1 a') TO '{OUT}' IAM_ROLE '{ROLE}' PARQUET")
    db.ok(f"UNLOAD ('SELECT 1 a') TO '{OUT}2/' CREDENTIALS 'aws_iam_role={ROLE}' PARQUET")
    assert cloud.roles == [ROLE, ROLE]


def test_iam_decides(db, cloud, s3):
    db.ok("CREATE TABLE u (a INT)")
    s3.put_object(Bucket="data-bucket", Key="in/a.csv", Body=b"1\n")
    cloud.denied = {"PutObject"}
    error = db.error(f"UNLOAD ('SELECT 1 a') TO '{OUT}' IAM_ROLE default PARQUET")
    assert error.startswith("ERROR: S3ServiceException:Access Denied,Status 403,Error AccessDenied")
    assert "s3:PutObject" in error
    cloud.denied = {"ListObjectsV2"}
    assert "Error AccessDenied" in db.error("COPY u FROM 's3://data-bucket/in/' IAM_ROLE default CSV")
    cloud.denied = {"GetObject", "HeadObject"}
    assert "Error AccessDenied" in db.error("COPY u FROM 's3://data-bucket/in/' IAM_ROLE default CSV")
    assert db.rows("SELECT COUNT(*) FROM u") == [(0,)]


def test_a_default_role_must_be_set(cloud):
    service = RedshiftData(cloud)
    error = Caller(cloud, service).error(f"UNLOAD ('SELECT 1 a') TO '{OUT}' IAM_ROLE default PARQUET")
    assert "The default IAM role is not set" in error
    service.close()


def test_a_role_must_exist_and_trust_redshift(db):
    trust = json.dumps(TRUST).replace("redshift.amazonaws.com", "lambda.amazonaws.com")
    boto3.client("iam").create_role(RoleName="stranger", AssumeRolePolicyDocument=trust)
    for name, why in (("nobody", "there is no such role"), ("stranger", "its trust policy does not name redshift")):
        error = db.error(f"UNLOAD ('SELECT 1 a') TO '{OUT}' IAM_ROLE 'arn:aws:iam::123456789012:role/{name}' PARQUET")
        assert f"is not authorized to assume IAM Role arn:aws:iam::123456789012:role/{name}" in error
        assert why in error


# COPY


@pytest.mark.parametrize("options", FORMATS)
def test_what_was_unloaded_can_be_copied(db, s3, options):
    db.ok("CREATE TABLE a (i INT, d DECIMAL(10,2), f DOUBLE PRECISION, s VARCHAR(99), b BOOLEAN, t TIMESTAMP, e DATE)")
    db.ok("INSERT INTO a VALUES (1, 2.50, 0.1, 'x, \"y\" ; z', TRUE, '2026-01-02 03:04:05.678', '2026-01-02'),"
          " (NULL, NULL, NULL, 'only text', NULL, NULL, NULL)")  # fmt: skip
    db.ok("CREATE TABLE c (LIKE a)")
    db.ok(f"UNLOAD ('SELECT * FROM a') TO '{OUT}' IAM_ROLE default {options} MANIFEST")
    back = options.replace("HEADER", "IGNOREHEADER 1").replace("ADDQUOTES", "CSV")
    assert db.ok(f"COPY c FROM '{OUT}manifest' IAM_ROLE default {back} MANIFEST")["ResultRows"] == 2
    assert db.rows("SELECT * FROM c ORDER BY i") == db.rows("SELECT * FROM a ORDER BY i")


def test_columns_can_be_chosen_and_identity_columns_count(db, s3):
    db.ok("CREATE TABLE u (id BIGINT IDENTITY(1, 1), a INT, b VARCHAR(9) DEFAULT 'none', c INT)")
    s3.put_object(Bucket="data-bucket", Key="in/a.csv", Body=b"7,8\n9,\n")
    db.ok("COPY u (c, a) FROM 's3://data-bucket/in/' IAM_ROLE default CSV")
    assert db.rows("SELECT id, a, b, c FROM u ORDER BY id") == [(1, 8, "none", 7), (2, None, "none", 9)]
    assert "cannot set an identity column" in db.error("COPY u (id) FROM 's3://data-bucket/in/' IAM_ROLE default CSV")


def test_empty_fields(db, s3):
    """NULL for numbers always; for text the empty string, unless asked otherwise."""
    s3.put_object(Bucket="data-bucket", Key="in/a.csv", Body=b"1,,x\n,,\n2,-,y\n")
    db.ok("CREATE TABLE u (a INT, b VARCHAR(9), c VARCHAR(9))")
    db.ok("COPY u FROM 's3://data-bucket/in/' IAM_ROLE default CSV")
    assert db.rows("SELECT * FROM u ORDER BY a") == [(1, "", "x"), (2, "-", "y"), (None, "", "")]
    db.ok("TRUNCATE u")
    db.ok("COPY u FROM 's3://data-bucket/in/' IAM_ROLE default CSV EMPTYASNULL NULL AS '-'")
    assert db.rows("SELECT * FROM u ORDER BY a") == [(1, None, "x"), (2, None, "y"), (None, None, None)]


def test_a_bad_file_loads_nothing(db, s3):
    db.ok("CREATE TABLE u (a INT, b VARCHAR(3))")
    s3.put_object(Bucket="data-bucket", Key="in/1.csv", Body=b"1,abc\n2,def\n")
    s3.put_object(Bucket="data-bucket", Key="in/2.csv", Body=b"3,x\nthree,y\n")
    error = db.error("COPY u FROM 's3://data-bucket/in/' IAM_ROLE default CSV")
    assert error.startswith("ERROR: Load into table \"u\" failed.  Check 'sys_load_error_detail'")
    assert "Invalid digit, Value 't', Pos 0, Type: Integer" in error
    s3.put_object(Bucket="data-bucket", Key="in/2.csv", Body=b"3,toolong\n")
    assert "value too long for type character varying(3)" in db.error(
        "COPY u FROM 's3://data-bucket/in/' IAM_ROLE default CSV"
    )
    s3.put_object(Bucket="data-bucket", Key="in/2.csv", Body=b"3,x,extra\n")
    assert "s3://data-bucket/in/2.csv" in db.error("COPY u FROM 's3://data-bucket/in/' IAM_ROLE default CSV")
    s3.put_object(Bucket="data-bucket", Key="in/2.csv", Body=b"PAR1 half a file")
    assert "failed" in db.error("COPY u FROM 's3://data-bucket/in/2.csv' IAM_ROLE default PARQUET")
    assert db.rows("SELECT COUNT(*) FROM u") == [(0,)]


def test_parquet_must_have_as_many_columns(db, s3):
    db.ok(f"UNLOAD ('SELECT 1 a, 2 b') TO '{OUT}' IAM_ROLE default PARQUET PARALLEL OFF")
    db.ok("CREATE TABLE u (a INT)")
    error = db.error(f"COPY u FROM '{OUT}' IAM_ROLE default PARQUET")
    assert "Unmatched number of columns between table and file. Table columns: 1, Data columns: 2" in error
    assert "File name: s3://data-bucket/out/0000_part_00.parquet" in error


def test_a_manifest_must_be_whole(db, s3):
    db.ok("CREATE TABLE u (a INT)")
    s3.put_object(Bucket="data-bucket", Key="in/1.csv", Body=b"1\n")
    entries = [{"url": "s3://data-bucket/in/1.csv"}, {"url": "s3://data-bucket/in/2.csv"}]
    s3.put_object(Bucket="data-bucket", Key="m", Body=json.dumps({"entries": entries}).encode())
    assert "Error NoSuchKey" in db.error("COPY u FROM 's3://data-bucket/m' IAM_ROLE default CSV MANIFEST")
    entries[1]["mandatory"] = False
    s3.put_object(Bucket="data-bucket", Key="m", Body=json.dumps({"entries": entries}).encode())
    assert db.ok("COPY u FROM 's3://data-bucket/m' IAM_ROLE default CSV MANIFEST")["ResultRows"] == 1
    assert "meta.content_length" in db.error("COPY u FROM 's3://data-bucket/m' IAM_ROLE default PARQUET MANIFEST")
    s3.put_object(Bucket="data-bucket", Key="m", Body=b"not json")
    assert "Invalid manifest file" in db.error("COPY u FROM 's3://data-bucket/m' IAM_ROLE default CSV MANIFEST")


def test_copy_in_a_batch_is_undone_with_it(db, s3):
    db.ok("CREATE TABLE u (a INT)")
    s3.put_object(Bucket="data-bucket", Key="in/1.csv", Body=b"1\n")
    done = db.batch("CREATE TEMP TABLE stage (LIKE u)", "COPY stage FROM 's3://data-bucket/in/' IAM_ROLE default CSV",
                    "INSERT INTO u SELECT a FROM stage", "SELECT broken")  # fmt: skip
    assert done["Status"] == "FAILED"
    assert db.rows("SELECT COUNT(*) FROM u") == [(0,)]


def test_scratch_is_left_empty(numbers, cloud):
    numbers.ok(f"UNLOAD ('SELECT i FROM t') TO '{OUT}' IAM_ROLE default PARQUET")
    cloud.denied = {"PutObject"}
    numbers.error(f"UNLOAD ('SELECT i FROM t') TO '{OUT}x/' IAM_ROLE default PARQUET")
    assert [path for path in (cloud.state / "redshift" / "scratch").rglob("*") if path.is_file()] == []


def test_the_readers_of_tests_do_not_cheat(s3, db, tmp_path):
    """`parquet` above reads the file that S3 has."""
    db.ok(f"UNLOAD ('SELECT 5 a') TO '{OUT}' IAM_ROLE default PARQUET PARALLEL OFF")
    assert io.BytesIO(body(s3, keys(s3)[0])).read(4) == b"PAR1"
    assert parquet(s3, keys(s3)[0], tmp_path).fetchall() == [(5,)]
