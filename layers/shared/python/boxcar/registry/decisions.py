"""What people decide about versions: approve, reject, roll back. In SageMaker's registry, then in the models table.

The table, which is what Boxcar itself believes, changes last and at once, as in Register. Whoever dies in between
leaves a package that is ahead of the table; the same decision again finishes it.
"""

import unicodedata
from collections.abc import Sequence
from typing import Any, Literal

from boxcar.errors import NotPossible, UnknownVersion
from boxcar.registry.packages import Packages
from boxcar.registry.table import Changed, ModelsTable
from boxcar.steps import Document
from boxcar.versions import Version

Outcome = Literal["approved", "rejected"]
STATUSES: dict[Outcome, str] = {"approved": "Approved", "rejected": "Rejected"}
WAITING = "PendingManualApproval"
WHO_LENGTH, WHY_LENGTH = 120, 600  # together less than the 1,024 characters of an ApprovalDescription
_TRIES = 8


class Overtaken(NotPossible):
    """A newer version has been approved: an older one does not take its place by an approval."""


class Decision(Document):
    """One decision by a person."""

    outcome: Outcome
    by: str  # as people read it
    identity: (
        str  # what was proved: ARN of the caller, Slack's user, or `link`, which proves nothing about who holds it
    )
    why: str
    at: str  # ISO 8601, UTC
    rollback: bool = False  # it put an earlier version back, or took this one away for it

    @property
    def sentence(self) -> str:
        """For the registry, pages and mails."""
        moved = "put back" if self.outcome == "approved" else "rolled back"
        return f"{moved if self.rollback else self.outcome} by {self.by}: {self.why}"

    def repeats(self, other: "Decision | None") -> bool:
        """Whether it says what another one said, of the same person, for the same reason."""
        return other is not None and self.model_copy(update={"at": other.at}) == other


def plain(text: str, most: int) -> str:
    """One line of what SageMaker takes for a description: no control characters, at most `most` characters."""
    letters = "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in text)
    return " ".join(letters.split())[:most].rstrip()


