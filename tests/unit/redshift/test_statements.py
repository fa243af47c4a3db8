"""Typical Redshift statements with the answers Redshift gives: types as well as values."""

import pytest

SETUP = [
    "CREATE TABLE sales (id BIGINT IDENTITY(1,1), item INTEGER NOT NULL, shop VARCHAR(8), price DECIMAL(10,2), qty BIGINT,"
    " sold TIMESTAMP ENCODE az64, PRIMARY KEY (id)) DISTSTYLE KEY DISTKEY (item) COMPOUND SORTKEY (sold)",
    "INSERT INTO sales (item, shop, price, qty, sold) VALUES (1, 'north', 2.50, 2, '2026-01-05 10:00:00'),"
    " (2, 'north', 10.00, 1, '2026-01-06 11:30:00'), (1, 'south', 2.75, 3, '2026-02-01 00:00:00'), (3, NULL, 1.00, 5, NULL)",
]

CASES = [
    # arithmetic
    ("SELECT 7 / 2, -7 / 2, 7 % 3", [(3, -3, 1)]),
    ("SELECT 7 / 2.0", [(3.5,)]),
    ("SELECT 2 ^ 3, POWER(2, 3), SQRT(16), CEIL(1.2), FLOOR(1.8), TRUNC(1.99)", [(8.0, 8.0, 4.0, "2", "1", "1")]),
    ("SELECT 3.6::DECIMAL, 3.456::DECIMAL(5,2)", [("4", "3.46")]),
    # sums and means keep Redshift's types: BIGINT of INTEGER, NUMERIC of BIGINT, and no fractions of integers
    ("SELECT COUNT(*), SUM(item), SUM(qty), AVG(item), AVG(item::FLOAT) FROM sales", [(4, 7, "11", 1, 1.75)]),
    ("SELECT SUM(price), SUM(price) / COUNT(*) FROM sales", [("16.25", 4.0625)]),
    ("SELECT shop, COUNT(DISTINCT item) n FROM sales GROUP BY shop ORDER BY shop", [("north", 2), ("south", 1), (None, 1)]),
    ("SELECT shop FROM sales ORDER BY shop DESC, id LIMIT 2", [(None,), ("south",)]),
    ("SELECT MEDIAN(price::FLOAT), PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY item) FROM sales", [(2.625, 1.5)]),
    ("SELECT APPROXIMATE COUNT(DISTINCT item) FROM sales", [(3,)]),
    ("SELECT LISTAGG(DISTINCT shop, ', ') WITHIN GROUP (ORDER BY shop DESC) FROM sales", [("south, north",)]),
    ("SELECT LISTAGG(item, '-') WITHIN GROUP (ORDER BY id) FROM sales", [("1-2-1-3",)]),
    # what is inside of what is changed is changed too
    ("SELECT AVG(qty / 2), CONCAT(REGEXP_REPLACE('aa', 'a', 'b'), CONCAT('c', 'd')) FROM sales", [(1, "bbcd")]),
    ("SELECT LISTAGG(CONCAT(item, '/'), '') WITHIN GROUP (ORDER BY id), DECODE(7 / 2, 3, 'three') FROM sales", [("1/2/1/3/", "three")]),
    # text
    ("SELECT REGEXP_REPLACE('banana', 'a', 'o'), REGEXP_SUBSTR('a1b22', '[0-9]+'), REGEXP_COUNT('banana', 'a')", [("bonono", "1", 3)]),
    ("SELECT 'Ab' LIKE 'a%', 'Ab' ILIKE 'a%', 'a_b' LIKE 'a\\\\_b', 'axb' LIKE 'a\\\\_b'", [(False, True, True, False)]),
    ("SELECT 'abc' SIMILAR TO '%(b|d)%', 'abc' SIMILAR TO 'b', 'abc' ~ '^ab'", [(True, False, True)]),
    ("SELECT CONCAT('a', NULL), 'a' || 'b', NVL(NULL, 'x'), NVL2('a', 'y', 'n')", [(None, "ab", "x", "y")]),
    ("SELECT LEN('häh'), OCTET_LENGTH('häh'), CHARINDEX('b', 'abc'), STRPOS('abc', 'c'), SPLIT_PART('a/b', '/', 2)", [(3, 4, 2, 3, "b")]),
    ("SELECT INITCAP('heLLo wORLD'), LPAD('7', 3, '0'), LPAD('7', 3), BTRIM(' x '), REVERSE('abc')", [("Hello World", "007", "  7", "x", "cba")]),
    ("SELECT CAST('abcdef' AS VARCHAR(3)), 'x'::CHAR(4), LEFT('abc', 1), STRTOL('ff', 16)", [("abc", "x", "a", 255)]),
    ("SELECT DECODE(2, 1, 'one', 2, 'two'), DECODE(NULL, NULL, 'none', 'some'), NULLIF(1, 1)", [("two", "none", None)]),
    ("SELECT MD5('a'), SHA2('a', 256) = SHA2('b', 256), SHA1('a')", [("0cc175b9c0f1b6a831c399e269772661", False, "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8")]),
    ("SELECT JSON_EXTRACT_PATH_TEXT('{\"a\": {\"b\": 5}}', 'a', 'b'), IS_VALID_JSON('{'), JSON_ARRAY_LENGTH('[1, 2]')", [("5", False, 2)]),
    # time
    ("SELECT DATEADD(day, 3, '2026-01-30'::DATE), DATEDIFF(month, '2026-01-31'::DATE, '2026-03-01'::DATE)", [("2026-02-02 00:00:00", 2)]),
    ("SELECT DATE_TRUNC('month', sold) m, COUNT(*) FROM sales GROUP BY 1 ORDER BY 1", [("2026-01-01 00:00:00", 2), ("2026-02-01 00:00:00", 1), (None, 1)]),
    ("SELECT DATE_TRUNC('month', '2026-01-15'::DATE), DATE_TRUNC('day', '2026-01-15 10:00'::TIMESTAMPTZ)", [("2026-01-01 00:00:00", "2026-01-15 00:00:00+00")]),
    ("SELECT EXTRACT(dow FROM '2026-01-04'::DATE), DATE_PART(year, sold) FROM sales WHERE id = 1", [(0, 2026)]),
    ("SELECT TO_CHAR(sold, 'YYYY-MM-DD HH24:MI'), TRUNC(GETDATE()) = CURRENT_DATE FROM sales WHERE id = 2", [("2026-01-06 11:30", True)]),
    ("SELECT CONVERT_TIMEZONE('UTC', 'Europe/Berlin', '2026-07-01 12:00:00'::TIMESTAMP)", [("2026-07-01 14:00:00",)]),
    ("SELECT LAST_DAY('2024-02-05'::DATE), ADD_MONTHS('2026-01-31'::DATE, 1), '2026-01-01'::TIMESTAMPTZ", [("2024-02-29", "2026-02-28 00:00:00", "2026-01-01 00:00:00+00")]),
    # windows
    ("SELECT id, ROW_NUMBER() OVER (PARTITION BY shop ORDER BY id DESC) FROM sales WHERE shop = 'north' ORDER BY id", [(1, 2), (2, 1)]),
    ("SELECT id, SUM(qty) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) FROM sales ORDER BY id", [(1, "2"), (2, "3"), (3, "6"), (4, "11")]),
    ("SELECT id, RATIO_TO_REPORT(qty) OVER () FROM sales WHERE id < 3 ORDER BY id", [(1, 2 / 3), (2, 1 / 3)]),
    ("SELECT id, LAG(id, 1) OVER (ORDER BY id), AVG(item) OVER () FROM sales ORDER BY id LIMIT 2", [(1, None, 1), (2, 1, 1)]),
    ("SELECT item FROM sales QUALIFY ROW_NUMBER() OVER (PARTITION BY item ORDER BY id) = 1 ORDER BY item", [(1,), (2,), (3,)]),
    # shapes of queries
    ("SELECT TOP 1 item FROM sales ORDER BY item DESC", [(3,)]),
    ("WITH t (a) AS (SELECT 1) SELECT a x, x + 1 y FROM t", [(1, 2)]),
    ("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT SUM(i) FROM n", [(6,)]),
    ("SELECT item FROM sales MINUS SELECT 3 ORDER BY 1", [(1,), (2,)]),
    ("SELECT a.id FROM sales a LEFT JOIN sales b ON b.item = a.item AND b.id > a.id WHERE b.id IS NULL ORDER BY 1", [(2,), (3,), (4,)]),
    ("SELECT CASE WHEN price > 2 THEN 'dear' ELSE 'cheap' END c, COUNT(*) FROM sales GROUP BY c ORDER BY c", [("cheap", 1), ("dear", 3)]),
    ("SELECT item FROM sales WHERE sold BETWEEN '2026-01-01' AND '2026-01-31' AND shop IN ('north', 'west') ORDER BY 1", [(1,), (2,)]),
    ('SELECT "ID" FROM Sales s WHERE S.Item = 2', [(2,)]),
]  # fmt: skip


