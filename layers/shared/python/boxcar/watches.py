"""What should have happened by a time: a schedule that should have started a run, a run that should be over.

Items `watch#…` in the jobs table are due at that time in the partition that the sweep reads. Who sees it happen leaves
word or takes the watch away; a watch that is due finds out for itself before it tells.
"""

import statistics
from collections.abc import Callable, Iterable
from typing import Any

from boxcar.attributes import Item, decode_all, encode, encode_all
from boxcar.jobs.record import DUE, iso

PREFIX = "watch#"
PATIENCE_S = 900.0  # between a schedule's time and a plan: retries of the delivery, a cold start
AGAIN_S = 900.0  # until a run is looked at again that waits for a person
KEPT = 10  # runs that say what is usual
LEAST = 3
TIMES = 2.0  # as long as usual
EXPIRES_S = 30 * 86400


class Watches:
    """Watches in the jobs table."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    # ── schedules

    def note_fired(self, event: Any, now: float) -> None:
        """Leave word that a schedule has started something, if that is what an event is. For whoever plans runs."""
        if not isinstance(event, dict) or "schedule" not in event:
            return
        firing = _firing(event)
        self._put({"pk": f"fired#{firing}", "expires": int(now + EXPIRES_S)})

    def watch_schedule(self, check: dict[str, Any], now: float) -> None:
        """See to it that a schedule is asked about: `{"schedule", "scheduled_at"}`, by a schedule of the same times."""
        firing = _firing(check)
        named = {name: str(check.get(name)) for name in ("schedule", "scheduled_at")}
        self._put({"pk": f"{PREFIX}schedule:{firing}", **named, "queue": DUE, "due": iso(now + PATIENCE_S)})

    # ── runs

    def watch_run(self, machine: str, family: str, execution: str, now: float) -> None:
        """See to it that a run is asked about when it has taken twice its usual time, if that is known."""
        usual = self.usual(machine, family)
        if usual is None:
            return
        run = execution.rpartition(":")[2]
        named = {"machine": machine, "family": family, "run": run, "execution": execution}
        item = {"pk": f"{PREFIX}run:{run}", "watched": named, "usual_s": usual, "started": now}
        self._put({**item, "queue": DUE, "due": iso(now + TIMES * usual)})

    def usual(self, machine: str, family: str) -> float | None:
        """The median of the last runs that succeeded, in seconds; None before there were three."""
        seconds = [one["seconds"] for one in self._runs(machine, family)]
        return statistics.median(seconds) if len(seconds) >= LEAST else None

    def run_ended(self, run: str) -> None:
        """Ask about it no more."""
        self._delete(f"{PREFIX}run:{run}")

    def run_reported(self, machine: str, family: str, plan: Any, report: dict[str, Any]) -> None:
        """Ask about a run no more, and remember how long it worked if it says what is usual.

        What went on from another run, did a part of the family or of its steps, or took all that its models need from
        the cache, does not.

        Args:
            machine: that it was a run of.
            family: and more, if runs of a family differ in length.
            plan: of any machine; None if there is none.
            report: its `run`, `status` and `steps`.
        """
        self.run_ended(report["run"])
        if plan is None or report["status"] != "succeeded":
            return
        of_models = [step for step in report["steps"] if step["model"]]
        is_part = plan.restart_of or plan.from_step or plan.request.get("models")
        if not is_part and not (of_models and all(step["cached"] for step in of_models)):
            spans = [(step["created"], step["ended"]) for step in report["steps"] if step["created"] and step["ended"]]
            self.run_succeeded(machine, family, report["run"], worked(spans))

    def run_succeeded(self, machine: str, family: str, run: str, seconds: float) -> None:
        """Remember how long a run worked. Two at once may forget one of them: a median does not mind."""
        others = [one for one in self._runs(machine, family) if one["run"] != run]
        self._put({"pk": _usual(machine, family), "runs": [*others, {"run": run, "seconds": seconds}][-KEPT:]})

    # ── the sweep

    def look(
        self,
        item: Item,
        *,
        status_of: Callable[[str], str],
        jobs_of: Callable[[str], Iterable[Any]],
        send: Callable[[dict[str, Any]], None],
        now: float,
    ) -> None:
        """See whether what a due watch waits for has happened, and tell if not.

        Args:
            item: as the index has it.
            status_of: the status of an execution, by its ARN.
            jobs_of: jobs of a run.
            send: hands a message to the alarm queue, which sends it once.
            now: seconds since the epoch.
        """
        watch = decode_all(item)
        if "schedule" in watch:
            fired = self._get(f"fired#{_firing(watch)}")
            if not fired:
                send({"kind": "schedule_missed", **{name: watch[name] for name in ("schedule", "scheduled_at")}})
        elif status_of(watch["watched"]["execution"]) == "RUNNING":
            jobs = list(jobs_of(watch["watched"]["run"]))
            steps = [f"{job.model + '/' if job.model else ''}{job.step}" for job in jobs if not job.finished]
            seconds = worked([(job.created, job.ended if job.finished else now) for job in jobs])
            left = TIMES * watch["usual_s"] - seconds
            if not steps or left > 0:  # it waits for a person, who may take days, or has waited for one
                self._put({**watch, "due": iso(now + (left if steps else AGAIN_S))})
                return
            told = {name: watch[name] for name in ("usual_s", "started")}
            send({"kind": "run_slow", **watch["watched"], **told, "seconds": seconds, "steps": steps})
        self._delete(watch["pk"])

    def _runs(self, machine: str, family: str) -> list[dict[str, Any]]:
        return list(self._get(_usual(machine, family)).get("runs", []))

    def _get(self, pk: str) -> dict[str, Any]:
        answer = self._dynamodb.get_item(TableName=self._table, Key={"pk": encode(pk)}, ConsistentRead=True)
        return decode_all(answer.get("Item", {}))

    def _put(self, item: dict[str, Any]) -> None:
        self._dynamodb.put_item(TableName=self._table, Item=encode_all(item))

    def _delete(self, pk: str) -> None:
        self._dynamodb.delete_item(TableName=self._table, Key={"pk": encode(pk)})


def worked(spans: Iterable[tuple[float, float]]) -> float:
    """The seconds in which at least one step was under way. What a run waits for a person is between them.

    Args:
        spans: from when to when each step was, in seconds since the epoch.
    """
    seconds, until = 0.0, 0.0
    for begun, ended in sorted(spans):
        seconds += max(0.0, ended - max(begun, until))
        until = max(until, ended)
    return seconds


def _firing(event: dict[str, Any]) -> str:
    return f"{event.get('schedule')}@{event.get('scheduled_at')}"


def _usual(machine: str, family: str) -> str:
    return f"usual#{machine}#{family}"
