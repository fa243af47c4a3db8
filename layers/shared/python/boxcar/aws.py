"""The one place where boto3 clients are made. Domain functions take them as arguments."""

from functools import cache
from typing import Any

# Services whose Create call knows neither a client token nor unique names: a client that repeats it by itself, since
# the answer got lost, makes a second job. Whoever calls them decides what to do with an error.
ASKED_ONCE = {"batch", "glue"}


@cache
def client(service: str, attempts: int = 8) -> Any:
    """One client a service and process. Retries are adaptive: a throttled burst slows down instead of failing."""
    import boto3
    from botocore.config import Config

    retries = {"total_max_attempts": 1} if service in ASKED_ONCE else {"mode": "adaptive", "max_attempts": attempts}
    return boto3.client(service, config=Config(retries=retries))
