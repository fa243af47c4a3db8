"""State machines: what Create, Update, Delete, Describe, List, Validate tell. Methods are named as in boto3."""

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
from local.stepfunctions.paging import page
from local.stepfunctions.parse import parse
from local.stepfunctions.scopes import undefined, variables
from local.stepfunctions.store import Store
from local.stepfunctions.versions import Versions

NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")
ARN = re.compile(r"arn:aws[\w-]*:states:[\w-]+:\d{12}:stateMachine:(?P<name>[^:/]+)(:(?P<qualifier>[^:]+))?")
ROLE = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/.+")
SETTINGS: dict[str, Any] = {
    "loggingConfiguration": {"level": "OFF", "includeExecutionData": False},
    "tracingConfiguration": {"enabled": False},
    "encryptionConfiguration": {"type": "AWS_OWNED_KEY"},
}
Request = dict[str, Any]


class Machines:
    """The state machines of one account in one region."""

    def __init__(self, region: str, account: str, clock: Clock, store: Store) -> None:
        self._prefix = f"arn:aws:states:{region}:{account}:stateMachine:"
        self._clock = clock
        self._store = store
        self._programs: dict[str, Program] = {}
        self.versions = Versions(clock, store, self.get)

    def create_state_machine(self, request: Request) -> dict[str, Any]:
        """The same request again gives the same machine."""
        name, definition, role = request.get("name", ""), request.get("definition", ""), role_of(request)
        if not NAME.fullmatch(name):
            raise ApiError("InvalidName", f"Invalid Name: '{name}'")
        self.program(definition)
        arn, kind, now = self._prefix + name, request.get("type", "STANDARD"), self._clock.time()
        machine = self._store.get("machine", arn)
        if machine is None:
            settings = {key: request.get(key, default) for key, default in SETTINGS.items()}
            machine = {
                "stateMachineArn": arn, "name": name, "status": "ACTIVE", "definition": definition, "roleArn": role,
                "type": kind, "creationDate": now, "updated": now, "revisionId": "", "next_version": 1, **settings,
            }  # fmt: skip
            self._store.put("machine", arn, machine)
            self.tag_resource({"resourceArn": arn, "tags": request.get("tags", [])})
        elif (machine["definition"], machine["roleArn"], machine["type"]) != (definition, role, kind):
            raise ApiError("StateMachineAlreadyExists", f"State Machine Already Exists: '{arn}'")
        answer = {"stateMachineArn": arn, "creationDate": machine["creationDate"]}
        return answer | self._published(machine, request)

    def update_state_machine(self, request: Request) -> dict[str, Any]:
        """Executions that run keep what they started with."""
        machine = self.get(request.get("stateMachineArn", ""))
        changeable = ("definition", "roleArn", *SETTINGS)
        changed: dict[str, Any] = {key: request[key] for key in changeable if key in request}
        if not changed and not request.get("publish"):
            raise ApiError("MissingRequiredParameter", f"One of {', '.join(changeable)} must be specified")
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
        return answer | self._published(machine, request)

    def _published(self, machine: dict[str, Any], request: Request) -> dict[str, Any]:
        """The version that a create or update asked for."""
        if not request.get("publish"):
            return {}
        version = self.versions.publish(machine, request.get("versionDescription"))
        return {"stateMachineVersionArn": version["stateMachineVersionArn"]}

    def delete_state_machine(self, request: Request) -> dict[str, Any]:
        """With its versions, aliases and tags; executions that run go on."""
        arn = request.get("stateMachineArn", "")
        matched(arn)
        self.versions.forget(arn)
        self._store.remove("machine", arn)
        self._store.remove("tags", arn)
        return {}

    def describe_state_machine(self, request: Request) -> dict[str, Any]:
        """Of a machine, a version, or one of the versions an alias leads to."""
        machine, version_arn, alias_arn = self.resolve(request.get("stateMachineArn", ""))
        answer = {key: value for key, value in machine.items() if key not in ("updated", "next_version", "id")}
        answer["stateMachineArn"] = alias_arn or version_arn or machine["stateMachineArn"]
        answer["revisionId"] = answer.get("revisionId") or None
        answer["variableReferences"] = variables(self.program(machine["definition"])) or None
        return present(answer)

    def list_state_machines(self, request: Request) -> dict[str, Any]:
        """Every machine."""
        shown = ("stateMachineArn", "name", "type", "creationDate")
        machines = [{key: machine[key] for key in shown} for machine in self._store.all("machine")]
        return page(machines, request, "stateMachines")

    def validate_state_machine_definition(self, request: Request) -> dict[str, Any]:
        """Every problem, without making a machine."""
        parsed = parse(request.get("definition", ""))
        problems = list(parsed.problems)
        warned = undefined(parsed.program) if parsed.program and request.get("severity") == "WARNING" else []
        found = [
            {"severity": p.severity, "code": p.code, "message": p.message, "location": p.location}
            for p in problems + warned
        ]
        limit = request.get("maxResults") or 100
        return {"result": "FAIL" if problems else "OK", "diagnostics": found[:limit], "truncated": len(found) > limit}

    def tag_resource(self, request: Request) -> dict[str, Any]:
        """Add tags, or change them."""
        given = {tag["key"]: tag["value"] for tag in request.get("tags", [])}
        self._store.put("tags", request["resourceArn"], self._tags(request) | given)
        return {}

    def untag_resource(self, request: Request) -> dict[str, Any]:
        """Remove tags."""
        gone = request.get("tagKeys", [])
        left = {key: value for key, value in self._tags(request).items() if key not in gone}
        self._store.put("tags", request["resourceArn"], left)
        return {}

    def list_tags_for_resource(self, request: Request) -> dict[str, Any]:
        """The tags of a machine."""
        return {"tags": [{"key": key, "value": value} for key, value in self._tags(request).items()]}

    def _tags(self, request: Request) -> dict[str, str]:
        return self._store.get("tags", request.get("resourceArn", "")) or {}

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
        machine = self._store.get("machine", self._prefix + matched(arn)["name"])
        if machine is None:
            raise ApiError("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")
        return machine

    def resolve(self, arn: str) -> tuple[dict[str, Any], str | None, str | None]:
        """What a start of this ARN runs: the machine or version, and the ARNs of version and alias."""
        machine = self.get(arn)
        if not matched(arn)["qualifier"]:
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


def matched(arn: str) -> re.Match[str]:
    """The parts of a machine's ARN."""
    match = ARN.fullmatch(arn)
    if match is None:
        raise ApiError("InvalidArn", f"Invalid Arn: 'Resource type not valid in this context: {arn}'")
    return match


def role_of(request: Request) -> str:
    """The execution role of a request."""
    role = request.get("roleArn", "")
    if not ROLE.fullmatch(role):
        raise ApiError("InvalidArn", f"Invalid Role Arn: '{role}'")
    return str(role)
