"""Versions and aliases of state machines. Methods are named as in boto3."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from local.clock import Clock
from local.service import ApiError
from local.stepfunctions.executions import present
from local.stepfunctions.paging import page
from local.stepfunctions.store import Store

ALIAS = re.compile(r"(?=.*[a-zA-Z_\-.])[a-zA-Z0-9_\-.]{1,80}")
Request = dict[str, Any]


class Versions:
    """What is published of each machine; `machine` finds one by its ARN."""

    def __init__(self, clock: Clock, store: Store, machine: Callable[[str], dict[str, Any]]) -> None:
        self._clock = clock
        self._store = store
        self._machine = machine

    def publish_state_machine_version(self, request: Request) -> dict[str, Any]:
        """Publish what a machine is now."""
        machine = self._machine(request.get("stateMachineArn", ""))
        revision = request.get("revisionId")
        if revision is not None and revision != machine["revisionId"]:
            said = f"The current State Machine revision is not equal to the one specified: '{revision}'"
            raise ApiError("ConflictException", said)
        return self.publish(machine, request.get("description"))

    def publish(self, machine: dict[str, Any], description: str | None) -> dict[str, Any]:
        """A new version, or the last one where nothing changed since."""
        content = {key: machine[key] for key in ("definition", "roleArn", "revisionId")}
        for version in self._of("version", machine["stateMachineArn"]):
            if all(version[key] == value for key, value in content.items()):
                return {"stateMachineVersionArn": version["id"], "creationDate": version["creationDate"]}
        arn, now = f"{machine['stateMachineArn']}:{machine['next_version']}", self._clock.time()
        self._store.put("version", arn, {"id": arn, **content, "creationDate": now, "description": description})
        machine["next_version"] += 1
        self._store.put("machine", machine["stateMachineArn"], machine)
        return {"stateMachineVersionArn": arn, "creationDate": now}

    def delete_state_machine_version(self, request: Request) -> dict[str, Any]:
        """Unless an alias leads to it."""
        arn = request.get("stateMachineVersionArn", "")
        for alias in self._of("alias", arn.rsplit(":", 1)[0]):
            if any(route["stateMachineVersionArn"] == arn for route in alias["routingConfiguration"]):
                raise ApiError(
                    "ConflictException",
                    "Version to be deleted must not be referenced by an alias. Current list of aliases referencing "
                    f"this version: [{alias['name']}]",
                )
        self._store.remove("version", arn)
        return {}

    def list_state_machine_versions(self, request: Request) -> dict[str, Any]:
        """Newest first."""
        return self._listed("version", "stateMachineVersion", request)

    def list_state_machine_aliases(self, request: Request) -> dict[str, Any]:
        """Newest first."""
        return self._listed("alias", "stateMachineAlias", request)

    def create_state_machine_alias(self, request: Request) -> dict[str, Any]:
        """The same request again gives the same alias."""
        routes = self._routes(request.get("routingConfiguration", []))
        name, now = request.get("name", ""), self._clock.time()
        if not ALIAS.fullmatch(name):
            raise ApiError("ValidationException", f"Invalid alias name: '{name}'")
        arn = routes[0]["stateMachineVersionArn"].rsplit(":", 1)[0] + f":{name}"
        old = self._store.get("alias", arn)
        if old is not None:
            if (old["routingConfiguration"], old["description"]) != (routes, request.get("description")):
                raise ApiError(
                    "ConflictException",
                    "Failed to create alias because an alias with the same name and a different routing configuration "
                    f"already exists: '{arn}'",
                )
            return {"stateMachineAliasArn": arn, "creationDate": old["creationDate"]}
        alias = {"id": arn, "name": name, "routingConfiguration": routes, "description": request.get("description")}
        self._store.put("alias", arn, {**alias, "creationDate": now, "updateDate": now})
        return {"stateMachineAliasArn": arn, "creationDate": now}

    def update_state_machine_alias(self, request: Request) -> dict[str, Any]:
        """Change where an alias leads."""
        alias = self._alias(request)
        if "routingConfiguration" in request:
            alias["routingConfiguration"] = self._routes(request["routingConfiguration"])
        alias["description"] = request.get("description", alias["description"])
        alias["updateDate"] = self._clock.time()
        self._store.put("alias", alias["id"], alias)
        return {"updateDate": alias["updateDate"]}

    def describe_state_machine_alias(self, request: Request) -> dict[str, Any]:
        """Where an alias leads."""
        alias = self._alias(request)
        return present({"stateMachineAliasArn": alias.pop("id"), **alias})

    def delete_state_machine_alias(self, request: Request) -> dict[str, Any]:
        """Executions that it started go on."""
        self._store.remove("alias", self._alias(request)["id"])
        return {}

    def forget(self, arn: str) -> None:
        """Drop all versions and aliases of a machine."""
        for kind in ("version", "alias"):
            for document in self._of(kind, arn):
                self._store.remove(kind, document["id"])

    def _alias(self, request: Request) -> dict[str, Any]:
        arn = request.get("stateMachineAliasArn", "")
        alias = self._store.get("alias", arn)
        if alias is None:
            raise ApiError("ResourceNotFound", f"Request references a resource that does not exist: '{arn}'")
        return alias

    def _routes(self, routes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """One or two versions that exist, with weights that make 100."""
        if not 1 <= len(routes) <= 2 or sum(route["weight"] for route in routes) != 100:
            raise ApiError("ValidationException", "Sum of routing configuration weights must equal 100")
        for route in routes:
            arn = route["stateMachineVersionArn"]
            if self._store.get("version", arn) is None:
                raise ApiError("ResourceNotFound", f"Request references a resource that does not exist: '{arn}'")
        return routes

    def _listed(self, kind: str, field: str, request: Request) -> dict[str, Any]:
        arn = self._machine(request.get("stateMachineArn", ""))["stateMachineArn"]
        found = [{f"{field}Arn": one["id"], "creationDate": one["creationDate"]} for one in self._of(kind, arn)]
        return page(found, request, f"{field}s" if kind == "version" else f"{field}es")

    def _of(self, kind: str, arn: str) -> list[dict[str, Any]]:
        """The versions or aliases of a machine, newest first."""
        found = [document for document in self._store.all(kind) if document["id"].rsplit(":", 1)[0] == arn]

        def age(document: dict[str, Any]) -> tuple[float, int]:
            suffix = document["id"].rsplit(":", 1)[1]
            return -document["creationDate"], -int(suffix) if suffix.isdigit() else 0

        return sorted(found, key=age)
