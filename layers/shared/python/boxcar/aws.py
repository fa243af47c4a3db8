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


@cache
def prompt_client(service: str) -> Any:
    """Likewise, for somebody who waits for the answer: three tries within seconds, and then the error."""
    import boto3
    from botocore.config import Config

    # Not adaptive: that slows down, after a throttled call, whatever the process does next.
    return boto3.client(service, config=Config(retries={"mode": "standard", "total_max_attempts": 3}))
