"""AWS calls by their botocore models: names, shapes and errors as the AWS SDK integrations of Step Functions show them.

Step Functions is built on the AWS SDK for Java 2: its names for services, members and errors differ from botocore's.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from functools import cache
from typing import Any

import botocore.exceptions
import botocore.session
from botocore.model import OperationModel, Shape

from local.stepfunctions import errors
from local.stepfunctions.errors import StateFailure
from local.stepfunctions.history import dumps

# Service names of aws-sdk:* that are not botocore's with the hyphens left out.
CLIENTS = {
    "sfn": "stepfunctions", "eventbridge": "events", "cloudwatchlogs": "logs", "cloudwatchevents": "events",
    "redshiftdata": "redshift-data", "sagemakerruntime": "sagemaker-runtime", "elasticloadbalancingv2": "elbv2",
    "costexplorer": "ce", "databasemigration": "dms", "cognitoidentityprovider": "cognito-idp", "ses": "ses",
    "applicationautoscaling": "application-autoscaling",
}  # fmt: skip
ERROR_PREFIX = {"dynamodb": "DynamoDB", "sqs": "SQS", "sns": "SNS", "events": "EventBridge", "lambda": "Lambda",
                "states": "StepFunctions", "sagemaker": "SageMaker", "batch": "Batch", "glue": "Glue"}  # fmt: skip


@cache
def session() -> botocore.session.Session:
    """The session that loads service models; no credentials, no calls."""
    return botocore.session.get_session()


@cache
def services() -> dict[str, str]:
    """Names as aws-sdk:* writes them → names of botocore."""
    return {name.replace("-", ""): name for name in session().get_available_services()} | CLIENTS


def client_name(service: str) -> str:
    """The boto3 name of an aws-sdk:* service."""
    return services()[service]


@cache
def operation(client: str, action: str) -> OperationModel:
    """The model of an action such as putItem."""
    model = session().get_service_model(client)
    return model.operation_model(next(n for n in model.operation_names if n.lower() == action.lower()))


@cache
def actions() -> frozenset[str]:
    """The actions of the Step Functions API."""
    return frozenset(session().get_service_model("stepfunctions").operation_names)


@cache
def unknown_action(service: str, action: str) -> str:
    """Why aws-sdk:`service`:`action` cannot be called; empty where it can."""
    if service not in services():
        return f"The service '{service}' of aws-sdk:{service}:{action} is not known"
    names = session().get_service_model(services()[service]).operation_names
    if action[:1].isupper() or not any(name.lower() == action.lower() for name in names):
        return f"The service '{service}' has no action '{action}'"
    return ""


@cache
def service_id(client: str) -> str:
    """The service's name in error names, as the Java SDK forms it: DynamoDb, Sfn, S3."""
    name = session().get_service_model(client).service_id.hyphenize().replace("-", " ")
    words = str(session().get_service_model(client).metadata.get("serviceId", name)).split()
    return "".join(java_name(word[:1].upper() + word[1:]) for word in words)


@cache
def java_name(name: str) -> str:
    """A member's name as the Java SDK shows it: DBInstances is DbInstances, ETag stays."""
    name = name[:1].upper() + name[1:]
    return re.sub(r"[A-Z]{2,}(?![a-z])|[A-Z]{2,}(?=[A-Z][a-z])", lambda m: m[0][0] + m[0][1:].lower(), name)


def request(shape: Shape | None, value: Any, where: str = "") -> Any:
    """Arguments of a Task as botocore wants them.

    Raises:
        StateFailure: States.Runtime, for a member that the action does not have or a value of the wrong kind.
    """
    if shape is None:
        return {}
    if shape.type_name == "structure":
        if not isinstance(value, dict):
            raise wrong(where, "an object", value)
        members = {name.lower(): name for name in shape.members}
        unknown = [key for key in value if key.lower() not in members]
        if unknown:
            raise StateFailure(
                errors.RUNTIME,
                f"The field '{'.'.join(filter(None, (where, unknown[0])))}' is not supported by {shape.name}",
            )
        return {
            members[k.lower()]: request(shape.members[members[k.lower()]], v, f"{where}.{k}".strip("."))
            for k, v in value.items()
        }
    if shape.type_name == "list":
        if not isinstance(value, list):
            raise wrong(where, "an array", value)
        return [request(shape.member, item, where) for item in value]
    if shape.type_name == "map":
        if not isinstance(value, dict):
            raise wrong(where, "an object", value)
        return {k: request(shape.value, v, f"{where}.{k}") for k, v in value.items()}
    if shape.type_name == "string" and isinstance(value, dict | list):
        return dumps(value)
    if shape.type_name == "blob":
        return value.encode() if isinstance(value, str) else dumps(value).encode()
    return value


