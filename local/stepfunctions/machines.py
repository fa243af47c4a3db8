"""State machines, their versions and aliases: what Create, Update, Delete, Describe and List keep and tell."""

from __future__ import annotations

import hashlib
import random
import re
import uuid
from typing import Any

from local.clock import Clock
from local.service import ApiError
from local.stepfunctions.definition import Program
from local.stepfunctions.executions import present
from local.stepfunctions.parse import parse
from local.stepfunctions.scopes import variables
from local.stepfunctions.store import Store

NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")
ARN = re.compile(r"arn:aws[\w-]*:states:[\w-]+:\d{12}:stateMachine:(?P<name>[^:/]+)(:(?P<qualifier>[^:]+))?")


LOGGING = {"level": "OFF", "includeExecutionData": False}
CHANGEABLE = ("definition", "roleArn", "loggingConfiguration", "tracingConfiguration", "encryptionConfiguration")


class Machines:
    """The state machines of one account in one region."""

    def __init__(self, region: str, account: str, clock: Clock, store: Store) -> None:
        self._prefix = f"arn:aws:states:{region}:{account}:stateMachine:"
        self._clock = clock
        self._store = store
        self._programs: dict[str, Program] = {}

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """CreateStateMachine; the same request again gives the same machine."""
        name = request.get("name", "")
        if not NAME.fullmatch(name):
            raise ApiError("InvalidName", f"Invalid Name: '{name}'")
        definition, role = request.get("definition", ""), role_of(request)
        kind = request.get("type", "STANDARD")
        self.program(definition)
        arn = self._prefix + name
        now = self._clock.time()
        old = self._store.get("machine", arn)
        if old is not None:
            if (old["definition"], old["roleArn"], old["type"]) != (definition, role, kind):
                raise ApiError("StateMachineAlreadyExists", f"State Machine Already Exists: '{arn}'")
            machine = old
        else:
            machine = {
                "stateMachineArn": arn, "name": name, "status": "ACTIVE", "definition": definition, "roleArn": role,
                "type": kind, "creationDate": now, "updated": now, "revisionId": "",
                "loggingConfiguration": request.get("loggingConfiguration", LOGGING),
                "tracingConfiguration": request.get("tracingConfiguration", {"enabled": False}), "next_version": 1,
                "encryptionConfiguration": request.get("encryptionConfiguration", {"type": "AWS_OWNED_KEY"}),
            }  # fmt: skip
            self._store.put("machine", arn, machine)
            self.tag(arn, request.get("tags", []))
        answer = {"stateMachineArn": arn, "creationDate": machine["creationDate"]}
        if request.get("publish"):
            answer["stateMachineVersionArn"] = self.publish(machine, request.get("versionDescription"))[
                "stateMachineVersionArn"
            ]
        return answer

    def program(self, definition: str) -> Program:
        """The program of a definition, parsed once.

        Raises:
            ApiError: InvalidDefinition, with every problem.
        """
        key = hashlib.sha256(definition.encode()).hexdigest()
        if key not in self._programs:
            parsed = parse(definition)
            if parsed.program is None:
                said = ", ".join(problem.sentence() for problem in parsed.problems)
                raise ApiError("InvalidDefinition", f"Invalid State Machine Definition: '{said}'")
            self._programs[key] = parsed.program
        return self._programs[key]

    def get(self, arn: str) -> dict[str, Any]:
        """The machine of an ARN, qualified or not."""
        match = ARN.fullmatch(arn)
        if match is None:
            raise ApiError("InvalidArn", f"Invalid Arn: 'Resource type not valid in this context: {arn}'")
        machine = self._store.get("machine", self._prefix + match["name"])
        if machine is None:
            raise ApiError("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")
        return machine

    def resolve(self, arn: str) -> tuple[dict[str, Any], str | None, str | None]:
        """What a start of this ARN runs: the machine or version, and the ARNs of version and alias."""
        machine = self.get(arn)
        match = ARN.fullmatch(arn)
        assert match is not None
        if not match["qualifier"]:
            return machine, None, None
        version_arn, alias_arn = arn, None
        alias = self._store.get("alias", arn)
        if alias is not None:
            routes = alias["routingConfiguration"]
            picked = random.choices(routes, [route["weight"] for route in routes])[0]  # noqa: S311
            version_arn, alias_arn = picked["stateMachineVersionArn"], arn
        version = self._store.get("version", version_arn)
        if version is None:
            raise ApiError("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")
        return {**machine, **version}, version_arn, alias_arn

    def update(self, request: dict[str, Any]) -> dict[str, Any]:
        """UpdateStateMachine; executions that run keep what they started with."""
        machine = self.get(request.get("stateMachineArn", ""))
        changed: dict[str, Any] = {key: request[key] for key in CHANGEABLE if key in request}
        if not changed and not request.get("publish"):
            raise ApiError("MissingRequiredParameter", f"One of {', '.join(CHANGEABLE)} must be specified")
        if "definition" in changed:
            self.program(changed["definition"])
        if "roleArn" in changed:
            role_of(request)
        machine |= changed
        machine["updated"] = self._clock.time()
        if changed:
            machine["revisionId"] = str(uuid.uuid4())
        self._store.put("machine", machine["stateMachineArn"], machine)
        answer = {"updateDate": machine["updated"], "revisionId": machine["revisionId"]}
        if request.get("publish"):
            answer["stateMachineVersionArn"] = self.publish(machine, request.get("versionDescription"))[
                "stateMachineVersionArn"
            ]
        return answer

    def delete(self, arn: str) -> dict[str, Any]:
        """DeleteStateMachine, with its versions and aliases; executions that run go on."""
        match = ARN.fullmatch(arn)
        if match is None:
            raise ApiError("InvalidArn", f"Invalid Arn: 'Resource type not valid in this context: {arn}'")
        for kind in ("version", "alias"):
            for document in self.of_machine(kind, arn):
                self._store.remove(kind, document["id"])
        self._store.remove("machine", arn)
        self._store.remove("tags", arn)
        return {}

    def describe(self, arn: str) -> dict[str, Any]:
        """DescribeStateMachine, of a machine, a version or (its first version) an alias."""
        machine, version_arn, alias_arn = self.resolve(arn)
        answer = {k: v for k, v in machine.items() if k not in ("updated", "next_version", "id")}
        if version_arn:
            answer["stateMachineArn"] = alias_arn or version_arn
        if not answer.get("revisionId"):
            answer.pop("revisionId", None)
        answer["variableReferences"] = variables(self.program(machine["definition"])) or None
        return present(answer)

    def listing(self) -> list[dict[str, Any]]:
        """Every machine, as ListStateMachines shows it."""
        shown = ("stateMachineArn", "name", "type", "creationDate")
        return [{key: machine[key] for key in shown} for machine in self._store.all("machine")]

    def publish(
        self, machine: dict[str, Any], description: str | None = None, revision: str | None = None
    ) -> dict[str, Any]:
        """PublishStateMachineVersion; nothing changed since the last one gives the last one."""
        if revision is not None and revision != machine["revisionId"]:
            raise ApiError(
                "ConflictException",
                f"The current State Machine revision is not equal to the one specified: '{revision}'",
            )
        versions = self.of_machine("version", machine["stateMachineArn"])
        for version in versions:
            if (version["definition"], version["roleArn"], version["revisionId"]) == (
                machine["definition"],
                machine["roleArn"],
                machine["revisionId"],
            ):
                return {"stateMachineVersionArn": version["id"], "creationDate": version["creationDate"]}
        arn = f"{machine['stateMachineArn']}:{machine['next_version']}"
        version = {
            "id": arn, "definition": machine["definition"], "roleArn": machine["roleArn"],
            "revisionId": machine["revisionId"], "creationDate": self._clock.time(), "description": description,
        }  # fmt: skip
        machine["next_version"] += 1
        self._store.put("version", arn, version)
        self._store.put("machine", machine["stateMachineArn"], machine)
        return {"stateMachineVersionArn": arn, "creationDate": version["creationDate"]}

    def of_machine(self, kind: str, arn: str) -> list[dict[str, Any]]:
        """The versions or aliases of a machine, newest first."""
        found = [document for document in self._store.all(kind) if document["id"].rsplit(":", 1)[0] == arn]
        number = {document["id"]: document["id"].rsplit(":", 1)[1] for document in found}
        order = {name: int(suffix) if suffix.isdigit() else 0 for name, suffix in number.items()}
        return sorted(found, key=lambda document: (-document["creationDate"], -order[document["id"]]))

    def delete_version(self, arn: str) -> dict[str, Any]:
        """DeleteStateMachineVersion, unless an alias leads to it."""
        for alias in self.of_machine("alias", arn.rsplit(":", 1)[0]):
            if any(route["stateMachineVersionArn"] == arn for route in alias["routingConfiguration"]):
                raise ApiError(
                    "ConflictException",
                    "Version to be deleted must not be referenced by an alias. Current list of aliases referencing "
                    f"this version: [{alias['name']}]",
                )
        self._store.remove("version", arn)
        return {}

    def put_alias(self, request: dict[str, Any], old: dict[str, Any] | None) -> dict[str, Any]:
        """CreateStateMachineAlias and UpdateStateMachineAlias."""
        routes = request.get("routingConfiguration") or (old or {}).get("routingConfiguration", [])
        if not 1 <= len(routes) <= 2 or sum(route["weight"] for route in routes) != 100:
            raise ApiError("ValidationException", "Sum of routing configuration weights must equal 100")
        for route in routes:
            if self._store.get("version", route["stateMachineVersionArn"]) is None:
                raise ApiError(
                    "ResourceNotFound",
                    f"Request references a resource that does not exist: '{route['stateMachineVersionArn']}'",
                )
        now = self._clock.time()
        name = old["name"] if old else request.get("name", "")
        if not NAME.fullmatch(name) or name.isdigit():
            raise ApiError("ValidationException", f"Invalid alias name: '{name}'")
        arn = routes[0]["stateMachineVersionArn"].rsplit(":", 1)[0] + f":{name}"
        if old is None and (existing := self._store.get("alias", arn)) is not None:
            if existing["routingConfiguration"] != routes or existing.get("description") != request.get("description"):
                raise ApiError(
                    "ConflictException",
                    "Failed to create alias because an alias with the same name and a different routing configuration "
                    f"already exists: '{arn}'",
                )
            return {"stateMachineAliasArn": arn, "creationDate": existing["creationDate"]}
        alias = {
            "id": arn, "name": name, "routingConfiguration": routes,
            "creationDate": old["creationDate"] if old else now, "updateDate": now,
            "description": request.get("description", (old or {}).get("description")),
        }  # fmt: skip
        self._store.put("alias", arn, alias)
        return {"updateDate": now} if old else {"stateMachineAliasArn": arn, "creationDate": now}

    def alias(self, arn: str) -> dict[str, Any]:
        """An alias."""
        alias = self._store.get("alias", arn)
        if alias is None:
            raise ApiError("ResourceNotFound", f"Request references a resource that does not exist: '{arn}'")
        return alias

    def delete_alias(self, arn: str) -> dict[str, Any]:
        """DeleteStateMachineAlias."""
        self.alias(arn)
        self._store.remove("alias", arn)
        return {}

    def tag(self, arn: str, tags: list[dict[str, str]]) -> None:
        """TagResource."""
        merged = self.tags(arn) | {tag["key"]: tag["value"] for tag in tags}
        self._store.put("tags", arn, merged)

    def untag(self, arn: str, keys: list[str]) -> None:
        """UntagResource."""
        self._store.put("tags", arn, {key: value for key, value in self.tags(arn).items() if key not in keys})

    def tags(self, arn: str) -> dict[str, str]:
        """The tags of a machine."""
        return self._store.get("tags", arn) or {}


def role_of(request: dict[str, Any]) -> str:
    """The execution role of a request."""
    role = request.get("roleArn", "")
    if not re.fullmatch(r"arn:aws[\w-]*:iam::\d{12}:role/.+", role):
        raise ApiError("InvalidArn", f"Invalid Role Arn: '{role}'")
    return str(role)
