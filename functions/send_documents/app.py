"""Send documents: what was uploaded under async/input/ goes to the asynchronous endpoint."""

import json
from collections import Counter
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.documents.endings import Endings
from boxcar.documents.record import Documents, StillBeingSentError
from boxcar.documents.sending import Endpoint, Sending
from boxcar.measures import measure
from boxcar.settings import settings

logger = Logger(service="send_documents")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Take events of S3, or `{"sweep": true}`, from the queue; answer which of them are to come back."""
    stack, documents = settings(), Documents(client("dynamodb"), settings().jobs_table)
    endings = Endings(client("s3"), client("sqs"), documents, stack.bucket, stack.alarm_queue_url)
    endpoint = Endpoint(stack.documents_endpoint, stack.bucket, stack.document_most_bytes)
    sending = Sending(client("s3"), client("sagemaker-runtime"), documents, endings, endpoint)
    became, failed = Counter[str](), []
    for record in event["Records"]:
        try:
            message = json.loads(record["body"])
            if message.get("sweep"):
                logger.info("sweep", found=sending.sweep())
                measure({"Sweeps": 1}, sweep="documents")
                continue
            uploaded = message["detail"]["object"]
            became[sending.send(uploaded["key"], uploaded["sequencer"])] += 1
        except StillBeingSentError as busy:  # S3 told twice, and both at this moment
            logger.info("comes back later", message_id=record["messageId"], why=str(busy))
            failed.append({"itemIdentifier": record["messageId"]})
        except Exception:  # one bad message must not hold up the others
            logger.exception("not sent", message_id=record["messageId"], body=record["body"][:2000])
            failed.append({"itemIdentifier": record["messageId"]})
    logger.info("documents", failed=len(failed), became=dict(became))
    return {"batchItemFailures": failed}