@pytest.fixture(scope="module")
def answers(module_db):
    """Every case's outcome, from one warehouse: nothing here changes it."""
    for sql in SETUP:
        module_db.ok(sql)
    return module_db


@pytest.mark.parametrize(("sql", "expected"), CASES, ids=[sql[:50] for sql, _ in CASES])
def test_queries_give_what_redshift_gives(answers, sql, expected):
    rows = answers.rows(sql)
    assert [tuple(pytest.approx(v) if isinstance(v, float) else v for v in row) for row in expected] == rows


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT COUNT(*), MAX(item), item + 1 FROM sales GROUP BY item", ["count", "max", "?column?"]),
        ('SELECT 1 AS "Big", 2 AS MiXed, item::BIGINT, 5::BIGINT FROM sales', ["big", "mixed", "item", "int8"]),
        (
            "SELECT COALESCE(shop, 'x'), CASE WHEN item = 1 THEN 2 END, UPPER(shop) FROM sales",
            ["coalesce", "case", "upper"],
        ),
    ],
)
def test_columns_without_a_name_get_redshifts(answers, sql, names):
    done = answers.ok(sql)
    page = answers("GetStatementResult", Id=done["Id"])
    assert [column["name"] for column in page["ColumnMetadata"]] == names


def test_column_types_are_redshifts(answers):
    done = answers.ok(
        "SELECT id, item, shop, price, sold, sold::DATE d, item::FLOAT f, item::REAL r, true b, SUM(qty) s FROM sales GROUP BY 1,2,3,4,5"
    )
    columns = answers("GetStatementResult", Id=done["Id"])["ColumnMetadata"]
    assert [column["typeName"] for column in columns] == [
        "int8", "int4", "varchar", "numeric", "timestamp", "date", "float8", "float4", "bool", "numeric",
    ]  # fmt: skip
    assert (columns[3]["precision"], columns[3]["scale"]) == (10, 2)


