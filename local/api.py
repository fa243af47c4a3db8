"""How a `local.service.Service` is reached: the awsJson protocol in and out, and the roles that a call passes on."""

import json
import logging
from collections.abc import Callable
from typing import Any

from local import iam
from local import ministack_seam as seam
from local.service import ApiError, Service

logger = logging.getLogger("boxcar.api")
JSON = {"Content-Type": "application/x-amz-json-1.1"}


Further = Callable[[str, dict[str, Any]], list[str]]  # action, request → resources (iam.further_resources)


def json_handler(name: str, service: Service, further: Further = lambda action, request: []) -> seam.Handler:
    """Return the handler that lets `service` answer an awsJson API under the name MiniStack routes by."""

    async def handler(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> seam.Response:
        # a service may read every protocol itself: that of CloudWatch's clients depends on their age
        if not headers.get("x-amz-target") or getattr(service, "reads_every_protocol", False):
            return await _other_protocol(service, method, path, headers, body, query)
        action = headers["x-amz-target"].rpartition(".")[2]
        try:
            request = json.loads(body or b"{}")
            caller = seam.caller_arn(headers)
            _may_pass_role(name, action, request, headers)
            for resource in further(action, request):
                if refused := seam.denied(headers, f"{name}:{action}", resource, {}):
                    raise ApiError("AccessDeniedException", refused, 400)
            answer = await seam.in_thread(service.handle, action, request, caller)
        except ApiError as error:
            return error_response(name, error)
        except ValueError as error:
            return error_response(name, ApiError("SerializationException", f"the body is not JSON: {error}"))
        except Exception as error:
            logger.exception("%s.%s failed inside the embedded cloud", name, action)
            return error_response(name, ApiError("InternalFailure", f"{type(error).__name__}: {error}", 500))
        return 200, dict(JSON), json.dumps(answer or {}).encode()

    return handler


async def _other_protocol(service: Service, *request: Any) -> seam.Response:
    """Requests without a target header (a runtime API of the same name) go to the service's `http`, if it has one."""
    http = getattr(service, "http", None)
    if http is None:
        return error_response("", ApiError("UnknownOperationException", f"{request[0]} {request[1]} is not known", 404))
    try:
        answer: seam.Response = await seam.in_thread(http, *request)
    except ApiError as error:
        return error_response("", error)
    return answer


def _may_pass_role(service: str, action: str, request: dict[str, Any], headers: dict[str, str]) -> None:
    """Check iam:PassRole for every role that the call hands to the service, as AWS does."""
    for role in iam.passed_roles(service, action, request):
        context = {"iam:PassedToService": iam.PRINCIPALS[service]}
        refused = seam.denied(headers, "iam:PassRole", role, context)
        if refused:
            raise ApiError("AccessDeniedException", refused, 400)


def error_response(service: str, error: ApiError) -> seam.Response:
    """Write an error as the protocol of the service does: XML for S3 and the query services, JSON for the others."""
    from xml.sax.saxutils import escape

    code, message = escape(error.code), escape(error.message)
    if service == "s3":
        text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        return error.status, {"Content-Type": "application/xml"}, text.encode()
    if service in ("sns", "sts", "iam", "cloudformation", "ec2", "autoscaling"):
        kind = "Sender" if error.status < 500 else "Receiver"
        text = (
            f"<ErrorResponse><Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            "<RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"
        )
        return error.status, {"Content-Type": "text/xml"}, text.encode()
    headers = {**JSON, "x-amzn-errortype": error.code}
    return error.status, headers, json.dumps({"__type": error.code, "message": error.message}).encode()
