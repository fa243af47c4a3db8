"""Training a family anew because what it predicts has drifted."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Retraining:
    """The training run of a week for drift.

    Attributes:
        run: its name.
        started: now, by this report; False if drift had started it before.
    """

    run: str
    started: bool


def retrain(states: Any, machine: str, family: str, drifted_in: str, now: datetime) -> Retraining:
    """Start a training run for drift, at most one a week (ISO 8601): its name says the week, and is taken once.

    Called again by the same report, while that run goes on, it answers as the first time: StartExecution is idempotent
    for an equal name and input.

    Args:
        states: client of Step Functions.
        machine: ARN of the training machine.
        family: what to train.
        drifted_in: the inference run that found the drift.
        now: UTC.
    """
    run = f"{family}-drift-{now:%G-W%V}"
    request = {"family": family, "requested_by": f"drift in {drifted_in}"}
    try:
        states.start_execution(stateMachineArn=machine, name=run, input=json.dumps(request))
    except states.exceptions.ExecutionAlreadyExists:
        return Retraining(run, started=False)
    return Retraining(run, started=True)
