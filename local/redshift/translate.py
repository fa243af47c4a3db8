"""One statement of Redshift's SQL as the statements that DuckDB runs for it."""

import logging
import re
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokens import TokenType

from local.redshift.dialect import rewrite
from local.redshift.errors import Refused, SqlError
from local.redshift.merge import merge
from local.redshift.tables import alter_table, create, drop

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns about what is refused here by name anyway

# Nothing here changes a result: there are no users to grant to, no blocks to sort, and one transaction a table anyway.
WITHOUT_EFFECT = {"ANALYZE", "VACUUM", "GRANT", "REVOKE", "COMMENT", "RESET"}
SETTINGS_WITHOUT_EFFECT = {
    "query_group", "statement_timeout", "wlm_query_slot_count", "enable_result_cache_for_session", "application_name",
    "json_serialization_enable", "analyze_threshold_percent", "extra_float_digits",
    "client_encoding",
}  # fmt: skip
QUERY = "rs_query_here"
VERBS = {
    "SELECT", "WITH", "VALUES", "INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "DROP", "ALTER", "TRUNCATE", "BEGIN",
    "START", "COMMIT", "END", "ROLLBACK", "ABORT", "EXPLAIN", "SHOW", "CALL", "DECLARE", "FETCH", "CLOSE", "PREPARE",
    "EXECUTE", "DEALLOCATE", "CANCEL", "USE", "DESC", "DESCRIBE", "ATTACH", "DETACH", "REFRESH",
}  # fmt: skip
BOOKKEEPING = (exp.Grant, exp.Revoke, exp.Comment, exp.Analyze)
TERMINATORS = (TokenType.SEMICOLON,)


@dataclass(frozen=True)
class Query:
    """A SELECT, and the same one with each SUM(x) replaced by some x: beside each other they tell a sum's type."""

    sql: str
    ordered: bool = False
    probe: str | None = None


@dataclass
class Translation:
    """What DuckDB is to run: `guards` first (each fails or says nothing), then `statements`.

    kind: query (rows come back), write (counts do, and are added up), create_as, ddl, truncate, lock (`statements` are
    names of tables), begin, commit, rollback or nothing.
    """

    kind: str
    statements: list[str] = field(default_factory=list)
    guards: list[str] = field(default_factory=list)
    query: Query | None = None


def translate(sql: str, parameters: dict[str, str] | None = None) -> Translation:
    """Translate one statement; parameters become literals whose type their place decides, as Redshift does it.

    Raises:
        SqlError: Redshift would not understand it, or the embedded warehouse refuses it by name.
    """
    text = _prepared(sql)
    verb = _verb(text)
    if verb in WITHOUT_EFFECT:
        return Translation("nothing")
    if verb == "SET":
        return _setting(text)
    if verb == "LOCK":
        return _lock(text)
    if verb not in VERBS:
        raise SqlError(f'syntax error at or near "{verb.lower() or text[0]}"\n  Position: 1;')
    tree = _parse(text)
    _bind(tree, parameters or {})
    return _translate(tree, verb)


def translate_query(sql: str) -> Query:
    """The SELECT inside an UNLOAD, in DuckDB's words.

    Raises:
        SqlError: it is not a SELECT, or ends in a LIMIT.
    """
    tree = _parse(_prepared(sql))
    if not isinstance(tree, exp.Query):
        raise SqlError(f'syntax error at or near "{_verb(sql).lower()}"\n  Detail: UNLOAD needs a SELECT')
    if tree.args.get("limit") is not None:
        raise SqlError("Limit clause is not supported in the outer select of UNLOAD")
    return _query(tree)


def parameter_names(sql: str) -> list[str]:
    """The names of the `:name` parameters of a statement, in order."""
    tree = _parse(_prepared(sql)) if _verb(sql) not in {*WITHOUT_EFFECT, "SET", "LOCK", "COPY", "UNLOAD"} else None
    return [node.name for node in tree.find_all(exp.Placeholder)] if tree else []


def count_statements(sql: str) -> int:
    """How many statements a text holds."""
    count, inside = 0, False
    for token in _tokens(sql):
        if token.token_type in TERMINATORS:
            inside = False
        elif not inside:
            inside, count = True, count + 1
    return count


def _tokens(sql: str) -> list:
    try:
        return sqlglot.tokenize(sql, read="redshift")
    except SqlglotError as error:
        raise SqlError(f"unterminated quoted string or comment\n  Detail: {error}") from None


def _verb(sql: str) -> str:
    found = re.match(r"(?s)(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/|\()*(\w+)", sql)
    return found[1].upper() if found else ""


def _prepared(sql: str) -> str:
    text = sql.strip().rstrip(";").strip()
    if not text:
        raise SqlError("syntax error at end of input")
    # DELETE and INSERT may leave out what sqlglot expects to see.
    return re.sub(r"(?is)^(delete)\s+(?!from\b)(?=[\w\"#])", r"\1 from ", text)


def _parse(text: str) -> exp.Expr:
    if re.search(r"(?is)\bremove\s+duplicates\s*$", text):
        raise Refused("MERGE … REMOVE DUPLICATES")
    try:
        trees = [tree for tree in sqlglot.parse(text, read="redshift") if tree is not None]
    except SqlglotError as error:
        details = getattr(error, "errors", None) or [{}]
        near = details[0].get("highlight") or "end of input"
        raise SqlError(f'syntax error at or near "{near}"\n  Position: {details[0].get("col", 1)};') from None
    if len(trees) != 1:
        raise SqlError("cannot insert multiple commands into a prepared statement")
    return trees[0]


