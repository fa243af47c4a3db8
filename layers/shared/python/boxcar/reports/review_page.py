"""The page on which a person decides about a version, or its release: what is known of it, and two buttons."""

from datetime import UTC, datetime
from typing import Any

from boxcar.criterion import METRICS
from boxcar.errors import EvaluationError
from boxcar.evaluations import Evaluation, load_evaluation
from boxcar.registry.table import ModelsTable
from boxcar.reports.charts import calibration_chart, history_chart, label_chart, score_chart
from boxcar.reports.facts import HISTORY
from boxcar.reports.page import rendered
from boxcar.reports.story import past_versions
from boxcar.verdicts import Verdict
from boxcar.versions import Version


def gather(family: str, model: str, version: Version, table: ModelsTable, s3: Any) -> dict[str, Any]:
    """Everything that is known of a version; what cannot be read any more is left out."""
    item = table.version(family, model, version) or {}
    verdict = item.get("verdict") or {}
    approved = table.approved(family, model)
    try:
        evaluation = load_evaluation(s3, item["evaluation"])
    except (EvaluationError, KeyError):
        evaluation = Evaluation()
    calibration = evaluation.calibration.model_dump() if evaluation.calibration else {}
    return {
        "verdict": verdict,
        "change": item.get("change", ""),
        "created": str(item.get("created", "")),
        "label": (item.get("config") or {}).get("label", ""),
        "approved": approved["version"] if approved else None,
        "overtaken": bool(approved and approved["sort_key"] > version.sort_key),
        "withdrawn": item.get("status") != "Approved",
        "calibration": calibration.get("bins") or [],
        "history": past_versions(table.history(family, model, newest=HISTORY), verdict.get("metric", "")),
    }


def render_review(review: dict[str, Any], figures: dict[str, Any], token: str, given: dict[str, str]) -> str:
    """The page with its form.

    Args:
        review: a review as a document (`boxcar.approvals.reviews.Review`).
        figures: of `gather`.
        token: of the link, which the form sends back.
        given: what was typed before, if a form came back: name, why, fault.
    """
    verdict = figures["verdict"]
    metric = verdict.get("metric", "")
    pictures = {
        "score": score_chart(verdict.get("score"), verdict.get("score_before"), *_interval(verdict), metric),
        "labels": label_chart(verdict.get("labels") or {}, verdict.get("labels_before") or {}),
        "calibration": calibration_chart(figures["calibration"]),
        "history": history_chart(figures["history"], metric),
    }
    return rendered(
        "review.html.j2",
        review=review,
        figures=figures,
        verdict={**dict.fromkeys(Verdict.model_fields), **verdict},
        pictures=pictures,
        token=token,
        given={"name": "", "why": "", "fault": "", **given},
        until=_moment(review["until"]),
    )


def render_notice(title: str, words: str, review: dict[str, Any] | None) -> str:
    """A page that says what became of a link."""
    return rendered("notice.html.j2", title=title[:1].upper() + title[1:], words=words, review=review)


def _interval(verdict: dict[str, Any]) -> tuple[float | None, float | None]:
    """Where the candidate's score lies, from and to, by the 95 % interval of the difference to the approved version."""
    drop = next((one for one in verdict.get("criteria") or [] if one["name"] == "score_drop"), None)
    before = verdict.get("score_before")
    if drop is None or before is None or drop.get("low") is None or drop.get("high") is None:
        return None, None
    better = 1 if METRICS.get(verdict["metric"]) == "higher" else -1
    low, high = sorted((before - better * drop["low"], before - better * drop["high"]))
    return low, high


def _moment(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%-d %B %Y, %H:%M UTC")
