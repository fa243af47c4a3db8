"""What a step of a run is: data that a plan holds and a job carries out.

References in `inputs` are names, resolved when the step is submitted, to where the output really is:

- `@prepare.train`: output `train` of step `prepare` of the same model, or of the run (`@unload.data`);
- `@split.files/box/`: a folder of that output;
- `@box/approved.model`: output `model` of the version of model `box` that is approved at that moment;
- `@./approved.model?`: the same of this very model; with the question mark it is left out when there is none yet;
- `s3://…`: itself.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Document(BaseModel):
    """A typed document: unknown fields are errors, so that a misspelt name is never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Code(Document):
    """The code of an architecture at one digest, as the CLI uploaded it."""

    digest: str  # sha256 over names and contents, 16 hex digits
    archive: str  # s3://…/code/<family>/<architecture>-<digest>.tar.gz, for script mode
    prefix: str  # the same files one by one, under …-<digest>/, for processing jobs
    scripts: dict[str, str] = Field(default_factory=dict)  # script -> digest of it and all that it uses of the code

    def digest_of(self, script: str | None) -> str:
        """Digest of what a script is made of; of all the code, where that is not known."""
        return self.scripts.get(script or "", self.digest)


class Resources(Document):
    """The machines a job asks for. Further instance types are fallbacks, in order."""

    instance_types: list[str] = Field(default=["ml.m5.large"], min_length=1)
    instance_count: int = Field(default=1, ge=1)
    volume_gb: int = Field(default=30, ge=1)
    # training only: machines that AWS may take away, for less; `prefer` goes on with others when there are none
    spot: Literal["never", "prefer", "only"] = "never"
    checkpoints: bool = False  # training only: /opt/ml/checkpoints is kept for the next attempt; always with spot
    keep_alive_s: int = Field(default=0, ge=0, le=3600)  # training only: machines wait so long for the next like job


class Cache(Document):
    """When the outputs of an earlier job, equal in all that matters, stand for those of a step."""

    use: bool = True  # false: only a restart of the very run takes them up
    # Seconds since the earlier job completed. None: as long as its files are kept; for a kind that reads what its
    # document does not tell (a warehouse), not at all.
    max_age_s: int | None = Field(default=None, ge=0)
    # Fields that the outputs do not depend on, such as config.parameters for a script that does not read them.
    ignore: list[Annotated[str, Field(pattern=r"^(config|options)(\.\w+)+$")]] = Field(default_factory=list)


CacheField = Annotated[
    Cache | None,
    BeforeValidator(lambda value: {"use": value} if isinstance(value, bool) else value),
    Field(description="`true` and `false` are short for `{use: …}`"),
]


class Step(Document):
    """One piece of long work. Kinds are files in `boxcar/kinds/`; `options` holds what only that kind knows."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")
    kind: str
    image: str | None = None  # a name in `Settings.images`
    script: str | None = None  # a file in the code of the architecture
    code: Code | None = None
    inputs: dict[str, str] = Field(default_factory=dict)
    outputs: list[str] = Field(default_factory=list)
    config: dict[str, Any] = Field(default_factory=dict)  # processing: config.json; training: hyperparameters
    options: dict[str, Any] = Field(default_factory=dict)
    resources: Resources = Resources()
    max_runtime_s: int = Field(default=3600, ge=1, le=28 * 86400)
    max_attempts: int = Field(default=2, ge=1, le=10)  # of failures that retrying may mend; capacity is bounded by age
    max_wait_s: int = Field(default=86400, ge=0)  # how long it may wait for capacity, counted from submission
    priority: int = Field(default=50, ge=0, le=99)  # 0 first
    # Left out: a step of a run is taken from the cache, a job of one's own is not.
    cache: CacheField = None

    @property
    def caching(self) -> Cache:
        """What holds for a step of a run."""
        return self.cache or Cache()
