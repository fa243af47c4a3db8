"""`boxcar async`: the asynchronous endpoint on and off, documents to it, and how it stands."""

import mimetypes
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from botocore.exceptions import WaiterError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from boxcar.documents.limits import ENDINGS
from boxcar.documents.places import FAILED, INPUT, OUTPUT, failed_key, output_key, reason_key
from boxcar.documents.record import PARTITION
from boxcar.serving.dashboard import Pictured, forget_dashboard, put_dashboard
from boxcar.serving.targets import VARIANT
from cli.architectures import upload_code
from cli.session import Session

MODEL = Path("models/summarizer")
PARAMETERS = {
    "summarizer": "AsyncSummarizer",
    "image": "AsyncImage",
    "instance_type": "AsyncInstanceType",
    "max_instances": "AsyncMaxInstances",
}
AT_ONCE = 8  # uploads
EVERY_S = 1.0  # between two looks at what has been answered
console = Console(highlight=False)


@click.group("async")
def asyncs() -> None:
    """Summarise long documents on the asynchronous endpoint (docs/async.md)."""


@asyncs.command()
@click.option("--summarizer", help="lexrank, or a model of the Hugging Face hub such as google/pegasus-large.")
@click.option("--image", help="Container image with PyTorch and transformers, for any summarizer but lexrank.")
@click.option("--instance-type", help="Instance type, such as ml.g5.xlarge.")
@click.option("--max-instances", type=click.IntRange(min=1), help="How many instances there may be.")
@click.pass_obj
def on(session: Session, **chosen: str | int | None) -> None:
    """Upload the summariser of this folder and turn the endpoint on, or bring it up to date.

    What is not given stays as it is. Later deployments keep all of it.
    """
    if not MODEL.is_dir():
        raise click.ClickException(f"{MODEL} is not here; run this in the folder of the project")
    known = _parameters(session)
    asked = {PARAMETERS[option]: str(value) for option, value in chosen.items() if value is not None}
    summarizer, image = ({**known, **asked}.get(PARAMETERS[name], "") for name in ("summarizer", "image"))
    if (summarizer == "lexrank") == bool(image):
        how = (
            "write --image '' for SageMaker's XGBoost image"
            if image
            else "give an --image with PyTorch and transformers"
        )
        raise click.ClickException(f"summarizer: is {summarizer} with image {image or '(none)'}; {how}")
    code = upload_code(MODEL, session.client("s3"), session.outputs["BucketName"])
    changed = _change(session, {**asked, "AsyncModelData": code.archive})
    vars(session).pop("outputs", None)  # read again: the stack has another one now
    endpoint, cloudwatch = _endpoint(session), session.client("cloudwatch")
    region = cloudwatch.meta.region_name
    pictured = Pictured(endpoint, VARIANT, summarizer, version="", since="", region=region, asynchronous=True)
    put_dashboard(cloudwatch, pictured)
    click.echo(f"endpoint {endpoint} is {'on' if changed else 'on already, and up to date'}")
    click.echo("send documents to it: boxcar async send FILES… --wait")


@asyncs.command()
@click.option("--force", is_flag=True, help="Also when documents are not answered yet: their answers are lost.")
@click.pass_obj
def off(session: Session, force: bool) -> None:
    """Delete the endpoint, and all that is paid for it. Documents and answers stay until they expire.

    Its policies and its scalable target go first, so that nothing is left to scale what is gone.
    """
    waiting = _unanswered(session)
    if waiting and not force:
        raise click.ClickException(
            f"{waiting} documents are not answered yet; wait for them, or give them up by --force"
        )
    name = session.outputs.get("DocumentsEndpointName")
    changed = _change(session, {"AsyncModelData": ""})
    if name:
        forget_dashboard(session.client("cloudwatch"), name)
    click.echo("the endpoint is off" if changed else "the endpoint is off already")


