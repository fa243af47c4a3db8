"""`boxcar prices`: what is asked of the Price List, what is read from its answer, and what benchmarks reckon with then."""

import json
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result
from moto import mock_aws

from boxcar.benchmarks.instances import packaged_prices, read_prices
from cli.prices import prices, read_price_list
from cli.session import Session

SKU = "H6T3SYB5G6QCVMZM"


def product(*hourly: str, unit: str = "Hrs") -> str:
    """A product of GetProducts, as AWS gives it: a text (Price List Query API, example of a response)."""
    dimensions = {
        f"{SKU}.JRTCKXETXF.{number}": {
            "rateCode": f"{SKU}.JRTCKXETXF.{number}", "unit": unit, "beginRange": "0", "endRange": "Inf",
            "description": f"${price} per On Demand Linux c7i.xlarge Instance Hour", "appliesTo": [],
            "pricePerUnit": {"USD": price},
        }
        for number, price in enumerate(hourly)
    }  # fmt: skip
    term = {"sku": SKU, "offerTermCode": "JRTCKXETXF", "priceDimensions": dimensions, "termAttributes": {}}
    attributes = {"instanceType": "c7i.xlarge", "vcpu": "4", "memory": "8 GiB", "regionCode": "us-east-1"}
    return json.dumps(
        {
            "product": {"productFamily": "Compute Instance", "sku": SKU, "attributes": attributes},
            "serviceCode": "AmazonEC2",
            "terms": {"OnDemand": {f"{SKU}.JRTCKXETXF": term}, "Reserved": {}},
        }
    )


class PriceList:
    """The service `pricing`, with one page of products for each instance type."""

    def __init__(self, **products: list[str]) -> None:
        self.products = {name.replace("_", "."): found for name, found in products.items()}
        self.asked: list[dict[str, Any]] = []

    def get_paginator(self, call: str) -> "PriceList":
        assert call == "get_products"
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        self.asked.append(request)
        wanted = {one["Field"]: one["Value"] for one in request["Filters"]}
        return [{"FormatVersion": "aws_v1", "PriceList": self.products.get(wanted["instanceType"], [])}]


def test_the_hour_on_demand_is_the_price() -> None:
    client = PriceList(c7i_xlarge=[product("0.1785000000")])
    table = read_price_list(client, "us-east-1", ["c7i.xlarge"], "2026-11-26")
    assert table.usd_per_hour == {"c7i.xlarge": 0.1785}
    assert (table.date, table.region) == ("2026-11-26", "us-east-1")
    filters = {one["Field"]: one["Value"] for one in client.asked[0]["Filters"]}
    assert (filters["operatingSystem"], filters["tenancy"], filters["capacitystatus"]) == ("Linux", "Shared", "Used")


def test_what_aws_does_not_sell_there_has_no_price() -> None:
    assert read_price_list(PriceList(), "us-east-1", ["inf1.xlarge"], "d").usd_per_hour == {"inf1.xlarge": None}


def test_two_prices_are_none() -> None:
    client = PriceList(c7i_xlarge=[product("0.1785"), product("0.2")])
    assert read_price_list(client, "us-east-1", ["c7i.xlarge"], "d").usd_per_hour == {"c7i.xlarge": None}


def test_hours_paid_by_a_reservation_and_other_units_are_no_price() -> None:
    client = PriceList(c7i_xlarge=[product("0.0000000000"), product("0.1785"), product("9", unit="Quantity")])
    assert read_price_list(client, "us-east-1", ["c7i.xlarge"], "d").usd_per_hour == {"c7i.xlarge": 0.1785}


@pytest.fixture
def session(monkeypatch):
    """A stack, and a Price List that sells two types in one region."""
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        s3.create_bucket(Bucket="data")
        client = PriceList(c7i_xlarge=[product("0.2")], inf2_xlarge=[product("0.8")])
        monkeypatch.setattr("cli.prices.boto3.client", lambda service, region_name: client)
        made = Session("boxcar", local=False, _clients={"s3": s3})
        made.__dict__["outputs"] = {"BucketName": "data"}
        yield made, client


def call(session: Session, *words: str) -> Result:
    return CliRunner().invoke(prices, list(words), obj=session)


def test_benchmarks_reckon_with_refreshed_prices(session) -> None:
    stack, _ = session
    assert "0.1785 USD an hour" in call(stack, "show").output
    refreshed = call(stack, "refresh", "--region", "eu-west-1")
    assert refreshed.exit_code == 0 and refreshed.output.startswith("2 prices of ")
    assert "without a price there: c5.xlarge, " in refreshed.output
    table = read_prices(stack.client("s3"), "data")
    assert (table.region, table.usd_per_hour["c7i.xlarge"], table.usd_per_hour["inf1.xlarge"]) == (
        "eu-west-1",
        0.2,
        None,
    )
    shown = call(stack, "show").output
    assert "0.2000 USD an hour" in shown and "no price" in shown


def test_a_region_that_is_none_leaves_the_table_as_it_was(session) -> None:
    stack, client = session
    client.products.clear()
    result = call(stack, "refresh", "--region", "us-est-1")
    assert result.exit_code == 1
    assert (
        "--region: 'us-est-1': AWS's Price List has no price there; write a region such as us-east-1" in result.output
    )
    assert read_prices(stack.client("s3"), "data") == packaged_prices()
