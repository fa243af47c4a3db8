"""UNLOAD: a query's rows as files on S3. DuckDB streams them to the scratch folder, so memory stays flat."""

import re
import shutil
import urllib.parse
import uuid
from dataclasses import dataclass
from pathlib import Path

import duckdb

from local.redshift import quoting
from local.redshift.errors import SqlError
from local.redshift.options import Options, read_options
from local.redshift.results import cast_query, column_types
from local.redshift.storage import Storage, split
from local.redshift.translate import Query, translate_query

UNLOAD = re.compile(r"(?is)\s*unload\s*\(\s*(?:'((?:[^']|'')*)'|\$\$(.*?)\$\$)\s*\)\s*to\s+'((?:[^']|'')*)'(.*?);?\s*$")
SLICES = 2  # of the cluster: with PARALLEL ON each writes its own files, so readers must expect several
EXTENSIONS = {"PARQUET": ".parquet", "CSV": "", "JSON": "", "TEXT": ""}
SLICE = "rs_slice"
AS_TEXT = {"JSON", "UUID", "INTERVAL", "TIME", '"NULL"'}  # types that Redshift writes as text
NOT_EMPTY = (
    "Specified unload destination on S3 is not empty. Consider using a different bucket / prefix, manually removing "
    "the target files in S3, or using the ALLOWOVERWRITE option."
)


@dataclass(frozen=True)
class Unload:
    """One UNLOAD, read."""

    query: Query
    url: str
    options: Options


def read_unload(sql: str) -> Unload:
    """Read an UNLOAD.

    Raises:
        SqlError: it is not a valid one.
    """
    found = UNLOAD.match(sql)
    if not found:
        raise SqlError("syntax error at or near \"unload\"\n  Detail: write UNLOAD ('SELECT …') TO 's3://…' IAM_ROLE …")
    query = found[1].replace("''", "'") if found[1] is not None else found[2]
    options = read_options(found[4], "UNLOAD")
    if {"ALLOWOVERWRITE", "CLEANPATH"} <= options.flags:
        raise SqlError("ALLOWOVERWRITE and CLEANPATH are mutually exclusive")
    if options.format in {"PARQUET", "JSON"} and (options.delimiter or "HEADER" in options.flags):
        raise SqlError(f"DELIMITER and HEADER are not supported for UNLOAD to {options.format}")
    if options.format == "PARQUET" and options.compression:
        raise SqlError("UNLOAD to PARQUET is compressed already; leave out " + options.compression.upper())
    return Unload(translate_query(query), found[3].replace("''", "'"), options)


def run_unload(connection: duckdb.DuckDBPyConnection, unload: Unload, storage: Storage, scratch: Path) -> int:
    """Write the files and the manifest; return the number of rows. No rows: no data files.

    Raises:
        SqlError: the destination is not empty, or S3 or IAM says no.
    """
    bucket, prefix = split(unload.url)
    flags = unload.options.flags
    there = storage.objects(unload.url)
    if there and not flags & {"ALLOWOVERWRITE", "CLEANPATH"}:
        raise SqlError(NOT_EMPTY)
    folder = scratch / uuid.uuid4().hex
    try:
        rows = _write(connection, unload, folder)
        if "CLEANPATH" in flags:
            for key, _ in there:
                storage.delete(bucket, key)
        entries = _upload(folder, bucket, prefix, unload.options, storage) if rows else []
        if "MANIFEST" in flags:
            storage.put_json(bucket, f"{prefix}manifest", _manifest(connection, unload, entries, rows))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return rows