@asyncs.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--to", "folder", help="Folder below async/input/. [default: one of its own for each call]")
@click.option("--wait", is_flag=True, help="Wait until every document is answered, and say how.")
@click.option("--timeout", "timeout_s", default=7200, show_default=True, help="Seconds to wait at most.")
@click.pass_obj
def send(session: Session, files: tuple[Path, ...], folder: str | None, wait: bool, timeout_s: int) -> None:
    """Upload documents (text, Markdown, or JSON {"text": …}), to be summarised.

    With --wait the exit code is 0 if each has an answer, 1 if one failed, 3 if the time was over.
    """
    _endpoint(session)
    names = [path.name for path in files]
    if double := {name for name in names if names.count(name) > 1}:
        raise click.ClickException(
            f"{', '.join(sorted(double))}: given twice; send files of one name one after another"
        )
    place = (folder or f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}").strip("/")
    s3, bucket = session.client("s3"), session.outputs["BucketName"]
    keys = {f"{INPUT}{place}/{path.name}": path for path in files}
    if folder and wait:
        _no_older(s3, bucket, place, keys)
    with _progress("sending", len(keys)) as progress:

        def upload(key: str) -> None:
            with keys[key].open("rb") as body:
                s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType=_type(keys[key]))

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(upload, keys):
                progress.advance(progress.task_ids[0])
    click.echo(f"{len(keys)} sent to s3://{bucket}/{INPUT}{place}/; answers come to s3://{bucket}/{OUTPUT}{place}/")
    if wait:
        raise SystemExit(_wait(session, place, set(keys), timeout_s))


@asyncs.command()
@click.pass_obj
def status(session: Session) -> None:
    """How many instances there are, and how many documents wait."""
    name = _endpoint(session)
    endpoint = session.client("sagemaker").describe_endpoint(EndpointName=name)
    variant = endpoint["ProductionVariants"][0]
    click.echo(f"{name}: {endpoint['EndpointStatus']}, {variant['CurrentInstanceCount']} instances")
    if why := endpoint.get("FailureReason"):
        click.echo(f"  {why}")
    click.echo(f"  documents that are not answered: {_unanswered(session)}")
    for metric in ("ApproximateBacklogSize", "ApproximateAgeOfOldestRequest"):
        value = _latest(session, name, metric)
        click.echo(f"  {metric}: {'not measured yet' if value is None else f'{value:g}'}")
    activities = session.client("application-autoscaling").describe_scaling_activities(
        ServiceNamespace="sagemaker", ResourceId=f"endpoint/{name}/variant/{variant['VariantName']}", MaxResults=5
    )
    for activity in activities["ScalingActivities"]:
        click.echo(f"  {activity['StartTime']:%Y-%m-%d %H:%M:%S}  {activity['Description']} {activity['StatusCode']}")


def _endpoint(session: Session) -> str:
    name = session.outputs.get("DocumentsEndpointName")
    if not name:
        raise click.ClickException("the asynchronous endpoint is off; turn it on by `boxcar async on`")
    return name


def _parameters(session: Session) -> dict[str, str]:
    """The parameters of the stack, as they are."""
    [stack] = session.client("cloudformation").describe_stacks(StackName=session.stack)["Stacks"]
    return {one["ParameterKey"]: one.get("ParameterValue", "") for one in stack.get("Parameters", [])}


