"""How many labelled rows a family has now: one query, whose end is an event."""

from datetime import datetime
from typing import Any

from boxcar.families import Family

DETAIL_TYPE = "Redshift Data Statement Status Change"


def statement_name(stack: str, family: str) -> str:
    """By which the event of its end is told from those of jobs, whose names begin with the stack's."""
    return f"retraining-{stack}-{family}"


def family_of(stack: str, name: str) -> str:
    """The family that a statement counts for; "" if it is none of ours."""
    prefix = statement_name(stack, "")
    return name[len(prefix) :] if name.startswith(prefix) else ""


def count_sql(family: Family) -> str:
    """Rows with a label, a column for each model in the family's order. Columns are identifiers of a checked family."""
    columns = ", ".join(f"COUNT({model.label})" for model in family.models.values())
    return f"SELECT {columns} FROM ({family.source.query.strip().rstrip(';')}) AS labelled"  # noqa: S608


def count(client: Any, warehouse: dict[str, str], stack: str, family: Family, now: datetime) -> str:
    """Start counting, once a day; return the statement's id. `warehouse` says which database, and as whom."""
    started: dict[str, Any] = client.execute_statement(
        **warehouse,
        Sql=count_sql(family),
        StatementName=statement_name(stack, family.family),
        ClientToken=f"{statement_name(stack, family.family)}-{now:%Y-%m-%d}",
        WithEvent=True,
    )
    return str(started["Id"])


def counted(client: Any, statement: str, family: Family) -> dict[str, int]:
    """What was counted, by model."""
    record = client.get_statement_result(Id=statement)["Records"][0]
    return {model: int(field["longValue"]) for model, field in zip(family.models, record, strict=True)}
