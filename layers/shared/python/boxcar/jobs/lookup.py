"""Find the outputs that stand for those of a job which is about to be stored.

First where the run goes on from another: what that one has finished, it has not to do again. Then by key. An input
that may not be listed is no failure: the job runs, and is not kept.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from boxcar import kinds
from boxcar.jobs.cache import (
    MOST_CHANGES,
    Caching,
    Change,
    Entry,
    changes,
    components,
    components_of,
    in_words,
    key_of,
)
from boxcar.jobs.contents import UnknownContent, contents, missing
from boxcar.jobs.names import job_id
from boxcar.jobs.record import COMPLETED, Job
from boxcar.jobs.references import ApprovedVersions, is_own_approved
from boxcar.jobs.table import JobsTable
from boxcar.plans import Plan, PlannedRun
from boxcar.settings import Settings
from boxcar.steps import Step

LAST_DAYS = 3  # of its files an entry is not used any more: whoever takes them up has that long to read them

log = logging.getLogger("boxcar")


@dataclass(frozen=True)
class Terms:
    """What a run says about earlier outputs of one of its steps.

    Attributes:
        restart_of: runs that it goes on from, the latest first.
        afresh: why the step is done anew, in words; "" if it need not be.
        any_age: what is oldest may be used: a later step is what the run is about.
    """

    restart_of: tuple[str, ...] = ()
    afresh: str = ""
    any_age: bool = False


@dataclass(frozen=True)
class Lookup:
    """What looking for earlier outputs needs."""

    table: JobsTable
    s3: Any
    settings: Settings
    approved: ApprovedVersions
    now: Callable[[], float]

    def consult(self, job: Job, references: dict[str, str], terms: Terms) -> Job:
        """The job with what the cache says of it; Completed, if an earlier one stands for it.

        Args:
            job: New, its references resolved.
            references: its inputs as the step has them.
            terms: of the run.
        """
        step, kind = Step.model_validate_json(job.document), kinds.find(job.kind)
        try:
            found = contents(job.inputs, self.s3)
        except UnknownContent as unknown:
            return replace(job, caching=Caching("off", why=str(unknown)))
        named = kind.named(step, self.settings)
        parts = components(step, named, found)
        kept_s = self._usable_s if step.caching.use else 0.0
        caching = Caching("miss", key=key_of(parts), named=named, contents=found, kept_s=kept_s)
        before = self._finished_before(job, terms.restart_of)
        if before is not None:
            differs = self._differences(before, job, parts, references, terms)
            entry = _entry_of(before)
            lost = self._lost(entry)
            if not differs and not lost and before.caching:
                # What it says of its inputs holds for the outputs; an approved version may be another by now.
                known = before.caching
                caching = replace(caching, key=known.key, named=known.named, contents=known.contents)
                return replace(self._hit(job, caching, entry), inputs=before.inputs)
            why = lost if not differs else f"since run {before.run}: {in_words(differs)}"
            return self._elsewhere(job, step, terms, replace(caching, why=why, changes=differs[:MOST_CHANGES]))
        return self._elsewhere(job, step, terms, caching)

    # ── where the run goes on from another

    def _finished_before(self, job: Job, runs: tuple[str, ...]) -> Job | None:
        for run in runs:
            before = self.table.get(job_id(self.settings.stack, run, job.model, job.step))
            if before is not None and before.status == COMPLETED and components_of(before) is not None:
                return before
        return None

    def _differences(
        self, before: Job, job: Job, parts: dict[str, str], references: dict[str, str], terms: Terms
    ) -> tuple[Change, ...]:
        """What has changed, but for what the run itself changed: that it approved its own version of this model."""
        found = changes(components_of(before) or {}, parts)
        approved = {f"inputs.{name}" for name, reference in references.items() if is_own_approved(reference)}
        own = [change for change in found if change.component in approved]
        if own and self.approved.run(job.family, job.model) in terms.restart_of:
            return tuple(change for change in found if change not in own)
        return found

    # ── by key

    def _elsewhere(self, job: Job, step: Step, terms: Terms, caching: Caching) -> Job:
        if terms.afresh:
            return replace(job, caching=replace(caching, outcome="afresh", why=terms.afresh, changes=()))
        if not step.caching.use:
            return replace(job, caching=replace(caching, outcome="off", why="the step says cache: false", changes=()))
        entry = self.table.cache_entry(caching.key)
        if entry is not None:
            why = self._too_old(entry, job, step, terms) or self._lost(entry)
            if not why:
                return self._hit(job, caching, entry)
            return replace(job, caching=replace(caching, why=why, changes=()))
        if caching.why:
            return replace(job, caching=caching)
        return replace(job, caching=self._why_not(job, caching))

    def _why_not(self, job: Job, caching: Caching) -> Caching:
        """What is different since the last time."""
        last = self.table.last_completed(job.family, job.model, job.step) if job.is_step else None
        parts = components_of(last) if last else None
        if last is None or parts is None:
            return replace(caching, why="no such job has completed yet")
        step = Step.model_validate_json(job.document)
        found = changes(parts, components(step, caching.named, caching.contents))
        if not found:
            return replace(caching, why=f"the cache has forgotten the outputs of run {last.run}")
        return replace(caching, why=f"since run {last.run}: {in_words(found)}", changes=found[:MOST_CHANGES])

    def _too_old(self, entry: Entry, job: Job, step: Step, terms: Terms) -> str:
        if terms.any_age:
            return ""
        limit = step.caching.max_age_s
        if limit is None and kinds.find(job.kind).tells_all:
            return ""
        if not limit:
            return (
                f"a {job.kind} reads what may have changed since run {entry.run}, and max_age_s does not allow for it"
            )
        age = self.now() - entry.made_at
        if age > limit:
            return f"run {entry.run} did it {age:.0f} s ago, more than max_age_s = {limit}"
        return ""

    def _lost(self, entry: Entry) -> str:
        """Why its outputs cannot be used, in words; "" if they can."""
        if self.now() - entry.made_at > self._usable_s:
            return f"the files of run {entry.run} are about to be deleted (RunRetentionDays)"
        output = missing(entry.outputs, self.s3)
        return f"output {output} of run {entry.run} is gone: {entry.outputs[output]}" if output else ""

    # ── the outcome

    @property
    def _usable_s(self) -> float:
        return max(0.0, self.settings.run_retention_days - LAST_DAYS) * 86400

    def _hit(self, job: Job, caching: Caching, entry: Entry) -> Job:
        found = replace(
            caching, outcome="hit", why="", changes=(), job=entry.job, run=entry.run, made_at=entry.made_at,
            saved_s=entry.seconds,
        )  # fmt: skip
        log.info("taken from the cache", extra={"job": job.id, "from": entry.job})
        return job.taken_up(found, entry.outputs, self.now(), self.settings.history_s)


def terms_of(plan: Plan | PlannedRun, model: str, step: str) -> Terms:
    """What a run says about earlier outputs of one of its steps; model "" is the run itself."""
    order = [one.name for one in plan.steps] + ([one.name for one in plan.models[model].steps] if model else [])
    afresh = ""
    if plan.fresh:
        afresh = "the run does everything anew (fresh)"
    elif plan.from_step in order and order.index(step) >= order.index(plan.from_step):
        afresh = f"the run does everything anew from step {plan.from_step} on"
    return Terms(tuple(plan.restart_of), afresh, any_age=bool(plan.from_step) and not afresh)


def _entry_of(job: Job) -> Entry:
    """Outputs of a completed job; of one that has them from another, that one's."""
    caching = job.caching
    if caching is not None and caching.outcome == "hit":
        return Entry(caching.job, caching.run, job.outputs, caching.made_at, caching.saved_s, job.expires)
    return Entry(job.id, job.run, job.outputs, job.ended or 0.0, job.seconds, job.expires)
