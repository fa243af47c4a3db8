"""The sweep: backend × instance × batch × cores × workers × sequence, without what cannot be, each with its reason."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from boxcar.benchmarks.instances import BACKENDS, Instance, Prices, family_of, instances
from boxcar.benchmarks.requests import BenchmarkRequest, Target
from boxcar.errors import TriggerError
from boxcar.steps import Document

MOST_CELLS = 300  # of one run: some twenty events of the execution's history each, of 25,000 that it may have
ROOM = 0.8  # of a memory that weights and activations may take; the rest is the runtime's
_GIB = 2**30
_FLOAT = 4  # bytes


@dataclass(frozen=True)
class Backbone:
    """The size of a BERT: what its weights and one layer's activations take."""

    layers: int
    width: int
    inner: int
    heads: int
    weights: float  # parameters

    def bytes_of(self, batch: int, sequence: int, workers: int = 1) -> float:
        """Memory, in bytes, of fp32 weights and of the activations of one layer at a time, of so many workers.

        A layer holds query, key, value and its output (4 × width), the inner layer, and the attention scores twice,
        before and behind the softmax (Vaswani et al. 2017, section 3.2).
        """
        row = sequence * (4 * self.width + self.inner) + 2 * self.heads * sequence**2
        return workers * _FLOAT * (self.weights + batch * row)


BACKBONES = {
    "minilm": Backbone(layers=6, width=384, inner=1536, heads=12, weights=22.7e6),
    "base": Backbone(layers=12, width=768, inner=3072, heads=12, weights=109.5e6),
}


class Cell(Document):
    """One load test, in the form that the jobs in `neuron/` read, and the report after them."""

    cell: str
    backend: str
    instance: str
    batch: int
    cores: int
    sequence: int
    buckets: list[int] = []  # shorter lengths, compiled beside it
    backbone: str
    slots: int
    options: dict[str, Any]
    target: dict[str, Any]
    seed: int


class Pruned(Document):
    """A combination that is not tried."""

    backend: str
    instance: str
    batch: int
    cores: int
    workers: int = 1
    sequence: int
    why: str


@dataclass(frozen=True)
class Build:
    """What is compiled once, and every cell that is measured on it."""

    name: str
    family: str  # of instances
    cells: list[Cell] = field(default_factory=list)


@dataclass(frozen=True)
class Sweep:
    """All that was asked for."""

    builds: list[Build]
    pruned: list[Pruned]


@dataclass(frozen=True)
class _Combination:
    backend: str
    instance: str
    batch: int
    cores: int
    workers: int
    sequence: int
    options: Mapping[str, Any]
    variant: int  # which of the backend's sets of options


def make_sweep(request: BenchmarkRequest, prices: Prices, queues: Mapping[str, int], source: str) -> Sweep:
    """Every combination, sorted into those to measure and those that cannot be.

    Args:
        request: what was asked for.
        prices: on-demand prices.
        queues: families of instances that the stack has Batch queues for -> vCPUs of all at once.
        source: where the request came from, for messages.

    Raises:
        TriggerError: names of backends or instances that nobody knows, or too many cells; all of them at once.
    """
    backends = request.backends or [name for name in BACKENDS if name != "simulated"]
    priced = [name for name in instances() if name in prices.usd_per_hour]
    chosen = request.instances or [name for name in priced if family_of(name) in queues]
    faults = [*_unknown_backends(request, backends), *_unknown_instances(chosen)]
    if faults:
        raise TriggerError("\n".join(f"{source}: {fault}" for fault in faults))
    builds: dict[str, Build] = {}
    pruned = []
    for one in _combinations(request, backends, chosen):
        if why := why_not(one, request, prices, queues):
            fields = ("backend", "instance", "batch", "cores", "workers", "sequence")
            pruned.append(Pruned(**{name: getattr(one, name) for name in fields}, why=why))
            continue
        build = builds.setdefault(_build_name(one), Build(_build_name(one), family_of(one.instance)))
        build.cells.extend(_cell(one, request, target) for target in request.targets)
    cells = sum(len(build.cells) for build in builds.values())
    if cells > MOST_CELLS:
        words = f"asks for {cells} load tests, and one run has at most {MOST_CELLS}; leave some out"
        raise TriggerError(f"{source}: {words}")
    return Sweep(list(builds.values()), pruned)


