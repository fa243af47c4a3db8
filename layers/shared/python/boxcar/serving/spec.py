"""What a family says of a model's endpoint: `serving:` of a model in the family file (docs/family-file.md)."""

import math
from typing import Any, Literal

from pydantic import Field, model_validator

from boxcar.steps import Document

TrialKind = Literal["none", "shadow", "split"]


class Canary(Document):
    """How a new version takes the requests over from the one before: a part first, then all."""

    percent: int = Field(default=10, ge=1, le=50)  # of the capacity; AWS allows half of it at most
    wait_s: int = Field(default=300, ge=0, le=3600)  # alarms are watched so long, after the first part and after all


class Rollback(Document):
    """From where on the version before takes its place again while a new one is taking over. None: not watched."""

    max_error_percent: float | None = Field(default=1.0, ge=0, lt=100)  # of the requests of a minute, answered with 5xx
    max_latency_ms: float | None = Field(default=None, gt=0)  # 99th percentile of a minute, of the model alone
    max_score_drift: float | None = Field(default=None, gt=0)  # population stability index, against the evaluation
    min_scores: int = Field(default=200, ge=100, le=2000)  # fewer drift by chance


class Smoke(Document):
    """What is asked of a version that has just been deployed: rows of its sample, and requests."""

    rows: int = Field(default=20, ge=0, le=200)  # of the sample; 0: none
    tolerance: float = Field(default=1e-4, ge=0)  # between a score and the one in the sample
    requests: list["GoldenRequest"] = Field(default_factory=list, max_length=20)


class GoldenRequest(Document):
    """A request whose answer is known."""

    body: str
    content_type: str = "text/csv"
    contains: str = ""  # in the answer; "": any answer is good


class Shadow(Document):
    """A new version answers copies of requests beside the one that is live, and nobody sees its answers."""

    percent: int = Field(default=100, ge=1, le=100)  # of the requests
    hours: float = Field(default=24, gt=0, le=720)
    check_minutes: float = Field(default=60, gt=0, le=1440)  # how often it is looked at meanwhile
    minimum: int = Field(default=500, ge=1)  # answers of both to the same request; from fewer nothing follows
    max_error_percent: float = Field(default=1.0, ge=0, lt=100)  # of the copies, answered with 5xx
    max_latency_ratio: float | None = Field(default=2.0, gt=0)  # of 90th percentiles, over the live version's
    min_agreement: float | None = Field(default=None, ge=0, le=1)  # share of equal decisions
    max_score_shift: float | None = Field(default=0.25, gt=0)  # population stability index of both versions' scores


class Split(Document):
    """A new version answers a share of the requests, until a test says which of the two is better."""

    percent: int = Field(default=20, ge=1, le=50)  # of the requests
    hours: float = Field(default=72, gt=0, le=720)  # at most
    check_minutes: float = Field(default=60, gt=0, le=1440)
    metric: Literal["outcome", "errors"] = "errors"  # what people report, or answers with 5xx
    minimum: int = Field(default=1000, ge=2)  # outcomes of each version before anything is decided
    alpha: float = Field(default=0.05, gt=0, lt=0.5)  # how often a difference may be seen where there is none
    inconclusive: Literal["keep", "promote"] = "keep"  # when the hours are over: the version before, or the new one
    max_error_percent: float = Field(default=1.0, ge=0, lt=100)  # of the new version; beyond, it goes at once


_MOST_LOOKS = 1500  # an execution of Step Functions has 25,000 events at most, and a look is thirteen


class Serving(Document):
    """The real-time endpoint of one model."""

    instance: str = Field(default="ml.m5.large", pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")
    min: int = Field(default=1, ge=1, le=100)  # instances
    max: int | None = Field(default=None, ge=1, le=100)  # None: as many as `min`
    invocations_per_instance: float | None = Field(default=None, gt=0)  # a minute; beyond, instances are added
    automatic: bool = True  # released when a version is approved; else `boxcar endpoints release`
    approval: bool = False  # a person is asked before each release, for `review_hours` of the gate
    canary: Canary = Canary()
    rollback: Rollback = Rollback()
    smoke: Smoke = Smoke()
    shadow: Shadow | None = None
    split: Split | None = None
    capture_percent: int = Field(default=0, ge=0, le=100)  # of requests and answers, kept under capture/
    timeout_s: int = Field(default=3600, ge=600, le=14400)  # for a deployment; beyond, it is rolled back

    @model_validator(mode="after")
    def _counts(self) -> "Serving":
        if self.most < self.min:
            raise ValueError(f"max: is {self.max}, less than min {self.min}; write at least {self.min}")
        if self.most > self.min and self.invocations_per_instance is None:
            raise ValueError(
                "invocations_per_instance: is missing, so nothing adds instances beyond min; write "
                "how many requests a minute one takes, or leave max out"
            )
        if self.rollback.max_score_drift is not None and not self.capture_percent:
            raise ValueError(
                "capture_percent: is 0, and rollback.max_score_drift is measured on captured answers; write how many "
                "percent of the requests are captured"
            )
        if self.shadow and self.split:
            raise ValueError("shadow, split: a version is tried in one of the two ways; leave one out")
        if self.trial and (looks := self.trial.hours * 60 / self.trial.check_minutes) > _MOST_LOOKS:
            raise ValueError(
                f"check_minutes: is {self.trial.check_minutes:g}, which is {looks:,.0f} looks in {self.trial.hours:g} "
                f"hours; write at least {self.trial.hours * 60 / _MOST_LOOKS:.2g}"
            )
        if 2 * self.canary.wait_s >= self.timeout_s:
            raise ValueError(
                f"timeout_s: is {self.timeout_s}, and canary.wait_s is waited for twice; write more than "
                f"{2 * self.canary.wait_s}"
            )
        return self

    @property
    def most(self) -> int:
        """Instances at most."""
        return self.min if self.max is None else self.max

    @property
    def trial(self) -> Shadow | Split | None:
        """How a new version is tried beside the one that is live, before it takes its place."""
        return self.shadow or self.split

    @property
    def trial_kind(self) -> TrialKind:
        """Which of the two, or none."""
        return "shadow" if self.shadow else "split" if self.split else "none"

    @property
    def look_every_s(self) -> int:
        """How often a trial is looked at; without one, any number will do."""
        if self.trial is None:
            return 3600
        return max(1, math.ceil(min(self.trial.check_minutes * 60, self.trial.hours * 3600)))

    @property
    def of_the_configuration(self) -> dict[str, Any]:
        """What an endpoint's configuration is made of: a change of it is a deployment."""
        return {"instance": self.instance, "capture": self.capture_percent}

    @property
    def beside_the_configuration(self) -> str:
        """How many instances there are and what is watched: a change of it takes effect while the version serves on."""
        return self.model_dump_json(include={"min", "max", "invocations_per_instance", "rollback"})


Smoke.model_rebuild()