ERRORS = [
    ("SELECT * FROM nowhere", 'ERROR: relation "nowhere" does not exist'),
    ("SELECT nothing FROM sales", 'ERROR: column "nothing" does not exist'),
    ("SELEC 1", 'ERROR: syntax error at or near "selec"'),
    ("SELECT item FROM sales WHERE", "ERROR: syntax error at or near"),
    ("SELECT item, COUNT(*) FROM sales", 'ERROR: column "item" must appear in the GROUP BY clause'),
    ("SELECT 1 / 0", "ERROR: Divide by zero"),
    ("SELECT id / (item - item) FROM sales", "ERROR: Divide by zero"),
    ("SELECT AVG(CAST(id / (item - item) AS VARCHAR(3))::INT) FROM sales", "ERROR: Divide by zero"),
    ("INSERT INTO sales (item) VALUES ('x1')", "ERROR: Invalid digit, Value 'x', Pos 0, Type: Integer"),
    ("INSERT INTO sales (item) VALUES (NULL)", "ERROR: Cannot insert a NULL value into column item"),
    ("INSERT INTO sales (item, shop) VALUES (1, 'far too long')", "ERROR: value too long for type character varying(8)"),
    ("CREATE TABLE sales (a INT)", 'ERROR: Relation "sales" already exists'),
    ("CREATE TABLE elsewhere.t (a INT)", 'ERROR: schema "elsewhere" does not exist'),
    ("SELECT SUM(qty) OVER (ORDER BY id) FROM sales", "ERROR: Aggregate window functions with an ORDER BY clause require a frame clause"),
    ("SELECT CONCAT('a', 'b', 'c')", "ERROR: function concat() takes exactly two arguments"),
    ("SELECT DISTINCT ON (item) item FROM sales", "ERROR: SELECT DISTINCT ON is not supported"),
    ("UPDATE sales SET item = 1 RETURNING id", 'ERROR: syntax error at or near "returning"'),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "text"), ERRORS, ids=[sql[:50] for sql, _ in ERRORS])
