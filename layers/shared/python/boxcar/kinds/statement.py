"""SQL of Redshift, through the Data API: one statement, an unload of its rows to S3, or several as one transaction.

`options` holds one of

- `sql`: a statement;
- `unload`: `{"query", "format", "manifest"}`, whose rows become the output `data`;
- `transaction`: a list of at most 40, carried out together or not at all, each one of `{"sql"}`, `{"unload"}`,
  `{"copy": {"table", "columns", "input"}}` (CSV files of an input of the step into a table) and
  `{"check", "of", "otherwise"}`: an aggregate over a table that must hold, or everything is undone and the job fails
  with the words of `otherwise`, which begin with a class of failure.

`parameters` are bound wherever `:name` stands, which cannot be inside the query of an unload: that is a text.
"""

import re
from typing import TYPE_CHECKING, Any

from boxcar.errors import StepError
from boxcar.jobs.failures import Failure
from boxcar.jobs.kind import Clients, Kind, Launch, Observation, seconds

if TYPE_CHECKING:
    from boxcar.settings import Settings
    from boxcar.steps import Step

OPTIONS = {"unload", "sql", "transaction", "parameters", "minimum_rows"}
ENTRIES = {"sql": {"sql"}, "unload": {"unload"}, "copy": {"copy"}, "check": {"check", "of", "otherwise"}}
FORMATS = {"PARQUET", "JSON"}
MOST_STATEMENTS = 40  # BatchExecuteStatement
STATUSES = {"STARTED": "InProgress", "FINISHED": "Completed", "FAILED": "Failed", "ABORTED": "Stopped"}
_DENIED = re.compile(r"access ?denied|permission denied|not authorized", re.I)
_PASSING = re.compile(
    r"serializable isolation|connection|disk full|system requested abort|internal error|timed? ?out|too many", re.I
)
_TARGET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[A-Za-z0-9!_.*()/=-]*")
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,126}")
_OTHERWISE = re.compile(r"/\* (\w+: [^*]*) \*/$")  # what a failed check says, in the text of its statement


def warehouse(settings: "Settings") -> dict[str, str]:
    """Which database a statement goes to and as whom, as the Data API is told.

    Raises:
        StepError: the stack was deployed without a warehouse.
    """
    if settings.redshift_workgroup:
        return {"Database": settings.redshift_database, "WorkgroupName": settings.redshift_workgroup}
    if not settings.redshift_cluster:
        raise StepError("the stack has no warehouse; deploy it with RedshiftWorkgroup or RedshiftCluster")
    user = {"DbUser": settings.redshift_user} if settings.redshift_user else {}
    return {"Database": settings.redshift_database, "ClusterIdentifier": settings.redshift_cluster, **user}


