"""From a request to the plan of a benchmark: what is compiled where, and each load test on the instance under test."""

import math
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from boxcar.benchmarks.instances import Prices, instances, smallest_of
from boxcar.benchmarks.plans import BenchmarkPlan, BuildPlan
from boxcar.benchmarks.requests import BenchmarkRequest
from boxcar.benchmarks.sweep import Build, Cell, make_sweep
from boxcar.errors import BenchmarkError
from boxcar.kinds.batch import FETCH
from boxcar.planning import timeout_s
from boxcar.requests import Trigger
from boxcar.steps import Cache, Code, Step

CODE_KEY = "code/neuron.json"  # in the data bucket: which code the jobs run, as `boxcar bench code` uploaded it
COMPILE, COMPILED, RESULTS = "compile", "compiled", "results"
COMPILE_VCPUS, COMPILE_MEMORY_MB = 4, 6_500  # of a c7i.xlarge, less what ECS keeps
KEPT_BY_ECS = 0.85  # the part of an instance's memory that a container may have
COMPILE_S = 2 * 3600  # at most
# A load test loads and warms up, and measures at most so often, each time for up to twice the seconds and a while more
# (neuron/loadtest/scenarios.py).
LOADING_S, DRAINING_S = 1200, 30
MEASUREMENTS = {"server": 12, "offline": 1, "single_stream": 1}
_COMMAND = ["python3", "-c", FETCH, "-m", "neuron.step"]


def read_code(s3: Any, bucket: str) -> Code:
    """The code that compiles and load-tests.

    Raises:
        BenchmarkError: nobody has uploaded it, or it cannot be read.
    """
    place = f"s3://{bucket}/{CODE_KEY}"
    try:
        return Code.model_validate_json(s3.get_object(Bucket=bucket, Key=CODE_KEY)["Body"].read())
    except s3.exceptions.NoSuchKey:
        raise BenchmarkError(f"{place}: is missing; upload the code of the jobs with `boxcar bench code`") from None
    except ValidationError as error:
        raise BenchmarkError(f"{place}: {error}; write it with `boxcar bench code`") from None


def make_plan(
    trigger: Trigger[BenchmarkRequest],
    prices: Prices,
    queues: Mapping[str, int],
    code: Code,
    stack: str,
    artifacts: str,
    run: str,
    created_at: str,
) -> BenchmarkPlan:
    """Lay a request out.

    Args:
        trigger: what was asked for.
        prices: on-demand prices.
        queues: families of instances that the stack has queues for -> vCPUs of all at once.
        code: of `neuron/`.
        stack: names of queues and definitions begin with it.
        artifacts: s3://… under which compiled models lie by their content.
        run: name of the execution.
        created_at: ISO 8601, UTC.

    Raises:
        TriggerError: it asks for what does not exist.
    """
    request = trigger.request
    sweep = make_sweep(request, prices, queues, trigger.source)
    return BenchmarkPlan(
        run=run,
        family=request.benchmark,
        source=trigger.source,
        requested_by=request.requested_by,
        created_at=created_at,
        models={build.name: _build_plan(build, code, stack, artifacts) for build in sweep.builds},
        targets=request.targets,
        backbone=request.backbone,
        sequences=request.sequences,
        pruned=sweep.pruned,
        prices=prices,
        request=request.model_dump(mode="json", exclude_defaults=True),
        restart_of=list(trigger.restart_of),
        fresh=request.fresh,
        from_step=request.from_step,
    )


def outline(plan: BenchmarkPlan) -> dict[str, Any]:
    """What the state machine needs of a plan: names, order and time limits; everything else stays in S3."""
    return {
        "status": "planned",
        "run": plan.run,
        "family": plan.family,
        "builds": [
            {
                "build": name,
                "timeout_s": timeout_s(build.steps[0]),
                "tests": [{"step": step.name, "timeout_s": timeout_s(step)} for step in build.steps[1:]],
            }
            for name, build in plan.models.items()
        ],
    }


def _build_plan(build: Build, code: Code, stack: str, artifacts: str) -> BuildPlan:
    cells = {_test_name(cell): cell for cell in build.cells}
    first = build.cells[0]
    hardware = instances()[first.instance].hardware
    compiling = {
        "cpu": (build.family, "cpu"),
        "gpu": (build.family, "gpu"),  # inductor looks at the device that it compiles for
        "inf1": ("c7i", "compile-inf1"),
        "inf2": ("c7i", "compile-inf2"),
    }
    family, definition = compiling[hardware] if first.backend != "simulated" else (build.family, hardware)
    compile_step = Step(
        name=COMPILE,
        kind="batch",
        code=code,
        outputs=[COMPILED],
        config={"job": COMPILE, "cell": first.model_dump(), "artifacts": artifacts},
        options=_options(stack, smallest_of(family), definition, COMPILE_VCPUS, COMPILE_MEMORY_MB),
        cache=Cache(use=False),  # `artifacts` is the cache: by what the compiler is, too, which only the job can see
        max_runtime_s=COMPILE_S,
    )
    tests = [_load_test(name, cell, code, stack, hardware) for name, cell in cells.items()]
    return BuildPlan(steps=[compile_step, *tests], cells=cells)


def _load_test(name: str, cell: Cell, code: Code, stack: str, hardware: str) -> Step:
    """The queue has instances of that type alone and the job takes a whole one, so nothing runs beside it."""
    known = instances()[cell.instance]
    memory = int(KEPT_BY_ECS * known.memory_gib * 1024)
    return Step(
        name=name,
        kind="batch",
        code=code,
        inputs={COMPILED: f"@{COMPILE}.{COMPILED}"},
        outputs=[RESULTS],
        config={"job": "load_test", "cell": cell.model_dump()},
        options=_options(stack, cell.instance, hardware, known.vcpus, memory),
        cache=Cache(use=False),  # a machine, not its inputs, makes the figures
        max_runtime_s=_longest_s(cell.target),
    )


def _longest_s(target: dict[str, Any]) -> int:
    """How long a load test may last, in seconds."""
    return LOADING_S + math.ceil(MEASUREMENTS[target["scenario"]] * (2 * target["seconds"] + DRAINING_S))


def _options(stack: str, instance: str, definition: str, vcpus: int, memory_mb: int) -> dict[str, Any]:
    return {
        "queue": f"{stack}-benchmark-{instance.replace('.', '-')}",
        "definition": f"{stack}-benchmark-{definition}",
        "command": _COMMAND,
        "vcpus": vcpus,
        "memory_mb": memory_mb,
    }


def _test_name(cell: Cell) -> str:
    """Of a step: `realtime_xlarge_c4`, and `_w2` with two workers."""
    workers = cell.target["workers"]
    shared = f"_w{workers}" if workers > 1 else ""
    return f"{cell.target['name']}_{cell.instance.partition('.')[2]}_c{cell.cores}{shared}"
