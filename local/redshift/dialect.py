"""Where Redshift and DuckDB read an expression differently, its tree is changed until both give Redshift's answer."""

import re
from collections.abc import Callable

from sqlglot import exp

from local.redshift.errors import Refused, SqlError
from local.redshift.macros import FUNCTIONS, INTERNAL

# Window functions whose default frame Redshift does not assume: with ORDER BY they need one spelled out.
# https://docs.aws.amazon.com/redshift/latest/dg/r_Window_function_synopsis.html
NEEDS_FRAME = (
    exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Count, exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Variance,
    exp.VariancePop, exp.FirstValue, exp.LastValue, exp.NthValue,
)  # fmt: skip
# Functions whose name in sqlglot is not the one that Redshift gives to their column.
NAMES: dict[type, str] = {
    exp.ApproxDistinct: "count", exp.GroupConcat: "listagg", exp.TimestampTrunc: "date_trunc", exp.Extract: "date_part",
    exp.Length: "len", exp.Stddev: "stddev_samp", exp.Variance: "var_samp", exp.StrPosition: "strpos", exp.If: "case",
    exp.DecodeCase: "case",
    exp.DateAdd: "date_add", exp.TsOrDsAdd: "date_add", exp.DateDiff: "date_diff", exp.TsOrDsDiff: "date_diff",
    exp.CurrentTimestamp: "getdate", exp.CurrentDate: "date", exp.LogicalOr: "bool_or", exp.LogicalAnd: "bool_and",
    exp.Pow: "pow", exp.Rand: "random", exp.TimeToStr: "to_char", exp.StrToDate: "to_date", exp.TsOrDsToDate: "to_date",
}  # fmt: skip
TYPE_NAMES = {
    "INT": "int4",
    "BIGINT": "int8",
    "SMALLINT": "int2",
    "DOUBLE": "float8",
    "FLOAT": "float4",
    "DECIMAL": "numeric",
}
ONLY_IN_DUCKDB = (exp.Lambda, exp.Struct, exp.List, exp.Map)
REFUSED_TYPES = {"HLLSKETCH", "GEOMETRY", "GEOGRAPHY", "VARBYTE", "VARBINARY", "SUPER"}


def rewrite(tree: exp.Expr) -> exp.Expr:
    """Change a statement's tree, in place where it can, and return it.

    Raises:
        SqlError: Redshift would refuse it.
        Refused: the embedded warehouse does.
    """
    for select in tree.find_all(exp.Select):
        _refuse_clauses(select)
        _name_columns(select)
    for identifier in tree.find_all(exp.Identifier):
        fold(identifier)
    # Leaves first, each node once: a rule that copies its arguments copies them finished.
    for node in reversed(list(tree.bfs())):
        changed = _node(node)
        if changed is not node:
            if node.parent is None:
                return changed
            node.replace(changed)
    return tree


def fold(identifier: exp.Identifier) -> None:
    """Redshift folds every name to lower case, quoted ones too, and marks temporary tables with a leading #."""
    identifier.set("this", identifier.this.lower().lstrip("#"))
    identifier.set("temporary", None)


def _refuse_clauses(select: exp.Select) -> None:
    distinct = select.args.get("distinct")
    if distinct is not None and distinct.args.get("on") is not None:
        raise SqlError("SELECT DISTINCT ON is not supported")
    for table in select.find_all(exp.Table):
        if isinstance(table.this, exp.Func) and not isinstance(table.this, exp.GenerateSeries):
            raise SqlError(f"function {table.this.sql_name().lower()}() does not exist in FROM")


def _name_columns(select: exp.Select) -> None:
    """Give results the names Redshift gives them: `count` for COUNT(*), `?column?` for what has none."""
    if isinstance(select.parent, exp.In | exp.Exists):
        return
    named = []
    for expression in select.expressions:
        if isinstance(expression, exp.Alias | exp.Column | exp.Star | exp.Aliases) or expression.is_star:
            named.append(expression)
        else:
            named.append(exp.alias_(expression, column_name(expression), quoted=True))
    select.set("expressions", named)


def column_name(expression: exp.Expr) -> str:
    """The name of a result column without an alias."""
    node = expression
    while isinstance(node, exp.Paren | exp.Cast | exp.Window | exp.WithinGroup | exp.IgnoreNulls):
        if isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal):
            kind = node.to.this.name
            return TYPE_NAMES.get(kind, kind.lower())
        node = node.this
    if isinstance(node, exp.Column):
        return node.name.lower()
    if isinstance(node, exp.Anonymous):
        return node.name.lower()
    if type(node) in NAMES:
        return NAMES[type(node)]
    if isinstance(node, exp.Func) and not isinstance(node, exp.Binary | exp.Connector | exp.Cast):
        return node.sql_name().lower()
    return "?column?"


