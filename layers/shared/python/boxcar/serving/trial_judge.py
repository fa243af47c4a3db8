"""Judge a trial: look at what it has left, decide, write the report, and remember what was seen."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from boxcar.errors import NotPossible
from boxcar.serving.judging import Judgement, Seen, judge_shadow, judge_split
from boxcar.serving.planning import ReleasePlan
from boxcar.serving.records import Endpoint, Endpoints, Trial
from boxcar.serving.spec import Serving, Shadow
from boxcar.serving.trial_report import render, tell
from boxcar.serving.turns import succeed


@dataclass(frozen=True)
class TrialJudge:
    """Judges trials.

    Attributes:
        look: reads what a trial has left: endpoint, serving, configuration, since, now, thresholds of both versions.
        is_approved: whether a version still is.
        threshold: the score from which an answer of a version is a yes.
        write: writes a report and its page; returns the address of the page.
        now: seconds since the epoch.
    """

    endpoints: Endpoints
    look: Callable[[str, Serving, str, float, float, tuple[float, float]], Seen]
    is_approved: Callable[[str], bool]
    threshold: Callable[[str], float]
    write: Callable[[dict[str, Any], str], str]
    now: Callable[[], float]

    def judge(self, plan: ReleasePlan, execution: str) -> dict[str, Any]:
        """Look once.

        Args:
            plan: of the release.
            execution: ARN of the release, whose turn it is.

        Returns:
            `status` (continue, promote, back), `error` and `cause` of a trial that ends badly, `report` (address).

        Raises:
            NotPossible: there is no such trial, or it is another release's turn.
        """
        record, trial = _trial_of(self.endpoints, plan, execution)
        assert record.live  # a trial is beside it
        now = self.now()
        thresholds = self.threshold(record.live.version), self.threshold(trial.version)
        seen = self.look(plan.endpoint, plan.serving, trial.config, trial.since, now, thresholds)
        judged = self._judged(plan, trial, seen, now)
        report = tell(plan, trial, record.live, seen, judged, now)
        address = self.write(report, render(report))

        def remember(before: Endpoint) -> Endpoint:
            same = before.trial and before.trial.config == trial.config
            told = before.trial.model_copy(update={"seen": report["sentence"]}) if same and before.trial else None
            return before.model_copy(update={"trial": told}) if told else before

        self.endpoints.change(record, remember)
        cause = f"{'; '.join(judged.why)}. Report: {address}" if judged.error else ""
        return {"status": judged.status, "error": judged.error, "cause": cause, "report": address}

    def _judged(self, plan: ReleasePlan, trial: Trial, seen: Seen, now: float) -> Judgement:
        if not self.is_approved(trial.version):
            return Judgement("back", [f"version {trial.version} was rejected while it was tried"], "VersionNotApproved")
        if trial.wish:
            why = f"a person has ended the trial, for the new version to {'serve' if trial.wish == 'promote' else 'go'}"
            return Judgement(trial.wish, [why], "" if trial.wish == "promote" else "TrialLost")
        rules = plan.serving.trial
        assert rules  # the plan has a trial
        over = now >= trial.since + rules.hours * 3600
        return judge_shadow(rules, seen, over) if isinstance(rules, Shadow) else judge_split(rules, seen, over)


def wait_for_look(
    endpoints: Endpoints, states: Any, is_approved: Callable[[str], bool], plan: ReleasePlan, execution: str, token: str
) -> None:
    """Have the Task that waits for the next look found by whoever has a reason for one.

    Args:
        endpoints: their records.
        states: client of Step Functions.
        is_approved: whether a version still is.
        plan: of the release.
        execution: ARN of the release, whose turn it is.
        token: of the Task; it is answered at once if there is a reason already.

    Raises:
        NotPossible: there is no such trial, or it is another release's turn.
    """
    record, _ = _trial_of(endpoints, plan, execution)

    def note(before: Endpoint) -> Endpoint:
        told = before.trial.model_copy(update={"token": token}) if before.trial else None
        return before.model_copy(update={"trial": told})

    after = endpoints.change(record, note).trial
    if after and (after.wish or not is_approved(after.version)):
        succeed(states, token, {})


def _trial_of(endpoints: Endpoints, plan: ReleasePlan, execution: str) -> tuple[Endpoint, Trial]:
    record = endpoints.get(plan.endpoint)
    trial = record.trial if record else None
    if not (record and trial and record.live and record.holder and record.holder.execution == execution):
        raise NotPossible(f"endpoint {plan.endpoint}: {plan.run} tries no version on it")
    return record, trial
