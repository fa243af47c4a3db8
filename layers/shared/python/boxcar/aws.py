"""The one place where boto3 clients are made. Domain functions take them as arguments."""

from functools import cache
from pathlib import Path
from typing import Any

# Services whose Create call knows neither a client token nor unique names: a client that repeats it by itself, since
# the answer got lost, makes a second job.
ASKED_ONCE = {"batch", "glue"}
# What boto3 knows of a service, where Lambda's runtime may have one that knows too little: its boto3 is months old, and
# how old depends on the region. BatchExecuteStatement has Parameters since botocore 1.42.88, of April 2026. The files
# are botocore's own, without the documentation.
MODELS = Path(__file__).parent / "service_models"


@cache
def client(service: str, attempts: int = 8) -> Any:
    """One client a service and process. Retries are adaptive: a throttled burst slows down instead of failing."""
    from botocore.config import Config

    return _client(service, Config(retries={"mode": "adaptive", "max_attempts": attempts}))


def launching_client(service: str) -> Any:
    """For whoever creates jobs: few retries, for what is refused waits in the table, and none where they would harm."""
    return client(service, attempts=0 if service in ASKED_ONCE else 3)


@cache
def prompt_client(service: str) -> Any:
    """Likewise, for somebody who waits for the answer: three tries within seconds, and then the error."""
    from botocore.config import Config

    # Not adaptive: that slows down, after a throttled call, whatever the process does next.
    return _client(service, Config(retries={"mode": "standard", "total_max_attempts": 3}))


def _client(service: str, config: Any) -> Any:
    import boto3

    if not (MODELS / service).is_dir():
        return boto3.client(service, config=config)
    import botocore.session

    core = botocore.session.get_session()
    core.get_component("data_loader").search_paths.insert(0, str(MODELS))
    return boto3.Session(botocore_session=core).client(service, config=config)
