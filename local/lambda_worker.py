"""What runs inside the processes of functions. The interpreter of the `lambda` environment runs it, the cloud never
imports it; it knows the standard library only.

Processes come from each other by fork, so that nothing is imported twice:

    root      has boto3 imported, and models of services read       --fork-->
    base      has the packages of some layers imported              --fork-->
    template  has one function's handler imported                   --fork-->
    worker    answers events, one at a time, until its input ends

All but workers obey commands on a socket, each one JSON line with file descriptors beside it: {"base": {path, modules}}
+ [its socket], {"template": {environment, path, folder, handler}} + [its socket, its log] and {"worker": {}} + [input,
answers, log].
A worker reads {"event", "request_id", "arn", "deadline", "trace"} and writes {"result": JSON text} or {"error":
{errorType, errorMessage, stackTrace}}, a line each. What a handler prints goes into the log; a line that starts with a
NUL ends the log of one event. Error types are those of AWS:
https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

Handler = Callable[[Any, Any], Any]
SERVICES = ("dynamodb", "s3", "sqs", "stepfunctions")  # reading their models takes a first call 0.1 s
LOADERS: list[Any] = []  # the one that has read them, in what is forked from a root with boto3
Next = tuple[Callable[..., Any], tuple[Any, ...]]  # what a new process is to do, and with what


class Context:
    """The second argument of a handler."""

    identity = None
    client_context = None

    def __init__(self, call: dict[str, Any]) -> None:
        environ = os.environ
        self.function_name = environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.invoked_function_arn = call["arn"]
        self.aws_request_id = call["request_id"]
        self._deadline = call["deadline"]

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function's timeout."""
        return max(0, int((self._deadline - time.time()) * 1000))


def load(handler: str) -> tuple[Handler | None, dict[str, Any] | None]:
    """Import `package.module.function` or `package/module.function`; return (function, None) or (None, error)."""
    module_name, _, name = handler.rpartition(".")
    module_name = module_name.replace("/", ".")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        return None, failure("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}", error)
    except SyntaxError as error:
        text = f"Syntax error in module '{module_name}': {error}"
        return None, failure("Runtime.UserCodeSyntaxError", text, error)
    except Exception as error:
        return None, failure(type(error).__name__, str(error), error)
    function = getattr(module, name, None)
    if function is None:
        return None, failure("Runtime.HandlerNotFound", f"Handler '{name}' missing on module '{module_name}'", None)
    return function, None


