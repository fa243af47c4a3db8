"""What MiniStack's services would measure of themselves: told to CloudWatch in place of its own."""

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

EXPECTED = {
    "ministack.services.cloudwatch": {
        "record_metric": "namespace metric_name value unit dimensions",
    },
    "ministack.services.sqs": {
        "time": "module",
        "_HANDLERS": "dict",
        "_queues": "AccountRegionScopedDict",
        "_refresh_counts": "q",
        "_act_send_message": "data qurl",
        "_act_delete_message": "data qurl",
        "_act_delete_message_batch": "data qurl",
        "_collect_msgs": "q max_n vis_timeout",
        "_delete_messages_for_esm": "queue_url receipt_handles",
        "_queue_by_arn": "arn",
    },
    "ministack.services.sns": {
        "_deliver_to_sqs": "endpoint envelope raw raw_message message_group_id message_dedup_id "
        "message_attributes topic_arn",
    },
}
CALLS = {
    "ministack.services.sqs._act_send_message_batch": "r = _act_send_message(sub, url)",
    "ministack.services.sqs._act_receive_message": "msgs = _collect_msgs(q, max_n, vis)",
    "ministack.services.sqs._receive_messages_for_esm": "return _collect_msgs(q, max_n, vis)",
}
Tell = Callable[[str, str, int | None], None]  # queue, what happened, bytes


@dataclass(frozen=True)
class QueueState:
    """How one queue is now: counts of messages, and the age of the oldest in seconds (None when empty)."""

    name: str
    visible: int
    in_flight: int
    delayed: int
    oldest: float | None


def silence_metrics() -> None:
    """Keep MiniStack from recording metrics that nobody would read."""
    from ministack.services import cloudwatch

    def record_metric(
        namespace: str, metric_name: str, value: float, unit: str = "None", dimensions: dict[str, str] | None = None
    ) -> None:
        return None

    cloudwatch.record_metric = record_metric


class Queues:
    """The queues of one cloud, looked at and listened to."""

    def __init__(self, account: str, region: str) -> None:
        self._scope = (account, region)
        self._buried: dict[str, float] = {}  # messages in dead-letter queues by id: when they were first seen there
        self._lock = threading.Lock()

    def states(self) -> list[QueueState]:
        """How every queue is now."""
        from ministack.services import sqs

        with self._lock:
            seen: dict[str, float] = {}
            found = [self._state(queue, seen) for key, queue in list(sqs._queues.all_items()) if key[:2] == self._scope]
            self._buried = seen
        return found

    def _state(self, queue: dict[str, Any], seen: dict[str, float]) -> QueueState:
        from ministack.services import sqs

        sqs._refresh_counts(queue)
        now = sqs.time.time()
        since = []
        for message in list(queue["messages"]):
            sent = message.get("sent_at", now)
            if "DeadLetterQueueSourceArn" in message.get("sys", {}):
                # of a dead letter, AWS counts from when it was moved
                sent = seen[message["id"]] = self._buried.get(message["id"], now)
            since.append(sent)
        attributes = queue["attributes"]
        return QueueState(
            name=_name(queue),
            visible=int(attributes["ApproximateNumberOfMessages"]),
            in_flight=int(attributes["ApproximateNumberOfMessagesNotVisible"]),
            delayed=int(attributes["ApproximateNumberOfMessagesDelayed"]),
            oldest=max(0.0, now - min(since)) if since else None,
        )


def watch_queues(tell: Tell) -> None:
    """Call `tell(queue, metric, bytes)` for each message sent, received and deleted, and each empty receive.

    A message that a redrive policy moves is not sent, as on AWS.
    """
    from ministack.services import sns, sqs

    send, delete, delete_batch = sqs._act_send_message, sqs._act_delete_message, sqs._act_delete_message_batch
    collect, delete_read, fan_out = sqs._collect_msgs, sqs._delete_messages_for_esm, sns._deliver_to_sqs

    @functools.wraps(send)
    def _act_send_message(data: dict[str, Any], qurl: str) -> Any:
        answer = send(data, qurl)
        size = len(str(data.get("MessageBody", "")).encode())
        tell(_of_url(data.get("QueueUrl", qurl)), "NumberOfMessagesSent", size)
        return answer

    @functools.wraps(fan_out)
    def _deliver_to_sqs(endpoint: str, envelope: str, raw: bool, raw_message: str, *rest: Any, **more: Any) -> Any:
        queue = sqs._queue_by_arn(endpoint)
        before = len(queue["messages"]) if queue else 0
        answer = fan_out(endpoint, envelope, raw, raw_message, *rest, **more)
        if queue and len(queue["messages"]) > before:
            tell(_name(queue), "NumberOfMessagesSent", len((raw_message if raw else envelope).encode()))
        return answer

    @functools.wraps(collect)
    def _collect_msgs(q: dict[str, Any], max_n: int, vis_timeout: int) -> Any:
        found = collect(q, max_n, vis_timeout)
        for _ in found:
            tell(_name(q), "NumberOfMessagesReceived", None)
        if not found:
            tell(_name(q), "NumberOfEmptyReceives", None)
        return found

    @functools.wraps(delete)
    def _act_delete_message(data: dict[str, Any], qurl: str) -> Any:
        answer = delete(data, qurl)
        tell(_of_url(data.get("QueueUrl", qurl)), "NumberOfMessagesDeleted", None)
        return answer

    @functools.wraps(delete_batch)
    def _act_delete_message_batch(data: dict[str, Any], qurl: str) -> Any:
        answer = delete_batch(data, qurl)
        for _ in answer["Successful"]:
            tell(_of_url(data.get("QueueUrl", qurl)), "NumberOfMessagesDeleted", None)
        return answer

    @functools.wraps(delete_read)
    def _delete_messages_for_esm(queue_url: str, receipt_handles: set[str]) -> None:
        delete_read(queue_url, receipt_handles)
        for _ in receipt_handles:
            tell(_of_url(queue_url), "NumberOfMessagesDeleted", None)

    sns._deliver_to_sqs = _deliver_to_sqs
    sqs._act_send_message, sqs._collect_msgs = _act_send_message, _collect_msgs
    sqs._act_delete_message, sqs._act_delete_message_batch = _act_delete_message, _act_delete_message_batch
    sqs._delete_messages_for_esm = _delete_messages_for_esm
    sqs._HANDLERS.update(
        SendMessage=_act_send_message, DeleteMessage=_act_delete_message, DeleteMessageBatch=_act_delete_message_batch
    )


def _name(queue: dict[str, Any]) -> str:
    return str(queue["attributes"]["QueueArn"]).rpartition(":")[2]


def _of_url(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2]
