"""The model server of a container: /ping and /invocations over the functions of the user's script.

As in SageMaker's XGBoost image (sagemaker-inference toolkit): the script SAGEMAKER_PROGRAM from
SAGEMAKER_SUBMIT_DIRECTORY, or from code/ in the model archive, defines model_fn(model_dir), and may define
input_fn(body, content_type), predict_fn(data, model) and output_fn(prediction, accept), or, instead of these three,
transform_fn(model, body, content_type, accept).
"""

import importlib
import json
import os
import sys
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TEXT = ("text/", "application/json", "application/jsonlines")


class Refused(Exception):  # noqa: N818
    """The request is at fault, not the model."""


def input_fn(body: str, content_type: str) -> Any:
    """CSV or JSON as a matrix for XGBoost."""
    import numpy
    import xgboost

    kind = content_type.split(";")[0].strip()
    try:
        if kind == "text/csv":
            rows = [line.split(",") for line in body.splitlines() if line.strip()]
            return xgboost.DMatrix(numpy.array(rows, dtype=float))
        if kind == "application/json":
            return xgboost.DMatrix(numpy.array(json.loads(body), dtype=float, ndmin=2))
    except ValueError as error:
        raise Refused(f"cannot read {kind}: {error}") from error
    raise Refused(f"content type {kind!r} is not supported; define input_fn")


def predict_fn(data: Any, model: Any) -> Any:
    """What XGBoost predicts."""
    return model.predict(data)


def output_fn(prediction: Any, accept: str) -> str:
    """One line a prediction, or a JSON list."""
    values = prediction.tolist() if hasattr(prediction, "tolist") else prediction
    if "json" in accept:
        return json.dumps(values)
    return "".join(f"{','.join(map(str, v)) if isinstance(v, list) else v}\n" for v in values)


class Model:
    """The user's functions over one loaded model."""

    def __init__(self) -> None:
        folder = os.environ.get("SM_MODEL_DIR", "/opt/ml/model")
        code = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY") or str(Path(folder, "code"))
        program = os.environ.get("SAGEMAKER_PROGRAM", "inference.py")
        sys.path[0] = code  # not the folder of this file
        self._script = importlib.import_module(program.removesuffix(".py"))
        if not hasattr(self._script, "model_fn"):
            raise NotImplementedError(f"{program} defines no model_fn(model_dir)")
        self._model = self._script.model_fn(folder)

    def invoke(self, body: Any, content_type: str, accept: str) -> tuple[bytes, str]:
        """Bytes in, bytes or text out, and the content type of it."""
        if any(content_type.startswith(kind) for kind in TEXT):
            body = body.decode()
        if hasattr(self._script, "transform_fn"):
            answer = self._script.transform_fn(self._model, body, content_type, accept)
        else:
            read = getattr(self._script, "input_fn", input_fn)
            predict = getattr(self._script, "predict_fn", predict_fn)
            write = getattr(self._script, "output_fn", output_fn)
            answer = write(predict(read(body, content_type), self._model), accept)
        answer, accept = answer if isinstance(answer, tuple) else (answer, accept)
        return (answer.encode() if isinstance(answer, str) else bytes(answer)), accept


class Handler(BaseHTTPRequestHandler):
    """GET /ping, POST /invocations."""

    protocol_version = "HTTP/1.1"
    model: Model

    def do_GET(self) -> None:
        """Healthy, once the model is loaded."""
        self._answer(200 if self.path == "/ping" else 404, b"", "text/plain")

    def do_POST(self) -> None:
        """Predict."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        accept = self.headers.get("Accept", "*/*")
        content_type = self.headers.get("Content-Type", "")
        if self.path != "/invocations":
            self._answer(404, b"", "text/plain")
            return
        try:
            answer, kind = self.model.invoke(body, content_type, content_type if accept == "*/*" else accept)
        except Exception as error:
            traceback.print_exc()
            self._answer(400 if isinstance(error, Refused) else 500, str(error).encode(), "text/plain")
        else:
            self._answer(200, answer, kind)

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, template: str, *values: object) -> None:
        """One line a request on standard output, as the image's server prints it."""
        sys.stdout.write(f"{template % values}\n")  # one write, where print makes two: requests end at the same time


def main() -> None:
    """Load the model, listen on a free port, tell it."""
    door = os.environ.pop("BOXCAR_PORT_FILE")
    Handler.model = Model()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Path(door).write_text(f"{server.server_address[1]}\n")
    server.serve_forever()


if __name__ == "__main__":
    main()
