"""Trigger a machine for somebody whose only right is to call this function, and say how the run stands."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.errors import named_errors
from boxcar.family_store import FamilyStore
from boxcar.settings import settings
from boxcar.starting import Start, look, read_question, start

logger = Logger(service="trigger_machine")


@named_errors
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer `{"run", "execution", "started"}` to a start, and how a run stands to a question."""
    states, stack = client("stepfunctions"), settings()
    asked = read_question(event)
    if not isinstance(asked, Start):
        return look(states, client("s3"), stack.bucket, stack.machines, asked)
    family = FamilyStore(client("dynamodb"), stack.models_table).asked_for
    answer = start(states, stack.machines, asked, family, datetime.now(UTC))
    logger.info("triggered", machine=asked.machine, **answer)
    return answer
