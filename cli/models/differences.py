"""What two versions have in common and in what they differ, as one document."""

import json
from typing import Any

from boxcar.criterion import METRICS
from boxcar.evaluations import Evaluation
from boxcar.registry.origins import Origin
from boxcar.shifts import population_stability_index
from cli.models.words import NOT_RECORDED, score_of, verdict_of

MOST_DRIFTS = 12


def compared(a: dict[str, Any], b: dict[str, Any], of_a: Evaluation | None, of_b: Evaluation | None) -> dict[str, Any]:
    """Put two versions side by side.

    Args:
        a: document of one version, as the models table has it.
        b: of the other.
        of_a: the evaluation of a; None if it cannot be read.
        of_b: of b.

    Returns:
        `{"a", "b", "metric", "scores", "difference", "labels", "rows", "label_shift", "drift", "importances",
        "calibration", "made_of", "same"}`. Of a pair the first is a's, the second b's; `made_of` has only what
        differs, `same` the names of what does not. `difference` is b's verdict against a, on the same rows, or None
        when b was weighed against another version: then each score is on rows of its own.
    """
    verdict = verdict_of(b)
    direct = f"{a['family']}/{a['model']}" == f"{b['family']}/{b['model']}" and verdict.compared_with == a["version"]
    drop = next((one for one in verdict.criteria if one.name == "score_drop"), None) if direct else None
    metrics = [name for name in METRICS if name in a["metrics"] or name in b["metrics"]]
    pairs = {
        **_pairs("parameters", a["config"]["parameters"], b["config"]["parameters"]),
        **_pairs("", _origin(a), _origin(b)),
    }
    shift = population_stability_index(a["labels"], b["labels"]) if a["labels"] and b["labels"] else None
    return {
        "a": _head(a),
        "b": _head(b),
        "metric": verdict.metric,
        "scores": {name: [a["metrics"].get(name), b["metrics"].get(name)] for name in metrics},
        "difference": None
        if drop is None
        else {
            "metric": verdict.metric,
            "before": verdict.score_before,
            "score": verdict.score,
            "paired": verdict.paired,
            "drop": drop.figure,
            "low": drop.low,
            "high": drop.high,
            "reason": drop.reason,
        },
        "labels": [a["labels"], b["labels"]],
        "rows": [a["rows"], b["rows"]],
        "label_shift": shift,
        "drift": dict(list(verdict.drift.items())[:MOST_DRIFTS]) if direct else {},
        "importances": [of_a.importances if of_a else {}, of_b.importances if of_b else {}],
        "calibration": [_calibration(of_a), _calibration(of_b)],
        "made_of": {name: pair for name, pair in pairs.items() if pair[0] != pair[1]},
        "same": _same(pairs),
    }


def _same(pairs: dict[str, list[str]]) -> list[str]:
    """Names of what does not differ; parameters are one name while none of them does."""
    names = [name for name, pair in pairs.items() if pair[0] == pair[1]]
    if all(pair[0] == pair[1] for name, pair in pairs.items() if name.startswith("parameters.")):
        names = ["every parameter", *(name for name in names if not name.startswith("parameters."))]
    return names


def _head(version: dict[str, Any]) -> dict[str, Any]:
    named = {name: version[name] for name in ("family", "model", "version", "status", "created", "run")}
    return {**named, "score": score_of(version), "in_production": version.get("in_production", False)}


def _origin(version: dict[str, Any]) -> dict[str, str]:
    """What a version was made of, in the order in which people look for what has changed."""
    features = version["config"]["features"]
    known = {
        "label": version["config"]["label"],
        "features": ", ".join(name for names in features.values() for name in names),
        "architecture": version["config"]["architecture"],
    }
    if "origin" not in version:
        missing = ("code", "data", "query", "image", "family file", "uses")
        return {**known, **dict.fromkeys(missing, NOT_RECORDED)}
    origin = Origin.model_validate(version["origin"])
    return {
        **known,
        "code": origin.code.digest if origin.code else "none",
        "data": origin.unloaded.digest if origin.unloaded else "none",
        "query": origin.unloaded.query_digest if origin.unloaded else "none",
        "image": origin.image,
        "family file": f"{origin.family_file}, version {origin.family_version}",
        "uses": ", ".join(f"{model}@{used}" for model, used in origin.upstream.items()) or "none",
    }


def _pairs(prefix: str, a: dict[str, Any], b: dict[str, Any]) -> dict[str, list[str]]:
    return {
        f"{prefix}.{name}" if prefix else name: [_text(a.get(name)), _text(b.get(name))]
        for name in dict.fromkeys([*a, *b])
    }


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value)


def _calibration(evaluation: Evaluation | None) -> dict[str, Any]:
    """Error and bins, as the evaluate step wrote them; {} if it did not."""
    return evaluation.calibration.model_dump() if evaluation and evaluation.calibration else {}
