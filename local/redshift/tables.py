"""CREATE, ALTER and DROP: what Redshift does not enforce goes, what it enforces and DuckDB does not comes."""

import re

from sqlglot import exp

from local.redshift.dialect import fold, rewrite
from local.redshift.errors import Refused, SqlError

# Keys are promises to the planner in Redshift, never checked; DuckDB would check them.
# https://docs.aws.amazon.com/redshift/latest/dg/t_Defining_constraints.html
NOT_ENFORCED = (exp.PrimaryKeyColumnConstraint, exp.UniqueColumnConstraint, exp.Reference, exp.EncodeColumnConstraint)
TABLE_CONSTRAINTS = (exp.PrimaryKey, exp.UniqueColumnConstraint, exp.ForeignKey, exp.Constraint)
TEXTS = {
    "VARCHAR": 256,
    "CHAR": 1,
    "NCHAR": 1,
    "NVARCHAR": 256,
    "BPCHAR": 256,
}  # bytes, where none are given; TEXT is 256
IDENTITIES = "rs_identity"  # the schema of the sequences behind identity columns
KEPT_PROPERTIES = (exp.TemporaryProperty, exp.SchemaCommentProperty)


def create(tree: exp.Create) -> list[exp.Expr | str]:
    """CREATE TABLE, VIEW or SCHEMA as one or more statements.

    Raises:
        Refused: anything else that can be created.
    """
    kind = (tree.kind or "").upper()
    properties = tree.args.get("properties")
    given = list(properties.expressions) if properties else []
    if kind not in {"TABLE", "VIEW", "SCHEMA"} or any(isinstance(p, exp.ExternalProperty) for p in given):
        raise Refused(f"CREATE {'EXTERNAL ' if given and kind == 'TABLE' else ''}{kind}")
    if any(isinstance(p, exp.MaterializedProperty) for p in given):
        raise Refused("CREATE MATERIALIZED VIEW")
    name = tree.find(exp.Table)
    temporary = name is not None and _is_temporary(name)
    like = next((p for p in tree.find_all(exp.LikeProperty)), None)
    kept = [p for p in given if isinstance(p, exp.TemporaryProperty)]
    if temporary and not kept:
        kept = [exp.TemporaryProperty()]
    tree.set("properties", exp.Properties(expressions=kept) if kept else None)
    tree.set("no_schema_binding", None)
    if kind == "TABLE" and like is not None:
        return _create_like(tree, like, bool(kept))
    before: list[exp.Expr | str] = []
    if kind == "TABLE" and isinstance(tree.this, exp.Schema):
        if not any(isinstance(part, exp.ColumnDef) for part in tree.this.expressions) and not tree.expression:
            raise SqlError('syntax error at or near ")"')
        before = _columns(tree.this)
    return [*before, rewrite(tree)]


def _is_temporary(table: exp.Table) -> bool:
    name = table.this
    return isinstance(name, exp.Identifier) and (name.this.startswith("#") or bool(name.args.get("temporary")))


def _create_like(tree: exp.Create, like: exp.LikeProperty, temporary: bool) -> list[exp.Expr | str]:
    target, source = tree.find(exp.Table) or tree.this, like.this
    for identifier in (*target.find_all(exp.Identifier), *source.find_all(exp.Identifier)):
        fold(identifier)
    kind = "TEMPORARY TABLE" if temporary else "TABLE"
    exists = "IF NOT EXISTS " if tree.args.get("exists") else ""
    names = [part.sql("duckdb", identify=True) for part in (target, source)]
    return [f"CREATE {kind} {exists}{names[0]} AS SELECT * FROM {names[1]} LIMIT 0"]  # noqa: S608 (from the tree)


