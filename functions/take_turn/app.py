"""Take the turn: one release at a time changes an endpoint; the others wait here."""

from typing import Any

from aws_lambda_powertools import Logger

from boxcar.aws import client
from boxcar.errors import named_errors
from boxcar.serving.planning import ReleasePlan
from boxcar.serving.records import Endpoint, Endpoints, Turn
from boxcar.serving.turns import Turns
from boxcar.settings import settings

logger = Logger(service="take_turn")


@named_errors
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Take `{"plan", "execution", "task_token"}`. The answer goes to the token, now or when it is this one's turn."""
    plan = ReleasePlan.model_validate(event["plan"])
    turns = Turns(Endpoints(client("dynamodb"), settings().models_table), client("stepfunctions"))
    endpoint = Endpoint(endpoint=plan.endpoint, family=plan.family, model=plan.model)
    turn = Turn(execution=event["execution"], run=plan.run, version=plan.version, token=event["task_token"])
    became = turns.take(endpoint, turn)
    logger.info("turn", endpoint=plan.endpoint, run=plan.run, became=became)
    return {"endpoint": plan.endpoint, "became": became}
