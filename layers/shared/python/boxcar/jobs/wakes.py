"""Messages that wake the launcher and the monitor.

The launcher's queue is FIFO with one message group: passes never overlap.
"""

import hashlib
import json
import math
import uuid
from dataclasses import dataclass, field
from typing import Any

LONGEST_DELAY_S = 900  # of a message, by SQS


@dataclass
class Work:
    """What a pass of the launcher is to look at."""

    pools: dict[str, int] = field(default_factory=dict)  # lines -> units that became free, or are asked for
    jobs: list[str] = field(default_factory=list)  # ids whose time has come: launches left over, ends of backoffs
    new: dict[str, list[str]] = field(default_factory=dict)  # pools, by | -> ids that the index may not list yet
    everything: bool = False  # every line there is
    old: bool = False  # and those who have waited longer than they want to

    @classmethod
    def of(cls, messages: list[dict[str, Any]]) -> "Work":
        """What several wakes ask for together."""
        work = cls()
        for message in messages:
            for pool, units in message.get("pools", {}).items():
                work.pools[pool] = work.pools.get(pool, 0) + units
            work.jobs += message.get("jobs", [])
            for pools, ids in message.get("new", {}).items():
                work.new.setdefault(pools, []).extend(ids)
            unnamed = not any(name in message for name in ("pools", "jobs", "new"))
            work.everything |= unnamed or message.get("everything", False)
            work.old |= message.get("old", False)
        work.jobs = list(dict.fromkeys(work.jobs))
        return work


def wake_launcher(sqs: Any, queue_url: str, reason: str, once: str = "", **work: Any) -> None:
    """Wake it now.

    Args:
        sqs: the client.
        queue_url: of the launcher's queue.
        reason: for people who read logs.
        once: wakes with the same text within five minutes are one.
        work: fields of `Work`; none: a look at everything.
    """
    sqs.send_message(
        QueueUrl=queue_url,
        MessageBody=json.dumps({"wake": reason, **work}),
        MessageGroupId="launcher",
        MessageDeduplicationId=once or uuid.uuid4().hex,
    )


def wake_launcher_at(sqs: Any, events_queue_url: str, at: float, now: float, **work: Any) -> None:
    """Wake it at a time within the next 15 minutes; what is later is found by the sweep.

    A FIFO queue cannot delay one message, so the wake goes through the monitor's queue. The same wake for the same
    second becomes one there, or every pass that finds the same pool full would begin a chain of its own.
    """
    second = math.ceil(at)
    if second - now > LONGEST_DELAY_S:
        return
    once = f"{second}-{hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()[:16]}"
    message = {"wake": "its time has come", "once": once, **work}
    tell_monitor(sqs, events_queue_url, message, delay_s=max(0, math.ceil(second - now)))


def tell_monitor(sqs: Any, events_queue_url: str, message: dict[str, Any], delay_s: int = 0) -> None:
    """Put a message of ours among the events that the monitor hears."""
    sqs.send_message(QueueUrl=events_queue_url, MessageBody=json.dumps(message), DelaySeconds=delay_s)