class Statement(Kind):
    """The attempt's ARN is the statement's id. The Data API sets no time limit below 24 hours, so Boxcar does."""

    service = "redshift-data"
    detail_types = ("Redshift Data Statement Status Change",)
    stops_itself = False
    tells_all = False  # tables change

    def check(self, step: "Step", settings: "Settings") -> None:
        """Exactly one of unload, sql and transaction, and in a transaction nothing but what it may hold."""
        options, where = step.options, f"step {step.name}: options"
        if unknown := sorted(set(options) - OPTIONS):
            raise StepError(f"{where}.{unknown[0]}: write one of {', '.join(sorted(OPTIONS))}")
        if sum(name in options for name in ("unload", "sql", "transaction")) != 1:
            raise StepError(f"{where}: write one of `unload` (query, format), `sql` and `transaction`")
        entries = options.get("transaction", [])
        if not isinstance(entries, list) or len(entries) > MOST_STATEMENTS:
            raise StepError(f"{where}.transaction: write a list of at most {MOST_STATEMENTS} statements")
        for place, entry in enumerate(entries):
            _check_entry(f"{where}.transaction.{place}", entry, step)
        unloads = [entry["unload"] for entry in [options, *entries] if "unload" in entry]
        for unload in unloads:
            _check_unload(f"{where}.unload", unload)
        if unloads and step.outputs != ["data"]:
            raise StepError(f"step {step.name}: outputs: an unload has the one output `data`, not {step.outputs}")
        if len(unloads) > 1:
            raise StepError(f"{where}.transaction: holds {len(unloads)} unloads; they would share the output `data`")

    def pools(self, step: "Step") -> list[str]:
        """The Data API limits active statements, whatever they are."""
        return ["statement"]

    def units(self, step: "Step") -> int:
        """One a statement."""
        return 1

    def named(self, step: "Step", settings: "Settings") -> dict[str, str]:
        """The database, and who reads it."""
        where = settings.redshift_workgroup or f"{settings.redshift_user}@{settings.redshift_cluster}"
        return {"database": f"{where}/{settings.redshift_database}"}

    def outputs(self, step: "Step", place: str, name: str) -> dict[str, str]:
        """Only an unload has one."""
        unloads = any("unload" in entry for entry in [step.options, *step.options.get("transaction", [])])
        return {"data": f"{place}data/"} if unloads else {}

    def start(self, launch: Launch, settings: "Settings", clients: Clients) -> str:
        """Execute it. The client token makes a repeat answer the first one's id.

        Raises:
            StepError: the stack was deployed without a warehouse.
        """
        options = launch.step.options
        request: dict[str, Any] = {
            **warehouse(settings),
            "StatementName": launch.name,
            "ClientToken": launch.name,
            "WithEvent": True,
        }
        if "transaction" in options:
            request["Sqls"] = [_sql(entry, launch, settings.warehouse_role_arn) for entry in options["transaction"]]
        else:
            request["Sql"] = _sql(options, launch, settings.warehouse_role_arn)
        if parameters := options.get("parameters"):
            request["Parameters"] = [{"name": name, "value": str(value)} for name, value in parameters.items()]
        client = clients(self.service)
        call = client.batch_execute_statement if "Sqls" in request else client.execute_statement
        statement: str = call(**request)["Id"]
        return statement

    def observe(self, detail: dict[str, Any]) -> Observation:
        """Read an event. It does not say why a statement failed."""
        return self._observation(detail.get("statementName") or "", detail["statementId"], detail["state"], detail)

    def describe(self, name: str, arn: str, clients: Clients) -> Observation:
        """One DescribeStatement call. Statements are forgotten after a day."""
        client = clients(self.service)
        try:
            found = client.describe_statement(Id=arn)
        except client.exceptions.ResourceNotFoundException:
            reason = f"InternalServerError: Redshift does not know {arn} any more, or does not show it to this role"
            return Observation(name, "Failed", reason=reason, unknown=True)
        parts: list[dict[str, Any]] = found.get("SubStatements", [])
        failed = next((part for part in parts if part["Status"] == "FAILED"), {})
        held_not = "divide by zero" in failed.get("Error", "").lower()
        said = _OTHERWISE.search(failed.get("QueryString", "")) if held_not else None
        error = said[1] if said else found.get("Error") or "(no error was given)"
        detail = {"rows": found.get("ResultRows", -1), "error": error}
        times = {"created": seconds(found.get("CreatedAt")), "ended": seconds(found.get("UpdatedAt"))}
        return self._observation(name, arn, found["Status"], detail, **times)

    def logs(self, name: str, arn: str) -> tuple[str, str]:
        """Redshift logs nothing of a statement."""
        return "", ""

    def stop(self, name: str, arn: str, clients: Clients) -> None:
        """One CancelStatement call; ValidationException says that it has ended."""
        client = clients(self.service)
        try:
            client.cancel_statement(Id=arn)
        except (client.exceptions.ResourceNotFoundException, client.exceptions.ValidationException):
            return

    def shortfall(
        self, options: dict[str, Any], observation: Observation, outputs: dict[str, str], clients: Clients
    ) -> tuple[str, str] | None:
        """Fewer rows than `minimum_rows`.

        The Data API says 0 rows of statements that it does not count: seen of COPY (github.com/aws/aws-sdk issue 356).
        UNLOAD writes no file when there is no row, so a file says that there were some.
        """
        minimum = int(options.get("minimum_rows", 0))
        if not 0 <= observation.rows < minimum:  # -1: the service did not count
            return None
        if observation.rows == 0 and "unload" in options and _holds_a_file(outputs["data"], clients):
            return None
        return "NoRows", f"the statement gave {observation.rows} rows; options.minimum_rows asks for at least {minimum}"

    def _observation(
        self,
        name: str,
        arn: str,
        state: str,
        detail: dict[str, Any],
        created: float | None = None,
        ended: float | None = None,
    ) -> Observation:
        status = STATUSES.get(state, "Starting")  # SUBMITTED, PICKED
        error = detail.get("error", "")
        return Observation(
            name=name,
            arn=arn,
            status=status,
            created=created,
            started=created,
            ended=ended if status in ("Completed", "Failed", "Stopped") else None,
            reason=_classed(error) if status == "Failed" and error else "",
            rows=int(detail.get("rows", -1)),
            partial=status == "Failed" and not error,
        )


def _holds_a_file(prefix: str, clients: Clients) -> bool:
    bucket, _, key = prefix.removeprefix("s3://").partition("/")
    found = clients("s3").list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
    return bool(found.get("KeyCount"))


def _classed(error: str) -> str:
    """Put one of the failure classes before Redshift's own words, unless a check of ours said one."""
    if error.startswith(Failure.COUNTS):
        return error
    if _DENIED.search(error):
        return f"AccessDenied: {error}"
    return f"InternalServerError: {error}" if _PASSING.search(error) else f"ClientError: {error}"


