"""`boxcar prices refresh`: what is asked of the Price List, and what is read from its answer."""

import json
from typing import Any

from cli.prices import read_price_list

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