def wrong(where: str, wanted: str, value: Any) -> StateFailure:
    """The error for an argument of the wrong kind."""
    return StateFailure(errors.RUNTIME, f"The field '{where}' must be {wanted} but was {dumps(value)}")


def response(shape: Shape | None, value: Any, java: bool = True) -> Any:
    """A boto3 answer as the result of a Task: PascalCase names, times and bytes as text."""
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes | bytearray):
        return text(bytes(value))
    if hasattr(value, "read"):
        return text(value.read())
    if isinstance(value, dict):
        if shape is not None and shape.type_name == "structure":
            members = shape.members
            return {
                (java_name(k) if java else k[:1].upper() + k[1:]): response(members.get(k), v, java)
                for k, v in value.items()
                if k != "ResponseMetadata"
            }
        inner = getattr(shape, "value", None)
        return {k: response(inner, v, java) for k, v in value.items()}
    if isinstance(value, list):
        return [response(getattr(shape, "member", None), item, java) for item in value]
    return value


def text(data: bytes) -> str:
    """Bytes as text, in base64 where they are none."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return base64.b64encode(data).decode()


# botocore lowers the names of headers; this is how AWS sends them.
HEADERS = {name.lower(): name for name in (
    "Connection", "Content-Length", "Content-Type", "Date", "Server", "X-Amz-Executed-Version", "X-Amzn-Trace-Id",
    "x-amzn-RequestId", "x-amzn-Remapped-Content-Length", "x-amz-crc32", "x-amz-log-result",
)}  # fmt: skip


def metadata(answer: dict[str, Any]) -> dict[str, Any]:
    """SdkHttpMetadata and SdkResponseMetadata, which the optimized integrations add to their results."""
    meta = answer.get("ResponseMetadata", {})
    headers = {HEADERS.get(key, key): str(value) for key, value in meta.get("HTTPHeaders", {}).items()}
    return {
        "SdkHttpMetadata": {
            "AllHttpHeaders": {key: [value] for key, value in headers.items()},
            "HttpHeaders": headers,
            "HttpStatusCode": meta.get("HTTPStatusCode", 200),
        },
        "SdkResponseMetadata": {"RequestId": meta.get("RequestId", headers.get("x-amzn-RequestId", ""))},
    }


def failure(prefix: str, client: str, error: Exception) -> StateFailure:
    """The error of a Task whose call AWS refused, or that never reached AWS."""
    if isinstance(error, botocore.exceptions.ClientError):
        meta = error.response.get("ResponseMetadata", {})
        code = str(error.response.get("Error", {}).get("Code", "Unknown"))
        code = code.rsplit("#", 1)[-1].rsplit(".", 1)[-1]
        said = error.response.get("Error", {}).get("Message", "")
        cause = (
            f"{said} (Service: {service_id(client)}, Status Code: {meta.get('HTTPStatusCode', 400)}, "
            f"Request ID: {meta.get('RequestId', '')})"
        )
        return StateFailure(f"{prefix}.{exception_name(client, code)}", cause)
    if isinstance(error, botocore.exceptions.ParamValidationError):
        return StateFailure(errors.RUNTIME, str(error))
    return StateFailure(f"{prefix}.SdkClientException", str(error))


def exception_name(client: str, code: str) -> str:
    """The Java class of an error code: ends in Exception; the service's base class where the model has none."""
    model = session().get_service_model(client)
    for shape in model.error_shapes:
        if code in (shape.name, shape.error_code):
            return shape.name if shape.name.endswith("Exception") else f"{shape.name}Exception"
    return code if code.endswith("Exception") else f"{service_id(client)}Exception"


def json_or_text(data: str) -> Any:
    """The value of a JSON text, or the text itself."""
    try:
        return json.loads(data)
    except ValueError:
        return data