def _change(session: Session, values: dict[str, str]) -> bool:
    """Give parameters of the stack other values, with the template that it has; False if they were so.

    Raises:
        click.ClickException: the stack does not know a parameter, or went back to what it was; with the reason.
    """
    cloudformation, known = session.client("cloudformation"), _parameters(session)
    if missing := values.keys() - known.keys():
        names = ", ".join(sorted(missing))
        raise click.ClickException(f"stack {session.stack} has no parameter {names}: deploy this version of it first")
    if all(known[name] == value for name, value in values.items()):
        return False
    began = datetime.now(UTC)
    cloudformation.update_stack(
        StackName=session.stack,
        UsePreviousTemplate=True,
        Parameters=[
            {
                "ParameterKey": name,
                **({"ParameterValue": values[name]} if name in values else {"UsePreviousValue": True}),
            }
            for name in known
        ],
        Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    with console.status("the stack changes; a new endpoint takes some minutes on AWS"):
        patience = {"Delay": 1 if session.local else 15, "MaxAttempts": 240}
        try:
            cloudformation.get_waiter("stack_update_complete").wait(StackName=session.stack, WaiterConfig=patience)
        except WaiterError:
            raise click.ClickException(f"the stack went back to what it was: {_failure(session, began)}") from None
    return True


def _failure(session: Session, since: datetime) -> str:
    """The first failure of an update, in CloudFormation's words."""
    events = session.client("cloudformation").describe_stack_events(StackName=session.stack)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED") and event["Timestamp"] >= since]
    return (
        f"{failed[-1]['LogicalResourceId']}: {failed[-1].get('ResourceStatusReason', '')}"
        if failed
        else "see its events"
    )


def _unanswered(session: Session) -> int:
    """How many documents were sent and have neither an answer nor a reason yet."""
    pages = session.client("dynamodb").get_paginator("query").paginate(
        TableName=session.outputs["JobsTableName"],
        IndexName="by_queue",
        Select="COUNT",
        KeyConditionExpression="#queue = :queue",
        ExpressionAttributeNames={"#queue": "queue"},
        ExpressionAttributeValues={":queue": {"S": PARTITION}},
    )  # fmt: skip
    return sum(page["Count"] for page in pages)


def _type(path: Path) -> str:
    """The MIME type that a file's name tells; what the endpoint does not read is refused there, with the reason."""
    return ENDINGS.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def _no_older(s3: Any, bucket: str, place: str, keys: dict[str, Path]) -> None:
    """Older answers under the same names would be taken for the new ones."""
    there = set(_keys(s3, bucket, f"{OUTPUT}{place}/")) | set(_keys(s3, bucket, f"{FAILED}{place}/"))
    if old := [key for key in keys if {output_key(key), reason_key(key)} & there]:
        raise click.ClickException(f"{old[0]}: has an answer from before; send it without --to, or without --wait")


def _wait(session: Session, place: str, keys: set[str], timeout_s: int) -> int:
    """Show answers as they come; the exit code."""
    s3, bucket = session.client("s3"), session.outputs["BucketName"]
    answers = {output_key(key): key for key in keys}
    reasons = {reason_key(key): key for key in keys}
    answered: set[str] = set()
    failed: set[str] = set()
    until = time.monotonic() + timeout_s
    with _progress("answered", len(keys)) as progress:
        while True:
            answered |= {answers[key] for key in _keys(s3, bucket, f"{OUTPUT}{place}/") if key in answers}
            failed |= {reasons[key] for key in _keys(s3, bucket, f"{FAILED}{place}/") if key in reasons}
            progress.update(progress.task_ids[0], completed=len(answered | failed))
            if answered | failed == keys or time.monotonic() > until:
                break
            time.sleep(EVERY_S)
    for key in sorted(answered):
        click.echo(f"{key.rpartition('/')[2]}  s3://{bucket}/{output_key(key)}")
    for key in sorted(failed):
        reason = session.read_json(reason_key(key)) or {}
        click.echo(f"{key.rpartition('/')[2]}  failed: {reason.get('reason', '')} (s3://{bucket}/{failed_key(key)})")
    late = keys - answered - failed
    if late:
        click.echo(f"{len(late)} not answered within {timeout_s} s; they still are in the queue: boxcar async status")
    return 3 if late else 1 if failed else 0


def _progress(what: str, total: int) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=console, transient=True)
    progress.add_task(what, total=total)
    return progress


def _keys(s3: Any, bucket: str, prefix: str) -> Iterator[str]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (entry["Key"] for entry in page.get("Contents", []))


def _latest(session: Session, endpoint: str, metric: str) -> float | None:
    now = time.time()
    points = session.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}],
        StartTime=now - 900,
        EndTime=now,
        Period=60,
        Statistics=["Average"],
    )["Datapoints"]
    return max(points, key=lambda point: point["Timestamp"])["Average"] if points else None
