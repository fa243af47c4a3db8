"""The one place where boto3 clients are made. Domain functions take them as arguments."""

from functools import cache
from typing import Any


@cache
def client(service: str, attempts: int = 8) -> Any:
    """One client a service and process. Retries are adaptive: a throttled burst slows down instead of failing."""
    import boto3
    from botocore.config import Config

    return boto3.client(service, config=Config(retries={"mode": "adaptive", "max_attempts": attempts}))
