"""The queues of a stack, and how what nobody could take is delivered again."""

from collections.abc import Iterator
from typing import Any

import click

from cli.session import Session

# Queues of a stack, without its name; each dead letter's way back.
QUEUES = (
    "alarms", "alarm-dead-letters", "monitor", "monitor-dead-letters", "launch.fifo", "launch-dead-letters.fifo",
    "start-dead-letters", "archive-dead-letters", "documents", "documents-dead-letters", "answers",
    "answers-dead-letters", "retraining", "retraining-dead-letters",
    "scores", "scores-dead-letters",
)  # fmt: skip
PATHS = {
    "alarm": ("alarm-dead-letters", "alarms"),
    "monitor": ("monitor-dead-letters", "monitor"),
    "launch": ("launch-dead-letters.fifo", "launch.fifo"),
    "documents": ("documents-dead-letters", "documents"),
    "answers": ("answers-dead-letters", "answers"),
    "retraining": ("retraining-dead-letters", "retraining"),
    "scores": ("scores-dead-letters", "scores"),
    "start": ("start-dead-letters", ""),  # each says itself where it was going
}
OPTIONAL = {"documents", "documents-dead-letters", "answers", "answers-dead-letters"}  # not without `boxcar async on`
DEAD = {
    "alarm-dead-letters": "see the log of send-alarms, then `boxcar alarms redeliver`",
    "monitor-dead-letters": "see the log of monitor-jobs, then `boxcar alarms redeliver monitor`",
    "launch-dead-letters.fifo": "see the log of launch-jobs, then `boxcar alarms redeliver launch`",
    "start-dead-letters": "see `boxcar alarms redeliver start --dry-run`, mend it, then without --dry-run",
    "documents-dead-letters": "see the log of send-documents, then `boxcar alarms redeliver documents`",
    "answers-dead-letters": "see the log of collect-answers, then `boxcar alarms redeliver answers`",
    "retraining-dead-letters": "see the log of check-retraining, then `boxcar alarms redeliver retraining`",
    "scores-dead-letters": "see the log of measure-scores, then `boxcar alarms redeliver scores`",
    "archive-dead-letters": "docs/job-history.md says what to do",
}
HELD_S = 60  # a letter that is looked at stays hidden from others so long


def counts(session: Session) -> list[dict[str, Any]]:
    """How many messages each queue holds, about."""
    sqs, found = session.client("sqs"), []
    for name in QUEUES:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        try:
            url = _url(session, name)
        except sqs.exceptions.QueueDoesNotExist:
            if name not in OPTIONAL:
                raise
            continue
        known = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        found.append({"queue": name, "waiting": int(known[names[0]]), "in_work": int(known[names[1]])})
    return found


def redeliver(session: Session, path: str, dry_run: bool) -> Iterator[str]:
    """Deliver the dead letters of a path again, each removed after it was; the bodies, one by one.

    Raises:
        click.ClickException: a letter does not say where it was going.
    """
    source, target = PATHS[path]
    sqs, url = session.client("sqs"), _url(session, source)
    seen: set[str] = set()
    while True:
        answer = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=HELD_S, MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )  # fmt: skip
        letters = [letter for letter in answer.get("Messages", []) if letter["MessageId"] not in seen]
        if not letters:
            return
        for letter in letters:
            seen.add(letter["MessageId"])
            if not dry_run:
                _deliver(session, letter, target)
                sqs.delete_message(QueueUrl=url, ReceiptHandle=letter["ReceiptHandle"])
            yield letter["Body"]


def _deliver(session: Session, letter: dict[str, Any], target: str) -> None:
    sqs = session.client("sqs")
    if target.endswith(".fifo"):
        known = letter["Attributes"]
        sqs.send_message(
            QueueUrl=_url(session, target), MessageBody=letter["Body"], MessageGroupId=known["MessageGroupId"],
            MessageDeduplicationId=f"again-{letter['MessageId']}",
        )  # fmt: skip
    elif target:
        sqs.send_message(QueueUrl=_url(session, target), MessageBody=letter["Body"])
    else:
        # EventBridge and its Scheduler write beside a dead letter where it was going.
        arn = letter.get("MessageAttributes", {}).get("TARGET_ARN", {}).get("StringValue", "")
        service = arn.split(":")[2] if arn.count(":") >= 5 else ""
        if service == "states":
            session.client("stepfunctions").start_execution(stateMachineArn=arn, input=letter["Body"])
        elif service == "sqs":
            url = sqs.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
            sqs.send_message(QueueUrl=url, MessageBody=letter["Body"])
        else:
            raise click.ClickException(f"a dead letter goes to {arn or 'nowhere'}: {letter['Body'][:200]}")


def _url(session: Session, name: str) -> str:
    url: str = session.client("sqs").get_queue_url(QueueName=f"{session.stack}-{name}")["QueueUrl"]
    return url
