"""Where MiniStack matches events, delivers them, sends mail and fires schedules."""

import json
from collections.abc import Callable
from typing import Any

EXPECTED = {
    "ministack.core.responses": {
        "request_scope": "account_id region",
    },
    "ministack.core.iam_evaluator": {
        "evaluate_resource_policy": "doc ctx service named_only direct_only",
        "EvalContext": "principal_arn principal_type principal_account action resource_arn region source_ip "
        "secure_transport request_tags tag_keys service_context principal_keys",
    },
    "ministack.services.lambda_svc": {
        "function_policy_for_arn": "resource_arn",
    },
    "ministack.services.sqs": {
        "queue_policy_allows": "queue_arn service source_arn source_account",
    },
    "ministack.services.sns": {
        "_fanout": "topic_arn msg_id message subject message_structure message_attributes "
        "message_group_id message_dedup_id",
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
    },
}
CALLS = {
    "ministack.services.eventbridge._put_events": "_dispatch_event(event_record, view)",
    "ministack.services.eventbridge._dispatch_event": "_invoke_target(target, event, rule, view)",
    "ministack.services.s3._fire_s3_event": "_eb._dispatch_event(eb_event)",
    "ministack.services.sns.publish_internal": "_fanout(topic_arn, msg_id, message, subject",
    "ministack.services.scheduler._ticker_loop": "_tick_schedules()",
}


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
