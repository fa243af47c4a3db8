"""Send alarms: turn each message on the alarm queue into one mail to those who can mend it."""

import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.alarms import routine
from boxcar.alarms.channels import SlackChannel
from boxcar.alarms.delivery import StillBeingSentError, deliver
from boxcar.alarms.links import Links
from boxcar.alarms.messages import read_message
from boxcar.alarms.repeats import Repeats
from boxcar.alarms.reviews import without_tokens
from boxcar.aws import client
from boxcar.mails import Mail, publish
from boxcar.measures import measure
from boxcar.settings import settings
from boxcar.slack import read_secret
from boxcar.watches import Watches

logger = Logger(service="send_alarms")
MEASURED = {"sent": "AlarmsSent", "counted": "AlarmsCounted", "put by": "AlarmsPutBy"}


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer which messages failed: those come back, and end among the dead letters if they fail for good."""
    failed = []
    sender = Sender()
    for record in event["Records"]:
        try:
            sender.take_in(record)
        except StillBeingSentError as busy:  # the machine and EventBridge tell of a run at the same moment
            logger.info("comes back later", message_id=record["messageId"], why=str(busy))
            failed.append({"itemIdentifier": record["messageId"]})
        except Exception:  # one bad message must not hold up the others
            logger.exception(
                "alarm not sent", message_id=record["messageId"], body=without_tokens(record["body"])[:2000]
            )
            failed.append({"itemIdentifier": record["messageId"]})
    measure({**sender.became, **({"AlarmsFailed": len(failed)} if failed else {})})
    return {"batchItemFailures": failed}


class Sender:
    """What one batch of messages needs."""

    def __init__(self) -> None:
        self.became: Counter[str] = Counter()  # metrics
        self._dynamodb, self._table = client("dynamodb"), settings().jobs_table
        self._repeats = Repeats(self._dynamodb, self._table, settings().alarm_quiet_s, time.time)
        self._channels: dict[str, Callable[[Mail], None]] = {
            "mail": lambda mail: publish(client("sns"), settings().topic_arn, mail)
        }
        if arn := settings().slack_secret_arn:
            self._channels["slack"] = SlackChannel(
                lambda: read_secret(client("secretsmanager"), arn).webhook_url, time.monotonic
            )

    def take_in(self, record: dict[str, Any]) -> None:
        """See to one message."""
        message = json.loads(record["body"])
        if isinstance(message, dict) and message.get("kind") == routine.KIND:
            count = routine.tell(self._dynamodb, self._table, self._deliver, time.time())
            logger.info("digest", reports=count)
            Watches(self._dynamodb, self._table).note_fired(message, time.time())
            return
        sent_at = int(record.get("attributes", {}).get("SentTimestamp", 0)) / 1000 or time.time()
        since = datetime.fromtimestamp(sent_at, UTC).isoformat(timespec="seconds")
        mail = read_message(message, Links.of(settings()), since)
        if mail is None:
            logger.info("told already, model by model", body=record["body"][:500])
            return
        logger.info("alarm", became=self._deliver(mail), alarm=mail.id, audiences=mail.audiences)

    def _deliver(self, mail: Mail) -> str:
        became = deliver(
            mail,
            dynamodb=self._dynamodb,
            table=self._table,
            channels=self._channels,
            clock=time.time,
            repeats=self._repeats,
        )
        if became in MEASURED:
            self.became[MEASURED[became]] += 1
        return became
