"""REST APIs of API Gateway: what it answers to a caller whom IAM does not let through, and who called it."""

import json
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

EXPECTED = {
    "ministack.app": {
        "_handle_execute_api_request": "host path method headers body query_params raw_path raw_query_string",
        "_parse_execute_api_url": "host path",
        "_enforce_execute_api": "api_id stage method execute_path headers query_params iam_action",
        "extract_region": "headers query_params",
    },
    "ministack.core.arn": {
        "execute_api_arn": "region account_id api_id stage method path",
    },
    "ministack.core.iam_evaluator": {
        "resolve_caller_identity": "access_key_id",
    },
    "ministack.core.router": {
        "extract_access_key_id": "headers query_params",
    },
    "ministack.core.responses": {
        "get_account_id": "",
    },
}
CALLS = {
    "ministack.app._handle_execute_api_request": "denied = _enforce_execute_api(",
    "ministack.app._handle_special_data_plane_request": "await _handle_execute_api_request(",
}

Response = tuple[int, dict[str, str], bytes]


def name_denied_methods() -> None:
    """Answer a denial as the gateway response ACCESS_DENIED does: JSON, the method's ARN, the account half hidden.

    MiniStack answers as the SDK protocols do and leaves the resource out. AWS's form is in "How do I troubleshoot HTTP
    403 Forbidden errors from API Gateway" (AWS re:Post) and in the developer guide on resource policies.
    """
    from ministack import app
    from ministack.core.arn import execute_api_arn
    from ministack.core.responses import get_account_id

    original = app._enforce_execute_api

    def enforce(
        api_id: str,
        stage: str,
        method: str,
        execute_path: str,
        headers: dict[str, str],
        query_params: dict[str, list[str]],
        iam_action: str = "execute-api:Invoke",
    ) -> Response | None:
        from ministack.services import apigateway_v1  # takes a fifth of a second, and most clouds never need it

        refused: Response | None = original(api_id, stage, method, execute_path, headers, query_params, iam_action)
        if refused is None or apigateway_v1.find_api_scope(api_id) is None:
            return refused
        told: dict[str, Any] = json.loads(refused[2] or b"{}")
        words = told.get("message", "")
        if told.get("__type") != "AccessDeniedException":
            return refused  # not IAM's word: the gateway has answered in its own form already
        account: str = get_account_id()
        region = app.extract_region(headers, query_params)
        arn = execute_api_arn(region, f"********{account[-4:]}", api_id, stage, method, execute_path)
        if " on resource: " not in words:
            words = words.replace(iam_action, f"{iam_action} on resource: {arn}", 1)
        answer = {"Content-Type": "application/json", "x-amzn-ErrorType": "AccessDeniedException"}
        return 403, answer, json.dumps({"Message": words}).encode()

    app._enforce_execute_api = enforce


def tell_calls(tell: Callable[[str, str, dict[str, str]], None]) -> None:
    """Tell of each call to a stage with an access log: `tell(log group, format, context)`.

    The context has what an access log may name (API Gateway Developer Guide, "$context variables for access logging"),
    as far as MiniStack knows it.
    """
    from ministack import app
    from ministack.core import iam_evaluator, router

    original = app._handle_execute_api_request

    async def handle(
        host: str, path: str, method: str, headers: dict[str, str], body: bytes, query_params: Any, **raw: Any
    ) -> Response | None:
        started = time.time()
        answer: Response | None = await original(host, path, method, headers, body, query_params, **raw)
        place = app._parse_execute_api_url(host, path) if answer else None
        if answer is None or place is None:
            return answer
        from ministack.services import apigateway_v1

        api_id, stage, resource = place
        if apigateway_v1.find_api_scope(api_id) is None:
            return answer
        wanted = (apigateway_v1.stages_for_api(api_id).get(stage) or {}).get("accessLogSettings") or {}
        if wanted.get("destinationArn"):
            at = datetime.fromtimestamp(started, UTC)
            refusal, why = _refusal(answer)
            known = iam_evaluator.resolve_caller_identity(router.extract_access_key_id(headers, query_params)) or {}
            proved = refusal in ("", "AccessDeniedException", "TooManyRequestsException")
            context = {
                "apiId": api_id,
                "stage": stage,
                "requestId": answer[1].get("x-amzn-requestid") or str(uuid.uuid4()),
                "requestTime": at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
                "requestTimeEpoch": str(int(started * 1000)),
                "httpMethod": method,
                "path": f"/{stage}{resource}",
                "protocol": "HTTP/1.1",
                "status": str(answer[0]),
                "responseLatency": str(int((time.time() - started) * 1000)),
                "responseLength": str(len(answer[2])),
                "identity.sourceIp": "127.0.0.1",
                "identity.userAgent": headers.get("user-agent", "-"),
                "identity.userArn": known.get("userArn", "-") if proved else "-",
                "error.message": why,
            }
            tell(wanted["destinationArn"].split(":log-group:")[-1].removesuffix(":*"), wanted["format"], context)
        return answer

    app._handle_execute_api_request = handle


def _refusal(answer: Response) -> tuple[str, str]:
    """What the gateway itself refused, and its words; "" and "-" if the function answered."""
    kind = next((value for name, value in answer[1].items() if name.lower() == "x-amzn-errortype"), "")
    told = json.loads(answer[2] or b"{}") if kind else {}
    return str(kind), str(told.get("message") or told.get("Message") or "-")
