"""Archive jobs: what DynamoDB let expire becomes rows of Parquet files in the data bucket."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers

from boxcar.archive import Archive
from boxcar.aws import client
from boxcar.settings import settings

logger = Logger(service="archive_jobs")
copy_config_to_registered_loggers(logger, include={"boxcar"})  # what the domain says


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take in a batch of stream records; answer which must come again: Lambda goes on at the first of them."""
    archive = Archive(client("s3"), client("sqs"), settings().bucket, settings().archive_dead_letters_url)
    failed = archive.take_in(event["Records"])
    logger.info("taken in", records=len(event["Records"]), failed=len(failed))
    return {"batchItemFailures": [{"itemIdentifier": sequence} for sequence in failed]}