def _bind(tree: exp.Expr, parameters: dict[str, str]) -> None:
    """Put values in the places of `:name`: as literals of the tree, so no value can become SQL."""
    for node in list(tree.find_all(exp.Placeholder)):
        if node.name not in parameters:
            raise SqlError(f"Cannot find parameter: {node.name}")
        node.replace(exp.Literal.string(parameters[node.name]))


def _setting(text: str) -> Translation:
    found = re.match(r"(?is)set\s+(?:session\s+|local\s+)?([\w.]+)\s*(?:to|=)\s*(.*)$", text)
    if not found:
        raise Refused(f"`{text.split()[0]} {' '.join(text.split()[1:2])}`")
    if found[1].lower() == "search_path":
        names = [name.strip().strip("'\"").lower() for name in found[2].split(",")]
        path = ",".join(name for name in names if re.fullmatch(r"[\w$]+", name) and name != "$user")
        return Translation("ddl", [f"SET search_path = '{path},main'"])
    if found[1].lower() not in SETTINGS_WITHOUT_EFFECT:
        raise Refused(f"SET {found[1]}")
    return Translation("nothing")


def _lock(text: str) -> Translation:
    """LOCK [TABLE] a [, b …]: https://docs.aws.amazon.com/redshift/latest/dg/r_LOCK.html"""
    found = re.match(r"(?is)lock\s+(?:table\s+)?([\w.\"#$]+(?:\s*,\s*[\w.\"#$]+)*)$", text)
    if not found:
        raise SqlError('syntax error at or near "lock"\n  Detail: write LOCK table')
    return Translation("lock", [name.strip().replace('"', "").lower() for name in found[1].split(",")])


def _translate(tree: exp.Expr, verb: str) -> Translation:
    if isinstance(tree, BOOKKEEPING):
        return Translation("nothing")
    if isinstance(tree, exp.Command):
        return Translation("ddl", alter_table(tree)) if verb == "ALTER" else _refuse(tree, verb)
    if isinstance(tree, exp.Query):
        if (into := _into(tree)) is not None:
            return _translate(into, verb)
        return Translation("query", query=_query(tree))
    if isinstance(tree, exp.Transaction):
        return Translation("begin")
    if isinstance(tree, exp.Commit | exp.Rollback):
        return Translation("commit" if isinstance(tree, exp.Commit) else "rollback")
    if isinstance(tree, exp.Create):
        return _create(tree)
    if isinstance(tree, exp.Drop):
        return Translation("ddl", drop(tree))
    if isinstance(tree, exp.Alter):
        return Translation("ddl", alter_table(tree))
    if isinstance(tree, exp.TruncateTable):
        return Translation("truncate", [_sql(rewrite(tree))])
    if isinstance(tree, exp.Merge):
        rewrite(tree)
        before, statements = merge(tree)
        return Translation("write", statements, before)
    if isinstance(tree, exp.Insert | exp.Update | exp.Delete):
        if tree.args.get("returning"):
            raise SqlError('syntax error at or near "returning"')
        return Translation("write", [_sql(rewrite(tree))])
    return _refuse(tree, verb)


def _create(tree: exp.Create) -> Translation:
    query = None
    if isinstance(tree.expression, exp.Query) and (tree.kind or "").upper() == "TABLE":
        query = _query(tree.expression)
        tree.set("expression", exp.select(exp.column(QUERY)))  # filled in when the query's types are known
    statements = [node if isinstance(node, str) else _sql(node) for node in create(tree)]
    return Translation("create_as" if query else "ddl", statements, query=query)


def _into(tree: exp.Query) -> exp.Create | None:
    """SELECT … INTO is a CREATE TABLE … AS."""
    into = tree.args.get("into")
    if into is None:
        return None
    tree.set("into", None)
    properties = exp.Properties(expressions=[exp.TemporaryProperty()]) if into.args.get("temporary") else None
    return exp.Create(this=into.this, kind="TABLE", expression=tree, properties=properties)


def _query(select: exp.Query) -> Query:
    tree = rewrite(select)
    ordered = tree.args.get("order") is not None
    if tree.find(exp.Sum) is None:
        return Query(_sql(tree), ordered)
    probe = tree.copy().transform(
        lambda node: (
            exp.AnyValue(this=_plain(node.this)) if isinstance(node, exp.Sum) and not node.meta.get("mean") else node
        )
    )
    return Query(_sql(tree), ordered, _sql(probe))


def _plain(argument: exp.Expr) -> exp.Expr:
    return argument.expressions[0] if isinstance(argument, exp.Distinct) else argument


def _refuse(tree: exp.Expr, verb: str) -> Translation:
    if isinstance(
        tree, exp.Command | exp.Describe | exp.Show | exp.Use | exp.Pragma | exp.Attach | exp.Detach | exp.Copy
    ):
        raise Refused(verb)
    raise SqlError(f'syntax error at or near "{verb.lower()}"\n  Position: 1;')


def _sql(tree: exp.Expr) -> str:
    return tree.sql("duckdb", identify=True, unsupported_level=sqlglot.ErrorLevel.IGNORE)
