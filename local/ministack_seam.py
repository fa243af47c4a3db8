"""The one place that touches MiniStack's insides. Written against the version below and checked at start.

`check()` compares every function, table and parameter list that is read or replaced here with what was found in that
version, and names each difference: a MiniStack that changed is refused, not half patched.
"""

import importlib
import inspect
import json
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

VERSION = "1.5.33"
Response = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, dict[str, str], bytes, dict[str, list[str]]], Awaitable[Response]]
Provisioner = dict[str, Any]

# module -> name -> parameters of a function, or the type of a table
EXPECTED: dict[str, dict[str, str]] = {
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
    },
    "ministack.core.iam_evaluator": {
        "request_caller_arn": "headers query_params",
        "enforce": "access_key_id iam_action service region resource_arn service_context",
        "evaluate_resource_policy": "doc ctx service named_only direct_only",
        "EvalContext": "principal_arn principal_type principal_account action resource_arn region source_ip "
        "secure_transport request_tags tag_keys service_context principal_keys",
    },
    "ministack.core.lambda_runtime": {
        "execution_credentials": "config",
        "invalidate_worker": "func_name qualifier account region",
    },
    "ministack.core.concurrency": {"run_reentrant": "fn args thread_name"},
    "ministack.core.responses": {"request_scope": "account_id region"},
    "ministack.services.lambda_svc": {
        "_execute_function_warm": "func event request_id",
        "_resolve_layer_zip": "attachment",
        "_throttle_response": "reason_code msg retry_after",
        "invalidate_worker": "func_name qualifier account region",
        "function_policy_for_arn": "resource_arn",
    },
    "ministack.services.sqs": {"queue_policy_allows": "queue_arn service source_arn source_account"},
    "ministack.services.sns": {
        "_fanout": "topic_arn msg_id message subject message_structure message_attributes message_group_id "
        "message_dedup_id",
        "_topic_by_arn_any_scope": "topic_arn",
        "_resolve_message_for_protocol": "message message_structure protocol",
        "_matches_filter_policy": "sub message_attributes message",
        "topic_policy_allows": "topic_arn service source_arn source_account",
    },
    "ministack.services.eventbridge": {
        "_put_events": "data allow_aws_source",
        "_dispatch_event": "event view",
        "_invoke_target": "target event rule view",
        "_apply_input_transformer": "transformer rule view",
        "_pattern_event_view": "event",
        "_parse_rate_seconds": "expr",
        "_parse_cron_fields": "expr",
        "_cron_next_fire": "fields after_dt",
    },
    "ministack.services.scheduler": {
        "_schedules": "AccountRegionScopedDict",
        "_tick_schedules": "",
        "_create_schedule": "name body",
        "_update_schedule": "name body",
    },
    "ministack.services.dynamodb": {"_update_ttl": "data"},
    "ministack.services.cloudformation.provisioners": {
        "_RESOURCE_HANDLERS": "dict",
        "_physical_name": "stack_name logical_id lowercase max_len seeded",
        "_sfn_definition": "props",
        "_rename_replacement": "physical_id old_props new_props stack_name logical_id declared_name current_name "
        "create_fn delete_fn delete_when_id_unchanged",
    },
}


class SeamError(RuntimeError):
    """The installed MiniStack is not the one this module was written against."""


@dataclass(frozen=True)
class Request:
    """One API call as it arrives, told before IAM decides."""

    service: str  # MiniStack's name: s3, sqs, states, sagemaker, …
    action: str  # IAM's name of it, without the service: PutObject, InvokeFunction, …
    caller_arn: str
    headers: dict[str, str]
    body: bytes
    request_id: str


def configure(state: Path, port: int, region: str, account: str) -> None:
    """Set what MiniStack reads from the environment. To be called before its first import.

    Raises:
        SeamError: MiniStack was imported before, or another version is installed.
    """
    found = installed_version("ministack")
    if found != VERSION:
        raise SeamError(f"ministack {found} is installed, local/ministack_seam.py is written for {VERSION}: pin it")
    if "ministack.app" in importlib.sys.modules:  # type: ignore[attr-defined]
        raise SeamError("MiniStack is already loaded in this process: one embedded cloud a process")
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL", "SERVICES"):
        os.environ.pop(name, None)
    os.environ.update(
        GATEWAY_PORT=str(port),
        AWS_ACCESS_KEY_ID="test",  # the account's root user, who may do everything
        AWS_SECRET_ACCESS_KEY="test",  # noqa: S106 (not a secret)
        AWS_DEFAULT_REGION=region,
        MINISTACK_REGION=region,
        MINISTACK_ACCOUNT_ID=account,
        AUTH="true",
        PERSIST_STATE="1",
        STATE_DIR=str(state / "ministack"),
        S3_PERSIST="1",
        S3_DATA_DIR=str(state / "s3"),
        LAMBDA_EXECUTOR="local",
        LAMBDA_ACCOUNT_CONCURRENCY="1000",  # as on AWS; how many run at once is our own runtime's concern
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
    )