class Decisions:
    """Puts decisions into effect."""

    def __init__(self, table: ModelsTable, packages: Packages) -> None:
        self.table = table
        self._packages = packages

    def decide(self, family: str, model: str, version: Version, decision: Decision, *, begun: bool = False) -> None:
        """Approve or reject one version. The same decision again changes nothing.

        Args:
            family: of the model.
            model: its name.
            version: which.
            decision: what, by whom, and why.
            begun: it was checked before and may be half done: a version that was overtaken since becomes approved all
                the same, and the newer one goes on predicting.

        Raises:
            UnknownVersion: there is none.
            NotPossible: its status does not allow it.
            Overtaken: a newer version has been approved.
        """
        for _ in range(_TRIES):
            item = self.version(family, model, version)
            last = _last(item)
            if decision.repeats(last):
                return
            try:
                self.check(item, decision.outcome)
            except Overtaken:
                if not begun:
                    raise
            except NotPossible:
                if begun and last:  # somebody else has decided meanwhile: the package says what the table does
                    self._packages.decide(item["package_arn"], item["status"], last.sentence)
                raise
            begun = True
            self._packages.decide(item["package_arn"], STATUSES[decision.outcome], decision.sentence)
            approved = item if decision.outcome == "approved" else None
            try:
                self.table.decide([(item, _decided(item, decision))], approved)
            except Changed:
                continue
            return
        raise NotPossible(f"{family}/{model} {version}: others keep changing it; look at it, and decide again")

    def check(self, item: dict[str, Any], outcome: Outcome) -> None:
        """Say whether a version may be approved or rejected now.

        Raises:
            NotPossible: its status does not allow it.
            Overtaken: a newer version has been approved.
        """
        name = f"{item['family']}/{item['model']}"
        if item["status"] == "Approved" or (outcome == "rejected" and item["status"] != WAITING):
            last = _last(item)
            how = f": {last.sentence}" if last else " by the gate of its family"
            hint = "; `boxcar models rollback` puts an earlier version back" if item["status"] == "Approved" else ""
            raise NotPossible(f"{name} {item['version']} is {item['status'].lower()} already{how}{hint}")
        approved = self.table.approved(item["family"], item["model"])
        if outcome == "approved" and approved and approved["sort_key"] > item["sort_key"]:
            raise Overtaken(
                f"{name} {item['version']} cannot be approved: {approved['version']}, which is newer, has been "
                "approved. `boxcar models rollback` puts a version back that had been approved before"
            )

    def roll_back(self, family: str, model: str, version: Version, decision: Decision) -> None:
        """Put an earlier approved version back; those after it are rejected. Doing so again changes nothing.

        Raises:
            UnknownVersion: there is no such version.
            NotPossible: it was never approved, or is newer than the one that predicts.
        """
        for _ in range(_TRIES):
            target = self.version(family, model, version)
            current = self.table.approved(family, model)
            if current is None:
                raise NotPossible(f"{family}/{model} has no approved version: there is nothing to roll back from")
            if target["sort_key"] == current["sort_key"]:
                return
            if target["status"] != "Approved" or target["sort_key"] > current["sort_key"]:
                raise NotPossible(
                    f"{family}/{model} {version} is {target['status']}, and {current['version']} predicts: a rollback "
                    "goes back to a version that was approved before. `boxcar models approve` is for one that waits or "
                    "was rejected"
                )
            history = self.table.history(family, model)
            back = decision.model_copy(update={"outcome": "approved", "rollback": True})
            away = decision.model_copy(update={"outcome": "rejected", "rollback": True})
            newer = [item for item in history if item["status"] == "Approved" and item["sort_key"] > target["sort_key"]]
            for item in newer:
                self._packages.decide(item["package_arn"], STATUSES["rejected"], away.sentence)
            self._packages.decide(target["package_arn"], STATUSES["approved"], back.sentence)
            changes = [(item, _decided(item, away)) for item in newer] + [(target, _decided(target, back))]
            try:
                self.table.decide(changes, target, instead_of=current)
            except Changed:
                continue
            return
        raise NotPossible(f"{family}/{model}: others keep changing it; look at it, and decide again")

    def version(self, family: str, model: str, version: Version) -> dict[str, Any]:
        """Everything about one version.

        Raises:
            UnknownVersion: there is none.
        """
        item = self.table.version(family, model, version)
        if item is None:
            raise UnknownVersion(f"there is no version {version} of {family}/{model}; `boxcar models list` shows them")
        return item

    def waiting(self, family: str, model: str) -> Version:
        """The one version that waits for a decision.

        Raises:
            UnknownVersion: none does.
            NotPossible: several do.
        """
        found = [item["version"] for item in self.table.history(family, model) if item["status"] == WAITING]
        if not found:
            raise UnknownVersion(f"no version of {family}/{model} waits for a decision; name one")
        if len(found) > 1:
            raise NotPossible(f"versions {', '.join(found)} of {family}/{model} wait for a decision; name one")
        return Version.parse(found[0])


def before(approved: dict[str, Any] | None, history: Sequence[dict[str, Any]]) -> Version:
    """The version that was approved before the one that predicts.

    Args:
        approved: the one that predicts.
        history: versions, oldest first.

    Raises:
        NotPossible: there is none.
    """
    if approved is None:
        raise NotPossible("it has no approved version: there is nothing to roll back from")
    earlier = [item for item in history if item["status"] == "Approved" and item["sort_key"] < approved["sort_key"]]
    if not earlier:
        raise NotPossible(f"nothing was approved before {approved['version']}, which predicts now")
    return Version.parse(earlier[-1]["version"])


def decisions_of(item: dict[str, Any]) -> list[Decision]:
    """What people decided about a version, oldest first. Empty: its family's gate did, or nobody yet."""
    return [Decision.model_validate(one) for one in item.get("decisions", [])]


def _last(item: dict[str, Any]) -> Decision | None:
    known = decisions_of(item)
    return known[-1] if known else None


def _decided(item: dict[str, Any], decision: Decision) -> dict[str, Any]:
    decisions = [*item.get("decisions", []), decision.model_dump(mode="json")]
    return {**item, "status": STATUSES[decision.outcome], "decisions": decisions, "decided_at": decision.at}
