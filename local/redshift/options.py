"""The clauses behind UNLOAD … TO and COPY … FROM, read word by word. One that is not known here is refused by name."""

import re
from dataclasses import dataclass, field

from local.redshift.errors import Refused, SqlError

STRING = r"'(?:[^']|'')*'"
WORDS = re.compile(rf"\s*(?:--[^\n]*|({STRING})|(\([^()]*\))|([^\s'()]+))")
SIZE = {"MB": 2**20, "GB": 2**30}


@dataclass
class Options:
    """What was asked for, by clause."""

    format: str = "TEXT"  # PARQUET, CSV, JSON or TEXT (values between delimiters)
    role: str = ""  # an ARN, or "default"
    delimiter: str | None = None
    quote: str = '"'
    null: str = ""
    compression: str = ""  # gzip or zstd
    json_paths: str = "auto"
    ignore_header: int = 0
    partition_by: list[str] = field(default_factory=list)
    include_partitions: bool = False
    max_file_bytes: int = int(6.2 * 2**30)
    extension: str | None = None
    flags: set[str] = field(default_factory=set)  # MANIFEST, VERBOSE, HEADER, ALLOWOVERWRITE, CLEANPATH, SERIAL, …


UNLOAD_FLAGS = {"HEADER", "ALLOWOVERWRITE", "CLEANPATH", "ADDQUOTES"}
COPY_FLAGS = {"EMPTYASNULL", "BLANKSASNULL", "TRIMBLANKS", "FILLRECORD"}
FORMATS = {"PARQUET", "CSV", "JSON"}


class Reader:
    """The words of a clause list, one after the other."""

    def __init__(self, text: str) -> None:
        self._words: list[str] = []
        at = 0
        while at < len(text) and text[at:].strip():
            found = WORDS.match(text, at)
            if not found:
                raise SqlError(f'syntax error at or near "{text[at:].split()[0]}"')
            if word := found[1] or found[2] or found[3]:
                self._words.append(word)
            at = found.end()

    def next(self) -> str:
        """The next word, or nothing at the end."""
        return self._words.pop(0) if self._words else ""

    def peek(self) -> str:
        """The next word in upper case, left where it is."""
        return self._words[0].upper() if self._words else ""

    def skip(self, *words: str) -> bool:
        """Whether the next word is one of these; if so it is taken."""
        if self.peek() in words:
            self.next()
            return True
        return False

    def string(self, clause: str) -> str:
        """A quoted value, after an optional AS."""
        self.skip("AS")
        word = self.next()
        if not word.startswith("'"):
            raise SqlError(
                f'syntax error at or near "{word or "end of input"}"\n  Detail: {clause} needs a quoted value'
            )
        return word[1:-1].replace("''", "'")


def read_options(text: str, command: str) -> Options:
    """The clauses of an UNLOAD or a COPY.

    Raises:
        SqlError: they contradict each other, or a role is missing.
        Refused: one of them is not supported here.
    """
    reader, options = Reader(text), Options()
    while word := reader.next():
        if not _common(word.upper(), reader, options):
            handled = (
                _unload(word.upper(), reader, options) if command == "UNLOAD" else _copy(word.upper(), reader, options)
            )
            if not handled:
                raise Refused(f"{command} … {word}")
    if not options.role:
        raise SqlError(
            f"The {command} command requires credentials: write IAM_ROLE default or IAM_ROLE 'arn:aws:iam::…'"
        )
    return options


def _common(word: str, reader: Reader, options: Options) -> bool:
    if word in {"WITH", "AS"}:
        return True
    if word == "FORMAT":
        reader.skip("AS")
        word = reader.next().upper()
        if word not in FORMATS:
            raise Refused(f"FORMAT {word}")
    if word in FORMATS:
        options.format = word
        if word == "JSON" and reader.peek().startswith("'"):
            options.json_paths = reader.string("JSON")
        if word == "CSV" and reader.skip("QUOTE"):
            options.quote = reader.string("QUOTE")
    elif word == "IAM_ROLE":
        options.role = "default" if reader.skip("DEFAULT") else reader.string("IAM_ROLE")
    elif word == "CREDENTIALS":
        given = reader.string("CREDENTIALS")
        if not given.startswith("aws_iam_role="):
            raise Refused("CREDENTIALS other than aws_iam_role=…")
        options.role = given.partition("=")[2]
    elif word == "DELIMITER":
        options.delimiter = reader.string("DELIMITER").replace("\\t", "\t")
    elif word == "NULL":
        options.null = reader.string("NULL")
    elif word in {"GZIP", "ZSTD"}:
        options.compression = word.lower()
    elif word == "MANIFEST":
        options.flags.add("MANIFEST")
        if reader.skip("VERBOSE"):
            options.flags.add("VERBOSE")
    elif word == "REGION":
        reader.string("REGION")
    else:
        return False
    return True


def _unload(word: str, reader: Reader, options: Options) -> bool:
    if word in UNLOAD_FLAGS:
        options.flags.add(word)
    elif word == "PARALLEL":
        if reader.next().upper() in {"OFF", "FALSE"}:
            options.flags.add("SERIAL")
    elif word == "PARTITION":
        reader.skip("BY")
        columns = reader.next()
        if not columns.startswith("("):
            raise SqlError(f'syntax error at or near "{columns}"')
        options.partition_by = [name.strip().strip('"').lower() for name in columns[1:-1].split(",")]
        options.include_partitions = reader.skip("INCLUDE")
    elif word in {"MAXFILESIZE", "ROWGROUPSIZE"}:
        size = _size(word, reader)
        if word == "MAXFILESIZE":
            options.max_file_bytes = size
    elif word == "EXTENSION":
        options.extension = reader.string("EXTENSION")
    else:
        return False
    return True


def _size(clause: str, reader: Reader) -> int:
    reader.skip("AS")
    found = re.fullmatch(r"(?i)([\d.]+)(mb|gb)?", reader.next())
    if not found:
        raise SqlError(f"{clause} needs a size such as 256 MB")
    unit = (found[2] or (reader.next() if reader.peek() in SIZE else "MB")).upper()
    size = int(float(found[1]) * SIZE[unit])
    if clause == "MAXFILESIZE" and not 5 * SIZE["MB"] <= size <= int(6.2 * SIZE["GB"]):
        raise SqlError("MAXFILESIZE must be between 5 MB and 6.2 GB")
    return size


def _copy(word: str, reader: Reader, options: Options) -> bool:
    if word in COPY_FLAGS:
        options.flags.add(word)
    elif word == "IGNOREHEADER":
        reader.skip("AS")
        options.ignore_header = int(reader.next())
    elif word in {"STATUPDATE", "COMPUPDATE"}:
        reader.skip("ON", "OFF", "TRUE", "FALSE", "PRESET")
    elif word in {"DATEFORMAT", "TIMEFORMAT"}:
        if reader.string(word).lower() != "auto":
            raise Refused(f"{word} other than 'auto'")
    elif word == "MAXERROR":
        reader.skip("AS")
        if reader.next() != "0":
            raise Refused("MAXERROR other than 0")
    else:
        return False
    return True
