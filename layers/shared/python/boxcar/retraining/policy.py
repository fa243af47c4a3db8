"""What a family's policy makes of one model: train it or not, and why, in one line."""

from dataclasses import dataclass
from datetime import datetime

from boxcar.families import Retraining

WAITING = "PendingManualApproval"


@dataclass(frozen=True)
class Facts:
    """What is known of one model. Times are UTC; what could not be had is None."""

    model: str
    approved: str | None  # version that predicts
    trained: datetime | None  # when the run of that version began
    rows: int | None  # labelled rows that it was trained and judged on
    labelled: int | None  # labelled rows that the warehouse has now
    newest: datetime | None  # when SageMaker's registry got its newest version, whatever became of it
    newest_status: str = ""  # of that version, as SageMaker lists it
    drift: str = ""  # what the last inference run that drifted said of the model, if that was after `trained`


@dataclass(frozen=True)
class Decision:
    """Whether a model is to be trained, and why."""

    model: str
    train: bool
    why: str

    @property
    def line(self) -> str:
        """What the log and the mail say."""
        return f"{self.model}: {'train' if self.train else 'leave'}: {self.why}"


def decide(policy: Retraining, facts: Facts, now: datetime) -> Decision:
    """Hold one model against the policy of its family. The first that applies decides."""

    def leave(why: str) -> Decision:
        return Decision(facts.model, False, why)

    def train(why: str) -> Decision:
        return Decision(facts.model, True, why)

    if facts.newest_status == WAITING:
        return leave("its newest version waits for a decision")
    if facts.newest and (since := _days(facts.newest, now)) < policy.at_most_every_days:
        return leave(f"was trained {_ago(since)}, and is at most every {policy.at_most_every_days} days")
    if facts.approved is None or facts.trained is None:
        return train("no version of it is approved")
    age = _days(facts.trained, now)
    said = [f"version {facts.approved} is {age:.0f} days old"]
    if policy.max_age_days is not None:
        if age > policy.max_age_days:
            return train(f"{said[0]}, more than {policy.max_age_days}")
        said[0] += f" of {policy.max_age_days}"
    if policy.min_new_labels is not None:
        if facts.labelled is None or facts.rows is None:
            said.append("nobody knows how many labels are new")
        else:
            new = facts.labelled - facts.rows
            if new >= policy.min_new_labels:
                return train(f"{new:,} labels are new, at least {policy.min_new_labels:,}")
            said.append(f"{max(new, 0):,} of {policy.min_new_labels:,} labels are new")
    if policy.drift:
        if facts.drift:
            return train(facts.drift)
        said.append("nothing has drifted since")
    return leave(", ".join(said))


def _days(then: datetime, now: datetime) -> float:
    return (now - then).total_seconds() / 86400


def _ago(days: float) -> str:
    return "today" if days < 1 else f"{days:.0f} days ago"
