"""What a benchmark will do, with the prices that its figures are reckoned with."""

from typing import Any, Literal

from boxcar.benchmarks.instances import Prices
from boxcar.benchmarks.requests import Target
from boxcar.benchmarks.sweep import Cell, Pruned
from boxcar.steps import Document, Step


class BuildPlan(Document):
    """One artifact: a step that compiles it, then one for each load test on it."""

    steps: list[Step]
    cells: dict[str, Cell]  # by the name of the step


class BenchmarkPlan(Document):
    """The whole of a benchmark run."""

    machine: Literal["benchmark"] = "benchmark"
    run: str
    family: str  # the name of the benchmark
    family_file: str = ""  # it has none
    family_version: int | None = None
    source: str  # s3://… of the trigger, or "api"
    requested_by: str
    created_at: str  # ISO 8601, UTC
    steps: list[Step] = []  # of the run itself: none
    models: dict[str, BuildPlan]  # builds
    targets: list[Target]
    backbone: str
    sequences: list[int]
    pruned: list[Pruned]
    prices: Prices
    request: dict[str, Any] = {}  # what was asked for; a restart asks for it again
    restart_of: list[str] = []  # runs that this one goes on from, the latest first
    fresh: bool = False  # do everything anew
    from_step: str = ""  # do this step anew, and all behind it