def _node(node: exp.Expr) -> exp.Expr:
    if isinstance(node, ONLY_IN_DUCKDB):
        raise SqlError(f'syntax error at or near "{node.sql("duckdb")[:40]}"')
    rule = next((RULES[kind] for kind in type(node).__mro__ if kind in RULES), None)
    return rule(node) if rule else node


def _call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=[argument.copy() for argument in arguments])


def _divide(node: exp.Expr) -> exp.Expr:
    """A division by zero is an error in Redshift, NULL in DuckDB."""
    divisor = node.expression
    bare = divisor.unnest()
    if (isinstance(bare, exp.Literal) and bare.is_number and float(bare.this) != 0) or isinstance(bare, exp.Nullif):
        return node
    if isinstance(bare, exp.Anonymous) and bare.name == "rs_divisor":
        return node
    node.set("expression", _call("rs_divisor", divisor))
    return node


def _average(node: exp.Avg) -> exp.Expr:
    """AVG of integers is an integer: the sum by the count (https://docs.aws.amazon.com/redshift/latest/dg/r_AVG.html)."""
    return node if isinstance(node.parent, exp.Window) else _mean(node, lambda function: function)


def _mean(node: exp.Avg, over: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    function = exp.Sum(this=node.this.copy())
    function.meta["mean"] = True  # its type says nothing about the mean's, which is BIGINT for every integer
    total, count = over(function), over(exp.Count(this=node.this.copy()))
    return exp.paren(exp.Div(this=total, expression=_call("nullif", count, exp.Literal.number(0))), copy=False)


def _window(node: exp.Window) -> exp.Expr:
    function = node.this
    inner = function.this if isinstance(function, exp.IgnoreNulls | exp.RespectNulls) else function
    if isinstance(inner, NEEDS_FRAME) and node.args.get("order") and not node.args.get("spec"):
        raise SqlError("Aggregate window functions with an ORDER BY clause require a frame clause")

    def over(call: exp.Expr) -> exp.Window:
        copy = node.copy()
        copy.set("this", call)
        return copy

    if isinstance(inner, exp.Anonymous) and inner.name.lower() == "ratio_to_report":
        value = inner.expressions[0]
        total = over(exp.Sum(this=value.copy()))
        return exp.paren(exp.Div(this=exp.cast(value.copy(), "double"), expression=total), copy=False)
    return _mean(inner, over) if isinstance(inner, exp.Avg) else node


def _anonymous(node: exp.Anonymous) -> exp.Expr:
    name = node.name.lower()
    if name in INTERNAL:
        return node
    if name == "ratio_to_report":
        return node  # its window replaces it
    if not FUNCTIONS.get(name):
        raise Refused(f"function {name}()")
    node.set("this", FUNCTIONS[name])
    return node


def _data_type(node: exp.DataType) -> exp.Expr:
    if isinstance(node.parent, exp.Cast):
        return node  # done with its cast, which needs to see the length
    return _redshift_type(node)


def _redshift_type(node: exp.DataType) -> exp.DataType:
    kind = node.this.name if isinstance(node.this, exp.DataType.Type) else str(node.this).upper()
    if kind in REFUSED_TYPES or kind == "USERDEFINED":
        raise Refused(f"type {node.sql('redshift')}")
    if kind == "DECIMAL" and not node.expressions:
        return exp.DataType.build("DECIMAL(18, 0)")
    if kind in {"VARCHAR", "CHAR", "NCHAR", "NVARCHAR", "TEXT", "BPCHAR"}:
        return exp.DataType.build("TEXT")
    return node


def _cast(node: exp.Cast) -> exp.Expr:
    """CAST to VARCHAR(n) cuts, as Redshift's explicit casts do."""
    length = node.to.expressions[0].name if node.to.expressions else ""
    if node.to.is_type("varchar", "char", "nchar", "nvarchar", "text") and length.isdigit():
        return exp.Left(this=exp.cast(node.this.copy(), "text"), expression=exp.Literal.number(length))
    kind = _redshift_type(node.to)
    if kind is not node.to:
        node.set("to", kind)
    return node


def _similar(node: exp.SimilarTo) -> exp.Expr:
    """SIMILAR TO has SQL's % and _ beside regular expressions; DuckDB's has only the latter."""
    if not (isinstance(node.expression, exp.Literal) and node.expression.is_string):
        raise Refused("SIMILAR TO with a pattern that is not a literal")
    pattern = re.sub(r"(?<!\\)%", ".*", re.sub(r"(?<!\\)_", ".", node.expression.this))
    return _call("regexp_full_match", node.this, exp.Literal.string(pattern))


def _like(node: exp.Like | exp.ILike) -> exp.Expr:
    if isinstance(node.parent, exp.Escape) or "\\" not in node.expression.sql():
        return node
    escaped = node.copy()
    return exp.Escape(this=escaped, expression=exp.Literal.string("\\"))


def _regexp_replace(node: exp.RegexpReplace) -> exp.Expr:
    modifiers = node.args.get("modifiers")
    if node.args.get("position") is not None and node.args["position"].name != "1":
        raise Refused("REGEXP_REPLACE from a position")
    if modifiers is None:
        node.set("modifiers", exp.Literal.string("g"))
    return node


def _listagg(node: exp.GroupConcat) -> exp.Expr:
    """LISTAGG([DISTINCT] x [, separator]) [WITHIN GROUP (ORDER BY …)] is DuckDB's string_agg."""
    value, order = node.this, None
    if isinstance(value, exp.Order):
        value, order = value.this, value
    separator = node.args.get("separator") or exp.Literal.string("")
    text, distinct = value, False
    if isinstance(value, exp.Distinct):
        text, distinct = value.expressions[0], True
        separator = value.expressions[1] if len(value.expressions) > 1 else separator
    body = exp.cast(text.copy(), "text").sql("duckdb", identify=True)
    ordering = f" {order.copy().sql('duckdb', identify=True).strip().partition(' ORDER BY ')[2]}" if order else ""
    by = f" ORDER BY{ordering}" if ordering else ""
    return exp.Var(this=f"string_agg({'DISTINCT ' if distinct else ''}{body}, {separator.sql('duckdb')}{by})")


def _concat(node: exp.Concat) -> exp.Expr:
    """CONCAT of NULL is NULL, and it takes exactly two arguments."""
    if len(node.expressions) != 2:
        raise SqlError("function concat() takes exactly two arguments; join more with ||")
    left, right = (exp.cast(part.copy(), "text") for part in node.expressions)
    return exp.paren(exp.DPipe(this=left, expression=right), copy=False)


def _no_function(what: str) -> Callable[[exp.Expr], exp.Expr]:
    def refuse(node: exp.Expr) -> exp.Expr:
        raise Refused(what)

    return refuse


def _trunc(node: exp.Expr) -> exp.Expr:
    """TRUNC of a moment is its day; DuckDB's trunc knows numbers only."""
    value = node.this
    now = isinstance(value, exp.Anonymous) and value.name in {"rs_getdate", "rs_sysdate"}
    if now or (isinstance(value, exp.Cast) and value.is_type("timestamp")):
        return exp.cast(value.copy(), "date")
    return node


def _date_trunc(node: exp.Expr) -> exp.Expr:
    """DATE_TRUNC of a DATE is a TIMESTAMP: adding no time at all makes it one, and leaves the others what they are."""
    nothing = exp.Interval(this=exp.Literal.string("0"), unit=exp.Var(this="SECOND"))
    return exp.paren(exp.Add(this=node.copy(), expression=nothing), copy=False)


RULES: dict[type, Callable] = {
    exp.Div: _divide, exp.Mod: _divide, exp.IntDiv: _divide, exp.Avg: _average,
    exp.Window: _window, exp.Anonymous: _anonymous, exp.DataType: _data_type, exp.Cast: _cast,
    exp.SimilarTo: _similar, exp.Like: _like, exp.ILike: _like, exp.RegexpReplace: _regexp_replace,
    exp.GroupConcat: _listagg,
    exp.TimestampTrunc: _date_trunc, exp.DateTrunc: _date_trunc, exp.Concat: _concat, exp.Trunc: _trunc,
    exp.CurrentTimestamp: lambda node: _call("rs_sysdate" if node.args.get("sysdate") else "rs_getdate"),
    exp.CurrentUser: lambda node: exp.Literal.string("awsuser"),
    exp.CurrentDate: lambda node: _call("rs_today"),
    exp.FromBase: lambda node: _call("rs_strtol", node.this, node.expression),
    exp.Initcap: lambda node: _call("rs_initcap", node.this),
    exp.RegexpInstr: lambda node: _call("rs_regexp_instr", node.this, node.expression),
    exp.Hll: _no_function("function hll()"), exp.FarmFingerprint: _no_function("function farmfingerprint64()"),
    exp.ParseJSON: _no_function("function json_parse()"), exp.Pivot: _no_function("PIVOT"),
}  # fmt: skip
