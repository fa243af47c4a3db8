"""Figures of many jobs: outcomes, waiting, running, instance hours, money, failures; by day or by any other field.

A job counts on the day (UTC) it was submitted. Times are in seconds.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

OUTCOMES = ("Completed", "Failed", "Stopped", "open")
BY = ("day", "owner", "family", "kind", "sweep")
MOST_DAYS = 45  # shown one by one; a longer time is shown by weeks

Summary = dict[str, Any]  # of a job, as the API lists it


@dataclass
class Figures:
    """What is known about a group of jobs."""

    name: str
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)  # from submission to the start, of jobs that began once
    runs: list[float] = field(default_factory=list)  # of the last attempt of jobs that have ended
    hours: Counter[str] = field(default_factory=Counter)  # instance type -> hours that are paid for

    @property
    def jobs(self) -> int:
        """How many there are."""
        return self.outcomes.total()

    def usd(self, prices: dict[str, float]) -> float | None:
        """What the hours cost whose price is known; None when none is."""
        known = [hours * prices[name] for name, hours in self.hours.items() if name in prices]
        return sum(known) if known else None

    def add(self, job: Summary) -> None:
        """Count one more job."""
        status = str(job.get("status", ""))
        outcome = status if status in OUTCOMES else "open"
        self.outcomes[outcome] += 1
        if outcome == "Failed":
            self.failures[str(job.get("failure") or "unknown")] += 1
        created, started = moment(job.get("created_at")), moment(job.get("started"))
        # The start is that of the last attempt: after a retry the time before it was not all waiting.
        if created is not None and started is not None and int(job.get("attempt") or 1) <= 1:
            self.waits.append(max(0.0, started - created))
        seconds = float(job.get("seconds") or 0)
        if outcome != "open" and started is not None:
            self.runs.append(seconds)
        if (instance_type := str(job.get("instance_type") or "")) and job.get("kind") != "statement":
            # AWS bills each instance of a job for the job's billable time (BillableTimeInSeconds in the SageMaker API).
            paid = float(job.get("billable_seconds") or seconds)
            self.hours[instance_type] += paid * int(job.get("units") or 1) / 3600  # type: ignore[assignment]

    def as_json(self, prices: dict[str, float]) -> dict[str, Any]:
        """The figures as a document."""
        hours = {name: round(value, 4) for name, value in sorted(self.hours.items()) if value}
        usd = self.usd(prices)
        return {
            "name": self.name,
            "jobs": self.jobs,
            **{outcome.lower(): self.outcomes[outcome] for outcome in OUTCOMES},
            "wait_median_s": _rounded(quantile(self.waits, 0.5)),
            "wait_p95_s": _rounded(quantile(self.waits, 0.95)),
            "run_median_s": _rounded(quantile(self.runs, 0.5)),
            "run_p95_s": _rounded(quantile(self.runs, 0.95)),
            "instance_hours": hours,
            "usd": None if usd is None else round(usd, 2),
            "unpriced": sorted(set(hours) - set(prices)) if prices else [],
            "failures": dict(self.failures.most_common()),
        }


@dataclass(frozen=True)
class Statistics:
    """All jobs of some days, whole, by day or week, and by what was asked for."""

    first: date
    last: date
    whole: Figures
    trend: list[Figures]  # without gaps; the name is the first day of each
    weekly: bool
    by: str
    groups: list[Figures]


def figures_of(jobs: Iterable[Summary], first: date, last: date, by: str = "day") -> Statistics:
    """Count jobs that were submitted from `first` to `last`; others are left out."""
    weekly = (last - first).days >= MOST_DAYS
    step = timedelta(days=7 if weekly else 1)
    starts = [first + step * number for number in range((last - first) // step + 1)]
    trend = {start: Figures(start.isoformat()) for start in starts}
    whole = Figures("all")
    groups: dict[str, Figures] = {}
    for job in jobs:
        day = day_of(job)
        if day is None or not first <= day <= last:
            continue
        name = day.isoformat() if by == "day" else str(job.get(by) or "(none)")
        for figures in (whole, trend[first + step * ((day - first) // step)], groups.setdefault(name, Figures(name))):
            figures.add(job)
    ordered = sorted(groups.values(), key=lambda group: group.name)
    if by != "day":
        ordered.sort(key=lambda group: -group.jobs)
    return Statistics(first, last, whole, list(trend.values()), weekly, by, ordered)


def failures_by_day(trend: Sequence[Figures]) -> tuple[list[str], dict[str, list[int]]]:
    """The classes of failure, most frequent first, and how many of each there were in each part of the trend."""
    total: Counter[str] = sum((figures.failures for figures in trend), Counter())
    classes = [name for name, _ in total.most_common()]
    return classes, {name: [figures.failures[name] for figures in trend] for name in classes}


def hours_by_day(trend: Sequence[Figures]) -> dict[str, list[float]]:
    """Instance hours of each instance type, the one with most hours first, in each part of the trend."""
    total: dict[str, float] = defaultdict(float)
    for figures in trend:
        for name, hours in figures.hours.items():
            total[name] += hours
    names = [name for name, hours in sorted(total.items(), key=lambda pair: -pair[1]) if hours > 0]
    return {name: [float(figures.hours[name]) for figures in trend] for name in names}


def sentence(whole: Figures) -> str:
    """What became of the jobs, in words."""
    if not whole.jobs:
        return "No job was submitted."
    parts = [f"{whole.outcomes[name]:,} {name.lower()}" for name in OUTCOMES if whole.outcomes[name]]
    what = f"{whole.jobs:,} {'job' if whole.jobs == 1 else 'jobs'}: {', '.join(parts)}."
    ended = whole.outcomes["Completed"] + whole.outcomes["Failed"]
    rate = f" {whole.outcomes['Completed'] / ended:.1%} of those that ran to an end completed." if ended else ""
    return what + rate


def hours_text(hours: float) -> str:
    """Instance hours: three figures for few, whole ones for many."""
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.1f}" if hours >= 1 else f"{hours:.3f}"


def quantile(values: Sequence[float], share: float) -> float | None:
    """A sample quantile, interpolated between neighbours (Hyndman and Fan 1996, type 7); None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def moment(value: Any) -> float | None:
    """A time of a job as seconds since the epoch: ISO 8601 from the API, numbers or datetimes from the archive."""
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, str):
        found = datetime.fromisoformat(value.replace("Z", "+00:00"))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    return float(value)


def day_of(job: Summary) -> date | None:
    """The day, UTC, on which it was submitted."""
    created = moment(job.get("created_at"))
    return None if created is None else datetime.fromtimestamp(created, UTC).date()


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
