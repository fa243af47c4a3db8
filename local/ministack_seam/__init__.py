"""The one place that touches MiniStack's insides. Written against the version below and checked at start.

Each module of this package lists, in EXPECTED, what it reads or replaces (module -> name -> the parameters of a
function or the type of a table) and, in CALLS, which function must still call what is replaced. Each start compares all
of it with what is installed and names each difference: a MiniStack that changed is refused, not half patched.
"""

import importlib
import inspect
import itertools
import logging
import os
import sys
from collections.abc import Iterator
from importlib.metadata import version as installed_version
from pathlib import Path
from types import ModuleType
from typing import Any

from local.ministack_seam import apis, events, functions, measures, requests, stacks, tables
from local.ministack_seam.apis import name_denied_methods, tell_calls
from local.ministack_seam.events import (
    deliver_events,
    deliver_mail,
    filter_events,
    forget_schedule,
    next_cron,
    put_event,
    rate_seconds,
    service_may,
    take_schedules,
)
from local.ministack_seam.functions import run_functions
from local.ministack_seam.measures import Queues, silence_metrics, watch_queues
from local.ministack_seam.requests import (
    Handler,
    Request,
    Response,
    caller_arn,
    denial,
    denied,
    in_thread,
    mount,
    name_denied_resources,
    name_resources,
    name_rest_actions,
    role_credentials,
    watch_requests,
)
from local.ministack_seam.stacks import (
    complete_schedules,
    complete_stages,
    complete_tables,
    machine_properties,
    physical_name,
    provision,
    provision_in_threads,
    renamed,
    stack_is_changing,
)
from local.ministack_seam.tables import TableStreams, iterator_stream, table_with_expiry, take_expiry

__all__ = [
    "VERSION",
    "Handler",
    "Queues",
    "Request",
    "Response",
    "SeamError",
    "TableStreams",
    "asgi",
    "caller_arn",
    "check",
    "check_stacks",
    "complete_schedules",
    "complete_stages",
    "complete_tables",
    "configure",
    "deliver_events",
    "deliver_mail",
    "denial",
    "denied",
    "filter_events",
    "forget_schedule",
    "in_thread",
    "iterator_stream",
    "machine_properties",
    "mount",
    "name_denied_methods",
    "name_denied_resources",
    "name_resources",
    "name_rest_actions",
    "next_cron",
    "physical_name",
    "provision",
    "provision_in_threads",
    "put_event",
    "quiet",
    "rate_seconds",
    "renamed",
    "role_credentials",
    "run_functions",
    "service_may",
    "silence_metrics",
    "stack_is_changing",
    "table_with_expiry",
    "take_expiry",
    "take_schedules",
    "tell_calls",
    "watch_queues",
    "watch_requests",
]

VERSION = "1.5.33"


class SeamError(RuntimeError):
    """The installed MiniStack is not the one this package was written against."""


def configure(state: Path, port: int, region: str, account: str) -> None:
    """Set what MiniStack reads from the environment. To be called before its first import.

    Raises:
        SeamError: MiniStack was imported before, or another version is installed.
    """
    found = installed_version("ministack")
    if found != VERSION:
        raise SeamError(f"ministack {found} is installed, local/ministack_seam is written for {VERSION}: pin it")
    if "ministack.app" in sys.modules:
        raise SeamError("MiniStack is already loaded in this process: one embedded cloud a process")
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL", "SERVICES"):
        os.environ.pop(name, None)
    os.environ.update(
        GATEWAY_PORT=str(port),
        AWS_ACCESS_KEY_ID="test",  # the account's root user, who may do everything
        AWS_SECRET_ACCESS_KEY="test",  # noqa: S106 (not a secret)
        AWS_DEFAULT_REGION=region,
        MINISTACK_REGION=region,
        MINISTACK_ACCOUNT_ID=account,
        AUTH="true",
        PERSIST_STATE="1",
        STATE_DIR=str(state / "ministack"),
        S3_PERSIST="1",
        S3_DATA_DIR=str(state / "s3"),
        LAMBDA_EXECUTOR="local",
        LAMBDA_ACCOUNT_CONCURRENCY="1000",  # as on AWS; how many run at once is our own runtime's concern
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
    )


def check() -> None:
    """Compare MiniStack with what this package expects, but for CloudFormation.

    Raises:
        SeamError: with every difference on a line of its own.
    """
    _compare(requests, functions, events, measures, tables, apis)


def check_stacks() -> None:
    """Compare MiniStack's CloudFormation, too: it loads every service there is, which takes seconds.

    Raises:
        SeamError: with every difference on a line of its own.
    """
    _compare(stacks)


def _compare(*parts: ModuleType) -> None:
    wrong = list(_differences(parts))
    if wrong:
        raise SeamError("MiniStack is not what local/ministack_seam expects:\n  " + "\n  ".join(wrong))


def _differences(parts: tuple[ModuleType, ...]) -> Iterator[str]:
    for module_name, names in itertools.chain.from_iterable(part.EXPECTED.items() for part in parts):
        try:
            module = importlib.import_module(module_name)
        except ImportError as error:
            yield f"{module_name}: cannot be imported: {error}"
            continue
        for name, expected in names.items():
            if not hasattr(module, name):
                yield f"{module_name}.{name}: is gone"
                continue
            value = getattr(module, name)
            found = " ".join(inspect.signature(value).parameters) if callable(value) else type(value).__name__
            if found != expected:
                yield f"{module_name}.{name}: expected ({expected}), found ({found})"
    for path, call in itertools.chain.from_iterable(part.CALLS.items() for part in parts):
        module_name, _, name = path.rpartition(".")
        try:
            text = inspect.getsource(getattr(importlib.import_module(module_name), name))
        except (AttributeError, OSError, TypeError):
            text = ""
        if call not in text:
            yield f"{path}: does not call {call!r} any more, so replacing that has no effect"


def asgi() -> Any:
    """MiniStack's ASGI application."""
    from ministack import app

    return app.app


def quiet() -> None:
    """Keep MiniStack's narration out of the log: its warnings and errors only, and ours where it would repeat them."""
    for name in list(logging.root.manager.loggerDict):
        module = getattr(logging.getLogger(name), "name", "")
        if not module.startswith(("boxcar", "local")):
            logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("lambda").setLevel(logging.ERROR)
    logging.getLogger("samtranslator.metrics.metrics").setLevel(logging.ERROR)
