"""What a trial has left so far.

What is compared comes from two places: CloudWatch has how many requests each variant got, how many failed and how long
they took; captured requests have the answers. Both are a minute or two late.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from boxcar.serving.captures import MOST, Captured, read_captures, scores_in
from boxcar.serving.judging import Answers, Seen, Traffic
from boxcar.serving.sequential import Outcomes
from boxcar.serving.spec import Serving
from boxcar.serving.targets import VARIANT, tried_variant

OUTCOMES = "outcomes"  # where people report what came of answers
BINS = 20  # of scores from 0 to 1


def compare_answers(live: Iterable[Captured], tried: Iterable[Captured], thresholds: tuple[float, float]) -> Answers:
    """Compare what both answered to the same request: of the same inference id, or else of the same text.

    Args:
        live, tried: what each was asked and answered.
        thresholds: of both versions; a decision is a yes from there on.
    """
    known: dict[str, str] = {}
    for record in live:
        known.setdefault(record.digest, record.answer)
        if record.inference_id:
            known.setdefault(record.inference_id, record.answer)
    pairs = equal = scored = 0
    apart = 0.0
    bins: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for record in tried:
        before = known.get(record.inference_id) if record.inference_id else None
        before = known.get(record.digest) if before is None else before
        if before is None:
            continue
        scores = scores_in(before), scores_in(record.answer)
        if (
            scores[0] is None
            or scores[1] is None
            or len(scores[0]) != len(scores[1])
            or not _finite(*scores[0], *scores[1])
        ):
            pairs, equal = pairs + 1, equal + (before == record.answer)
            continue
        for one, other in zip(scores[0], scores[1], strict=True):
            pairs, equal = pairs + 1, equal + ((one >= thresholds[0]) == (other >= thresholds[1]))
            scored, apart = scored + 1, apart + abs(one - other)
            for counts, score in zip(bins, (one, other), strict=True):
                place = str(min(BINS - 1, max(0, math.floor(score * BINS))))
                counts[place] = counts.get(place, 0) + 1
    return Answers(pairs, equal, *bins, difference=apart / scored if scored else None)


def _finite(*scores: float) -> bool:
    return all(map(math.isfinite, scores))


@dataclass(frozen=True)
class Looker:
    """Reads what a trial has left so far.

    Attributes:
        s3, cloudwatch: clients.
        bucket: of the stack.
        most: captured requests of a variant whose outcomes are looked for.
    """

    s3: Any
    cloudwatch: Any
    bucket: str
    most: int = 4 * MOST

    def look(
        self, endpoint: str, serving: Serving, config: str, since: float, now: float, thresholds: tuple[float, float]
    ) -> Seen:
        """Look at a trial.

        Args:
            endpoint, serving: what is tried where.
            config: in which it is tried.
            since, now: seconds since the epoch.
            thresholds: the scores from which an answer is a yes, of the live version and of the one that is tried.
        """
        variants = (VARIANT, tried_variant(serving))
        live, tried = (self._traffic(endpoint, name, since, now) for name in variants)
        if serving.shadow:
            captures = [read_captures(self.s3, self.bucket, config, endpoint, name, since) for name in variants]
            answers = compare_answers(captures[0].records, captures[1].records, thresholds)
            unreadable = sum(each.unreadable for each in captures)
            return Seen(live, tried, replace(answers, unreadable=unreadable))
        if serving.split and serving.split.metric == "outcome":
            outcomes, until = self._outcomes(endpoint, variants, config, since)
            return Seen(live, tried, outcomes=outcomes, until=until)
        shares = [Outcomes.of_shares(each.requests - each.failed, each.requests) for each in (live, tried)]
        return Seen(live, tried, outcomes=(shares[0], shares[1]))

    def _traffic(self, endpoint: str, variant: str, since: float, now: float) -> Traffic:
        # One figure for the whole time, or for each day of it: percentiles cannot be put together.
        period = min(86400, max(60, 60 * math.ceil((now - since) / 60 + 1)))
        dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
        wanted = {"requests": ("Invocations", "Sum"), "failed": ("Invocation5XXErrors", "Sum"),
                  "latency": ("ModelLatency", "p90")}  # fmt: skip
        queries = [
            {
                "Id": identifier,
                "MetricStat": {
                    "Metric": {"Namespace": "AWS/SageMaker", "MetricName": name, "Dimensions": dimensions},
                    "Period": period,
                    "Stat": stat,
                },
            }
            for identifier, (name, stat) in wanted.items()
        ]
        begin = datetime.fromtimestamp(since // 60 * 60, UTC)
        end = datetime.fromtimestamp(now // 60 * 60 + 60, UTC)
        answer = self.cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=begin, EndTime=end)
        values = {line["Id"]: line["Values"] for line in answer["MetricDataResults"]}
        latency = max(values["latency"], default=None)
        return Traffic(
            int(sum(values["requests"])), int(sum(values["failed"])), None if latency is None else latency / 1000
        )

    def _outcomes(
        self, endpoint: str, variants: tuple[str, str], config: str, since: float
    ) -> tuple[tuple[Outcomes, Outcomes], str]:
        """What came of the requests of each variant, and the time up to which requests count; "": all do.

        If there are too many of one variant, those after a time are left out of both. The oldest stay what they are at
        every look, as the test wants it; the newest would not, and each variant's would be of other hours.
        """
        captures = [
            read_captures(self.s3, self.bucket, config, endpoint, name, since, self.most, newest=False)
            for name in variants
        ]
        until = min((each.records[-1].at for each in captures if each.is_cut), default="")
        variant_of = {
            record.inference_id: place
            for place, each in enumerate(captures)
            for record in each.records
            if record.inference_id and (not until or record.at < until)
        }
        reported: dict[str, float] = {}
        for line in self._reported(endpoint, since):
            try:
                document = json.loads(line)
                identifier, outcome = str(document["inference_id"]), float(document["outcome"])
            except (ValueError, KeyError, TypeError):
                continue  # half a line is whole at the next look
            if math.isfinite(outcome):
                reported[identifier] = outcome
        found = Outcomes(), Outcomes()
        for identifier, outcome in reported.items():
            if identifier in variant_of:
                found[variant_of[identifier]].add(outcome)
        return found, until

    def _reported(self, endpoint: str, since: float) -> Iterable[str]:
        """Lines of what was reported since the trial began: before, nobody could know of its answers."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=f"{OUTCOMES}/{endpoint}/")
        begin = datetime.fromtimestamp(int(since), UTC)
        files = [item for page in pages for item in page.get("Contents", []) if item["LastModified"] >= begin]
        for item in sorted(files, key=lambda item: item["LastModified"]):  # what is reported last counts
            body = self.s3.get_object(Bucket=self.bucket, Key=item["Key"])["Body"].read()
            yield from body.decode(errors="replace").splitlines()