def _check_entry(where: str, entry: Any, step: "Step") -> None:
    kind = next((name for name in ENTRIES if isinstance(entry, dict) and name in entry), "")
    if not kind or set(entry) != ENTRIES[kind]:
        given = ", ".join(sorted(entry)) if isinstance(entry, dict) else str(entry)[:40]
        raise StepError(f"{where}: holds {given}; write sql, unload, copy, or check with of and otherwise")
    if kind == "copy":
        copy = entry["copy"]
        if not isinstance(copy, dict) or set(copy) != {"table", "columns", "input"}:
            raise StepError(f"{where}.copy: write table, columns and input")
        for name in (copy["table"], *copy["columns"]):
            if not _NAME.fullmatch(str(name)):
                raise StepError(f"{where}.copy: {name!r} is not a name of a table or column; use a-z, 0-9 and _")
        if copy["input"] not in step.inputs:
            known = ", ".join(sorted(step.inputs)) or "(none)"
            raise StepError(f"{where}.copy.input: {copy['input']!r} is not an input of the step; write one of {known}")
    if kind == "check" and not _OTHERWISE.search(_check_sql(entry)):
        raise StepError(
            f"{where}.otherwise: is {entry['otherwise']!r}; write a class of failure, `: `, and words without *"
        )


def _check_unload(where: str, unload: Any) -> None:
    if not isinstance(unload, dict) or not str(unload.get("query", "")).strip():
        raise StepError(f"{where}.query: is missing; write a SELECT")
    if str(unload.get("format", "PARQUET")).upper() not in FORMATS:
        raise StepError(
            f"{where}.format: {unload['format']!r} cannot be unloaded; write {' or '.join(sorted(FORMATS))}"
        )


def _sql(entry: dict[str, Any], launch: Launch, role_arn: str) -> str:
    """One statement: the step's own, or one of its transaction."""
    if "unload" in entry:
        unload = entry["unload"]
        form = str(unload.get("format", "PARQUET")).upper()
        return unload_sql(unload["query"], launch.outputs["data"], role_arn, form, bool(unload.get("manifest")))
    if "copy" in entry:
        copy = entry["copy"]
        return copy_sql(copy["table"], copy["columns"], launch.step.inputs[copy["input"]], role_arn)
    return _check_sql(entry) if "check" in entry else str(entry["sql"])


def _check_sql(entry: dict[str, Any]) -> str:
    """A division by zero unless it holds: plain SQL has no other way to fail. The words go along in a comment."""
    held = f"SELECT 1 / CASE WHEN {entry['check']} THEN 1 ELSE 0 END AS held FROM {entry['of']}"  # noqa: S608
    return f"{held} /* {entry['otherwise']} */"


def copy_sql(table: str, columns: list[str], source: str, role_arn: str) -> str:
    """COPY of CSV files without a header, all rows or none.

    Raises:
        StepError: the source is not a plain S3 prefix, or the role is not an ARN.
    """
    listed = ", ".join(columns)
    return f"COPY {table} ({listed}) FROM '{_place('copy', source)}' IAM_ROLE {_role(role_arn)} FORMAT AS CSV"


def unload_sql(query: str, target: str, role_arn: str, form: str = "PARQUET", manifest: bool = False) -> str:
    """UNLOAD of a query's rows as Parquet or lines of JSON; with a manifest that says how many there are.

    The query is quoted by `$$`, or, if it has a `$$` of its own, by single quotes that double those inside
    (Amazon Redshift Database Developer Guide, UNLOAD). The line break keeps a closing comment from hiding the quote.

    Raises:
        StepError: the target is not a plain S3 prefix, or the role is not an ARN.
    """
    to, role = _place("unload", target), _role(role_arn)
    text = query.strip().rstrip(";").rstrip()
    doubled = text.replace("\\", "\\\\").replace("'", "''")
    quoted = f"'\n{doubled}\n'" if "$$" in text else f"$$\n{text}\n$$"
    listed = " MANIFEST VERBOSE" if manifest else ""
    return f"UNLOAD ({quoted}) TO '{to}' IAM_ROLE {role} FORMAT {form}{listed}"


def _place(verb: str, prefix: str) -> str:
    if not _TARGET.fullmatch(prefix):
        raise StepError(f"{verb}: {prefix!r} is not an S3 prefix of letters, digits and !_.*()/=-; rename the run")
    return prefix


def _role(arn: str) -> str:
    if arn and not re.fullmatch(r"arn:[\w-]+:iam::\d{12}:role/[\w+=,.@/-]+", arn):
        raise StepError(f"BOXCAR_WAREHOUSE_ROLE_ARN: {arn!r} is not the ARN of a role")
    return f"'{arn}'" if arn else "default"


KIND = Statement()
