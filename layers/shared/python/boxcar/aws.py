"""The one place where boto3 clients are made. Domain functions take them as arguments."""

from functools import cache
from typing import Any

# Services whose Create call knows neither a client token nor unique names: a client that repeats it by itself, since
# the answer got lost, makes a second job.
ASKED_ONCE = {"batch", "glue"}


@cache
def client(service: str, attempts: int = 8) -> Any:
    """One client a service and process. Retries are adaptive: a throttled burst slows down instead of failing."""
    import boto3
    from botocore.config import Config

    return boto3.client(service, config=Config(retries={"mode": "adaptive", "max_attempts": attempts}))


def launching_client(service: str) -> Any:
    """For whoever creates jobs: few retries, for what is refused waits in the table, and none where they would harm."""
    return client(service, attempts=0 if service in ASKED_ONCE else 3)


@cache
def prompt_client(service: str) -> Any:
    """Likewise, for somebody who waits for the answer: three tries within seconds, and then the error."""
    import boto3
    from botocore.config import Config

    # Not adaptive: that slows down, after a throttled call, whatever the process does next.
    return boto3.client(service, config=Config(retries={"mode": "standard", "total_max_attempts": 3}))
