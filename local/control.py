"""The cloud's own small HTTP API under `/_boxcar/`, for tests, benches and the demo. All else goes to AWS's APIs.

GET    /_boxcar/status                   process, services, how long it has run
GET    /_boxcar/calls                    API calls by service, action and caller; invocations by function
DELETE /_boxcar/calls                    count from zero
GET    /_boxcar/faults                   rules and what fired
POST   /_boxcar/faults                   add a fault (local/faults.py says what one looks like)
DELETE /_boxcar/faults[/<id>]            remove all, or one
GET    /_boxcar/quotas                   SageMaker's quotas: limit and use, in instances
POST   /_boxcar/quotas                   {"ml.m5.large for training job usage": 3}; null takes a limit away
POST   /_boxcar/schedules/<name>/fire    fire a schedule now
POST   /_boxcar/tables/<name>/expire     remove expired items now; {"at": <epoch>} as if it were that time
POST   /_boxcar/metrics/tick             measure queues and evaluate alarms now; answers with what changed
POST   /_boxcar/metrics/interval         {"seconds": 2}: do so in this interval, beside each minute's end; null stops it
GET    /_boxcar/mail[?to=<address>]      mails, oldest first
"""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from local import ministack_seam as seam
from local.service import ApiError

if TYPE_CHECKING:
    from local.cloud import EmbeddedCloud

PREFIX = "/_boxcar/"
Asgi = Callable[
    [dict[str, Any], Callable[[], Awaitable[dict[str, Any]]], Callable[[dict[str, Any]], Awaitable[None]]],
    Awaitable[None],
]


class Control:
    """Answers `/_boxcar/…` in front of another ASGI application."""

    def __init__(self, cloud: "EmbeddedCloud") -> None:
        self._cloud = cloud
        self._started = time.monotonic()

    def asgi(self, behind: Asgi) -> Asgi:
        """Return the application that answers control requests itself and hands everything else on."""

        async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
            if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
                # Loopback stands for TLS: policies that ask for aws:SecureTransport hold here as they do on AWS.
                headers = [*scope.get("headers", []), (b"x-forwarded-proto", b"https")]
                await behind({**scope, "headers": headers}, receive, send)
                return
            body = b""
            while True:
                message = await receive()
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
            query = scope.get("query_string", b"").decode()
            # in a thread: what is asked for may call this server
            status, answer = await asyncio.to_thread(self._answer, scope["method"], scope["path"], query, body)
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

        return app

    def _answer(self, method: str, path: str, query: str, body: bytes) -> tuple[int, Any]:
        parts = [unquote(part) for part in path.removeprefix(PREFIX).strip("/").split("/")]
        try:
            return 200, self._act(method, parts, parse_qs(query), json.loads(body or b"{}"))
        except ApiError as error:
            return error.status, {"error": error.code, "message": error.message}
        except ValueError as error:
            return 400, {"error": "SerializationException", "message": f"the body is not JSON: {error}"}

    def _act(self, method: str, parts: list[str], query: dict[str, list[str]], body: Any) -> Any:
        cloud = self._cloud
        match (method, *parts):
            case ("GET", "status"):
                return self._status()
            case ("GET", "calls"):
                return cloud.audit.report()
            case ("DELETE", "calls"):
                cloud.audit.reset()
                return {}
            case ("GET", "faults"):
                return cloud.faults.report()
            case ("POST", "faults"):
                return {"id": cloud.faults.add(body)}
            case ("DELETE", "faults"):
                cloud.faults.remove()
                return {}
            case ("DELETE", "faults", number):
                cloud.faults.remove(int(number))
                return {}
            case ("GET", "quotas"):
                return self._sagemaker().limits()
            case ("POST", "quotas"):
                _require(body)
                for name, count in body.items():
                    self._sagemaker().set_limit(name, count)
                return self._sagemaker().limits()
            case ("POST", "schedules", *name, "fire"):
                return {"execution": cloud.schedules.fire("/".join(name))}
            case ("POST", "tables", name, "expire"):
                if not seam.table_with_expiry(name):
                    raise ApiError("ResourceNotFoundException", f"table {name!r}: none has a time to live", 404)
                return {"expired": cloud.streams.expire(name, body.get("at"))}
            case ("POST", "metrics", "tick"):
                return {"changed": self._cloudwatch().tick()}
            case ("POST", "metrics", "interval"):
                _require(body, "seconds")
                self._cloudwatch().look_every(_interval(body["seconds"]))
                return {}
            case ("POST", "events"):
                _require(body, "source", "detail-type", "detail")
                cloud.emit(body["source"], body["detail-type"], body["detail"], body.get("resources", []))
                return {}
            case ("GET", "mail"):
                mails = cloud.mailbox.read(query.get("to", [None])[0])
                return [{**vars(mail), "path": str(mail.path)} for mail in mails]
        raise ApiError("NotFound", f"{method} {PREFIX}{'/'.join(parts)}: see local/control.py for what there is", 404)

    def _sagemaker(self) -> Any:
        return self._cloud.services["sagemaker"]

    def _cloudwatch(self) -> Any:
        return self._cloud.services["monitoring"]

    def _status(self) -> dict[str, Any]:
        cloud = self._cloud
        return {
            "pid": os.getpid(),
            "endpoint": cloud.endpoint,
            "region": cloud.region,
            "account": cloud.account,
            "state": str(cloud.state),
            "services": sorted(cloud.services),
            "uptime_seconds": round(time.monotonic() - self._started, 1),
        }


def _interval(seconds: Any) -> float | None:
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds < 0.1:
        raise ApiError("ValidationException", f"seconds = {seconds!r} must be a number of at least 0.1, or null")
    return float(seconds)


def _require(body: Any, *fields: str) -> None:
    if not isinstance(body, dict):
        raise ApiError("ValidationException", "the body must be a JSON object")
    for name in fields:
        if name not in body:
            raise ApiError("ValidationException", f"the body lacks {name!r}; it needs {', '.join(fields)}")
