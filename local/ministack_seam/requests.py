"""API calls on their way through MiniStack: seen, answered, named for IAM."""

import json
import os
import re
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

EXPECTED = {
    "ministack.app": {
        "app": "scope receive send",
        "_dispatch_service_request": "method path headers body query_params request_id",
        "_routing_params": "method path headers body query_params",
        "SERVICE_HANDLERS": "dict",
        "AUTH": "bool",
    },
    "ministack.core.router": {
        "detect_service": "method path headers query_params",
        "extract_access_key_id": "headers query_params",
        "SERVICE_PATTERNS": "dict",
    },
    "ministack.core.iam_actions": {
        "extract_iam_action": "service method path headers body query_params",
        "extract_resource_arn": "service method path headers body query_params region account_id",
        "access_denied_response": "service action principal_arn request_id error_code message headers resource_arn "
        "explicit_deny resource_policy_arn",
        "identity_denial_message": "action principal_arn resource explicit_deny",
        "SERVICE_TO_IAM_NAMESPACE": "dict",
        "_BOTOCORE_SERVICE_MAP": "dict",
    },
    "ministack.core.iam_evaluator": {
        "request_caller_arn": "headers query_params",
        "enforce": "access_key_id iam_action service region resource_arn service_context",
    },
    "ministack.core.concurrency": {
        "run_reentrant": "fn args thread_name",
    },
    "ministack.core.lambda_runtime": {
        "execution_credentials": "config",
    },
}
# function -> what must stand in it, for what is replaced here to take effect
CALLS = {
    "ministack.app.app": "await _dispatch_service_request(",
    "ministack.app._dispatch_service_request": "from ministack.core.iam_actions import (",
}
ENDPOINT = re.compile(r"/endpoints/([^/]+)/[a-z-]+")  # of SageMaker's runtime API
Response = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, dict[str, str], bytes, dict[str, list[str]]], Awaitable[Response]]


@dataclass(frozen=True)
class Request:
    """One API call as it arrives, told before IAM decides."""

    service: str  # MiniStack's name: s3, sqs, states, sagemaker, …
    action: str  # IAM's name of it, without the service: PutObject, InvokeFunction, …
    caller_arn: str
    headers: dict[str, str]
    body: bytes
    request_id: str
    resource_arn: Callable[[], str]  # what IAM would check the action against


def watch_requests(
    before: Callable[[Request], Awaitable[Response | None]], after: Callable[[Request, int], None]
) -> None:
    """Call `before` ahead of each API call (its answer, if any, is the call's answer) and `after` with the status."""
    from ministack import app
    from ministack.core import iam_actions, iam_evaluator, router

    dispatch = app._dispatch_service_request

    async def watched(
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, list[str]],
        request_id: str,
    ) -> Response:
        params = app._routing_params(method, path, headers, body, query_params)
        service = router.detect_service(method, path, headers, params)
        action = iam_actions.extract_iam_action(service, method, path, headers, body, params) or f"{service}:{method}"
        caller = iam_evaluator.request_caller_arn(headers, query_params)

        def resource() -> str:
            region, account = os.environ["MINISTACK_REGION"], os.environ["MINISTACK_ACCOUNT_ID"]
            arn: str = iam_actions.extract_resource_arn(service, method, path, headers, body, params, region, account)
            return arn

        request = Request(service, action.partition(":")[2], caller, headers, body, request_id, resource)
        answer = await before(request)
        if answer is None:
            answer = await dispatch(method, path, headers, body, query_params, request_id)
        after(request, answer[0])
        return answer

    app._dispatch_service_request = watched


def mount(service: str, target_prefix: str, handler: Handler, actions: Container[str] | None = None) -> None:
    """Answer an API with `handler`: as a new service, or in place of MiniStack's own; of `actions` alone, if given."""
    from ministack import app
    from ministack.core import iam_actions, router

    router.SERVICE_PATTERNS.setdefault(service, {"target_prefixes": [target_prefix]})
    iam_actions.SERVICE_TO_IAM_NAMESPACE.setdefault(service, service)
    app.SERVICE_HANDLERS[service] = (
        handler if actions is None else _beside(app.SERVICE_HANDLERS[service], actions, handler)
    )


def name_rest_actions(service: str, model: str) -> None:
    """Let the paths of a service be read by one more of botocore's models, too, as IAM's actions."""
    from ministack.core import iam_actions

    models = iam_actions._BOTOCORE_SERVICE_MAP
    models[service] = [*models.get(service, [service]), model]


