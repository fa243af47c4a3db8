"""What an inference run will do. Written by Plan, and once more when the sizes of its files are known."""

from typing import Any, Literal

from boxcar.families import Inference
from boxcar.inference.requests import Scope
from boxcar.steps import Document, Step


class InferenceModel(Document):
    """One model of the run, pinned to the version that was approved when the run was planned."""

    model: str
    version: str
    artifact: str  # s3://…/model.tar.gz
    evaluation: str  # s3://…/evaluation.json: what it was trained on, to be compared with
    threshold: float  # a score at or above it is a yes
    steps: list[Step]


class InferencePlan(Document):
    """The whole of an inference run."""

    machine: Literal["inference"] = "inference"
    run: str
    family: str
    owner: str = ""
    family_version: int
    family_file: str
    source: str  # s3://… of the trigger, the schedule, or "api"
    requested_by: str
    created_at: str  # ISO 8601, UTC, milliseconds
    predicted_at: str  # likewise: later predictions win; those of a restart belong to the run that it goes on from
    scope: Scope
    day: str | None = None  # YYYY-MM-DD, of a backfill
    since: str | None = None  # rows first seen after it are looked at; None: all
    latest: str  # YYYY-MM-DD 00:00:00: no row can have been first seen then or later
    key: str
    inference: Inference  # the family's block, names filled in
    steps: list[Step]  # tables, unload, split
    models: dict[str, InferenceModel]  # those with an approved version
    skipped: list[str] = []  # those without
    read_otherwise: list[str] = []  # whose rows are split by other code than that of the run which trained them
    request: dict[str, Any] = {}  # what was asked for; a restart asks for it again
    restart_of: list[str] = []  # runs that this one goes on from, the latest first
    fresh: bool = False  # do everything anew
    from_step: str = ""  # do this step anew, and all behind it

    @property
    def is_of_today(self) -> bool:
        """Whether drift may lead to a training. That of a day that is filled in says nothing of today."""
        return self.day is None
