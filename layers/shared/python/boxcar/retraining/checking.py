"""The daily look: each family's models are held against its policy, and what is decided is told.

Labels are counted by a statement whose end is an event. Since an event can get lost, the count is looked at again by
itself a quarter of an hour later; what is decided twice is started once and told once.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from boxcar.families import FamilyVersion
from boxcar.family_store import FamilyStore
from boxcar.registry.packages import Packages
from boxcar.registry.table import ModelsTable
from boxcar.retraining.facts import gather, read_drift
from boxcar.retraining.labels import count, counted
from boxcar.retraining.policy import decide

log = logging.getLogger("boxcar")
_ENDED = ("FINISHED", "FAILED", "ABORTED")


@dataclass(frozen=True)
class Checker:
    """Looks at families.

    Attributes:
        redshift: client of the Data API.
        warehouse: which database it asks, and as whom.
        s3: client.
        train: starts a training run with an input and a token, once a token; returns the run.
        tell: puts a message on the alarm queue.
        later: has a message come back in a quarter of an hour.
        now: UTC.
    """

    store: FamilyStore
    table: ModelsTable
    packages: Packages
    redshift: Any
    warehouse: Callable[[], dict[str, str]]
    s3: Any
    stack: str
    bucket: str
    train: Callable[[dict[str, Any], str], str]
    tell: Callable[[dict[str, Any]], None]
    later: Callable[[dict[str, Any]], None]
    now: Callable[[], datetime]

    def all(self) -> None:
        """Look at every family that has a policy. One that cannot be looked at does not hold up the others.

        Raises:
            ExceptionGroup: what went wrong, once all have been looked at.
        """
        failed = []
        for name in self.store.names():
            try:
                self._begin(name)
            except Exception as error:
                error.add_note(f"family {name}")
                failed.append(error)
        if failed:
            raise ExceptionGroup("families could not be held against their policy", failed)

    def labels_counted(self, family: str, statement: str) -> None:
        """Go on with a family whose labels are counted by a statement, unless that still runs."""
        version = self._with_policy(family)
        if version is None:
            return  # its policy was taken away while labels were counted
        status = self.redshift.describe_statement(Id=statement)["Status"]
        if status not in _ENDED:
            self._look_later(family, statement)
            return
        self._decide(version, counted(self.redshift, statement, version.family) if status == "FINISHED" else {})

    def _begin(self, family: str) -> None:
        version = self._with_policy(family)
        if version is None:
            return
        assert version.family.retraining
        if version.family.retraining.min_new_labels is None:
            self._decide(version, {})
        else:
            statement = count(self.redshift, self.warehouse(), self.stack, version.family, self.now())
            self._look_later(family, statement)

    def _look_later(self, family: str, statement: str) -> None:
        self.later({"family": family, "labels_counted": statement})

    def _with_policy(self, family: str) -> FamilyVersion | None:
        version = self.store.latest(family)
        return version if version and version.family.retraining else None

    def _decide(self, version: FamilyVersion, labels: dict[str, int]) -> None:
        """Start a training of the models that are to be trained, each set of them once a day, and tell."""
        family, now = version.family, self.now()
        assert family.retraining  # the caller has looked
        drift = {model: read_drift(self.s3, self.bucket, family.family, model) for model in family.models}
        facts = gather(family, self.table, self.packages, labels, drift)
        decisions = [decide(family.retraining, each, now) for each in facts]
        wanted = [decision.model for decision in decisions if decision.train]
        run = ""
        if wanted:
            asked = {"family": family.family, "models": wanted, "requested_by": "retraining policy"}
            run = self.train(asked, " ".join(["retraining", f"{now:%Y-%m-%d}", *wanted]))
        lines = [decision.line for decision in decisions]
        log.info("retraining", extra={"family": family.family, "run": run, "decisions": lines})
        self.tell({"kind": "retraining", "family": family.family, "day": f"{now:%Y-%m-%d}", "run": run, "lines": lines})
