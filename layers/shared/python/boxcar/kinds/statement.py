"""A SQL statement of Redshift, through the Data API. With `options.unload`, its rows as Parquet in S3."""

import re
from typing import TYPE_CHECKING, Any

from boxcar.errors import StepError
from boxcar.jobs.kind import Clients, Kind, Launch, Observation, seconds

if TYPE_CHECKING:
    from boxcar.settings import Settings
    from boxcar.steps import Step

OPTIONS = {"unload", "sql", "parameters", "minimum_rows"}
STATUSES = {"STARTED": "InProgress", "FINISHED": "Completed", "FAILED": "Failed", "ABORTED": "Stopped"}
_DENIED = re.compile(r"access ?denied|permission denied|not authorized", re.I)
_PASSING = re.compile(
    r"serializable isolation|connection|disk full|system requested abort|internal error|timed? ?out|too many", re.I
)
_TARGET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[A-Za-z0-9!_.*()/=-]*")


class Statement(Kind):
    """The attempt's ARN is the statement's id. The Data API sets no time limit below 24 hours, so Boxcar does."""

    service = "redshift-data"
    detail_types = ("Redshift Data Statement Status Change",)
    stops_itself = False
    tells_all = False  # tables change

    def check(self, step: "Step", settings: "Settings") -> None:
        """Exactly one of unload and sql."""
        options, where = step.options, f"step {step.name}: options"
        if unknown := sorted(set(options) - OPTIONS):
            raise StepError(f"{where}.{unknown[0]}: write one of {', '.join(sorted(OPTIONS))}")
        if ("unload" in options) == ("sql" in options):
            raise StepError(f"{where}: write either `unload` (query, format) or `sql`")
        if "unload" in options:
            unload = options["unload"]
            if not isinstance(unload, dict) or not str(unload.get("query", "")).strip():
                raise StepError(f"{where}.unload.query: is missing; write a SELECT")
            if str(unload.get("format", "PARQUET")).upper() != "PARQUET":
                raise StepError(f"{where}.unload.format: {unload['format']!r} cannot be unloaded; write PARQUET")
            if step.outputs != ["data"]:
                raise StepError(f"step {step.name}: outputs: an unload has the one output `data`, not {step.outputs}")

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
        return {"data": f"{place}data/"} if "unload" in step.options else {}

    def start(self, launch: Launch, settings: "Settings", clients: Clients) -> str:
        """Execute it. The client token makes a repeat answer the first one's id.

        Raises:
            StepError: the stack was deployed without a warehouse.
        """
        options = launch.step.options
        if "unload" in options:
            sql = unload_sql(options["unload"]["query"], launch.outputs["data"], settings.warehouse_role_arn)
        else:
            sql = options["sql"]
        request: dict[str, Any] = {
            "Sql": sql,
            "Database": settings.redshift_database,
            "StatementName": launch.name,
            "ClientToken": launch.name,
            "WithEvent": True,
        }
        if settings.redshift_workgroup:
            request["WorkgroupName"] = settings.redshift_workgroup
        elif not settings.redshift_cluster:
            raise StepError("the stack has no warehouse; deploy it with RedshiftWorkgroup or RedshiftCluster")
        else:
            request["ClusterIdentifier"] = settings.redshift_cluster
            if settings.redshift_user:
                request["DbUser"] = settings.redshift_user
        if parameters := options.get("parameters"):
            request["Parameters"] = [{"name": name, "value": str(value)} for name, value in parameters.items()]
        statement: str = clients(self.service).execute_statement(**request)["Id"]
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
        detail = {"rows": found.get("ResultRows", -1), "error": found.get("Error") or "(no error was given)"}
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
    """Put one of the failure classes before Redshift's own words."""
    if _DENIED.search(error):
        return f"AccessDenied: {error}"
    return f"InternalServerError: {error}" if _PASSING.search(error) else f"ClientError: {error}"


def unload_sql(query: str, target: str, role_arn: str) -> str:
    """UNLOAD of a query's rows as Parquet.

    The query is quoted by `$$`, or, if it has a `$$` of its own, by single quotes that double those inside
    (Amazon Redshift Database Developer Guide, UNLOAD). The line break keeps a closing comment from hiding the quote.

    Raises:
        StepError: the target is not a plain S3 prefix, or the role is not an ARN.
    """
    if not _TARGET.fullmatch(target):
        raise StepError(f"unload: {target!r} is not an S3 prefix of letters, digits and !_.*()/=-; rename the run")
    if role_arn and not re.fullmatch(r"arn:[\w-]+:iam::\d{12}:role/[\w+=,.@/-]+", role_arn):
        raise StepError(f"BOXCAR_WAREHOUSE_ROLE_ARN: {role_arn!r} is not the ARN of a role")
    text = query.strip().rstrip(";").rstrip()
    doubled = text.replace("\\", "\\\\").replace("'", "''")
    quoted = f"'\n{doubled}\n'" if "$$" in text else f"$$\n{text}\n$$"
    role = f"'{role_arn}'" if role_arn else "default"
    return f"UNLOAD ({quoted}) TO '{target}' IAM_ROLE {role} FORMAT PARQUET"


KIND = Statement()
