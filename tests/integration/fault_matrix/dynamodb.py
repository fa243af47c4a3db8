"""The embedded cloud's DynamoDB in this process: moto takes three to nine times as long, and most calls are to tables."""

from typing import Any

from ministack.services import dynamodb

from tests.unit.cloudwatch.conftest import boto3_client


class _Service:
    """DynamoDB, by its HTTP."""

    def http(self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
        """Status, headers and content of the answer; DynamoDB waits for nothing."""
        try:
            dynamodb.handle_request(method, path, headers, body, query).send(None)
        except StopIteration as done:
            return done.value
        raise RuntimeError("DynamoDB waits for something")


def client() -> Any:
    """A client of boto3 that asks it; its tables are empty."""
    dynamodb.reset()
    return boto3_client(_Service(), "dynamodb")
