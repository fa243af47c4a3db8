"""Send alarms: turn each message on the alarm queue into one mail to those who can mend it."""

import json
import time
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.alarms import routine
from boxcar.alarms.delivery import StillBeingSentError, deliver
from boxcar.alarms.links import Links
from boxcar.alarms.messages import read_message
from boxcar.alarms.repeats import Repeats
from boxcar.aws import client
from boxcar.mails import Mail, publish
from boxcar.settings import settings

logger = Logger(service="send_alarms")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer which messages failed: those come back, and end among the dead letters if they fail for good."""
    failed = []
    for record in event["Records"]:
        try:
            _send(record)
        except StillBeingSentError as busy:  # the machine and EventBridge tell of a run at the same moment
            logger.info("comes back later", message_id=record["messageId"], why=str(busy))
            failed.append({"itemIdentifier": record["messageId"]})
        except Exception:  # one bad message must not hold up the others
            logger.exception("alarm not sent", message_id=record["messageId"], body=record["body"][:2000])
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def _send(record: dict[str, Any]) -> None:
    sent_at = int(record.get("attributes", {}).get("SentTimestamp", 0)) / 1000 or time.time()
    message = json.loads(record["body"])
    if isinstance(message, dict) and message.get("kind") == routine.KIND:
        count = routine.tell(client("dynamodb"), settings().jobs_table, _deliver, time.time())
        logger.info("digest", reports=count)
        return
    since = datetime.fromtimestamp(sent_at, UTC).isoformat(timespec="seconds")
    mail = read_message(message, Links.of(settings()), since)
    if mail is None:
        logger.info("told already, model by model", body=record["body"][:500])
        return
    became = _deliver(mail)
    logger.info("alarm", became=became, alarm=mail.id, audiences=mail.audiences)


def _deliver(mail: Mail) -> str:
    dynamodb, table = client("dynamodb"), settings().jobs_table
    return deliver(
        mail,
        dynamodb=dynamodb,
        table=table,
        publish=lambda mail: publish(client("sns"), settings().topic_arn, mail),
        clock=time.time,
        repeats=Repeats(dynamodb, table, settings().alarm_quiet_s, time.time),
    )
