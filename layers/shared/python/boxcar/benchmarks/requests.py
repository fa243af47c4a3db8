"""What the benchmark machine may be asked: a sweep, and the targets it is held against."""

from typing import Any, Literal

from pydantic import Field, model_validator

from boxcar.requests import RunRequest
from boxcar.steps import Document

Scenario = Literal["server", "offline", "single_stream"]
# What a cell may have at most (neuron/cells.py).
LARGEST = {"batches": 4096, "cores": 1024, "workers": 1024, "sequences": 512, "buckets": 512}
TIMED = ("server", "single_stream")  # in the third, queries wait for one another


class Target(Document):
    """What whoever buys the instances needs."""

    name: str = Field(pattern=r"^[a-z][a-z0-9]{0,11}$")
    scenario: Scenario  # of MLPerf LoadGen: Poisson arrivals, all at once, or one after the other
    rate: float = Field(gt=0)  # queries a second that all instances together must answer
    p99_ms: float | None = Field(default=None, gt=0)  # within which 99 of 100 are answered; not with offline
    unit: str = "queries"  # what is answered, for people
    seconds: float = Field(default=60, gt=0, le=900)  # that one measurement may last

    @model_validator(mode="after")
    def _latency(self) -> "Target":
        if (self.scenario in TIMED) != (self.p99_ms is not None):
            raise ValueError("p99_ms belongs to the scenarios server and single_stream, and they need it")
        return self


# Duplicate products in batch, the intent of a query in real time: what the published system had to do.
BATCH = Target(name="batch", scenario="offline", rate=8_800, unit="pairs")
REAL_TIME = Target(name="realtime", scenario="server", rate=16_000, p99_ms=10)


class BenchmarkRequest(RunRequest):
    """Every combination of what is listed is a cell of the sweep; what cannot be is left out, with its reason."""

    example = 'write {"benchmark": "<name>"}, and optionally backends, instances, batches, cores, sequences and targets'
    about = "benchmark"

    benchmark: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,30}$")
    backends: list[str] | None = Field(default=None, min_length=1)  # None: all but the simulated one
    instances: list[str] | None = Field(default=None, min_length=1)  # None: all with a queue in this stack and a price
    batches: list[int] = Field(default=[1, 8], min_length=1)
    cores: list[int] | None = Field(default=None, min_length=1)  # None: all that the instance has
    workers: list[int] = Field(default=[1], min_length=1)  # processes that share the cores; NeuronCores have one each
    sequences: list[int] = Field(default=[128], min_length=1)  # tokens
    buckets: list[int] = Field(default=[])  # shorter lengths, compiled beside each: a text goes to the shortest
    backbone: Literal["minilm", "base"] = "base"
    slots: int = Field(default=1, ge=1, le=64)  # texts that one row may hold
    options: dict[str, list[dict[str, Any]]] = Field(default_factory=dict)  # backend -> sets of options to try
    targets: list[Target] = Field(default=[BATCH, REAL_TIME], min_length=1)
    seed: int = Field(default=0, ge=0, le=2**31)

    @model_validator(mode="after")
    def _sets_of_options(self) -> "BenchmarkRequest":
        for backend, sets in self.options.items():
            if not sets:
                raise ValueError(f"options.{backend}: [] tries nothing; write [{{}}] for its defaults, or leave it out")
            for number, options in enumerate(sets):
                where, stages = f"options.{backend}.{number}", options.get("pipeline_cores", 1)
                if type(stages) is not int or stages < 1:
                    raise ValueError(f"{where}.pipeline_cores: {stages!r} is not a whole number; write for example 4")
                if type(copies := options.get("data_parallel", False)) is not bool:
                    raise ValueError(f"{where}.data_parallel: {copies!r} is not a truth; write true or false")
        return self

    @model_validator(mode="after")
    def _numbers(self) -> "BenchmarkRequest":
        for field, largest in LARGEST.items():
            for value in getattr(self, field) or []:
                if not 1 <= value <= largest:
                    raise ValueError(f"{field}: {value} is not a number from 1 to {largest}")
        names = [target.name for target in self.targets]
        if len(set(names)) < len(names):
            raise ValueError(f"targets: {', '.join(names)}: each needs a name of its own")
        return self
