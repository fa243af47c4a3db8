"""`boxcar prices`: what instances cost, and a fresh table from AWS's Price List."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import boto3
import click

from boxcar.benchmarks.instances import PRICES_KEY, Prices, instances, read_prices
from cli.session import Session

API_REGION = "us-east-1"  # the Price List API is in three regions alone, and tells of all
SOURCE = "AWS Price List API, AmazonEC2, on-demand, Linux, shared tenancy"


@click.group()
def prices() -> None:
    """Prices of instances: show the table that benchmarks reckon with, refresh it."""


@prices.command()
@click.pass_obj
def show(session: Session) -> None:
    """Show the table, where it comes from, and when it was read."""
    table = read_prices(session.client("s3"), session.outputs["BucketName"])
    click.echo(f"{table.source}, {table.region}, {table.date}")
    for name, price in table.usd_per_hour.items():
        click.echo(f"  {name:<14} {'no price' if price is None else f'{price:.4f} USD an hour'}")


@prices.command()
@click.option("--region", default="us-east-1", show_default=True, help="Whose prices.")
@click.pass_obj
def refresh(session: Session, region: str) -> None:
    """Ask the Price List for every instance type that is known, and let benchmarks reckon with the answer.

    Needs pricing:GetProducts. The embedded cloud has no Price List: with --local the call is AWS's all the same.
    """
    client = boto3.client("pricing", region_name=API_REGION)
    table = read_price_list(client, region, instances(), datetime.now(UTC).date().isoformat())
    if not any(table.usd_per_hour.values()):
        words = "AWS's Price List has no price there; write a region such as us-east-1. The table is as it was"
        raise click.ClickException(f"--region: {region!r}: {words}")
    body = table.model_dump_json(indent=1).encode()
    session.client("s3").put_object(Bucket=session.outputs["BucketName"], Key=PRICES_KEY, Body=body)
    missing = [name for name, price in table.usd_per_hour.items() if price is None]
    click.echo(f"{len(table.usd_per_hour) - len(missing)} prices of {table.date} for {region}")
    if missing:
        click.echo(f"without a price there: {', '.join(missing)}")


def read_price_list(client: Any, region: str, names: Iterable[str], date: str) -> Prices:
    """Ask for each instance type's on-demand price.

    Args:
        client: of the service `pricing`.
        region: whose prices.
        names: instance types.
        date: of today, YYYY-MM-DD.
    """
    found = {name: _price(client, region, name) for name in names}
    return Prices(source=SOURCE, date=date, region=region, usd_per_hour=found)


def _price(client: Any, region: str, name: str) -> float | None:
    """The one price of an hour; None if AWS has none, or several: then nobody knows which is meant.

    A product of GetProducts is a text of JSON; the prices of a term lie under names that nobody chooses
    (https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html).
    """
    wanted = {
        "instanceType": name,
        "regionCode": region,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        "licenseModel": "No License required",
    }
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
    pages = client.get_paginator("get_products").paginate(ServiceCode="AmazonEC2", Filters=filters)
    hourly = {
        float(dimension["pricePerUnit"]["USD"])
        for page in pages
        for product in page["PriceList"]
        for term in json.loads(product)["terms"].get("OnDemand", {}).values()
        for dimension in term["priceDimensions"].values()
        if dimension["unit"] == "Hrs" and "USD" in dimension["pricePerUnit"]
    }
    hourly.discard(0.0)  # what a reservation has paid for already
    return hourly.pop() if len(hourly) == 1 else None
