"""Smoke test: requests whose answers are known, asked of a version that has just been deployed.

They are rows of the sample in the version's evaluation, with the scores that its own serving code gave them, and what
the family adds under `serving.smoke.requests`.
"""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from boxcar.errors import SmokeTestFailed
from boxcar.evaluations import Evaluation
from boxcar.serving.spec import Smoke

Ask = Callable[[str, str], str]  # body and content type -> answer


@dataclass(frozen=True)
class Golden:
    """One request, and how its answer is looked at: `check` says what is wrong with it, or None."""

    body: str
    content_type: str
    check: Callable[[str], str | None]


def golden(smoke: Smoke, evaluation: Evaluation) -> list[Golden]:
    """What is to be asked of a version; nothing if there is neither a sample nor a request."""
    found = [Golden(one.body, one.content_type, partial(_contains, one.contains)) for one in smoke.requests]
    # Evaluations of earlier code have a sample without scores.
    sample = [row for row in evaluation.sample if row.get("score") is not None][: smoke.rows]
    if sample and evaluation.inputs:
        scores = [float(row["score"]) for row in sample]
        body = _csv([[row["values"].get(name) for name in evaluation.inputs] for row in sample])
        found.append(Golden(body, "text/csv", partial(_same_scores, scores, smoke.tolerance)))
    return found


def smoke_test(requests: list[Golden], ask: Ask) -> int:
    """Ask, and compare.

    Returns:
        how many requests were answered as they should be.

    Raises:
        SmokeTestFailed: what was asked, and what is wrong with the answer.
    """
    for request in requests:
        first = request.body.splitlines()[0][:200] if request.body else ""
        try:
            answer = ask(request.body, request.content_type)
        except Exception as error:
            if getattr(error, "response", {}).get("Error", {}).get("Code") not in ("ModelError", "ValidationError"):
                raise
            raise SmokeTestFailed(f"a golden request was not answered: {error}; it begins with {first!r}") from error
        if fault := request.check(answer):
            raise SmokeTestFailed(f"a golden request was answered otherwise: {fault}; it begins with {first!r}")
    return len(requests)


def _contains(wanted: str, answer: str) -> str | None:
    return None if wanted in answer else f"{wanted!r} is not in {answer[:200]!r}"


def _same_scores(scores: list[float], tolerance: float, answer: str) -> str | None:
    lines = answer.split()
    if len(lines) != len(scores):
        return f"{len(scores)} rows were sent, and {len(lines)} lines came back: {answer[:200]!r}"
    for number, (line, wanted) in enumerate(zip(lines, scores, strict=True), 1):
        try:
            got = float(line.rpartition(",")[2])
        except ValueError:
            return f"line {number} is {line[:80]!r}, which is no score"
        if not abs(got - wanted) <= tolerance:
            return f"line {number} is {got}, and the evaluation says {wanted}"
    return None


def _csv(rows: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["" if value is None else value for value in row] for row in rows])
    return text.getvalue()
