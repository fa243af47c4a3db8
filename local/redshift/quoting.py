"""Names and texts inside of SQL.

Values are written into statements here rather than bound: DuckDB imports pandas for the first bound value, which takes
seconds and a hundred megabytes that the cloud has better uses for.
"""


def name(value: str) -> str:
    """A name, quoted."""
    return '"' + value.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"
