"""What Redshift would say: the texts that DuckDB's errors become, for whoever matches on Redshift's words."""

import random
import re

import duckdb


class SqlError(Exception):
    """A statement fails, in Redshift's words. `str()` is what DescribeStatement shows after "ERROR: "."""


class Refused(SqlError):  # noqa: N818 (what happened, not what went wrong)
    """Redshift may run this; the embedded warehouse does not, and says so by name instead of doing something else."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not supported by the embedded warehouse (docs/redshift-local.md lists what is)")


CONFLICT = re.compile(r"(?i)transaction ?context error|conflict on|write-write conflict|transaction conflict")
INTEGERS = {"INT16": "Short", "INT32": "Integer", "INT64": "Long", "DOUBLE": "Double", "FLOAT": "Float"}

RULES: list[tuple[str, str]] = [
    (r'Table with name "([^"]+)" already exists', r'Relation "\1" already exists'),
    (r'(?:View|Table) with name "?([\w.$#]+)"? already exists', r'Relation "\1" already exists'),
    (r'because schema "([^"]+)" does not exist', r'schema "\1" does not exist'),
    (r"Schema with name (\S+) does not exist", r'schema "\1" does not exist'),
    (r"(?:Table|View) with name \"?([^\"!]+?)\"? does not exist", r'relation "\1" does not exist'),
    (r'Referenced table "([^"]+)" not found', r'relation "\1" does not exist'),
    (r'Referenced column "([^"]+)" (?:not found|was not found)', r'column "\1" does not exist'),
    (r'Table "[^"]*" does not have a column (?:named|with name) "([^"]+)"', r'column "\1" does not exist'),
    (r'column "([^"]+)" must appear in the GROUP BY',
     r'column "\1" must appear in the GROUP BY clause or be used in an aggregate function'),
    (r"(?:Scalar|Aggregate|Table) Function with name \"?(\w+)\"? does not exist",
     "function \\1() does not exist\n  Hint: No function matches the given name and argument types. "
     "You may need to add explicit type casts."),
    (r"No function matches the given name and argument types '([^']+)'",
     "function \\1 does not exist\n  Hint: No function matches the given name and argument types. "
     "You may need to add explicit type casts."),
    (r"NOT NULL constraint failed: \S*?(\w+)$", r"Cannot insert a NULL value into column \1"),
    (r"CHECK constraint failed on table .*?strlen\(\"?\w+\"?\) <= (\d+)",
     r"value too long for type character varying(\1)"),
    (r"(?m)syntax error at or near (\"[^\"]*\")", r"syntax error at or near \1"),
    (r"syntax error at end of input", r"syntax error at end of input"),
    (r"Invalid Input Error: (Divide by zero|Found multiple matches to update the same tuple)$", r"\1"),
    (r"Out of Range Error: (?:Overflow|Cannot)", r"Numeric data overflow (result precision)"),
    (r"Could not cast value .* to DECIMAL", r"Numeric data overflow (result precision)"),
]  # fmt: skip


def redshift_text(error: Exception, relation: str = "") -> str:
    """The words Redshift has for an error of DuckDB; DuckDB's own, without its class, where there is no rule."""
    if isinstance(error, SqlError):
        return f"ERROR: {error}"
    text = str(error).strip()
    if is_conflict(error):
        # https://docs.aws.amazon.com/redshift/latest/dg/c_serial_isolation-serializable-isolation-troubleshooting.html
        table, first = random.randint(100000, 199999), random.randint(10**6, 10**7)  # noqa: S311 (identifiers only)
        return (
            f"ERROR: 1023\n  Detail: Serializable isolation violation on table - {table}, "
            f"transactions forming the cycle are: {first}, {first + 1} (pid:{random.randint(1000, 30000)})"  # noqa: S311
        )
    if found := re.search(r"Could not convert string '(.*?)' to (\w+)", text, re.DOTALL):
        return f"ERROR: {_bad_value(found[1], found[2])}"
    if re.search(r"(timestamp|date|time) field value out of range|invalid (timestamp|date) field format", text):
        return "ERROR: Invalid data\n  Detail: " + text.splitlines()[0].partition(": ")[2]
    for pattern, words in RULES:
        if found := re.search(pattern, text.split("\n\n")[0]):
            return "ERROR: " + found.expand(words)
    return "ERROR: " + re.sub(r"^[A-Z]\w+(?: \w+)* Error: ", "", text.split("\nLINE ")[0]).strip()


def is_conflict(error: Exception) -> bool:
    """Whether two transactions got in each other's way."""
    return isinstance(error, duckdb.Error) and bool(CONFLICT.search(str(error)))


def _bad_value(value: str, duckdb_type: str) -> str:
    kind = INTEGERS.get(duckdb_type, duckdb_type.title())
    position = next((i for i, letter in enumerate(value) if not (letter.isdigit() or (i == 0 and letter in "+-"))), 0)
    shown = value[position] if value else ""
    return f"Invalid digit, Value '{shown}', Pos {position}, Type: {kind} \n  Detail: the value was '{value}'"