def failure(kind: str, message: str, error: BaseException | None) -> dict[str, Any]:
    """Describe an error as Lambda's Python runtime does, without this file's own frames; it is logged, too."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    own = [frame for frame in frames if frame.filename != __file__ and not frame.filename.startswith("<frozen")]
    trace = traceback.format_list(own)
    print(f"[ERROR] {kind}: {message}\n{''.join(trace)}".rstrip())
    return {"errorMessage": message, "errorType": kind, "stackTrace": trace}


def answer(function: Handler, call: dict[str, Any]) -> dict[str, Any]:
    """Run the handler on one event."""
    try:
        result = function(call["event"], Context(call))
    except Exception as error:
        return {"error": failure(type(error).__name__, str(error), error)}
    try:
        return {"result": json.dumps(result)}
    except (TypeError, ValueError) as error:
        return {"error": failure("Runtime.MarshalError", f"Unable to marshal response: {error}", None)}


def serve(function: Handler, descriptors: list[int]) -> None:
    """Be a worker: answer events until the input ends."""
    events, answers = os.fdopen(descriptors[0], encoding="utf-8"), os.fdopen(descriptors[1], "w", buffering=1)
    log_to(descriptors[2])
    for line in events:
        call = json.loads(line)
        os.environ["_X_AMZN_TRACE_ID"] = call["trace"]  # the AWS SDK sends it as a header, so calls tell whose they are
        told = answer(function, call)
        end_log()
        answers.write(json.dumps(told) + "\n")


def log_to(descriptor: int) -> None:
    """Let whatever prints, in Python or below it, print into the log."""
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    sys.stdout = sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)


def end_log() -> None:
    """Mark the end of what one event, or one import, logged."""
    sys.stderr.flush()
    os.write(2, b"\0\n")


def obey(control: socket.socket, function: Handler | None) -> Next:
    """Fork what is asked for until the cloud hangs up; return only in the new processes, with what they are to do."""
    while True:
        command, descriptors = receive(control)
        if command is None:
            os._exit(0)
        child = os.fork()
        if child == 0:
            control.close()
            if "worker" in command:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                return serve, (function, descriptors)
            if "base" in command:
                return become_base, (command["base"], descriptors)
            return become_template, (command["template"], descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        control.sendall(json.dumps({"pid": child}).encode() + b"\n")


def become_base(told: dict[str, Any], descriptors: list[int]) -> Next:
    """Import the packages of layers, say so, and fork templates, which find them imported."""
    control = socket.socket(fileno=descriptors[0])
    sys.path[:0] = told["path"]
    for name in told["modules"]:
        with contextlib.suppress(Exception):  # a handler that needs it will say what is wrong
            package = importlib.import_module(name)
            for public in getattr(package, "__all__", ()):  # some import what they offer only when it is asked for
                with contextlib.suppress(Exception):
                    getattr(package, public)
    del sys.path[: len(told["path"])]
    control.sendall(json.dumps({"ready": True}).encode() + b"\n")
    gc.collect()
    gc.freeze()
    return obey(control, None)


def read_models() -> Any:
    """Read what the AWS SDK knows of the services that most functions call; return what keeps it."""
    loader = importlib.import_module("botocore.loaders").Loader()
    for service in SERVICES:
        for kind in ("service-2", "endpoint-rule-set-1"):
            loader.load_service_model(service, kind)
    for name in ("partitions", "endpoints", "sdk-default-configuration"):
        loader.load_data(name)
    return loader


def share(loader: Any) -> None:
    """Let clients that are made by `boto3.client` find models that are read already."""
    core = importlib.import_module("botocore.session").Session()
    core.register_component("data_loader", loader)
    importlib.import_module("boto3").setup_default_session(botocore_session=core)


def become_template(told: dict[str, Any], descriptors: list[int]) -> Next:
    """Import one function's handler in its environment, say how that went, and fork workers."""
    control = socket.socket(fileno=descriptors[0])
    log_to(descriptors[1])
    os.environ.clear()
    os.environ.update(told["environment"])
    time.tzset()
    os.chdir(told["folder"])
    if LOADERS and "AWS_DATA_PATH" not in os.environ:
        share(LOADERS[0])
    sys.path[:0] = told["path"]
    function, error = load(told["handler"])
    end_log()
    control.sendall(json.dumps({"error": error} if error else {"ready": True}).encode() + b"\n")
    gc.collect()
    gc.freeze()  # so that collections in workers do not copy the pages they share
    return obey(control, function)


def receive(control: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """Return one command and the descriptors that came with it; (None, []) when the cloud is gone."""
    text = b""
    descriptors: list[int] = []
    while not text.endswith(b"\n"):
        part, more, _, _ = socket.recv_fds(control, 1 << 16, 8)
        if not part:
            return None, descriptors
        text += part
        descriptors += more
    return json.loads(text), descriptors


def main() -> None:
    """Be the root. What follows runs in a loop, not in calls of calls, so that stacks do not grow with forks."""
    del sys.path[0]  # the folder of this file: the cloud's code is not the function's
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for forked processes; their pipes tell when they end
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the cloud's to handle
    if "--preload" in sys.argv:
        importlib.import_module("boto3")
        LOADERS.append(read_models())
    work, arguments = obey(socket.socket(fileno=int(sys.argv[1])), None)
    while True:
        told = work(*arguments)
        if told is None:
            return
        work, arguments = told


if __name__ == "__main__":
    main()
