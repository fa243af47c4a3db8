"""How events reach their targets: by the target's own API, with the role or under the policy that AWS asks for.

A delivery that fails for good goes to the dead-letter queue of the rule's target or of the schedule, with the
attributes that AWS writes there. Sources: EventBridge user guide, pages "Using dead-letter queues" and "Retry policy";
EventBridge Scheduler user guide, pages "Managing targets" and "Configuring a dead-letter queue".
"""

import asyncio
import json
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from local import ministack_seam as seam
from local.service import Cloud

logger = logging.getLogger("boxcar.delivery")

WORKERS = 16
MAX_RETRIES = 185  # AWS's default and maximum
MAX_AGE_SECONDS = 86400.0
UNIVERSAL = re.compile(r"^arn:aws:scheduler:::aws-sdk:(?P<service>[^:]+):(?P<action>\w+)$")
TRANSIENT = {
    "ThrottlingException",
    "TooManyRequestsException",
    "InternalFailure",
    "ServiceUnavailable",
    "InternalError",
}
# names that Scheduler's universal targets use, where boto3's differ
CLIENTS = {"sfn": "stepfunctions", "eventbridge": "events", "redshiftdata": "redshift-data"}


@dataclass(frozen=True)
class Delivery:
    """One payload on its way to one target."""

    target: dict[str, Any]  # Arn, RoleArn, SqsParameters, RetryPolicy, DeadLetterConfig, …
    payload: str
    source_arn: str  # the rule or the schedule
    execution: str = ""  # Scheduler's execution id, empty for a rule


class NotAllowedError(Exception):
    """The target's policy does not let the service in."""


