"""What runs inside a function's process: import the handler once, then answer events until standard input ends.

Run by the interpreter of the `lambda` environment, never imported by the cloud; it knows the standard library only.

Protocol, one JSON document a line. In: {"event", "request_id", "arn", "deadline"}. Out: {"ready"} once, then per event
{"result": <JSON text>} or {"error": {errorType, errorMessage, stackTrace}}. What the handler prints goes to standard
error, which is the log; after each event a line that starts with a NUL marks the end of that event's log.
Error types are those of AWS's Python runtime: https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
"""

import importlib
import json
import os
import sys
import time
import traceback


class Context:
    """The second argument of a handler."""

    identity = None
    client_context = None

    def __init__(self, call):
        environ = os.environ
        self.function_name = environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.invoked_function_arn = call["arn"]
        self.aws_request_id = call["request_id"]
        self._deadline = call["deadline"]

    def get_remaining_time_in_millis(self):
        """Milliseconds until the function's timeout."""
        return max(0, int((self._deadline - time.time()) * 1000))


def load(handler):
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


def failure(kind, message, error):
    """Describe an error as Lambda's Python runtime does, without this file's own frames."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    own = [frame for frame in frames if frame.filename != __file__ and not frame.filename.startswith("<frozen")]
    return {"errorMessage": message, "errorType": kind, "stackTrace": traceback.format_list(own)}


def answer(function, call):
    """Run the handler on one event."""
    try:
        result = function(call["event"], Context(call))
    except Exception as error:
        return {"error": failure(type(error).__name__, str(error), error)}
    try:
        return {"result": json.dumps(result)}
    except (TypeError, ValueError) as error:
        return {"error": failure("Runtime.MarshalError", f"Unable to marshal response: {error}", None)}


def main():
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever prints, in Python or below it, prints into the log
    sys.stdout = sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    function, error = load(os.environ["_HANDLER"])
    answers.write('{"ready": true}\n')
    for line in sys.stdin:
        call = json.loads(line)
        told = {"error": error} if error else answer(function, call)
        if "error" in told and not error:
            fault = told["error"]
            print(f"[ERROR] {fault['errorType']}: {fault['errorMessage']}\n{''.join(fault['stackTrace'])}".rstrip())
        elif error:
            print(f"[ERROR] {error['errorType']}: {error['errorMessage']}")
        sys.stderr.flush()
        os.write(2, b"\0\n")
        answers.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    del sys.path[0]  # the folder of this file: the cloud's code is not the function's
    sys.path[:0] = [path for path in os.environ["_BOXCAR_PATH"].split(os.pathsep) if path]
    del os.environ["_BOXCAR_PATH"]
    main()