def why_not(one: _Combination, request: BenchmarkRequest, prices: Prices, queues: Mapping[str, int]) -> str:
    """Why a combination cannot be measured; "" if it can."""
    known, family = instances()[one.instance], family_of(one.instance)
    wants = BACKENDS[one.backend]
    if wants and wants != known.hardware:
        return f"{one.backend} runs on {wants}, and {one.instance} is {known.hardware}"
    if prices.usd_per_hour.get(one.instance) is None:
        return f"{one.instance} has no price in the table of {prices.date}: `boxcar prices refresh`"
    if one.cores > known.cores:
        return f"{one.cores} cores are more than the {known.cores} of {one.instance}"
    pipeline = one.options.get("pipeline_cores", 1)
    if pipeline > 1 and one.options.get("data_parallel"):
        return f"torch.neuron.DataParallel takes no model that was compiled for a pipeline of {pipeline} cores"
    if pipeline > one.cores:
        return f"a pipeline of {pipeline} cores does not fit on {one.cores}"
    if one.workers > 1 and wants in ("inf1", "inf2"):
        return f"each NeuronCore has a worker of its own, so {one.workers} workers are none to choose"
    if one.workers > one.cores:
        return f"{one.workers} workers are more than {one.cores} cores"
    if why := _does_not_fit(one, request, known):
        return why
    if family not in queues:
        return f"this stack has no queue for {family}: set Benchmark{family.capitalize()}Vcpus"
    if queues[family] < known.vcpus:
        return f"{one.instance} has {known.vcpus} vCPUs, and Benchmark{family.capitalize()}Vcpus is {queues[family]}"
    if known.hardware in ("inf1", "inf2") and wants and "c7i" not in queues:
        return "models for Inferentia are compiled on CPUs: set BenchmarkC7iVcpus"
    return ""


def _does_not_fit(one: _Combination, request: BenchmarkRequest, known: Instance) -> str:
    """Batch and weights against the memory of the instance, or of one accelerator core."""
    memory = known.core_memory_gib or known.memory_gib
    lengths = [one.sequence, *_buckets(request, one.sequence)]
    backbone = BACKBONES[request.backbone]
    needs = sum(backbone.bytes_of(one.batch, length, one.workers) for length in lengths) / _GIB
    if needs <= ROOM * memory:
        return ""
    of = "a core" if known.core_memory_gib else "the instance"
    return (
        f"a batch of {one.batch} × {one.sequence} tokens needs about {needs:.1f} GiB, and {of} of {one.instance} has "
        f"{memory:g}; write a smaller batch"
    )


def _unknown_backends(request: BenchmarkRequest, backends: list[str]) -> Iterator[str]:
    for field_name, names in (("backends", backends), ("options", list(request.options))):
        for name in names:
            if name not in BACKENDS:
                yield f"{field_name}: there is no backend {name!r}; write one of {', '.join(BACKENDS)}"


def _unknown_instances(names: list[str]) -> Iterator[str]:
    for name in names:
        if name not in instances():
            yield f"instances: {name!r} is not known; write one of {', '.join(instances())}"


def _combinations(request: BenchmarkRequest, backends: list[str], chosen: list[str]) -> Iterator[_Combination]:
    for backend, instance, batch, sequence in itertools.product(backends, chosen, request.batches, request.sequences):
        for cores, workers in itertools.product(request.cores or [instances()[instance].cores], request.workers):
            for variant, options in enumerate(request.options.get(backend, [{}])):
                yield _Combination(backend, instance, batch, cores, workers, sequence, options, variant)


def _buckets(request: BenchmarkRequest, sequence: int) -> list[int]:
    return sorted({length for length in request.buckets if length < sequence})


def _build_name(one: _Combination) -> str:
    """What is compiled for all sizes of a family: `openvino-c7i-b8-s128`, and `-v2` for a second set of options."""
    further = f"-v{one.variant + 1}" if one.variant else ""
    return f"{one.backend}-{family_of(one.instance)}-b{one.batch}-s{one.sequence}{further}"


def _cell(one: _Combination, request: BenchmarkRequest, target: Target) -> Cell:
    size = one.instance.partition(".")[2]
    return Cell(
        cell=f"{_build_name(one)}-{size}-c{one.cores}{f'-w{one.workers}' if one.workers > 1 else ''}-{target.name}",
        backend=one.backend,
        instance=one.instance,
        batch=one.batch,
        cores=one.cores,
        sequence=one.sequence,
        buckets=_buckets(request, one.sequence),
        backbone=request.backbone,
        slots=request.slots,
        options=dict(one.options),
        target=target.model_dump(exclude_none=True) | {"workers": one.workers},
        seed=request.seed,
    )