def _write(connection: duckdb.DuckDBPyConnection, unload: Unload, folder: Path) -> int:
    options = unload.options
    columns = column_types(connection, unload.query)
    names = [name for name, _ in columns]
    for name in {name for name in names if names.count(name) > 1}:
        raise SqlError(f'column "{name}" specified more than once')
    for name in options.partition_by:
        if name not in names:
            raise SqlError(f'Partition column "{name}" is not in the query')
    if options.partition_by and set(names) <= set(options.partition_by) and not options.include_partitions:
        raise SqlError("All columns are partition columns: leave one out, or add INCLUDE")
    one_stream = "SERIAL" in options.flags or unload.query.ordered
    slices = "0" if one_stream else f"(row_number() OVER ()) % {SLICES}"
    query = cast_query(unload.query, columns, AS_TEXT, f", {slices} AS {SLICE}")
    if options.include_partitions:
        hidden = ", ".join(f"{quoting.name(name)} AS {quoting.name('rs_by_' + name)}" for name in options.partition_by)
        query = f"SELECT *, {hidden} FROM ({query}) AS unloaded"  # noqa: S608
    by = [f"rs_by_{name}" if options.include_partitions else name for name in options.partition_by] + [SLICE]
    if options.format == "JSON":  # DuckDB's own JSON writer cannot partition; a column of finished lines can
        kept = [name for name in names if options.include_partitions or name not in options.partition_by]
        fields = ", ".join(f"{quoting.name(name)} := {quoting.name(name)}" for name in kept)
        rest = ", ".join(map(quoting.name, by))
        query = f"SELECT to_json(struct_pack({fields})) AS line, {rest} FROM ({query}) AS unloaded"  # noqa: S608
    folder.mkdir(parents=True)
    if one_stream and not options.partition_by:
        query = f"SELECT * EXCLUDE ({SLICE}) FROM ({query}) AS unloaded"  # noqa: S608
        target, layout = folder / f"{SLICE}=0", ""
        target.mkdir()
        # A size limit makes DuckDB write a folder; without one, a file.
        if options.max_file_bytes < 6 * 2**30:
            layout = f", FILE_SIZE_BYTES {options.max_file_bytes}, OVERWRITE_OR_IGNORE"
        else:
            target = target / "data_0"
    else:
        target, layout = folder, f", PARTITION_BY ({', '.join(map(quoting.name, by))}), OVERWRITE_OR_IGNORE"
        if options.max_file_bytes < 6 * 2**30:
            layout += f", FILE_SIZE_BYTES {options.max_file_bytes}"
    connection.execute(f"COPY ({query}) TO '{target}' ({_format(options)}{layout})")
    return int(connection.fetchall()[0][0])


def _format(options: Options) -> str:
    if options.format == "PARQUET":
        return "FORMAT parquet, COMPRESSION snappy"
    compression = f", COMPRESSION {options.compression}" if options.compression else ""
    if options.format == "JSON":
        return f"FORMAT csv, DELIMITER '\x01', QUOTE '', HEADER false{compression}"
    default = "," if options.format == "CSV" else "|"
    delimiter = (options.delimiter or default).replace("'", "''")
    quote = options.quote if options.format == "CSV" or "ADDQUOTES" in options.flags else ""
    header = str("HEADER" in options.flags).lower()
    null = options.null.replace("'", "''")
    return f"FORMAT csv, DELIMITER '{delimiter}', QUOTE '{quote}', HEADER {header}, NULLSTR '{null}'{compression}"


def _upload(folder: Path, bucket: str, prefix: str, options: Options, storage: Storage) -> list[dict]:
    """Redshift's names: <prefix>[column=value/]…<slice>_part_<number>[.parquet]."""
    entries: list[dict] = []
    numbers: dict[tuple[str, str], int] = {}
    extension = EXTENSIONS[options.format] + {"gzip": ".gz", "zstd": ".zst", "": ""}[options.compression]
    if options.extension is not None:
        extension = f".{options.extension}"
    for path in sorted(entry for entry in folder.rglob("*") if entry.is_file()):
        parts = path.relative_to(folder).parts[:-1]
        where = "".join(f"{_partition(part)}/" for part in parts if not part.startswith(f"{SLICE}="))
        piece = next((part.partition("=")[2] for part in parts if part.startswith(f"{SLICE}=")), "0")
        number = numbers.get((where, piece), 0)
        numbers[where, piece] = number + 1
        key = f"{prefix}{where}{int(piece):04d}_part_{number:02d}{extension}"
        storage.upload(path, bucket, key)
        entries.append({"url": f"s3://{bucket}/{key}", "meta": {"content_length": path.stat().st_size}})
        path.unlink()
    return entries


def _partition(part: str) -> str:
    name, _, value = part.partition("=")
    return f"{name.removeprefix('rs_by_')}={urllib.parse.quote(urllib.parse.unquote(value), safe=' :._-')}"


def _manifest(connection: duckdb.DuckDBPyConnection, unload: Unload, entries: list[dict], rows: int) -> dict:
    """https://docs.aws.amazon.com/redshift/latest/dg/r_UNLOAD.html: VERBOSE adds the schema and the totals."""
    if "VERBOSE" not in unload.options.flags:
        return {"entries": [{"url": entry["url"], "meta": entry["meta"]} for entry in entries]}
    columns = column_types(connection, unload.query)
    return {
        "entries": entries,
        "schema": {"elements": [{"name": name, "type": {"base": kind.lower()}} for name, kind in columns]},
        "meta": {"content_length": sum(entry["meta"]["content_length"] for entry in entries), "record_count": rows},
        "author": {"name": "Amazon Redshift", "version": "1.0.0"},
    }