def check() -> None:
    """Compare MiniStack with `EXPECTED`.

    Raises:
        SeamError: with every difference on a line of its own.
    """
    wrong = list(_differences())
    if wrong:
        raise SeamError("MiniStack is not what local/ministack_seam.py expects:\n  " + "\n  ".join(wrong))


def _differences() -> Iterator[str]:
    for module_name, names in EXPECTED.items():
        try:
            module = importlib.import_module(module_name)
        except ImportError as error:
            yield f"{module_name}: cannot be imported: {error}"
            continue
        for name, expected in names.items():
            if not hasattr(module, name):
                yield f"{module_name}.{name}: is gone"
                continue
            value = getattr(module, name)
            found = " ".join(inspect.signature(value).parameters) if callable(value) else type(value).__name__
            if found != expected:
                yield f"{module_name}.{name}: expected ({expected}), found ({found})"


def asgi() -> Any:
    """MiniStack's ASGI application."""
    from ministack import app

    return app.app


# -- requests ------------------------------------------------------------------------------------------------------


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
        request = Request(service, action.partition(":")[2], caller, headers, body, request_id)
        answer = await before(request)
        if answer is None:
            answer = await dispatch(method, path, headers, body, query_params, request_id)
        after(request, answer[0])
        return answer

    app._dispatch_service_request = watched


def mount(service: str, target_prefix: str, handler: Handler) -> None:
    """Answer an API with `handler`: as a new service, or in place of MiniStack's own."""
    from ministack import app
    from ministack.core import iam_actions, router

    router.SERVICE_PATTERNS.setdefault(service, {"target_prefixes": [target_prefix]})
    iam_actions.SERVICE_TO_IAM_NAMESPACE.setdefault(service, service)
    app.SERVICE_HANDLERS[service] = handler


def name_resources(namer: Callable[[str, str, dict[str, Any]], str | None]) -> None:
    """Let `namer(service, action, request)` say which resource IAM checks, for JSON services that MiniStack lacks."""
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
        target = headers.get("x-amz-target", "")
        if target:
            try:
                named = namer(service, target.rpartition(".")[2], json.loads(body or b"{}"))
            except ValueError:
                named = None  # not JSON: the service itself says so
            if named:
                return named
        told: str = original(service, method, path, headers, body, query_params, region, account_id)
        return told

    iam_actions.extract_resource_arn = extract_resource_arn


def caller_arn(headers: dict[str, str]) -> str:
    """Who signed a request: a user, a role's session or the account's root."""
    from ministack.core import iam_evaluator

    arn: str = iam_evaluator.request_caller_arn(headers, {})
    return arn


def denied(request: Request, action: str, resource_arn: str, context: dict[str, Any]) -> str | None:
    """Return AWS's words if the caller's own policies do not allow `action` on a further resource (iam:PassRole)."""
    from ministack.core import iam_actions, iam_evaluator, router

    key = router.extract_access_key_id(request.headers, {})
    service, region = action.partition(":")[0], os.environ["MINISTACK_REGION"]
    verdict = iam_evaluator.enforce(key, action, service, region, resource_arn=resource_arn, service_context=context)
    if verdict is None:
        return None
    text: str = iam_actions.identity_denial_message(action, request.caller_arn, resource_arn, False)
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


# -- functions -----------------------------------------------------------------------------------------------------


