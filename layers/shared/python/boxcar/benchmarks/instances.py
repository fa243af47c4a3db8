"""What is known of instance types and backends: what each has, what it costs, and which goes with which."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from boxcar.errors import BenchmarkError
from boxcar.steps import Document

DATA = Path(__file__).parent / "data"
PRICES_KEY = "prices/ec2.json"  # in the data bucket: what `boxcar prices refresh` wrote goes before what is packaged
Hardware = Literal["cpu", "gpu", "inf1", "inf2"]
# Backends by what they run on; the simulated device pretends to be any.
BACKENDS: dict[str, Hardware | None] = {
    "openvino": "cpu",
    "torch": "cpu",
    "onnxruntime": "cpu",
    "cuda": "gpu",
    "neuron": "inf1",
    "neuronx": "inf2",
    "simulated": None,
}


class Instance(Document):
    """One instance type."""

    hardware: Hardware
    vcpus: int
    memory_gib: float
    cores: int  # NeuronCores, GPUs, or vCPUs
    core_memory_gib: float | None = None  # of one accelerator core; None: the instance's own memory


class Prices(Document):
    """On-demand prices, where they come from, and when they were read."""

    source: str
    date: str  # YYYY-MM-DD
    region: str
    currency: Literal["USD"] = "USD"
    usd_per_hour: dict[str, float | None]  # None: known, and without a price


@cache
def instances() -> dict[str, Instance]:
    """Every instance type that is known, by name."""
    known: dict[str, Any] = json.loads((DATA / "instances.json").read_text())["instances"]
    return {name: Instance.model_validate(fields) for name, fields in known.items()}


def packaged_prices() -> Prices:
    """The prices that come with Boxcar."""
    return Prices.model_validate_json((DATA / "prices.json").read_text())


def read_prices(s3: Any, bucket: str) -> Prices:
    """The prices that were last refreshed, else those that come with Boxcar.

    Raises:
        BenchmarkError: what lies in the bucket is no price table.
    """
    try:
        body = s3.get_object(Bucket=bucket, Key=PRICES_KEY)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return packaged_prices()
    try:
        return Prices.model_validate_json(body)
    except ValidationError as error:
        raise BenchmarkError(f"s3://{bucket}/{PRICES_KEY}: {error}; write it with `boxcar prices refresh`") from None


def family_of(instance: str) -> str:
    """`inf2` of `inf2.xlarge`."""
    return instance.partition(".")[0]


def smallest_of(family: str) -> str:
    """`c7i.xlarge` of `c7i`: where its models are compiled."""
    return min((name for name in instances() if family_of(name) == family), key=lambda name: instances()[name].vcpus)