def test_errors_read_as_redshifts(answers, sql, text):
    assert answers.error(sql).startswith(text)


REFUSED = [
    ("CREATE PROCEDURE p() AS $$ BEGIN END $$ LANGUAGE plpgsql", "CREATE PROCEDURE"),
    ("CREATE EXTERNAL TABLE s.t (a INT) STORED AS PARQUET LOCATION 's3://b/p'", "CREATE EXTERNAL TABLE"),
    ("CREATE MATERIALIZED VIEW m AS SELECT 1 a", "CREATE MATERIALIZED VIEW"),
    ("CALL p()", "CALL"),
    ("EXPLAIN SELECT 1", "EXPLAIN"),
    ("SHOW TABLES FROM SCHEMA dev.public", "SHOW"),
    ("ALTER TABLE sales APPEND FROM other", "APPEND FROM"),
    ("MERGE INTO sales USING other ON sales.id = other.id REMOVE DUPLICATES", "REMOVE DUPLICATES"),
    ("CREATE TABLE g (shape GEOMETRY)", "type GEOMETRY"),
    ("SELECT FNV_HASH('a')", "function fnv_hash()"),
    ("SELECT HLL(item) FROM sales", "function hll()"),
    ("SET enable_case_sensitive_identifier TO true", "SET enable_case_sensitive_identifier"),
    # what only DuckDB knows must not work here either
    ("SELECT read_text('/etc/passwd')", "read_text()"),
    ("SELECT list_sum([1, 2])", "list_sum()"),
]


@pytest.mark.parametrize(("sql", "name"), REFUSED, ids=[sql[:50] for sql, _ in REFUSED])
def test_what_is_not_supported_is_refused_by_name(answers, sql, name):
    error = answers.error(sql)
    assert name in error
    assert "not supported by the embedded warehouse" in error


@pytest.mark.parametrize(
    "sql",
    ["SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM '/etc/passwd'", 'SELECT * FROM "/etc/passwd"', "ATTACH '/tmp/x.db'", "COPY sales TO '/tmp/x'", "PRAGMA version", "INSTALL httpfs"],
)  # fmt: skip
def test_nothing_reaches_files_or_duckdb_itself(answers, sql):
    assert answers.error(sql).startswith("ERROR: ")


def test_variables_of_the_process_are_no_tables(answers):
    sales_frame = [(1,)]
    assert sales_frame
    assert "does not exist" in answers.error("SELECT * FROM sales_frame")


@pytest.mark.parametrize(
    "sql",
    ["GRANT SELECT ON sales TO bob", "VACUUM FULL sales", "ANALYZE sales", "COMMENT ON TABLE sales IS 'x'", "SET query_group TO 'x'", "ALTER TABLE sales OWNER TO bob", "LOCK sales"],
)  # fmt: skip
def test_bookkeeping_is_accepted(answers, sql):
    assert answers.ok(sql)["HasResultSet"] is False