def _beside(theirs: Handler, actions: Container[str], ours: Handler) -> Handler:
    """Let `ours` answer some actions of a JSON API, and MiniStack's own handler the others."""

    async def handler(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> Response:
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        return await (ours if action in actions else theirs)(method, path, headers, body, query)

    return handler


def name_resources(namer: Callable[[str, str, dict[str, Any]], str | None]) -> None:
    """Let `namer(service, action, request)` say which resource IAM checks, for JSON services that MiniStack lacks.

    The action of a restJson API is the end of its path, in lower case; every action of SageMaker's runtime is told as
    InvokeEndpoint.
    """
    from ministack.core import iam_actions

    original = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: dict[str, list[str]],
        region: str,
        account_id: str,
    ) -> str:
        target = headers.get("x-amz-target", "") or (path if path.startswith("/v1/") else "")
        endpoint = ENDPOINT.fullmatch(path) if service == "sagemaker" and not target else None
        if endpoint and (named := namer(service, "InvokeEndpoint", {"EndpointName": unquote(endpoint[1])})):
            return named
        if target:
            try:
                named = namer(service, re.split(r"[./]", target)[-1], json.loads(body or b"{}"))
            except ValueError:
                named = None  # not JSON: the service itself says so
            if named:
                return named
        told: str = original(service, method, path, headers, body, query_params, region, account_id)
        return told

    iam_actions.extract_resource_arn = extract_resource_arn


def name_denied_resources() -> None:
    """Let a denial name the resource, as AWS's messages do; MiniStack's leave it out for most services."""
    from ministack.core import iam_actions

    original = iam_actions.access_denied_response

    def access_denied_response(service: str, action: str, principal_arn: str, request_id: str, **more: Any) -> Response:
        resource = more.get("resource_arn", "*")
        told = any(more.get(name) for name in ("error_code", "message", "resource_policy_arn"))
        if not told and resource != "*":
            quoted = f'"{resource}"' if service == "s3" else resource
            explicit = bool(more.get("explicit_deny"))
            more["message"] = iam_actions.identity_denial_message(action, principal_arn, quoted, explicit)
        answer: Response = original(service, action, principal_arn, request_id, **more)
        return answer

    iam_actions.access_denied_response = access_denied_response


def caller_arn(headers: dict[str, str]) -> str:
    """Who signed a request: a user, a role's session or the account's root."""
    from ministack.core import iam_evaluator

    arn: str = iam_evaluator.request_caller_arn(headers, {})
    return arn


def denied(headers: dict[str, str], action: str, resource_arn: str, context: dict[str, Any]) -> str | None:
    """Return AWS's words if the caller's own policies do not allow `action` on a further resource (iam:PassRole)."""
    from ministack.core import iam_actions, iam_evaluator, router

    key = router.extract_access_key_id(headers, {})
    service, region = action.partition(":")[0], os.environ["MINISTACK_REGION"]
    verdict = iam_evaluator.enforce(key, action, service, region, resource_arn=resource_arn, service_context=context)
    if verdict is None:
        return None
    text: str = iam_actions.identity_denial_message(action, caller_arn(headers), resource_arn, False)
    return text


def denial(request: Request) -> Response:
    """AWS's own answer to a call that IAM denies, in the protocol of its service."""
    from ministack.core import iam_actions

    answer: Response = iam_actions.access_denied_response(
        request.service,
        f"{iam_actions.SERVICE_TO_IAM_NAMESPACE.get(request.service, request.service)}:{request.action}",
        request.caller_arn,
        request.request_id,
        headers=request.headers,
        resource_arn=request.resource_arn(),
    )
    return answer


async def in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run work that may call this server again in a thread of its own, with the request's account and region."""
    from ministack.core import concurrency

    return await concurrency.run_reentrant(work, *arguments, thread_name="boxcar-service")


def role_credentials(role_arn: str, session: str, region: str, account: str) -> dict[str, str]:
    """Environment variables of a session of the role: its policies decide what the holder may do."""
    from ministack.core import lambda_runtime

    arn = f"arn:aws:lambda:{region}:{account}:function:{session}"
    told: dict[str, str] = lambda_runtime.execution_credentials(
        {"Role": role_arn, "FunctionName": session, "FunctionArn": arn}
    )
    return told
