"""MERGE, as an UPDATE or DELETE and an INSERT: DuckDB's own takes twice as long, and any of several matching rows.

Which row meets which is written down first. So the rows that the one half changes are not those that the other one
looks at, and a target row that meets two source rows is found, on which Redshift fails.
"""

from sqlglot import exp

from local.redshift.errors import SqlError

MET = '"rs met"'  # a temporary table for as long as the statement runs; no name of Redshift's has a blank


def merge(tree: exp.Merge) -> tuple[list[str], list[str]]:
    """What comes before, and the statements whose counts add up to that of the MERGE.

    Raises:
        SqlError: it is not one that Redshift understands.
    """
    whens = {bool(when.args.get("matched")): when.args["then"] for when in tree.args["whens"].expressions}
    if len(tree.args["whens"].expressions) != 2 or len(whens) != 2:
        raise SqlError("MERGE needs WHEN MATCHED and WHEN NOT MATCHED, once each")
    if not all(isinstance(tree.args[side], exp.Table) for side in ("this", "using")):
        raise SqlError("MERGE merges a table into a table\n  Detail: write a query's rows into a temporary table first")
    target, source, on = (_sql(tree.args[side]) for side in ("this", "using", "on"))
    target_row, source_row = (
        _sql(exp.column("rowid", table=tree.args[side].alias_or_name)) for side in ("this", "using")
    )
    before = [
        f"CREATE OR REPLACE TEMP TABLE {MET} AS SELECT {target_row} AS target, {source_row} AS source "  # noqa: S608
        f"FROM {target} JOIN {source} ON {on}",
        f"SELECT error('Found multiple matches to update the same tuple') FROM "  # noqa: S608
        f"(SELECT 1 FROM {MET} HAVING COUNT(*) > COUNT(DISTINCT target))",
    ]
    met = f"{MET} WHERE {target_row} = {MET}.target"
    if isinstance(whens[True], exp.Update):
        values = ", ".join(_assignment(each) for each in whens[True].expressions)
        matched = f"UPDATE {target} SET {values} FROM {source}, {met} AND {source_row} = {MET}.source"  # noqa: S608
    else:
        matched = f"DELETE FROM {target} USING {met}"  # noqa: S608
    insert = whens[False]
    columns = f" {_sql(insert.this)}" if insert.this else ""
    values = ", ".join(_sql(value) for value in insert.expression.expressions)
    unmatched = (
        f"INSERT INTO {_sql(exp.table_(tree.this.this, tree.this.args.get('db')))}{columns} SELECT {values} "  # noqa: S608
        f"FROM {source} WHERE NOT EXISTS (SELECT 1 FROM {MET} WHERE {MET}.source = {source_row})"
    )
    return before, [matched, unmatched, f"DROP TABLE {MET}"]


def _assignment(assigned: exp.Expr) -> str:
    return f"{_sql(exp.column(assigned.this.name))} = {_sql(assigned.expression)}"


def _sql(tree: exp.Expr) -> str:
    return tree.sql("duckdb", identify=True)
