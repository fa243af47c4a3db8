"""Rows at every hand-over: unloaded = split + rejected, and for each model split = predicted = loaded.

What the warehouse can count inside a load, it counts there, and the load undoes itself. This is the rest: what lies
between jobs. Each answer says how many rows there are, and a mismatch stops the run, or the model.
"""

import json
from typing import Any, NamedTuple

from boxcar.errors import CountMismatch, StepError, TooManyRejects
from boxcar.inference.plans import InferencePlan
from boxcar.inference.sizing import sized
from boxcar.run_outputs import RunOutputs

COUNTS = "counts.json"


def unloaded_rows(s3: Any, prefix: str) -> int:
    """How many rows an unload wrote, by its manifest; 0 if it wrote nothing at all.

    Raises:
        StepError: there are files, but no manifest that counts them.
    """
    bucket, _, key = prefix.removeprefix("s3://").partition("/")
    try:
        manifest = json.loads(s3.get_object(Bucket=bucket, Key=f"{key}manifest")["Body"].read())
        return int(manifest["meta"]["record_count"])
    except s3.exceptions.NoSuchKey:
        if s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("KeyCount"):
            raise StepError(f"{prefix}manifest: is missing, so nobody knows how many rows there are") from None
        return 0
    except (ValueError, KeyError) as error:
        raise StepError(f"{prefix}manifest: cannot be read ({error!r}); unload with MANIFEST VERBOSE") from None


def split_counts(s3: Any, prefix: str) -> dict[str, Any]:
    """What the split step says of rows, rejects, files, features and skew.

    Raises:
        StepError: it is missing or not JSON.
    """
    address = f"{prefix}{COUNTS}"
    bucket, _, key = address.removeprefix("s3://").partition("/")
    try:
        counts: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except s3.exceptions.NoSuchKey:
        raise StepError(f"{address}: is missing; the split step must write it into its output `counts`") from None
    except ValueError as error:
        raise StepError(f"{address}: is not JSON ({error})") from None
    return counts


def check_split(plan: InferencePlan, unloaded: int, counts: dict[str, Any]) -> None:
    """Every row that was unloaded is in a file of each model, or rejected.

    Rejects of before the watermark are not judged: nobody predicts them, so they come again each day for `late_days`.

    Raises:
        CountMismatch: one is not.
        TooManyRejects: more were rejected than the family allows.
    """
    rejected = int(counts["rejected"])
    found = {"the split": int(counts["rows"])}
    found |= {name: int(counts["models"].get(name, {}).get("rows", 0)) + rejected for name in plan.models}
    for name, rows in found.items():
        if rows != unloaded:
            raise CountMismatch(
                f"run {plan.run}: {unloaded} rows were unloaded, but {name} has {rows} ({rejected} rejected among "
                f"them); nothing was predicted"
            )
    limits, before = plan.inference.rejects, int(counts.get("rejected_before", 0))
    new, of = rejected - before, unloaded - before
    if new > max(limits.allowed_rows, limits.max_share * of):
        reasons = ", ".join(f"{reason}: {rows}" for reason, rows in counts["rejects"].items())
        more = f" and {before} more of before the watermark" if before else ""
        raise TooManyRejects(
            f"family {plan.family}: {new} of {of} rows were rejected{more} ({reasons}); inference.rejects allows "
            f"{limits.allowed_rows} rows or a share of {limits.max_share:g}. They lie in runs/{plan.run}/_run/split/"
        )


def with_sizes(plan: InferencePlan, counts: dict[str, Any]) -> InferencePlan:
    """The plan once the files are known: transforms are set for them, loads know how many rows must arrive."""
    models = {}
    for name, model in plan.models.items():
        known = counts["models"][name]
        predict, load = model.steps
        options = {**load.options, "parameters": {**load.options["parameters"], "rows": str(known["rows"])}}
        steps = [
            sized(predict, [int(file["bytes"]) for file in known["files"]], plan.inference.files),
            load.model_copy(update={"options": options}),
        ]
        models[name] = model.model_copy(update={"steps": steps})
    return plan.model_copy(update={"models": models})


class Loaded(NamedTuple):
    """What a load says of the scores that it loaded."""

    bins: list[dict[str, int]]  # of the scores: `bin`, `row_count`, `yes`
    sampled: dict[str, float]  # key -> score, of the rows that the version keeps as a sample and that came again


def figures(s3: Any, prefix: str) -> Loaded:
    """What a load counted. Redshift may write several files.

    Raises:
        StepError: a line is not JSON.
    """
    bucket, _, key = prefix.removeprefix("s3://").partition("/")
    lines: list[dict[str, Any]] = []
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
    for item in (item for page in pages for item in page.get("Contents", [])):
        body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read().decode()
        try:
            lines += [json.loads(line) for line in body.splitlines() if line.strip()]
        except ValueError as error:
            raise StepError(f"s3://{bucket}/{item['Key']}: is not lines of JSON ({error})") from None
    sampled = {str(line["sampled"]): float(line["score"]) for line in lines if line.get("sampled") is not None}
    bins = [{name: line[name] for name in ("bin", "row_count", "yes")} for line in lines if line.get("bin") is not None]
    return Loaded(sorted(bins, key=lambda line: line["bin"]), sampled)


def check_load(plan: InferencePlan, model: str, counts: dict[str, Any], outputs: RunOutputs, s3: Any) -> int:
    """How many rows of a model were loaded, which is as many as it was given.

    Raises:
        CountMismatch: it is not.
    """
    given = int(counts["models"][model]["rows"])
    loaded = sum(int(line["row_count"]) for line in figures(s3, outputs.output_of(model, "load", "data")).bins)
    if loaded != given:
        raise CountMismatch(f"run {plan.run}, model {model}: {given} rows were to be predicted, {loaded} were loaded")
    return loaded
