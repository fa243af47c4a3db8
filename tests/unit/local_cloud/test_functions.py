"""Function processes without a server: import once, fork, layers, timeouts, and processes that are killed."""

import io
import json
import os
import re
import signal
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local.functions import Function, Outcome, Runtime


def archive(**files: str) -> bytes:
    """A zip; names are given without .py, and with __ for / where they have none."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as out:
        for name, text in files.items():
            out.writestr((name if "/" in name else name.replace("__", "/")) + ".py", text)
    return data.getvalue()


def with_file(data: bytes, name: str) -> bytes:
    """The same zip with an empty file more."""
    more = io.BytesIO(data)
    with zipfile.ZipFile(more, "a") as out:
        out.writestr(name, "")
    return more.getvalue()


def function(code: bytes, *layers: bytes, timeout: float = 10, **variables: str) -> Function:
    return Function(
        name="f",
        arn="arn:aws:lambda:us-east-1:000000000000:function:f",
        version="$LATEST",
        handler="app.handler",
        timeout=timeout,
        memory=128,
        code=code,
        layers=layers,
        variables=tuple(variables.items()),
        log_group="/aws/lambda/f",
        role_arn="arn:aws:iam::000000000000:role/f",
    )


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    made = Runtime(
        interpreter=lambda: Path(sys.executable),
        folder=tmp_path / "functions",
        credentials=lambda _: {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"},
        region="us-east-1",
        endpoint="http://127.0.0.1:1",
        concurrency=3,
    )
    yield made
    made.close()


def result(outcome: Outcome) -> Any:
    assert outcome.error is None, outcome.error
    return json.loads(outcome.result or "null")


COUNTS = "import os\nPARENT = os.getpid()\nprint('imported')\ndef handler(event, context):\n    return [PARENT, os.getpid()]\n"
SLEEPS = "import os, time\ndef handler(event, context):\n    time.sleep(event['s'])\n    return os.getpid()\n"


def test_a_handler_is_imported_once_for_all_its_processes(runtime: Runtime) -> None:
    code = archive(app="import time\n" + COUNTS.replace("return", "time.sleep(0.2); return"))
    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(lambda _: runtime.invoke(function(code), {}), range(3)))
    parents, workers = zip(*(result(outcome) for outcome in outcomes), strict=True)
    assert len(set(parents)) == 1
    assert len(set(workers)) == 3
    assert sorted(outcome.log for outcome in outcomes) == ["", "", "imported\n"]
    again = runtime.invoke(function(code), {})
    assert not again.cold
    assert result(again)[1] in workers


def test_a_base_that_is_killed_is_replaced(runtime: Runtime) -> None:
    layer = with_file(archive(**{"python/shared/__init__": ""}), "python/shared-1.0.dist-info/METADATA")
    assert result(runtime.invoke(function(archive(app=COUNTS), layer), {}))
    for base in runtime._parents._bases.values():
        os.kill(base._pid, signal.SIGKILL)
    assert result(runtime.invoke(function(archive(app=COUNTS), layer, A="2"), {}))


def test_a_change_of_code_or_settings_takes_new_processes(runtime: Runtime) -> None:
    code = archive(app="import os\ndef handler(event, context):\n    return os.environ.get('A')\n")
    assert result(runtime.invoke(function(code, A="1"), {})) == "1"
    assert result(runtime.invoke(function(code, A="2"), {})) == "2"
    assert result(runtime.invoke(function(code), {})) is None


def test_the_function_comes_before_its_layers_and_a_later_layer_before_an_earlier_one(runtime: Runtime) -> None:
    first = archive(python__a="X = 'first'", python__b="X = 'first'", python__c="X = 'first'")
    second = archive(python__b="X = 'second'", python__c="X = 'second'")
    code = archive(c="X = 'function'", app="import a, b, c\ndef handler(e, x):\n    return [a.X, b.X, c.X]\n")
    assert result(runtime.invoke(function(code, first, second), {})) == ["first", "second", "function"]


def test_a_function_that_brings_its_own_boto3_gets_it(runtime: Runtime) -> None:
    text = "import boto3\ndef handler(event, context):\n    return boto3.__version__\n"
    assert result(runtime.invoke(function(archive(app=text)), {})) != "own"
    layer = archive(**{"python/boto3/__init__": "__version__ = 'own'"})
    assert result(runtime.invoke(function(archive(app=text), layer), {})) == "own"


def test_installed_packages_of_layers_are_imported_once_for_all_functions(runtime: Runtime) -> None:
    tells = "import os\nPID = os.getpid()\n"
    layer = archive(**{"python/shared/__init__": tells, "python/ours/__init__": tells})
    layer = with_file(layer, "python/shared-1.0.dist-info/METADATA")
    handler = "import ours, shared\ndef handler(event, context):\n    return [shared.PID, ours.PID]\n"
    installed, ours = zip(
        *(result(runtime.invoke(function(archive(app=handler), layer, WHICH=which), {})) for which in "ab"), strict=True
    )
    assert installed[0] == installed[1]
    assert (
        len({*ours, installed[0]}) == 3
    )  # what has no metadata is the function's own code, and may read its variables
    own = archive(app=handler, **{"shared/__init__": tells})
    assert result(runtime.invoke(function(own, layer), {}))[0] != installed[0]


def test_the_models_of_services_are_read_before_a_function_starts_and_clients_are_of_its_environment(
    runtime: Runtime,
) -> None:
    handler = """
