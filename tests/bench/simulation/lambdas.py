"""Lambda: the stack's handlers in this process, as environments run them.

Each function has execution environments that keep their clients between events, as Lambda's have; an environment serves
one event at a time. Handlers are those of `functions/`, with the variables, the role and the timeout that the deployed
function has.
"""

import importlib.util
import json
import logging
import os
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.simulation.stack import STACK, Stack
from tests.bench.simulation.wire import Killed
from tests.bench.simulation.world import World, WorldTime, current

ROOT = Path(__file__).resolve().parents[3]
START_S = (0.005, 0.020)  # of a warm environment, for the runtime itself
COLD_S = (0.8, 1.6)


@dataclass
class Invocation:
    """One event that a function works on (a `wire.Caller`)."""

    function: str
    deadline: float
    environment: "Environment"
    dead: bool = False


@dataclass
class Environment:
    """One execution environment: what a process of the function keeps between events."""

    settings: Any
    module: types.ModuleType  # the handler's, with what it remembers
    clients: dict[Any, Any] = field(default_factory=dict)


class Context:
    """The second argument of a handler."""

    def __init__(self, function: "Function", invocation: Invocation, world: World, number: int) -> None:
        self.function_name = f"{STACK}-{function.name}"
        self.function_version = "$LATEST"
        self.memory_limit_in_mb = "512"
        self.invoked_function_arn = function.arn
        self.aws_request_id = f"{number:08d}-0000-4000-8000-000000000000"
        self._invocation = invocation
        self._world = world

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the timeout."""
        return max(0, int((self._invocation.deadline - self._world.now) * 1000))


class Function:
    """One deployed function."""

    def __init__(self, lambdas: "Lambdas", configuration: dict[str, Any]) -> None:
        self.name = configuration["FunctionName"].removeprefix(f"{STACK}-")
        self.arn = configuration["FunctionArn"]
        self.timeout = float(configuration["Timeout"])
        self.variables = dict(configuration["Environment"]["Variables"])
        self.keys = lambdas.stack.cloud.credentials(configuration["Role"], configuration["FunctionName"])
        self.idle: list[Environment] = []
        lambdas.load(self)  # now, for what it imports
        self.invocations = 0
        self.failed = 0

    def environment(self, lambdas: "Lambdas") -> tuple[Environment, bool]:
        """A warm one, or a new one (True)."""
        if self.idle:
            return self.idle.pop(), False
        return Environment(lambdas.settings(self), lambdas.load(self)), True


class Lambdas:
    """Every function that takes part."""

    def __init__(self, stack: Stack, names: tuple[str, ...], variables: dict[str, str]) -> None:
        self.stack = stack
        self.world = stack.world
        self.errors: list[str] = []  # what the functions logged as errors, and what they raised
        self._variables = variables  # beside what the template sets
        self._by_process: dict[Any, Invocation] = {}
        self._time = WorldTime(self.world)
        self._nowhere = Path(os.devnull).open("w")  # noqa: SIM115
        self._settings = _settings_reader(self)
        known = {}
        for page in stack.root("lambda").get_paginator("list_functions").paginate():
            known |= {each["FunctionName"]: each for each in page["Functions"]}
        self.functions = {name: Function(self, known[f"{STACK}-{name}"]) for name in names}

    # ── what functions see

    def load(self, function: Function) -> types.ModuleType:
        """Import a handler; what it imports sees the world's time."""
        path = ROOT / "functions" / function.name.replace("-", "_") / "app.py"
        spec = importlib.util.spec_from_file_location(f"app_{path.parent.name}", path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        os.environ["POWERTOOLS_LOG_LEVEL"] = "ERROR"
        with _instead(self._time):
            spec.loader.exec_module(module)
        self._listen(module.logger, function.name)
        return module

    def _listen(self, logger: Any, name: str) -> None:
        """Keep what a function logs as an error, and print nothing."""
        if any(isinstance(handler, _Errors) for handler in logger.handlers):
            return  # loggers go by their service's name: another environment's is the same
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(self._nowhere)
        logger.addHandler(_Errors(self.errors, name, self.world))

    def settings(self, function: Function) -> Any:
        """What `boxcar.settings` makes of a function's variables."""
        kept = dict(os.environ)
        os.environ.update({**function.variables, **self._variables, "AWS_REGION": self.stack.cloud.region})
        try:
            return self._settings()
        finally:
            os.environ.clear()
            os.environ.update(kept)

    def invocation(self) -> Invocation | None:
        """Of the process that asks."""
        return self._by_process.get(current())

    def client(self, service: str, config: Any = None) -> Any:
        """As `boto3.client`, for the function that asks."""
        found = self.invocation()
        assert found is not None, f"a client of {service} outside of an invocation"
        return self.stack.client(service, self.functions[found.function].keys, self.invocation, config)

    def once_an_environment(self, make: Callable[..., Any]) -> Callable[..., Any]:
        """Let a function that is cached in its process be cached in its environment."""

        def made(*arguments: Any, **named: Any) -> Any:
            found = self.invocation()
            assert found is not None, f"{make.__name__} outside of an invocation"
            key = (make, arguments, tuple(named.items()))
            if key not in found.environment.clients:
                found.environment.clients[key] = make(*arguments, **named)
            return found.environment.clients[key]

        return made

    # ── invocations

    def invoke(self, name: str, event: Any) -> Any:
        """Run a handler on an event, in the process that asks; answer what it answers.

        Raises:
            Killed: the function's process ended.
            Exception: what the handler raised.
        """
        function, process = self.functions[name], current()
        environment, cold = function.environment(self)
        rng = self.stack.rng
        self.world.sleep(rng.uniform(*START_S) + (rng.uniform(*COLD_S) if cold else 0.0))
        invocation = Invocation(name, self.world.now + function.timeout, environment)
        function.invocations += 1
        outer, self._by_process[process] = self._by_process.get(process), invocation
        try:
            context = Context(function, invocation, self.world, function.invocations)
            answer = environment.module.handler(event, context)
            json.dumps(answer)
        except Killed:
            function.failed += 1
            raise
        except Exception as error:
            function.failed += 1
            self.errors.append(f"{self.world.now:.1f} {name} raised {type(error).__name__}: {error}")
            function.idle.append(environment)
            raise
        else:
            function.idle.append(environment)
            return answer
        finally:
            if outer is None:
                del self._by_process[process]
            else:
                self._by_process[process] = outer


class _Errors(logging.Handler):
    """What a function logs as an error, its traceback's last line with it."""

    def __init__(self, errors: list[str], name: str, world: World) -> None:
        super().__init__(logging.ERROR)
        self._errors = errors
        self._name = name
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        why = f": {record.exc_info[1]!r}" if record.exc_info else ""
        self._errors.append(f"{self._world.now:.1f} {self._name} logged {record.getMessage()!r}{why}")


class _instead:  # noqa: N801 (reads as a sentence)
    """While it lasts, `import time` gives another module."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module
        self._kept = sys.modules["time"]

    def __enter__(self) -> None:
        sys.modules["time"] = self._module

    def __exit__(self, *_: object) -> None:
        sys.modules["time"] = self._kept


def _settings_reader(lambdas: Lambdas) -> Callable[[], Any]:
    """Let the functions' modules find their own settings, clients and time, whatever environment runs them."""
    loaded = [name for name in sys.modules if name == "boxcar" or name.startswith("boxcar.")]
    if loaded:
        raise RuntimeError(f"{loaded[0]} is imported already: a simulation needs a process of its own")
    import aws_lambda_powertools  # noqa: F401  (what others imported keeps the real time)
    import boto3
    import botocore.endpoint
    import botocore.retries.adaptive
    import botocore.retries.bucket
    import botocore.retries.standard
    import pydantic  # noqa: F401

    for module in (botocore.endpoint, botocore.retries.bucket, botocore.retries.standard):
        module.time = lambdas._time
    botocore.retries.bucket.TokenBucket._acquire = _acquire(lambdas.world)
    with _instead(lambdas._time):
        import boxcar.aws
        import boxcar.settings

    read = boxcar.settings.settings.__wrapped__
    boto3.client = lambdas.client
    for name, cached in list(vars(boxcar.aws).items()):
        if hasattr(cached, "cache_info"):
            setattr(boxcar.aws, name, lambdas.once_an_environment(cached.__wrapped__))
    boxcar.settings.settings = lambda: lambdas.invocation().environment.settings
    return read


def _acquire(world: World) -> Any:
    """The token bucket of botocore's adaptive retries waits for a real condition; here it sleeps in the world."""

    def acquire(self: Any, amount: float, block: bool) -> bool:
        self._refill()
        while amount > self._current_capacity:
            world.sleep(max(0.001, self._sleep_amount(amount)))
            self._refill()
        self._current_capacity -= amount
        return True

    return acquire
