"""Messages that wake the launcher. FIFO with one message group: passes never overlap."""

import json
import math
import uuid
from typing import Any

MOST_JOBS = 100  # a message holds 256 KB; what is not named is found by the next pass


def wake_launcher(sqs: Any, queue_url: str, reason: str, jobs: list[str] | None = None, once: str = "") -> None:
    """Wake it now.

    Args:
        sqs: the client.
        queue_url: of the launcher's queue.
        reason: for people who read logs.
        jobs: ids of jobs that became ready just now: the index may not list them yet.
        once: wakes with the same text within five minutes are one.
    """
    sqs.send_message(
        QueueUrl=queue_url,
        MessageBody=json.dumps({"wake": reason, "jobs": (jobs or [])[:MOST_JOBS]}),
        MessageGroupId="launcher",
        MessageDeduplicationId=once or uuid.uuid4().hex,
    )


def wake_launcher_at(sqs: Any, events_queue_url: str, at: float, now: float) -> None:
    """Wake it at a time within the next 15 minutes.

    A FIFO queue cannot delay one message, so the wake goes through the monitor's queue. Wakes for the same second
    become one there, or every pass that finds the same job waiting would begin a chain of its own.
    """
    second = math.ceil(at)
    sqs.send_message(
        QueueUrl=events_queue_url,
        MessageBody=json.dumps({"wake": "a backoff has ended", "once": f"at-{second}"}),
        DelaySeconds=max(0, min(900, math.ceil(second - now))),
    )