import boto3, gc

def handler(event, context):
    client = boto3.client("dynamodb")
    model = boto3.DEFAULT_SESSION._session.get_component("data_loader").load_service_model("dynamodb", "service-2")
    is_new = any(each is model for each in gc.get_objects())  # what was there before the fork is frozen, so not listed
    return [is_new, client.meta.region_name, "AWS_Lambda_python3.13" in client.meta.config.user_agent]
"""
    assert result(runtime.invoke(function(archive(app=handler)), {})) == [False, "us-east-1", True]
    elsewhere = function(archive(app=handler), AWS_DATA_PATH="/nowhere")
    assert result(runtime.invoke(elsewhere, {})) == [True, "us-east-1", True]


def test_what_a_package_imports_only_when_asked_for_is_imported_once_too(runtime: Runtime) -> None:
    lazy = (
        "import importlib\n__all__ = ['missing', 'slow']\n"
        "def __getattr__(name):\n    return importlib.import_module(f'shared.{name}')\n"
    )
    layer = archive(**{"python/shared/__init__": lazy, "python/shared/slow": ""})
    layer = with_file(layer, "python/shared-1.0.dist-info/METADATA")
    handler = "import sys\nALREADY = 'shared.slow' in sys.modules\ndef handler(event, context): return ALREADY"
    assert result(runtime.invoke(function(archive(app=handler), layer), {})) is True


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (
            "import gone_module",
            "Runtime.ImportModuleError",
            "Unable to import module 'app': No module named 'gone_module'",
        ),
        ("def handler(", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'"),
        ("x = 1", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        ("raise RuntimeError('no settings')", "RuntimeError", "no settings"),
        ("import sys\nsys.exit(1)", "Runtime.ExitError", "Runtime exited during init"),
    ],
)
def test_what_cannot_be_imported_says_why(runtime: Runtime, text: str, kind: str, words: str) -> None:
    outcome = runtime.invoke(function(archive(app=text)), {})
    assert outcome.error is not None
    assert outcome.error["errorType"] == kind
    assert words in outcome.error["errorMessage"]


def test_a_timeout_ends_the_process_and_the_next_call_gets_another(runtime: Runtime) -> None:
    slow = function(archive(app=SLEEPS), timeout=1)
    first = result(runtime.invoke(slow, {"s": 0}))
    outcome = runtime.invoke(slow, {"s": 60})
    assert outcome.error is not None
    assert outcome.error["errorType"] == "Sandbox.Timedout"
    assert result(runtime.invoke(slow, {"s": 0})) != first


def test_processes_that_are_killed_are_replaced(runtime: Runtime) -> None:
    made = function(archive(app=COUNTS))
    template, worker = result(runtime.invoke(made, {}))
    os.kill(worker, signal.SIGKILL)
    time.sleep(0.05)
    same, second = result(runtime.invoke(made, {}))
    assert same == template
    assert second != worker
    os.kill(second, signal.SIGKILL)
    os.kill(template, signal.SIGKILL)
    time.sleep(0.05)
    assert result(runtime.invoke(made, {}))[0] != template
    for root in runtime._parents._roots.values():
        root._process.kill()
    runtime.forget("f")
    assert result(runtime.invoke(made, {}))


TRACED = """
import os, time
from botocore.handlers import add_recursion_detection_header
def handler(event, context):
    params = {"headers": {}}
    add_recursion_detection_header(params)
    with open(event["file"], "w") as file:
        file.write(params["headers"]["X-Amzn-Trace-Id"])
    os.rename(event["file"], event["file"] + ".done")
    time.sleep(event["s"])