def run_functions(
    run: Callable[[dict[str, Any], bytes, tuple[bytes, ...], Any], dict[str, Any]], forget: Callable[[str], None]
) -> None:
    """Run every Python function through `run(configuration, code, layers, event)`; `forget(name)` when one changes."""
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    original = lambda_svc._execute_function_warm

    def _execute_function_warm(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        config, code = func.get("config") or func, func.get("code_zip")
        if not code or not str(config.get("Runtime", "")).startswith("python"):
            told: dict[str, Any] = original(func, event, request_id)
            return told
        layers = tuple(filter(None, (lambda_svc._resolve_layer_zip(layer) for layer in config.get("Layers", []))))
        outcome = run(config, code, layers, event)
        if outcome.get("throttle"):
            throttled: dict[str, Any] = lambda_svc._throttle_response(
                "ConcurrentInvocationLimitExceeded", "Rate Exceeded."
            )
            return throttled
        return outcome

    def invalidate_worker(
        func_name: str, qualifier: str | None = None, account: str | None = None, region: str | None = None
    ) -> None:
        forget(func_name)

    lambda_svc._execute_function_warm = _execute_function_warm
    lambda_svc.invalidate_worker = lambda_runtime.invalidate_worker = invalidate_worker


# -- mail ----------------------------------------------------------------------------------------------------------


def deliver_mail(deliver: Callable[[str, str, str | None, str, bool], None]) -> None:
    """Call `deliver(address, topic_arn, subject, text, as_json)` for every e-mail subscription a message passes."""
    from ministack.services import sns

    original = sns._fanout

    def _fanout(
        topic_arn: str,
        msg_id: str,
        message: str,
        subject: str,
        message_structure: str = "",
        message_attributes: dict[str, Any] | None = None,
        message_group_id: str = "",
        message_dedup_id: str = "",
    ) -> None:
        topic = sns._topic_by_arn_any_scope(topic_arn) or {"subscriptions": []}
        for subscription in topic["subscriptions"]:
            protocol = subscription.get("protocol", "")
            if protocol not in ("email", "email-json") or not subscription.get("confirmed"):
                continue
            text = sns._resolve_message_for_protocol(message, message_structure, protocol)
            if sns._matches_filter_policy(subscription, message_attributes or {}, text):
                deliver(subscription["endpoint"], topic_arn, subject or None, text, protocol == "email-json")
        original(
            topic_arn,
            msg_id,
            message,
            subject,
            message_structure,
            message_attributes,
            message_group_id,
            message_dedup_id,
        )

    sns._fanout = _fanout


# -- events --------------------------------------------------------------------------------------------------------


def put_event(
    source: str, detail_type: str, detail: dict[str, Any], resources: list[str], account: str, region: str
) -> None:
    """Put an event of an AWS service on the default bus."""
    from ministack.core.responses import request_scope
    from ministack.services import eventbridge

    entry = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail), "Resources": resources}
    with request_scope(account, region):
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def filter_events(decide: Callable[[dict[str, Any], Callable[[], None]], None]) -> None:
    """Let `decide(event, deliver)` call `deliver` once, twice, later or never, for each event on any bus."""
    import contextvars

    from ministack.services import eventbridge

    original = eventbridge._dispatch_event

    def _dispatch_event(event: dict[str, Any], view: Any = None) -> None:
        context = contextvars.copy_context()  # carries account and region into a later delivery
        told = {"source": event.get("Source"), "detail-type": event.get("DetailType"), "detail": event.get("Detail")}
        decide(told, lambda: context.copy().run(original, event, view))

    eventbridge._dispatch_event = _dispatch_event


def deliver_events(deliver: Callable[[dict[str, Any], str, dict[str, Any]], bool]) -> None:
    """Hand each match of a rule to `deliver(target, payload, rule)`; where it answers False, MiniStack delivers."""
    from ministack.services import eventbridge

    original = eventbridge._invoke_target

    def _invoke_target(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None) -> None:
        view = view or eventbridge._pattern_event_view(event)
        whole = view.event_with_detail()
        if target.get("InputTransformer"):
            payload = eventbridge._apply_input_transformer(target["InputTransformer"], rule, view)
        elif target.get("Input"):
            payload = target["Input"]
        else:
            payload = json.dumps(_at_path(whole, target.get("InputPath", "$")))
        if not deliver(target, payload, rule):
            original(target, event, rule, view)

    eventbridge._invoke_target = _invoke_target


def _at_path(document: Any, path: str) -> Any:
    """Follow a path such as $.detail.key; a path that leads nowhere gives null, as EventBridge does."""
    for part in path.removeprefix("$").strip(".").split("."):
        if part:
            document = document.get(part) if isinstance(document, dict) else None
    return document


def service_may(service: str, action: str, target_arn: str, source_arn: str, account: str, region: str) -> bool:
    """Whether the target's own policy lets an AWS service act on it for `source_arn`."""
    from ministack.core import iam_evaluator
    from ministack.core.responses import request_scope
    from ministack.services import lambda_svc, sns, sqs

    kind = target_arn.split(":")[2]
    with request_scope(account, region):
        if kind == "sqs":
            return bool(sqs.queue_policy_allows(target_arn, service, source_arn, account))
        if kind == "sns":
            return bool(sns.topic_policy_allows(target_arn, service, source_arn, account))
        found = lambda_svc.function_policy_for_arn(target_arn)
        context = iam_evaluator.EvalContext(
            principal_arn="*",
            principal_type="Service",
            principal_account="",
            action=action,
            resource_arn=target_arn,
            region=region,
            service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": account},
        )
        return bool(
            found and iam_evaluator.evaluate_resource_policy(found[0], context, service=service).decision == "Allow"
        )


