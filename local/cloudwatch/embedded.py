"""Metrics in log lines: the embedded metric format.

Source: CloudWatch user guide, "Specification: Embedded metric format". A document that breaks it gives no metric and
counts in AWS/Logs as EMFParsingErrors or EMFValidationErrors of its log group.
"""

import json
import math
from collections.abc import Iterator
from typing import Any

from local.cloudwatch.metrics import Metric, Sample
from local.cloudwatch.queries import NEWEST, OLDEST
from local.programs.checks import service_model

MARKS = ('"_aws"', '"CloudWatchMetrics"')
MOST_METRICS = 100  # of a directive
MOST_VALUES = 100  # of a metric
MOST_DIMENSIONS = 30  # of a set
LARGEST = 1024 * 1024  # bytes of a log event
LONGEST = 1024  # characters of a dimension's value
Found = dict[int, list[tuple[Metric, Sample]]]  # by storage resolution, in seconds


class EmbeddedError(ValueError):
    """A document that breaks the specification."""


class NotJsonError(EmbeddedError):
    """A line that looks like a document, and cannot be read."""


def documents(text: str) -> Iterator[str]:
    """The lines of a log that ask to be read as metrics, without what Lambda puts before them."""
    for line in text.splitlines():
        if all(mark in line for mark in MARKS) and "{" in line:
            yield line[line.index("{") :].strip()


def read(document: str, now: float) -> Found:
    """The samples of one document.

    Raises:
        EmbeddedError: it breaks the specification, and how.
    """
    try:
        root = json.loads(document)
    except ValueError as error:
        raise NotJsonError(f"not JSON: {error}") from error
    if len(document.encode()) > LARGEST:
        raise EmbeddedError(f"larger than {LARGEST} bytes")
    meta = root.get("_aws") if isinstance(root, dict) else None
    if not isinstance(meta, dict) or not isinstance(meta.get("CloudWatchMetrics"), list):
        raise EmbeddedError("_aws.CloudWatchMetrics must be a list")
    stamp = meta.get("Timestamp")
    if isinstance(stamp, bool) or not isinstance(stamp, (int, float)):
        raise EmbeddedError(f"_aws.Timestamp must be a number of milliseconds, not {stamp!r}")
    at = stamp / 1000
    if not now - OLDEST <= at <= now + NEWEST:
        raise EmbeddedError(f"_aws.Timestamp {stamp} is more than two weeks ago or two hours ahead")
    found: Found = {1: [], 60: []}
    for directive in meta["CloudWatchMetrics"]:
        for resolution, samples in _directive(root, directive, at).items():
            found[resolution] += samples
    return found


def _directive(root: dict[str, Any], directive: Any, at: float) -> Found:
    if not isinstance(directive, dict) or not isinstance(directive.get("Namespace"), str) or not directive["Namespace"]:
        raise EmbeddedError("Namespace of a directive must be a text")
    sets, metrics = directive.get("Dimensions"), directive.get("Metrics")
    if not isinstance(sets, list) or not isinstance(metrics, list):
        raise EmbeddedError("Dimensions and Metrics of a directive must be lists")
    if len(metrics) > MOST_METRICS:
        raise EmbeddedError(f"Metrics may hold {MOST_METRICS}, not {len(metrics)}")
    dimensions = [_dimensions(root, names) for names in sets]
    found: Found = {1: [], 60: []}
    for definition in metrics:
        if not isinstance(definition, dict) or not isinstance(definition.get("Name"), str):
            raise EmbeddedError(f"a metric without a Name: {definition!r}")
        name, resolution = definition["Name"], definition.get("StorageResolution", 60)
        if resolution not in found:
            raise EmbeddedError(f"StorageResolution of {name} must be 1 or 60, not {resolution!r}")
        unit = definition.get("Unit", "None")
        units = service_model("cloudwatch").shape_for("StandardUnit").enum
        values = _values(root, name)
        for each in dimensions:
            metric = Metric.of(directive["Namespace"], name, each)
            found[resolution] += [(metric, Sample.of(at, value, unit if unit in units else "None")) for value in values]
    return found


def _dimensions(root: dict[str, Any], names: Any) -> dict[str, str]:
    if not isinstance(names, list) or len(names) > MOST_DIMENSIONS:
        raise EmbeddedError(f"a set of dimensions must be a list of at most {MOST_DIMENSIONS} names, not {names!r}")
    for name in names:
        value = root.get(name) if isinstance(name, str) else None
        if not isinstance(value, str) or not 1 <= len(value) <= LONGEST:
            raise EmbeddedError(
                f"dimension {name!r} must be a text of 1 to {LONGEST} characters in the root, not {value!r}"
            )
    return {name: root[name] for name in names}


def _values(root: dict[str, Any], name: str) -> list[float]:
    value = root.get(name)
    values: list[Any] = value if isinstance(value, list) else [value]
    if len(values) > MOST_VALUES:
        raise EmbeddedError(f"metric {name} may have {MOST_VALUES} values, not {len(values)}")
    for each in values:
        if isinstance(each, bool) or not isinstance(each, (int, float)) or not math.isfinite(each):
            raise EmbeddedError(f"metric {name} must be a number or a list of numbers in the root, not {each!r}")
    return [float(each) for each in values]
