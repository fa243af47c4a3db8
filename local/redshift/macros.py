"""Functions of Redshift that DuckDB lacks, as macros, and the names that mean the same in both."""

MACROS = r"""
CREATE OR REPLACE MACRO rs_divisor(x) AS CASE WHEN x = 0 THEN error('Divide by zero') ELSE x END;
CREATE OR REPLACE MACRO rs_strtol(x, base) AS CASE base
    WHEN 16 THEN CAST('0x' || x AS BIGINT) WHEN 10 THEN CAST(x AS BIGINT)
    WHEN 2 THEN CAST('0b' || x AS BIGINT) ELSE error('STRTOL base must be 2, 10 or 16') END;
CREATE OR REPLACE MACRO rs_initcap(s) AS list_aggregate(list_transform(
    regexp_extract_all(s, '[A-Za-z0-9]+|[^A-Za-z0-9]+'), lambda w: upper(w[1]) || lower(w[2:])), 'string_agg', '');
CREATE OR REPLACE MACRO rs_regexp_instr(s, p) AS CASE WHEN s IS NULL OR p IS NULL THEN NULL
    WHEN regexp_matches(s, p) THEN strpos(s, regexp_extract(s, p)) ELSE 0 END;
CREATE OR REPLACE MACRO rs_trunc_date(t) AS CAST(t AS DATE);
CREATE OR REPLACE MACRO rs_array_element(j, i) AS json_extract_string(j, '$[' || CAST(i AS BIGINT) || ']');
CREATE OR REPLACE MACRO rs_getdate() AS CAST(date_trunc('second', now() AT TIME ZONE 'UTC') AS TIMESTAMP);
CREATE OR REPLACE MACRO rs_sysdate() AS CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP);
CREATE OR REPLACE MACRO rs_today() AS CAST(now() AT TIME ZONE 'UTC' AS DATE);
"""

# Names that the rewritten tree itself calls.
INTERNAL = {
    "rs_divisor", "rs_strtol", "rs_initcap", "rs_regexp_instr", "rs_getdate", "rs_sysdate", "rs_today", "nullif",
    "strlen", "string_agg", "regexp_full_match", "nextval",
}  # fmt: skip

VIEWS = """
CREATE OR REPLACE VIEW svv_table_info AS SELECT current_database() AS "database", schema_name AS "schema",
    table_oid AS table_id, table_name AS "table", CAST(estimated_size AS BIGINT) AS tbl_rows
    FROM duckdb_tables() WHERE NOT internal AND NOT temporary AND schema_name NOT IN ('main', 'rs_identity');
CREATE OR REPLACE VIEW svv_tables AS SELECT table_catalog, table_schema, table_name, table_type
    FROM information_schema.tables
    WHERE table_schema NOT IN ('main', 'rs_identity', 'pg_catalog', 'information_schema');
CREATE OR REPLACE VIEW svv_columns AS SELECT table_catalog, table_schema, table_name, column_name, ordinal_position,
    column_default, is_nullable, lower(data_type) AS data_type
    FROM information_schema.columns
    WHERE table_schema NOT IN ('main', 'rs_identity', 'pg_catalog', 'information_schema');
CREATE OR REPLACE VIEW pg_table_def AS SELECT table_schema AS schemaname, table_name AS tablename,
    column_name AS "column", lower(data_type) AS "type", is_nullable = 'NO' AS "notnull"
    FROM information_schema.columns
    WHERE table_schema NOT IN ('main', 'rs_identity', 'pg_catalog', 'information_schema');
"""

# Functions that sqlglot leaves as they are: Redshift's name -> DuckDB's. A name that is not here is refused.
FUNCTIONS = {
    "abs": "abs", "ascii": "ascii", "atan2": "atan2", "bit_length": "bit_length", "bttrim": "trim", "btrim": "trim",
    "ceiling": "ceil", "char_length": "length", "character_length": "length", "cot": "cot", "crc32": "crc32",
    "current_database": "current_database", "current_schema": "current_schema", "date_cmp": "", "degrees": "degrees",
    "func_sha1": "sha1", "getdate": "rs_getdate", "has_table_privilege": "", "is_valid_json": "json_valid",
    "isnull": "", "json_array_length": "json_array_length", "json_extract_array_element_text": "rs_array_element",
    "len": "length", "length": "length", "lower": "lower", "ltrim": "ltrim", "nvl": "coalesce",
    "octet_length": "strlen", "pi": "pi", "pg_backend_pid": "txid_current", "quote_ident": "",
    "radians": "radians", "random": "random", "repeat": "repeat", "replicate": "repeat", "reverse": "reverse",
    "rtrim": "rtrim", "sha": "sha1", "strtol": "rs_strtol", "textlen": "length", "upper": "upper",
    "asin": "asin", "acos": "acos", "atan": "atan", "cos": "cos", "sin": "sin", "tan": "tan", "to_hex": "to_hex",
    "dexp": "exp", "dlog1": "ln", "dlog10": "log10", "cume_dist": "cume_dist", "percent_rank": "percent_rank",
    "ntile": "ntile", "bool_and": "bool_and", "bool_or": "bool_or", "regexp_instr": "rs_regexp_instr",
}  # fmt: skip
