"""CloudWatch's API in its three protocols: awsJson1.0 (boto3), smithy-rpc-v2-cbor (newer SDKs) and query (older ones).

The shapes are botocore's. Requests come out as dicts, times as seconds since the epoch; so do answers go in.
"""

import gzip
import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from local.cloudwatch import cbor
from local.programs.checks import service_model
from local.service import ApiError

JSON = "json"
CBOR = "cbor"
QUERY = "query"
TYPES = {JSON: "application/x-amz-json-1.0", CBOR: "application/cbor", QUERY: "text/xml"}
OPERATION = re.compile(r"/service/\w+/operation/(\w+)$")
NAMESPACE = "http://monitoring.amazonaws.com/doc/2010-08-01/"
REQUEST_ID = "00000000-0000-0000-0000-000000000000"
Answer = tuple[int, dict[str, str], bytes]


def protocol_of(path: str, headers: dict[str, str]) -> str:
    """By which protocol a request comes."""
    if headers.get("x-amz-target"):
        return JSON
    return CBOR if OPERATION.search(path) else QUERY


def read(path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]) -> tuple[str, dict[str, Any]]:
    """The action and the request.

    Raises:
        ApiError: the body cannot be read, or the action does not exist.
    """
    try:
        if headers.get("content-encoding") == "gzip":  # botocore compresses large PutMetricData requests
            body = gzip.decompress(body)
        if target := headers.get("x-amz-target"):
            return target.rpartition(".")[2], json.loads(body or b"{}")
        operation = OPERATION.search(path)
        if operation:
            return operation[1], cbor.loads(body) if body else {}
        fields = {name: values[0] for name, values in query.items()} | dict(
            parse_qsl(body.decode(), keep_blank_values=True)
        )
    except (ValueError, OSError, EOFError) as error:
        raise ApiError("SerializationException", f"the body cannot be read: {error}") from error
    action = fields.get("Action", "")
    if action not in service_model("cloudwatch").operation_names:
        raise ApiError("InvalidAction", f"Could not find operation {action} for version 2010-08-01")
    shape = service_model("cloudwatch").operation_model(action).input_shape
    return action, (_read_fields(shape, fields, "") or {}) if shape is not None else {}


def answer(protocol: str, action: str, result: dict[str, Any]) -> Answer:
    """Write what an action answers."""
    model = service_model("cloudwatch").operation_model(action)
    shape = model.output_shape
    headers = {"Content-Type": TYPES[protocol]}
    if protocol != QUERY:
        told = _typed(shape, result) if shape is not None else {}
        if protocol == JSON:
            return 200, headers, json.dumps(told).encode()
        return 200, {**headers, "smithy-protocol": "rpc-v2-cbor"}, cbor.dumps(told)
    inner = _xml(shape, result) if shape is not None else ""
    wrapped = f"<{action}Result>{inner}</{action}Result>" if shape is not None else ""
    meta = f"<ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>"
    text = f'<{action}Response xmlns="{NAMESPACE}">{wrapped}{meta}</{action}Response>'
    return 200, headers, text.encode()


def refusal(protocol: str, error: ApiError) -> Answer:
    """Write an error."""
    kind = "Sender" if error.status < 500 else "Receiver"
    # by the last of these, SDKs name the error as they did when they spoke the query protocol
    headers = {"Content-Type": TYPES[protocol], "x-amzn-query-error": f"{error.code};{kind}"}
    told = {"__type": error.code, "message": error.message}
    if protocol == JSON:
        return error.status, headers, json.dumps(told).encode()
    if protocol == CBOR:
        return error.status, {**headers, "smithy-protocol": "rpc-v2-cbor"}, cbor.dumps(told)
    text = (
        f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>{kind}</Type><Code>{escape(error.code)}</Code>'
        f"<Message>{escape(error.message)}</Message></Error><RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
    )
    return error.status, headers, text.encode()


def coerced(shape: Any, value: Any) -> Any:
    """A value that came as text (query protocol, CloudFormation) in the types of a shape."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        return {
            name: coerced(shape.members[name], item) if name in shape.members else item for name, item in value.items()
        }
    if kind == "list" and isinstance(value, list):
        return [coerced(shape.member, item) for item in value]
    if isinstance(value, str):
        return _of_text(kind, value)
    return float(value) if kind == "double" and isinstance(value, int) and not isinstance(value, bool) else value


def _of_text(kind: str, text: str) -> Any:
    try:
        if kind in ("integer", "long"):
            return int(text)
        if kind in ("double", "float"):
            return float(text)
        if kind == "timestamp":
            return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise ApiError("ValidationError", f"{text!r} is no {kind}") from error
    return text.lower() == "true" if kind == "boolean" else text


def _read_fields(shape: Any, fields: dict[str, str], prefix: str) -> Any:
    """What stands in form fields under a prefix; None when nothing does."""
    if shape.type_name == "structure":
        found = {name: _read_fields(member, fields, f"{prefix}{name}.") for name, member in shape.members.items()}
        return {name: value for name, value in found.items() if value is not None} or None
    if shape.type_name == "list":
        items: list[Any] = []
        while (item := _read_fields(shape.member, fields, f"{prefix}member.{len(items) + 1}.")) is not None:
            items.append(item)
        return items or None
    text = fields.get(prefix.rstrip("."))
    return None if text is None else _of_text(shape.type_name, text)


def _typed(shape: Any, value: Any) -> Any:
    """A value as CBOR and JSON need it: doubles as such even when they are whole, times as times."""
    kind = shape.type_name
    if kind == "structure":
        return {
            name: _typed(member, value[name]) for name, member in shape.members.items() if value.get(name) is not None
        }
    if kind == "list":
        return [_typed(shape.member, item) for item in value]
    if kind == "map":
        return {key: _typed(shape.value, item) for key, item in value.items()}
    if kind == "timestamp":
        return cbor.Time(value)
    return float(value) if kind in ("double", "float") else value


def _xml(shape: Any, value: Any) -> str:
    kind = shape.type_name
    if kind == "structure":
        found = ((name, member) for name, member in shape.members.items() if value.get(name) is not None)
        return "".join(f"<{name}>{_xml(member, value[name])}</{name}>" for name, member in found)
    if kind == "list":
        return "".join(f"<member>{_xml(shape.member, item)}</member>" for item in value)
    if kind == "timestamp":
        return datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if kind == "boolean":
        return "true" if value else "false"
    return escape(str(float(value) if kind == "double" else value))
