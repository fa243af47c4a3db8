"""Dashboards: kept and shown as they are; a body that AWS would not draw is refused."""

import json
from typing import Any

from local.clock import Clock
from local.sagemaker.store import Store
from local.service import ApiError

WIDGETS = ("metric", "text", "log", "alarm", "explorer", "custom")
WIDTH = 24  # columns
LISTED = 1000
Request = dict[str, Any]


class Dashboards:
    """The dashboards part of the API. Source: CloudWatch API reference, "Dashboard Body Structure and Syntax"."""

    def __init__(self, store: Store, clock: Clock, account: str) -> None:
        self._store = store
        self._clock = clock
        self._account = account

    def put(self, request: Request) -> Request:
        """PutDashboard.

        Raises:
            ApiError: the body cannot be drawn; the message names each fault with its path.
        """
        faults = body_faults(request["DashboardBody"])
        if faults:
            raise ApiError("InvalidParameterInput", f"The dashboard body is invalid: {'; '.join(faults)}")
        name, body = request["DashboardName"], request["DashboardBody"]
        entry = {
            "DashboardName": name,
            "DashboardArn": f"arn:aws:cloudwatch::{self._account}:dashboard/{name}",
            "LastModified": self._clock.time(),
            "Size": len(body.encode()),
        }
        self._store.put("dashboard", name, {**entry, "_body": body})
        return {"DashboardValidationMessages": []}

    def get(self, request: Request) -> Request:
        """GetDashboard."""
        [found] = self._require([request["DashboardName"]])
        return {
            "DashboardName": found["DashboardName"],
            "DashboardArn": found["DashboardArn"],
            "DashboardBody": found["_body"],
        }

    def list_dashboards(self, request: Request) -> Request:
        """ListDashboards, by name."""
        prefix, start = request.get("DashboardNamePrefix", ""), int(request.get("NextToken", 0))
        found = sorted(
            (each for each in self._store.all("dashboard") if each["DashboardName"].startswith(prefix)),
            key=lambda each: each["DashboardName"],
        )
        entries = [
            {key: value for key, value in each.items() if key != "_body"} for each in found[start : start + LISTED]
        ]
        more = {"NextToken": str(start + LISTED)} if start + LISTED < len(found) else {}
        return {"DashboardEntries": entries, **more}

    def delete(self, request: Request) -> Request:
        """DeleteDashboards: all, or none when one does not exist."""
        self._require(request["DashboardNames"])
        for name in request["DashboardNames"]:
            self._store.remove("dashboard", name)
        return {}

    def _require(self, names: list[str]) -> list[Request]:
        found = [(name, self._store.get("dashboard", name)) for name in names]
        for name, each in found:
            if each is None:
                raise ApiError("ResourceNotFound", f"Dashboard {name} does not exist", 404)
        return [each for _, each in found if each is not None]


def body_faults(body: str) -> list[str]:
    """What is wrong with a dashboard body, each with its path."""
    try:
        read = json.loads(body)
    except ValueError as error:
        return [f"/: The field DashboardBody must be a valid JSON object ({error})"]
    if not isinstance(read, dict) or not isinstance(read.get("widgets"), list):
        return ["/widgets: should be an array of widgets"]
    faults = []
    for number, widget in enumerate(read["widgets"]):
        path = f"/widgets/{number}"
        if not isinstance(widget, dict) or widget.get("type") not in WIDGETS:
            faults.append(f"{path}/type: should be one of {', '.join(WIDGETS)}")
            continue
        if not isinstance(widget.get("properties"), dict):
            faults.append(f"{path}/properties: should be an object")
            continue
        if widget.get("x", 0) + widget.get("width", 6) > WIDTH:
            faults.append(f"{path}: x and width should be at most {WIDTH} together")
        faults += _property_faults(widget["type"], widget["properties"], path)
    return faults


def _property_faults(kind: str, properties: dict[str, Any], path: str) -> list[str]:
    needed = {"text": ["markdown"], "log": ["query", "region"], "alarm": ["alarms"], "metric": []}.get(kind, [])
    faults = [f"{path}/properties: should have {name}" for name in needed if name not in properties]
    if kind != "metric":
        return faults
    alarms = isinstance(properties.get("annotations"), dict) and "alarms" in properties["annotations"]
    if not isinstance(properties.get("metrics"), list) and not alarms:
        return [f"{path}/properties: should have metrics, or annotations with alarms"]
    if "region" not in properties:
        faults.append(f"{path}/properties: should have region")
    for number, metric in enumerate(properties.get("metrics", [])):
        place = f"{path}/properties/metrics/{number}"
        if not isinstance(metric, list) or not metric:
            faults.append(f"{place}: should be an array")
            continue
        names = metric[:-1] if isinstance(metric[-1], dict) else metric
        expression = isinstance(metric[-1], dict) and "expression" in metric[-1]
        if not expression and (len(names) < 2 or len(names) % 2):
            faults.append(f"{place}: should be a namespace, a name, and pairs of dimension and value")
    return faults
