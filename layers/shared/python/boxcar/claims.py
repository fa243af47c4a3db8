"""One run a trigger: events are delivered at least once, training should happen once."""

import time
from typing import Any

from botocore.exceptions import ClientError

CLAIM_DAYS = 30
# A claim of a run that ended badly may be taken over, so that starting the same input again is a restart.
ENDED_BADLY = {"FAILED", "TIMED_OUT", "ABORTED"}
# Whoever says that it is a restart takes over from any run that has ended.
ENDED = {*ENDED_BADLY, "SUCCEEDED"}


class Claims:
    """Claims in the jobs table: `trigger#<digest>` → the execution that has it."""

    def __init__(self, dynamodb: Any, stepfunctions: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self._stepfunctions = stepfunctions
        self._table = table

    def take(self, claim: str, execution_arn: str, restart: bool = False) -> str | None:
        """Claim a trigger for an execution.

        Args:
            claim: digest of what makes the trigger the same one.
            execution_arn: of who claims it.
            restart: take it over from a run that succeeded, too.

        Returns:
            None when the execution has it now (also when it had it before), else the ARN of the execution that has it.
        """
        try:
            self._put(
                claim, execution_arn, "attribute_not_exists(pk) OR holder = :mine", {":mine": {"S": execution_arn}}
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            holder = self._holder(claim)
            if self._status(holder) not in (ENDED if restart else ENDED_BADLY):
                return holder
            return self._take_over(claim, execution_arn, holder)
        return None

    def _take_over(self, claim: str, execution_arn: str, holder: str) -> str | None:
        try:
            self._put(claim, execution_arn, "holder = :holder", {":holder": {"S": holder}})
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return self._holder(claim)
        return None

    def _put(self, claim: str, execution_arn: str, condition: str, values: dict[str, Any]) -> None:
        self._dynamodb.put_item(
            TableName=self._table,
            Item={
                "pk": {"S": f"trigger#{claim}"},
                "holder": {"S": execution_arn},
                "expires": {"N": str(int(time.time()) + CLAIM_DAYS * 86400)},
            },
            ConditionExpression=condition,
            ExpressionAttributeValues=values,
        )

    def _holder(self, claim: str) -> str:
        item = self._dynamodb.get_item(
            TableName=self._table, Key={"pk": {"S": f"trigger#{claim}"}}, ConsistentRead=True
        )
        holder: str = item["Item"]["holder"]["S"]
        return holder

    def _status(self, execution_arn: str) -> str:
        try:
            return str(self._stepfunctions.describe_execution(executionArn=execution_arn)["status"])
        except ClientError as error:
            if error.response["Error"]["Code"] == "ExecutionDoesNotExist":  # older than the 90 days AWS keeps
                return "FAILED"
            raise
