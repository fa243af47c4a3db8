"""Finish: what a release leaves behind, well or badly ended: one live version, and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from boxcar.serving.cleaning import Cleaner
from boxcar.serving.dashboard import Pictured, put_dashboard
from boxcar.serving.guards import alarm_names
from boxcar.serving.planning import ReleasePlan
from boxcar.serving.records import Endpoint, Endpoints, Live
from boxcar.serving.scaling import scale
from boxcar.serving.targets import VARIANT, Target
from boxcar.serving.turns import Turns


@dataclass(frozen=True)
class Finisher:
    """Ends releases.

    Attributes:
        scaling, sagemaker, cloudwatch: clients; the first of Application Auto Scaling.
        stack: its name.
        region: that dashboards show.
        tell: puts a message on the alarm queue.
        now: seconds since the epoch.
    """

    endpoints: Endpoints
    turns: Turns
    cleaner: Cleaner
    scaling: Any
    sagemaker: Any
    cloudwatch: Any
    stack: str
    region: str
    tell: Callable[[dict[str, Any]], None]
    now: Callable[[], float]

    def released(self, plan: ReleasePlan, target: Target, execution: str, found: dict[str, Any]) -> dict[str, str]:
        """Write down what is live, have it scaled, clean up, draw the dashboard, tell, and hand the turn on.

        Args:
            plan: of the release.
            target: that serves now.
            execution: ARN of the release.
            found: what is told besides: `tested` (golden requests that were answered as they should be), `report` (of
                its trial; "" without one), `drift_unmeasured` (the family wants its scores watched, which cannot be).
        """

        beside = plan.serving.beside_the_configuration

        def live(before: Endpoint) -> Endpoint:
            serves = before.live if before.live and before.live.config == target.config_name else None
            if serves and (serves.beside == beside or (serves.run == plan.run and not serves.beside)):
                return before
            now = Live(
                version=plan.version,
                config=target.config_name,
                run=plan.run,
                since=serves.since if serves else datetime.fromtimestamp(self.now(), UTC).isoformat(timespec="seconds"),
                number=before.live.number + 1 if before.live else 1,
                alarms=alarm_names(self.stack, target),
            )
            return before.model_copy(update={"live": now})

        def in_effect(before: Endpoint) -> Endpoint:
            now = before.live.model_copy(update={"beside": beside}) if before.live else None
            return before.model_copy(update={"live": now})

        before = self.endpoints.get(plan.endpoint)
        assert before  # it was this release's turn
        is_repeat = before.live and before.live.run == plan.run and not before.live.beside  # of what died half done
        replaced = plan.instead_of if is_repeat else before.live.version if before.live else ""
        record = self.endpoints.change(before, live)
        scale(self.scaling, self.sagemaker, plan.endpoint, plan.serving)
        record = self.cleaner.clean(record)
        assert record.live
        name, now = f"{plan.family}/{plan.model}", record.live
        watched = (self.stack, now.config) if plan.serving.rollback.max_score_drift is not None else None
        pictured = Pictured(plan.endpoint, VARIANT, name, now.version, now.since, self.region, watched=watched)
        put_dashboard(self.cloudwatch, pictured)
        self.endpoints.change(record, in_effect)  # not before: a release that died goes on with what it left undone
        told = {
            "kind": "released",
            "machine": "release",
            "run": plan.run,
            "family": plan.family,
            "model": plan.model,
            "version": plan.version,
            "endpoint": plan.endpoint,
            "number": record.live.number,
            "instead_of": replaced,
            "requested_by": plan.requested_by,
            **found,
        }
        if before.live != record.live or record.live.run == plan.run:
            self.tell(told)
        self.end(plan.endpoint, execution)
        return {name: told[name] for name in ("family", "model", "version", "endpoint")}

    def failed(self, endpoint: str, run: str, execution: str) -> bool:
        """Clean up after a release that failed, if it had its turn, and hand the turn on.

        Returns:
            whether its version serves all the same: it failed when that had been written down.
        """
        record = self.endpoints.get(endpoint)
        if record and record.holder and record.holder.execution == execution:
            self.cleaner.clean(record)
        self.end(endpoint, execution)
        return bool(record and record.live and record.live.run == run)

    def end(self, endpoint: str, execution: str) -> None:
        """Give the turn back, or the place in the line."""
        record = self.endpoints.get(endpoint)
        if record is None:
            return
        if record.holder and record.holder.execution == execution:
            self.turns.hand_on(record, record.holder)
        elif any(turn.execution == execution for turn in record.waiting):
            self.endpoints.change(
                record,
                lambda before: before.model_copy(
                    update={"waiting": [turn for turn in before.waiting if turn.execution != execution]}
                ),
            )
