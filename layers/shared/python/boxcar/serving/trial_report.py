"""The report of a trial: what both versions did, side by side, as a document and a page."""

from dataclasses import asdict
from typing import Any

from boxcar.reports.charts import shares_chart
from boxcar.reports.page import rendered
from boxcar.serving.judging import Judgement, Seen
from boxcar.serving.planning import ReleasePlan
from boxcar.serving.records import Live, Trial
from boxcar.serving.trials import BINS

SCHEMA = 1
_WAYS = {"shadow": "a shadow", "split": "a share of the requests"}
_ENDS = {
    "continue": "goes on",
    "promote": "takes the place of the version before",
    "back": "is taken back",
}


def tell(plan: ReleasePlan, trial: Trial, live: Live, seen: Seen, judged: Judgement, now: float) -> dict[str, Any]:
    """The report as a document. Times are seconds since the epoch."""
    return {
        "schema": SCHEMA,
        "run": plan.run,
        "family": plan.family,
        "model": plan.model,
        "endpoint": plan.endpoint,
        "kind": trial.kind,
        "version": trial.version,
        "live": live.version,
        "started": trial.since,
        "seen": now,
        "status": judged.status,
        "sentence": f"{plan.family}/{plan.model} {trial.version}, tried as {_WAYS[trial.kind]} beside {live.version}, "
        f"{_ENDS[judged.status]}: {'; '.join(judged.why)}",
        "why": judged.why,
        "traffic": {"live": _traffic(seen.live), "tried": _traffic(seen.tried)},
        "answers": {**asdict(seen.answers), "shift": seen.answers.shift} if trial.kind == "shadow" else None,
        "outcomes": [{"count": one.count, "mean": one.mean} for one in seen.outcomes] if trial.kind == "split" else [],
        "difference": asdict(judged.difference) if judged.difference else None,
    }


def render(report: dict[str, Any]) -> str:
    """The page. Everything that was data is escaped."""
    answers, chart = report["answers"], None
    if answers and answers["live"]:
        places = [str(place) for place in range(BINS)]
        names = [f"{place / BINS:.2f}" for place in range(BINS)]
        sides = (report["version"], answers["tried"]), (report["live"], answers["live"])
        chart = shares_chart(places, *sides, names=names)
    return rendered("trial.html.j2", report=report, chart=chart)


def _traffic(traffic: Any) -> dict[str, Any]:
    return {**asdict(traffic), "error_percent": traffic.error_percent}
