"""COPY: files on S3 as rows of a table, all of them or none."""

import gzip
import re
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

import duckdb

from local.redshift import quoting
from local.redshift.errors import Refused, SqlError, redshift_text
from local.redshift.options import Options, read_options
from local.redshift.storage import Storage, split

COPY = re.compile(r"(?is)\s*copy\s+([\w.\"#$]+)\s*(?:\(([^)]*)\))?\s*from\s+'((?:[^']|'')*)'(.*?);?\s*$")


@dataclass(frozen=True)
class Copy:
    """One COPY, read."""

    table: str  # quoted, with its schema if it was given
    columns: list[str]
    url: str
    options: Options


def read_copy(sql: str) -> Copy:
    """Read a COPY.

    Raises:
        SqlError: it is not a valid one.
    """
    found = COPY.match(sql)
    if not found:
        raise SqlError(
            "syntax error at or near \"copy\"\n  Detail: write COPY table [(columns)] FROM 's3://…' IAM_ROLE …"
        )
    parts = [part.strip('"').lstrip("#").lower() for part in found[1].split(".")]
    columns = [name.strip().strip('"').lower() for name in (found[2] or "").split(",") if name.strip()]
    options = read_options(found[4], "COPY")
    if options.json_paths.lower() != "auto":
        raise Refused(f"COPY … JSON '{options.json_paths}', with a JSONPaths file or another case,")
    return Copy(".".join(f'"{part}"' for part in parts), columns, found[3].replace("''", "'"), options)


