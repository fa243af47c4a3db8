"""The stack's tables on moto, as template.yaml has them, indexes and projections included."""

from functools import cache
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
KEPT = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")


@cache
def resources() -> dict[str, Any]:
    """The resources of template.yaml as they are written."""
    written: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
    return written


def make_table(dynamodb: Any, resource: str, name: str) -> None:
    """One table: `make_table(dynamodb, "JobsTable", "jobs")`."""
    if name in dynamodb.list_tables()["TableNames"]:  # a worker may hold one moto for several files
        dynamodb.delete_table(TableName=name)
    table = resources()[resource]["Properties"]
    dynamodb.create_table(TableName=name, **{key: table[key] for key in KEPT if key in table})


def make_tables(dynamodb: Any, jobs: str = "jobs", models: str = "models") -> None:
    """Both of them."""
    make_table(dynamodb, "JobsTable", jobs)
    make_table(dynamodb, "ModelsTable", models)