class Deliverer:
    """Delivers in the background, so that whoever put the event does not wait."""

    def __init__(self, cloud: Cloud, tell: Callable[[str, str], None] = lambda source_arn, what: None) -> None:
        """`tell(source_arn, what)` is told what is measured: attempted, erred, delivered, failed, (not) buried."""
        self._cloud = cloud
        self._tell = tell
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="delivery")

    def submit(self, delivery: Delivery) -> None:
        """Deliver soon; whatever goes wrong ends in the log and in the dead-letter queue."""
        self._pool.submit(self._deliver, delivery)

    def close(self) -> None:
        """Let go of deliveries that have not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _deliver(self, delivery: Delivery) -> None:
        policy = delivery.target.get("RetryPolicy") or {}
        retries = int(policy.get("MaximumRetryAttempts", MAX_RETRIES))
        started = self._cloud.clock.time()
        oldest = float(policy.get("MaximumEventAgeInSeconds", MAX_AGE_SECONDS))
        attempt = 0
        while True:
            self._tell(delivery.source_arn, "attempted")
            try:
                with self._cloud.clock.hold():
                    self._send(delivery)
            except Exception as error:
                self._tell(delivery.source_arn, "erred")
                code, text = _describe(error)
                age = self._cloud.clock.time() - started
                if code not in TRANSIENT or attempt >= retries or age > oldest:
                    logger.error("%s → %s failed: %s: %s", delivery.source_arn, delivery.target["Arn"], code, text)
                    self._tell(delivery.source_arn, "failed")
                    return self._bury(delivery, code, text, attempt)
                asyncio.run(self._cloud.clock.sleep(min(60.0, 2.0**attempt)))
                attempt += 1
            else:
                return self._tell(delivery.source_arn, "delivered")

    def _send(self, delivery: Delivery) -> None:
        target, payload = delivery.target, delivery.payload
        arn = target["Arn"]
        universal = UNIVERSAL.match(arn)
        if universal:
            client = self._client(delivery, CLIENTS.get(universal["service"], universal["service"]))
            action = xform_name(universal["action"][0].upper() + universal["action"][1:])
            getattr(client, action)(**json.loads(payload or "{}"))
            return
        kind = arn.split(":")[2]
        if kind == "lambda":
            self._let_in(delivery, "lambda:InvokeFunction")
            self._client(delivery, "lambda").invoke(FunctionName=arn, InvocationType="Event", Payload=payload.encode())
        elif kind == "sqs":
            self._let_in(delivery, "sqs:SendMessage")
            self._send_message(self._client(delivery, "sqs"), arn, payload, target.get("SqsParameters") or {}, {})
        elif kind == "sns":
            self._let_in(delivery, "sns:Publish")
            self._client(delivery, "sns").publish(TopicArn=arn, Message=payload)
        elif kind == "states":
            if not target.get("RoleArn"):
                raise NotAllowedError(f"target {arn} has no RoleArn; a state machine is started with a role")
            self._client(delivery, "stepfunctions").start_execution(stateMachineArn=arn, input=payload)
        elif kind == "events":
            parameters = target.get("EventBridgeParameters") or {}
            entry = {"Source": parameters.get("Source", ""), "DetailType": parameters.get("DetailType", "")}
            self._client(delivery, "events").put_events(Entries=[{**entry, "Detail": payload, "EventBusName": arn}])
        else:
            raise NotImplementedError(f"target {arn}: the embedded cloud does not deliver to {kind}")

    def _client(self, delivery: Delivery, service: str) -> Any:
        role = delivery.target.get("RoleArn")
        return (
            self._cloud.client(service, role, delivery.execution or "events") if role else self._cloud.client(service)
        )

    def _let_in(self, delivery: Delivery, action: str) -> None:
        """Without a role the service itself acts, and the target's policy decides."""
        if delivery.target.get("RoleArn"):
            return
        if not self._policy_allows(delivery, action, delivery.target["Arn"]):
            text = f"{delivery.target['Arn']} has no policy that lets events.amazonaws.com do {action}"
            raise NotAllowedError(f"{text} for {delivery.source_arn}")

    def _policy_allows(self, delivery: Delivery, action: str, arn: str) -> bool:
        source, cloud = delivery.source_arn, self._cloud
        return seam.service_may("events.amazonaws.com", action, arn, source, cloud.account, cloud.region)

    def _send_message(
        self, client: Any, arn: str, body: str, parameters: dict[str, Any], attributes: dict[str, Any]
    ) -> None:
        account, name = arn.split(":")[4:6]
        told: dict[str, Any] = {"QueueUrl": f"{self._cloud.endpoint}/{account}/{name}", "MessageBody": body}
        if parameters.get("MessageGroupId"):
            told["MessageGroupId"] = parameters["MessageGroupId"]
        if attributes:
            told["MessageAttributes"] = attributes
        client.send_message(**told)

    def _bury(self, delivery: Delivery, code: str, text: str, attempts: int) -> None:
        queue = (delivery.target.get("DeadLetterConfig") or {}).get("Arn")
        if not queue:
            return
        source = "SCHEDULE_ARN" if delivery.execution else "RULE_ARN"
        told = {
            source: delivery.source_arn,
            "TARGET_ARN": delivery.target["Arn"],
            "ERROR_CODE": code,
            "ERROR_MESSAGE": text[:1000],
            "RETRY_ATTEMPTS": str(attempts),
        }
        if delivery.execution:
            told["EXECUTION_ID"] = delivery.execution
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in told.items()}
        try:
            if not delivery.execution and not self._policy_allows(delivery, "sqs:SendMessage", queue):
                raise NotAllowedError(f"{queue} has no policy that lets events.amazonaws.com send to it")
            # a rule's dead letters are sent by the service, a schedule's with the schedule's role
            client = self._client(delivery, "sqs") if delivery.execution else self._cloud.client("sqs")
            self._send_message(client, queue, delivery.payload, {}, attributes)
        except Exception as error:
            self._tell(delivery.source_arn, "not buried")
            logger.error("%s: its dead-letter queue did not take the event: %s", delivery.source_arn, error)
        else:
            self._tell(delivery.source_arn, "buried")


def _describe(error: Exception) -> tuple[str, str]:
    """Return an error's code, as dead-letter attributes name it, and its text."""
    if isinstance(error, ClientError):
        return error.response["Error"].get("Code", "Unknown"), error.response["Error"].get("Message", str(error))
    if isinstance(error, NotAllowedError):
        return "NO_PERMISSIONS", str(error)
    return type(error).__name__, str(error)