def run_copy(connection: duckdb.DuckDBPyConnection, copy: Copy, storage: Storage, scratch: Path) -> int:
    """Load the files; return the number of rows. One INSERT, so a bad file leaves the table as it was.

    Raises:
        SqlError: table, files or values are not what they should be, or S3 or IAM says no.
    """
    kinds = {name: str(kind) for name, kind, *_ in connection.execute(f"DESCRIBE {copy.table}").fetchall()}
    identity = _identity_columns(connection, copy.table)
    columns = copy.columns or [name for name in kinds if name not in identity]
    for name in columns:
        if name not in kinds:
            raise SqlError(f'column "{name}" of relation {copy.table} does not exist')
        if name in identity:
            raise SqlError(f"cannot set an identity column to a value: {name}")
    urls = _files(copy, storage)
    folder = scratch / uuid.uuid4().hex
    folder.mkdir(parents=True)
    try:
        files: dict[str, str] = {}
        for number, url in enumerate(urls):
            path = folder / f"{number:05d}"
            storage.download(*split(url), path)
            files[str(path)] = url
        return _insert(connection, copy, columns, kinds, files)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _identity_columns(connection: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    literal = quoting.text(table)
    rows = connection.execute(f"SELECT name, dflt_value FROM pragma_table_info({literal})").fetchall()  # noqa: S608
    return {name for name, default in rows if default and "rs_identity" in str(default)}


def _files(copy: Copy, storage: Storage) -> list[str]:
    bucket, prefix = split(copy.url)
    if "MANIFEST" in copy.options.flags:
        entries = storage.get_json(bucket, prefix).get("entries", [])
        if copy.options.format == "PARQUET" and any("content_length" not in entry.get("meta", {}) for entry in entries):
            raise SqlError(f"Invalid manifest file {copy.url}: PARQUET needs meta.content_length in every entry")
        known: dict[str, None] = {}
        for entry in entries:
            there = dict(storage.objects(entry["url"]))
            if split(entry["url"])[1] not in there:
                if entry.get("mandatory", True):
                    missing = (
                        "S3ServiceException:The specified key does not exist.,Status 404,Error NoSuchKey,CanRetry 1"
                    )
                    raise SqlError(f"{missing}\n  Detail: {entry['url']} of {copy.url}")
                continue
            known[entry["url"]] = None
        return list(known)
    found = [f"s3://{bucket}/{key}" for key, size in storage.objects(copy.url) if size and not key.endswith("/")]
    if not found:
        raise SqlError(f"The specified S3 prefix '{prefix}' does not exist")
    return found


def _insert(
    connection: duckdb.DuckDBPyConnection, copy: Copy, columns: list[str], kinds: dict[str, str], files: dict[str, str]
) -> int:
    source = _source(copy.options, columns, list(files))
    try:
        given = [name for name, *_ in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]  # noqa: S608
        selected = _selected(copy, columns, kinds, given, next(iter(files.values())))
        names = ", ".join(quoting.name(name) for name in columns)
        connection.execute(f"INSERT INTO {copy.table} ({names}) SELECT {selected} FROM {source}")  # noqa: S608
    except duckdb.InterruptException:
        raise
    except duckdb.Error as error:
        if isinstance(error, duckdb.TransactionException | duckdb.CatalogException):
            raise
        reason = redshift_text(error).removeprefix("ERROR: ")
        for path, url in files.items():
            reason = reason.replace(path, url)
        raise SqlError(
            f"Load into table {copy.table.split('.')[-1]} failed.  "
            f"Check 'sys_load_error_detail' system table for details."
            f"\n  Detail: {reason}"
        ) from error
    return int(connection.fetchall()[0][0])


def _source(options: Options, columns: list[str], paths: list[str]) -> str:
    listed = "[" + ", ".join(f"'{path}'" for path in paths) + "]"
    compression = (
        f", compression = '{options.compression}'" if options.compression else ", compression = 'uncompressed'"
    )
    if options.format == "PARQUET":
        return f"read_parquet({listed}, hive_partitioning = false)"
    if options.format == "JSON":
        types = ", ".join(f"{quoting.text(name)}: 'VARCHAR'" for name in columns)
        return f"read_json({listed}, format = 'unstructured', columns = {{{types}}}{compression})"
    delimiter = quoting.text(options.delimiter or ("," if options.format == "CSV" else "|"))
    quote = quoting.text(options.quote if options.format == "CSV" else "")
    types = ", ".join(f"{quoting.text(name)}: 'VARCHAR'" for name in columns)
    fill = ", null_padding = true" if "FILLRECORD" in options.flags else ""
    line = f", new_line = '{_line_end(Path(paths[0]), options)}'"
    # NULLs are made afterwards: to the file an empty field and an empty string are the same, to a column they are not.
    return (
        f"read_csv({listed}, header = false, skip = {options.ignore_header}, delim = {delimiter}, quote = {quote}, "
        f"escape = {quote}, auto_detect = false, nullstr = 'rs:no such value', columns = {{{types}}}"
        f"{fill}{line}{compression})"
    )


def _line_end(path: Path, options: Options) -> str:
    """How the first line of a text file ends; DuckDB alone guesses wrong where a value holds another line end."""
    if options.compression == "zstd":
        return "\\n"
    with gzip.open(path) if options.compression else path.open("rb") as file:
        start = file.read(65536)
    quote = options.quote.encode() if options.format == "CSV" else b""
    outside = b"".join(start.split(quote)[::2]) if quote else start  # every second piece lies between quotes
    end = outside.find(b"\n")
    return "\\r\\n" if end > 0 and outside[end - 1 : end] == b"\r" else "\\n"


def _selected(copy: Copy, columns: list[str], kinds: dict[str, str], given: list[str], first: str) -> str:
    options = copy.options
    if options.format == "PARQUET":
        if len(given) != len(columns):
            raise SqlError(
                f"Spectrum Scan Error\n  Detail: Unmatched number of columns between table and file. Table columns: "
                f"{len(columns)}, Data columns: {len(given)}, File name: {first}"
            )
        return ", ".join(
            f"CAST({quoting.name(one)} AS {kinds[name]})" for one, name in zip(given, columns, strict=True)
        )
    return ", ".join(_value(name, kinds[name], options) for name in columns)


def _value(name: str, kind: str, options: Options) -> str:
    """One column of a text file: what is NULL in it, and what its type is."""
    value = quoting.name(name)
    if "TRIMBLANKS" in options.flags:
        value = f"rtrim({value})"
    nulls = [options.null] if options.null else []
    if kind != "VARCHAR" or "EMPTYASNULL" in options.flags:
        nulls.append("")
    if kind != "VARCHAR" and options.format != "JSON":
        value = f"trim({value})"
    for null in nulls:
        value = f"nullif({value}, {quoting.text(null)})"
    if "BLANKSASNULL" in options.flags:
        value = f"CASE WHEN trim({value}) = '' THEN NULL ELSE {value} END"
    return f"CAST({value} AS {kind})"
