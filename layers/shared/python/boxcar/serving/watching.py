"""Watch: what SageMaker says of endpoints answers the Tasks that wait, and a sweep finds what events missed.

An event only says which endpoint to look at: events come twice, late and out of order, so what counts is what
DescribeEndpoint says.
"""

from dataclasses import dataclass
from typing import Any

from boxcar.serving.cleaning import Cleaner
from boxcar.serving.planning import AT_REST, describe
from boxcar.serving.records import Awaited, Endpoint, Endpoints
from boxcar.serving.turns import Turns, fail, succeed


@dataclass(frozen=True)
class Watcher:
    """Looks at endpoints.

    Attributes:
        sagemaker, states: clients.
    """

    endpoints: Endpoints
    turns: Turns
    cleaner: Cleaner
    sagemaker: Any
    states: Any

    def hear(self, endpoint: str) -> None:
        """Something happened to an endpoint; it may not be one of ours."""
        record = self.endpoints.get(endpoint)
        if record:
            self.look(record)

    def run_ended(self, execution: str) -> None:
        """A release has ended badly: whoever comes after it gets the turn."""
        for record in self.endpoints.all():
            if record.holder and record.holder.execution == execution:
                self.look(record)

    def sweep(self) -> None:
        """Look at every endpoint: one Describe each where something is open, none where all is well."""
        for record in self.endpoints.all():
            if record.holder or self.cleaner.has_work(record):
                self.look(record)

    def look(self, record: Endpoint) -> None:
        """See whether a Task can be answered, a turn be handed on, or something be cleaned up."""
        holder = record.holder
        if holder and self.turns.is_over(holder):
            record = self.turns.hand_on(record, holder)
        elif holder and holder.token:
            record = self.turns.tell(record)
        if record.awaited and record.awaited.begun:
            answer(self.endpoints, self.sagemaker, self.states, record, record.awaited)
        elif record.holder is None:
            self.cleaner.clean(record)


def answer(endpoints: Endpoints, sagemaker: Any, states: Any, record: Endpoint, awaited: Awaited) -> None:
    """Answer the Task that waits for an endpoint, if that is at rest."""
    seen = describe(sagemaker, record.endpoint)
    status = seen["EndpointStatus"] if seen else "gone"
    if seen and status not in AT_REST:
        return
    why = (seen or {}).get("FailureReason") or "no reason was given"
    if seen and status == "InService" and seen["EndpointConfigName"] == awaited.config:
        succeed(states, awaited.token, {"status": "deployed"})
    elif status == "InService":
        fail(states, awaited.token, "RolledBack", f"endpoint {record.endpoint} was rolled back: {why}")
    else:
        fail(states, awaited.token, "EndpointFailed", f"endpoint {record.endpoint} is {status}: {why}")

    def answered(before: Endpoint) -> Endpoint:
        return before.model_copy(update={"awaited": None}) if before.awaited == awaited else before

    endpoints.change(record, answered)