def _columns(schema: exp.Schema) -> list[exp.Expr | str]:
    """Clean the columns of a table in place; return what must exist before it: the sequences of identity columns."""
    before: list[exp.Expr | str] = []
    table = "_".join(part.name.lower().lstrip("#") for part in schema.this.parts)
    kept: list[exp.Expr] = []
    for part in schema.expressions:
        if isinstance(part, exp.ColumnDef):
            before += _column(part, table)
            kept.append(part)
            if (length := _length(part)) is not None:
                column = exp.column(part.this.name.lower(), quoted=True)
                limit = exp.LTE(
                    this=exp.Anonymous(this="strlen", expressions=[column]), expression=exp.Literal.number(length)
                )
                part.args["constraints"] = [
                    *part.args.get("constraints", []),
                    exp.ColumnConstraint(kind=exp.CheckColumnConstraint(this=limit)),
                ]
        elif isinstance(part, exp.Identifier):
            kept.append(part)
        elif not isinstance(part, TABLE_CONSTRAINTS):
            raise Refused(f"`{part.sql('redshift')}` in CREATE TABLE")
    schema.set("expressions", kept)
    return before


def _length(column: exp.ColumnDef) -> int | None:
    """The most bytes a text column may hold; None for other types."""
    kind = column.kind
    if kind is None:
        return None
    name = kind.this.name if isinstance(kind.this, exp.DataType.Type) else ""
    if name not in TEXTS and name != "TEXT":
        return None
    given = kind.expressions[0].name.lower() if kind.expressions else ""
    return 65535 if given == "max" else int(given) if given.isdigit() else TEXTS.get(name, 256)


def _column(column: exp.ColumnDef, table: str) -> list[exp.Expr | str]:
    before: list[exp.Expr | str] = []
    kept = []
    for constraint in column.args.get("constraints") or []:
        if isinstance(constraint.kind, NOT_ENFORCED) or isinstance(constraint, exp.Reference):
            continue
        if isinstance(constraint.kind, exp.GeneratedAsIdentityColumnConstraint):
            start = constraint.kind.args.get("start") or exp.Literal.number(1)
            step = constraint.kind.args.get("increment") or exp.Literal.number(1)
            name = f"{table}_{column.name.lower()}"
            before.append(f'CREATE SCHEMA IF NOT EXISTS "{IDENTITIES}"')
            before.append(
                f'CREATE OR REPLACE SEQUENCE "{IDENTITIES}"."{name}" INCREMENT BY {step.sql()} '
                f"MINVALUE -9223372036854775807 MAXVALUE 9223372036854775807 START WITH {start.sql()}"
            )
            value = exp.Anonymous(this="nextval", expressions=[exp.Literal.string(f"{IDENTITIES}.{name}")])
            constraint = exp.ColumnConstraint(kind=exp.DefaultColumnConstraint(this=value))
        kept.append(constraint)
    column.set("constraints", kept)
    return before


def drop(tree: exp.Drop) -> list[str]:
    """DROP of one or several things, one statement each."""
    kind = (tree.kind or "").upper()
    if kind not in {"TABLE", "VIEW", "SCHEMA"}:
        raise Refused(f"DROP {kind}")
    exists, cascade = "IF EXISTS " if tree.args.get("exists") else "", " CASCADE" if tree.args.get("cascade") else ""
    names = list(tree.find_all(exp.Table))
    for identifier in tree.find_all(exp.Identifier):
        fold(identifier)
    return [f"DROP {kind} {exists}{name.sql('duckdb', identify=True)}{cascade}" for name in names]


def alter_table(tree: exp.Expr) -> list[str]:
    """ALTER TABLE … ADD, DROP, RENAME, ALTER COLUMN TYPE; owners and sort keys change nothing here.

    Raises:
        Refused: any other change.
    """
    text = tree.sql("redshift")
    if re.search(r"(?is)\b(owner\s+to|alter\s+(compound\s+)?sortkey|alter\s+diststyle|alter\s+distkey|encode)\b", text):
        return []
    if isinstance(tree, exp.Command):
        raise Refused(f"`{re.sub(chr(32) + '+', ' ', text)[:60]}`")
    for action in tree.args.get("actions") or []:
        if isinstance(action, exp.AddConstraint):
            return []
        if isinstance(action, exp.ColumnDef):
            _column(action, "added")
        elif not isinstance(action, exp.Drop | exp.RenameColumn | exp.AlterRename | exp.AlterColumn):
            raise Refused(f"`{text[:60]}`")
    tree.set("cascade", None)
    return [rewrite(tree).sql("duckdb", identify=True)]
