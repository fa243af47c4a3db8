"""The Step Functions API over HTTP, awsJson1.0."""

from __future__ import annotations

import json
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.service import ApiError, Service

TARGET = "AWSStepFunctions."


class Server(ThreadingHTTPServer):
    """One service at one port of this machine."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, service: Service) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.service = service


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet, or the client's delayed acknowledgement costs 40 ms
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:  # the name http.server calls
        """Answer an action."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        action = self.headers.get("X-Amz-Target", "").removeprefix(TARGET)
        try:
            request = json.loads(body or b"{}")
            self._answer(200, self.server.service.handle(action, request, "arn:aws:iam::000000000000:root"))
        except ApiError as error:
            self._answer(error.status, {"__type": error.code, "message": error.message})
        except ValueError as error:
            self._answer(400, {"__type": "SerializationException", "message": str(error)})
        except Exception as error:
            self._answer(500, {"__type": "InternalFailure", "message": repr(error)})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        if "__type" in body:
            self.send_header("x-amzn-ErrorType", body["__type"])
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests are not news."""
