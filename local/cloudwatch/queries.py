"""What is put and what is asked: PutMetricData, GetMetricData, GetMetricStatistics, ListMetrics."""

import math
from collections.abc import Callable
from typing import Any

from local.clock import Clock
from local.cloudwatch import statistics
from local.cloudwatch.expressions import Expression, ExpressionError, Series
from local.cloudwatch.metrics import RECENT_SECONDS, Metric, Metrics, Sample
from local.service import ApiError

MOST_DATAPOINTS = 1440  # of one GetMetricStatistics
MOST_DATA = 100_800  # of one GetMetricData
MOST_VALUES = 150  # of one MetricDatum
LISTED = 500  # metrics on one page
OLDEST, NEWEST = 14 * 86400, 2 * 3600  # seconds before and after now that a time of data may lie
FINE = (1, 5, 10, 20, 30)  # periods below a minute
Request = dict[str, Any]


def rounded(start: float, period: float) -> float:
    """A start as CloudWatch rounds it: down to the minute, or to a fine period's own step."""
    step = period if period in FINE else 60
    return start // step * step


class Queries:
    """The metrics part of the API."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock

    def put_data(self, request: Request) -> Request:
        """PutMetricData: everything, or nothing when something is wrong."""
        if request.get("EntityMetricData"):
            raise ApiError("ValidationError", "the embedded cloud has no EntityMetricData; write MetricData instead")
        namespace = request["Namespace"]
        if namespace.startswith("AWS/"):
            raise ApiError("InvalidParameterValue", "The value AWS/ for parameter Namespace is invalid.")
        found: dict[int, list[tuple[Metric, Sample]]] = {1: [], 60: []}
        for number, datum in enumerate(request.get("MetricData", []), 1):
            metric = metric_of(namespace, datum["MetricName"], datum.get("Dimensions", []))
            resolution = datum.get("StorageResolution", 60)
            if resolution not in found:
                raise _invalid(number, "StorageResolution", "must be 1 or 60")
            found[resolution] += [(metric, sample) for sample in self._samples(datum, number)]
        for resolution, samples in found.items():
            if samples:
                self._metrics.put(samples, resolution=resolution)
        return {}

    def list_metrics(self, request: Request) -> Request:
        """ListMetrics: by namespace, name and dimensions that they must have among theirs."""
        filters = [(each["Name"], each.get("Value")) for each in request.get("Dimensions", [])]

        def wanted(metric: Metric) -> bool:
            has = dict(metric.dimensions)
            return (
                request.get("Namespace", metric.namespace) == metric.namespace
                and request.get("MetricName", metric.name) == metric.name
                and all(name in has and value in (None, has[name]) for name, value in filters)
            )

        since = self._clock.time() - (RECENT_SECONDS if request.get("RecentlyActive") else OLDEST)
        found = self._metrics.find(wanted, since)
        start = int(request.get("NextToken", 0))
        page = [
            {"Namespace": each.namespace, "MetricName": each.name, "Dimensions": dimensions_of(each)}
            for each in found[start : start + LISTED]
        ]
        return {"Metrics": page, **({"NextToken": str(start + LISTED)} if start + LISTED < len(found) else {})}

    def get_statistics(self, request: Request) -> Request:
        """GetMetricStatistics: data points in no promised order; here oldest first."""
        names = [*request.get("Statistics", []), *request.get("ExtendedStatistics", [])]
        if not names:
            raise ApiError("MissingParameter", "Must specify either Statistics or ExtendedStatistics")
        period = _period(request["Period"])
        for name in names:
            _known(name)
        start, end = rounded(request["StartTime"], period), request["EndTime"]
        if start >= end:
            raise ApiError("InvalidParameterValue", "The parameter StartTime must be less than the parameter EndTime.")
        if (end - start) / period > MOST_DATAPOINTS:
            asked = math.ceil((end - start) / period)
            raise ApiError(
                "InvalidParameterCombination",
                f"You have requested up to {asked} datapoints, which exceeds the limit of {MOST_DATAPOINTS}. You may "
                "reduce the datapoints requested by increasing Period, or decreasing the time range.",
            )
        metric = metric_of(request["Namespace"], request["MetricName"], request.get("Dimensions", []))
        # without a unit, data of different units are aggregated apart
        by_unit: dict[tuple[int, str], list[Sample]] = {}
        for sample in self._metrics.samples(metric, start, end, request.get("Unit")):
            by_unit.setdefault((int((sample.at - start) // period), sample.unit), []).append(sample)
        points = []
        for (bucket, unit), samples in sorted(by_unit.items()):
            point: Request = {"Timestamp": start + bucket * period, "Unit": unit}
            values = {name: statistics.statistic(samples, name) for name in names}
            point |= {name: value for name, value in values.items() if name in statistics.SIMPLE and value is not None}
            extended = {name: value for name, value in values.items() if name not in point and value is not None}
            points.append({**point, **({"ExtendedStatistics": extended} if extended else {})})
        return {"Label": request["MetricName"], "Datapoints": points}

    def get_data(self, request: Request) -> Request:
        """GetMetricData: newest first unless asked otherwise."""
        queries = request["MetricDataQueries"]
        start, end = request["StartTime"], request["EndTime"]
        if start >= end:
            raise ApiError("ValidationError", "The parameter StartTime must be less than the parameter EndTime.")
        series = self.evaluate(queries, start, end)
        newest = request.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        most = min(request.get("MaxDatapoints", MOST_DATA), MOST_DATA)
        results = []
        for query in queries:
            if not query.get("ReturnData", True):
                continue
            times = sorted(series[query["Id"]], reverse=newest)[:most]
            stat = query.get("MetricStat")
            results.append(
                {
                    "Id": query["Id"],
                    "Label": query.get("Label") or (stat["Metric"]["MetricName"] if stat else query["Id"]),
                    "Timestamps": times,
                    "Values": [series[query["Id"]][time] for time in times],
                    "StatusCode": "Complete",
                }
            )
        return {"MetricDataResults": results, "Messages": []}

    def evaluate(
        self, queries: list[Request], start: float, end: float, begin: Callable[[float, float], float] = rounded
    ) -> dict[str, Series]:
        """The series of each query by its id, from `start` to before `end`.

        `begin(start, period)` is where the first period of a query begins.

        Raises:
            ApiError: a query is wrong, or uses what is not implemented.
        """
        periods = [query["MetricStat"]["Period"] for query in queries if query.get("MetricStat")]
        period = max([*periods, *(query["Period"] for query in queries if query.get("Period"))], default=60)
        series: dict[str, Series] = {}
        expressions: list[tuple[str, Expression]] = []
        for query in queries:
            if query.get("MetricStat"):
                found = self.series(query["MetricStat"], begin(start, query["MetricStat"]["Period"]), end)
                series[query["Id"]] = {time: value for time, (value, _) in found.items()}
            else:
                expressions.append((query["Id"], parsed(query)))
        times = _times(begin(start, period), end, period)
        metrics = list(series)  # METRICS() is of these, not of expressions
        while expressions:
            ready = [each for each in expressions if each[1].names <= series.keys()]
            if not ready:
                id_, expression = expressions[0]
                missing = ", ".join(sorted(expression.names - series.keys()))
                raise ApiError(
                    "ValidationError", f"Expression {expression.text!r} of {id_!r}: no metric has the id {missing}"
                )
            for id_, expression in ready:
                try:
                    series[id_] = expression.evaluate(series, times, period, metrics)
                except ExpressionError as error:
                    raise ApiError("ValidationError", str(error)) from error
            expressions = [each for each in expressions if each not in ready]
        return series

    def series(self, stat: Request, start: float, end: float) -> dict[float, tuple[float, float]]:
        """Value and number of samples by the start of each period, for a MetricStat."""
        period, name = _period(stat["Period"]), _known(stat["Stat"])
        wanted = stat["Metric"]
        metric = metric_of(wanted["Namespace"], wanted["MetricName"], wanted.get("Dimensions", []))
        buckets: dict[float, list[Sample]] = {}
        for sample in self._metrics.samples(metric, start, end, stat.get("Unit")):
            buckets.setdefault(start + (sample.at - start) // period * period, []).append(sample)
        values = {time: statistics.statistic(samples, name) for time, samples in buckets.items()}
        return {
            time: (value, sum(sample.count for sample in buckets[time]))
            for time, value in values.items()
            if value is not None
        }

    def _samples(self, datum: Request, number: int) -> list[Sample]:
        now = self._clock.time()
        at, unit = datum.get("Timestamp", now), datum.get("Unit", "None")
        if not now - OLDEST <= at <= now + NEWEST:
            raise _invalid(number, "Timestamp", "must lie between two weeks ago and two hours from now")
        if "StatisticValues" in datum:
            told = datum["StatisticValues"]
            return [Sample(at, told["SampleCount"], told["Sum"], told["Minimum"], told["Maximum"], unit)]
        if "Values" in datum:
            values, counts = datum["Values"], datum.get("Counts") or [1.0] * len(datum["Values"])
            if len(values) != len(counts) or len(values) > MOST_VALUES:
                raise _invalid(number, "Values", f"must be as many as Counts, and at most {MOST_VALUES}")
        elif "Value" in datum:
            values, counts = [datum["Value"]], [1.0]
        else:
            raise _invalid(number, "Value", "or Values or StatisticValues must be given")
        if not all(math.isfinite(value) and abs(value) <= 2.0**360 for value in values):
            raise _invalid(number, "Value", "must be a number between -2^360 and 2^360")
        return [Sample.of(at, value, unit, count) for value, count in zip(values, counts, strict=True)]


def parsed(query: Request) -> Expression:
    """The expression of a MetricDataQuery.

    Raises:
        ApiError: there is none, or it is wrong, or uses what is not implemented.
    """
    if not query.get("Expression"):
        raise ApiError("ValidationError", f"MetricDataQuery {query['Id']!r} has neither MetricStat nor Expression")
    try:
        return Expression(query["Expression"])
    except ExpressionError as error:
        raise ApiError("ValidationError", str(error)) from error


def metric_of(namespace: str, name: str, dimensions: list[dict[str, str]]) -> Metric:
    """A metric as the API names it."""
    return Metric.of(namespace, name, {each["Name"]: each["Value"] for each in dimensions})


def dimensions_of(metric: Metric) -> list[dict[str, str]]:
    """Dimensions as the API shows them."""
    return [{"Name": name, "Value": value} for name, value in metric.dimensions]


def _times(start: float, end: float, period: float) -> list[float]:
    return [start + number * period for number in range(math.ceil((end - start) / period))]


def _period(period: int) -> int:
    if period not in FINE and (period <= 0 or period % 60):
        raise ApiError("InvalidParameterValue", f"Period {period} must be 1, 5, 10, 20, 30, or a multiple of 60")
    return period


def _known(name: str) -> str:
    if not statistics.is_known(name):
        known = ", ".join(statistics.SIMPLE)
        raise ApiError("InvalidParameterValue", f"the embedded cloud has no statistic {name!r}; it has {known} and pNN")
    return name


def _invalid(number: int, field: str, what: str) -> ApiError:
    return ApiError("InvalidParameterValue", f"The parameter MetricData.member.{number}.{field} {what}.")