"""


def test_the_process_that_made_a_call_is_killed_and_no_other(runtime: Runtime, tmp_path: Path) -> None:
    made = function(archive(app=TRACED))

    def header(name: str) -> str:
        file = tmp_path / f"{name}.done"
        while not file.exists():
            time.sleep(0.01)
        return file.read_text()

    with ThreadPoolExecutor(2) as pool:
        calls = {
            name: pool.submit(runtime.invoke, made, {"file": str(tmp_path / name), "s": seconds})
            for name, seconds in (("killed", 30), ("kept", 0.5))
        }
        trace = header("killed")
        assert trace.startswith("Root=1-")
        assert runtime.works(trace)
        header("kept")
        runtime.kill(trace)
        error = calls["killed"].result(30).error
        assert calls["kept"].result(30).error is None
    assert error is not None
    assert error["errorType"] == "Runtime.ExitError"
    assert re.fullmatch(
        r"RequestId: [-0-9a-f]{36} Error: Runtime exited with error: signal: killed", error["errorMessage"]
    )
    assert calls["killed"].result().log.endswith(f"{error['errorMessage']}\nRuntime.ExitError\n")
    assert not runtime.works(trace)
    assert not runtime.works("")
    runtime.kill(trace)  # it is gone: nothing happens


def test_what_works_when_the_cloud_ends_is_killed(runtime: Runtime) -> None:
    made = function(archive(app=SLEEPS))
    runtime.invoke(made, {"s": 0})
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(runtime.invoke, made, {"s": 60})
        while not runtime._working:
            time.sleep(0.01)
        runtime.close()
        assert call.result().error["errorType"] == "Runtime.ExitError"
    # a call that comes when the others have been killed
    assert runtime.invoke(made, {"s": 60}).error["errorType"] == "Runtime.ExitError"


def test_calls_beyond_the_cap_wait_their_turn(runtime: Runtime) -> None:
    made = function(archive(app=SLEEPS))
    runtime.invoke(made, {"s": 0})
    began = time.monotonic()
    with ThreadPoolExecutor(6) as pool:
        pids = {result(outcome) for outcome in pool.map(lambda _: runtime.invoke(made, {"s": 0.2}), range(6))}
    assert len(pids) <= 3
    assert time.monotonic() - began >= 0.4


def test_a_large_event_and_a_large_log_do_not_block(runtime: Runtime) -> None:
    text = "def handler(event, context):\n    print('x' * 200_000)\n    return len(event['text'])\n"
    outcome = runtime.invoke(function(archive(app=text)), {"text": "y" * 1_000_000})
    assert result(outcome) == 1_000_000
    assert len(outcome.log) == 200_001
    wide = "def handler(event, context):\n    return 'z' * 7_000_000\n"
    error = runtime.invoke(function(archive(app=wide)), {}).error
    assert error is not None
    assert error["errorType"] == "Function.ResponseSizeTooLarge"


def test_a_subprocess_of_a_handler_tells_its_exit_code(runtime: Runtime) -> None:
    text = "import subprocess\ndef handler(e, c):\n    return subprocess.run(['sh', '-c', 'exit 7']).returncode\n"
    assert result(runtime.invoke(function(archive(app=text)), {})) == 7


def test_close_leaves_no_process(runtime: Runtime) -> None:
    template, worker = result(runtime.invoke(function(archive(app=COUNTS)), {}))
    runtime.close()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and any(_lives(pid) for pid in (template, worker)):
        time.sleep(0.02)
    assert not _lives(template)
    assert not _lives(worker)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("log-f") and thread.is_alive()]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
