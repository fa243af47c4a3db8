"""What API Gateway answers to a caller whom IAM does not let call a method of a REST API."""

import json
from typing import Any

EXPECTED = {
    "ministack.app": {
        "_enforce_execute_api": "api_id stage method execute_path headers query_params iam_action",
        "extract_region": "headers query_params",
    },
    "ministack.core.arn": {
        "execute_api_arn": "region account_id api_id stage method path",
    },
    "ministack.core.responses": {
        "get_account_id": "",
    },
}
CALLS = {"ministack.app._handle_execute_api_request": "denied = _enforce_execute_api("}

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
