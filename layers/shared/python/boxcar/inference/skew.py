"""Whether serving says what training said: of the validation rows that a version keeps as a sample and that came again.

The split compares their values; here are their scores. A row with other values may have another score. One with the
same values may not: then something between the request and the trees works differently than it did in training.
"""

from typing import Any

SAME_SCORE = 1e-5  # scores are 32-bit floats from 0 to 1, and another processor may add up trees in another order


def score_skew(sample: list[dict[str, Any]], skew: dict[str, Any], now: dict[str, float]) -> dict[str, Any]:
    """Compare the scores of sample rows whose values are the same.

    Args:
        sample: of the evaluation, each row with `key` and `score`; versions of before November 2026 have no scores.
        skew: what the split says of the sample, with the keys that have `changed`.
        now: key -> score of this run.

    Returns:
        `rows` compared; in how many the score `differ`s; the `largest` difference, and that row as an `example`.
    """
    changed = set(skew.get("changed", []))
    known = {row["key"]: row["score"] for row in sample if row.get("score") is not None}
    both = [key for key in known if key in now and key not in changed]
    differ = [key for key in both if abs(known[key] - now[key]) > SAME_SCORE]
    found: dict[str, Any] = {"rows": len(both), "differ": len(differ), "largest": 0.0, "example": None}
    if differ:
        worst = max(differ, key=lambda key: abs(known[key] - now[key]))
        found["largest"] = abs(known[worst] - now[worst])
        found["example"] = {"key": worst, "training": known[worst], "serving": now[worst]}
    return found


def skew_sentences(skew: dict[str, Any]) -> list[str]:
    """What a mail says of it; nothing while serving and training agree."""
    said = []
    if skew.get("differ"):
        columns = ", ".join(f"{column} in {rows}" for column, rows in skew["differ"].items())
        said.append(f"of {skew['rows']} rows known from training, values differ: {columns}")
    scores = skew.get("scores") or {}
    if scores.get("differ"):
        said.append(
            f"of {scores['rows']} rows with the values of training, {scores['differ']} have other scores, by up to "
            f"{scores['largest']:.3g}"
        )
    return said