# -- schedules -----------------------------------------------------------------------------------------------------


def take_schedules() -> Callable[[], list[dict[str, Any]]]:
    """Stop MiniStack's own firing of schedules; return a function that lists them."""
    from ministack.services import scheduler

    def _tick_schedules() -> None:
        return None

    scheduler._tick_schedules = _tick_schedules
    return lambda: list(scheduler._schedules._data.values())


def forget_schedule(record: dict[str, Any]) -> None:
    """Remove a schedule that has done its work."""
    from ministack.services import scheduler

    for key, value in list(scheduler._schedules._data.items()):
        if value is record:
            scheduler._schedules._data.pop(key, None)


def rate_seconds(expression: str) -> int | None:
    """Seconds of a rate(…) expression, None for another kind."""
    from ministack.services import eventbridge

    seconds: int | None = eventbridge._parse_rate_seconds(expression)
    return seconds


def next_cron(expression: str, after: Any) -> Any:
    """The first datetime after `after` (same time zone) that a cron(…) expression names; None if none or not a cron."""
    from ministack.services import eventbridge

    fields = eventbridge._parse_cron_fields(expression)
    return eventbridge._cron_next_fire(fields, after) if fields is not None else None


# -- CloudFormation ------------------------------------------------------------------------------------------------


def provision(resource_type: str, provisioner: Provisioner) -> None:
    """Make, change and delete a resource type in stacks: create(logical_id, properties, stack) → (id, attributes), …"""
    from ministack.services.cloudformation import provisioners

    provisioners._RESOURCE_HANDLERS[resource_type] = {**provisioner, "update_with_logical_id": True}


def machine_properties(properties: dict[str, Any], stack: str, logical_id: str) -> tuple[str, str]:
    """Return the name and the definition (from S3 or in line, substituted) of a state machine in a template."""
    from ministack.services.cloudformation import provisioners

    name = properties.get("StateMachineName") or provisioners._physical_name(stack, logical_id, max_len=80)
    return name, provisioners._sfn_definition(properties)


def renamed(*arguments: Any) -> tuple[str, dict[str, Any]] | None:
    """Replace a resource whose name changed (see provisioners._rename_replacement); None if it did not change."""
    from ministack.services.cloudformation import provisioners

    told: tuple[str, dict[str, Any]] | None = provisioners._rename_replacement(*arguments)
    return told


def complete_tables() -> None:
    """Give tables made by stacks their TimeToLiveSpecification, which MiniStack's provisioner drops."""
    from ministack.services import dynamodb
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    create, update = handlers["create"], handlers["update"]

    def expire(table: str, properties: dict[str, Any]) -> None:
        told = properties.get("TimeToLiveSpecification")
        if told:
            enabled = str(told.get("Enabled", True)).lower() == "true"
            specification = {"AttributeName": told["AttributeName"], "Enabled": enabled}
            dynamodb._update_ttl({"TableName": table, "TimeToLiveSpecification": specification})

    def created(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        made = create(logical_id, properties, stack)
        expire(made[0], properties)
        return made

    def updated(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None = None
    ) -> Any:
        made = update(physical_id, old, new, stack, logical_id)
        expire(made[0], new)
        return made

    handlers.update(create=created, update=updated)


def complete_schedules() -> None:
    """Give schedules made by stacks their time zone, start and end, which MiniStack's provisioner drops."""
    from ministack.services import scheduler
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS["AWS::Scheduler::Schedule"]
    dropped = ("ScheduleExpressionTimezone", "StartDate", "EndDate", "KmsKeyArn", "ActionAfterCompletion")

    def complete(made: Any, properties: dict[str, Any]) -> Any:
        for (_, _, key), record in list(scheduler._schedules._data.items()):
            if key == f"{properties.get('GroupName', 'default')}/{made[0]}":
                record.update({name: properties[name] for name in dropped if name in properties})
        return made

    create, update = handlers["create"], handlers["update"]
    handlers.update(
        create=lambda logical_id, new, stack: complete(create(logical_id, new, stack), new),
        update=lambda physical_id, old, new, stack: complete(update(physical_id, old, new, stack), new),
    )


def quiet() -> None:
    """Keep MiniStack's narration out of the log: its warnings and errors only, and ours where it would repeat them."""
    for name in list(logging.root.manager.loggerDict):
        module = getattr(logging.getLogger(name), "name", "")
        if not module.startswith(("boxcar", "local")):
            logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("lambda").setLevel(logging.ERROR)
    logging.getLogger("samtranslator.metrics.metrics").setLevel(logging.ERROR)
