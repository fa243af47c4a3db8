"""The embedded cloud's DynamoDB, in this process. moto takes three to nine times as long, and nearly all calls are to tables."""

from collections.abc import Iterator
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from ministack.services import dynamodb
from moto.core.models import botocore_stubber


class _Content:
    """The body of an answer, as botocore reads it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._content


def client() -> Any:
    """A client of boto3 that asks it; its tables are empty."""
    dynamodb.reset()
    made = boto3.client("dynamodb")
    made.meta.events.unregister("before-send", botocore_stubber)
    made.meta.events.register("before-send", _answer)
    return made


def _answer(request: Any, **_: Any) -> AWSResponse:
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
    }
    try:
        dynamodb.handle_request(request.method, "/", headers, request.body, {}).send(None)
    except StopIteration as done:
        status, told, content = done.value
        return AWSResponse(request.url, status, HTTPHeaders.from_pairs(told.items()), _Content(content))
    raise RuntimeError("DynamoDB waits for something")
