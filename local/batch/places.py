"""Where jobs run and how they are made: compute environments, job queues, job definitions."""

import re
from typing import Any

from local.sagemaker.store import Record, Store
from local.service import ApiError, Cloud

NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
ENVIRONMENT, QUEUE, DEFINITION = "compute-environment", "job-queue", "job-definition"
# what jobs of this cloud cannot have; refused, because running something else would be worse
DEFINITION_REFUSED = ("nodeProperties", "eksProperties", "ecsProperties", "consumableResourceProperties")


def refuse(message: str) -> ApiError:
    """What Batch calls a fault of the caller."""
    return ApiError("ClientException", message)


def not_here(field: str, instead: str) -> ApiError:
    """A request that is right for AWS and that this cloud does not implement."""
    return refuse(f"The embedded cloud does not implement {field}; {instead}.")


class Places:
    """The control plane. It never changes a job."""

    def __init__(self, cloud: Cloud, store: Store) -> None:
        self._prefix = f"arn:aws:batch:{cloud.region}:{cloud.account}"
        self._store = store
        self._cluster = f"arn:aws:ecs:{cloud.region}:{cloud.account}:cluster"

    # -- compute environments --

    def create_environment(self, request: Record) -> Record:
        """CreateComputeEnvironment, managed ones."""
        if request["type"] != "MANAGED" or "computeResources" not in request:
            raise not_here(f"type {request['type']}", "write MANAGED, with computeResources")
        resources = request["computeResources"]
        if resources.get("maxvCpus", 0) < 1:
            raise refuse("Error executing request, Exception : maxvCpus must be greater than 0")
        for field in ("subnets",):
            if not resources.get(field):
                raise refuse(f"Error executing request, Exception : {field} is required for a managed environment")
        arn = self._arn(ENVIRONMENT, request["computeEnvironmentName"])
        record = {
            "computeEnvironmentName": request["computeEnvironmentName"],
            "computeEnvironmentArn": arn,
            "ecsClusterArn": f"{self._cluster}/AWSBatch-{request['computeEnvironmentName']}",
            "tags": request.get("tags", {}),
            "type": "MANAGED",
            "state": request.get("state", "ENABLED"),
            "status": "VALID",
            "statusReason": "ComputeEnvironment Healthy",
            "computeResources": resources,
            "containerOrchestrationType": "ECS",
        }
        self._add(ENVIRONMENT, record["computeEnvironmentName"], record)
        return {name: record[name] for name in ("computeEnvironmentName", "computeEnvironmentArn")}

    def update_environment(self, request: Record) -> Record:
        """UpdateComputeEnvironment: state and resources."""
        record = self.environment(request["computeEnvironment"])
        resources = {**record["computeResources"], **request.get("computeResources", {})}
        changes = {"computeResources": resources, "state": request.get("state", record["state"])}
        self._store.change(ENVIRONMENT, record["computeEnvironmentName"], changes)
        return {name: record[name] for name in ("computeEnvironmentName", "computeEnvironmentArn")}

    def describe_environments(self, request: Record) -> Record:
        """DescribeComputeEnvironments."""
        return {"computeEnvironments": self._described(ENVIRONMENT, request.get("computeEnvironments"))}

    def delete_environment(self, request: Record) -> Record:
        """DeleteComputeEnvironment: disabled, and in no queue."""
        record = self._store.get(ENVIRONMENT, self._name(ENVIRONMENT, request["computeEnvironment"]))
        if record is None:
            return {}
        if record["state"] != "DISABLED":
            raise refuse("Cannot delete, resource is not in a DISABLED state: set it to DISABLED first")
        name, arn = record["computeEnvironmentName"], record["computeEnvironmentArn"]
        for queue in self._store.all(QUEUE):
            if any(entry["computeEnvironment"] in (name, arn) for entry in queue["computeEnvironmentOrder"]):
                raise refuse(f"Cannot delete, found existing JobQueue relationship: {queue['jobQueueName']}")
        self._store.remove(ENVIRONMENT, name)
        return {}

    def environment(self, reference: str) -> Record:
        """A compute environment by name or ARN.

        Raises:
            ApiError: there is none.
        """
        record = self._store.get(ENVIRONMENT, self._name(ENVIRONMENT, reference))
        if record is None:
            raise refuse(f"Error executing request, Exception : {reference} does not exist")
        return record

    # -- queues --

    def create_queue(self, request: Record) -> Record:
        """CreateJobQueue."""
        for field in ("schedulingPolicyArn", "serviceEnvironmentOrder", "jobStateTimeLimitActions"):
            if request.get(field):
                raise not_here(field, "leave it out")
        order = sorted(request.get("computeEnvironmentOrder", []), key=lambda entry: entry["order"])
        if not order:
            raise refuse("Error executing request, Exception : computeEnvironmentOrder must not be empty")
        for entry in order:
            self.environment(entry["computeEnvironment"])
        record = {
            "jobQueueName": request["jobQueueName"],
            "jobQueueArn": self._arn(QUEUE, request["jobQueueName"]),
            "state": request.get("state", "ENABLED"),
            "status": "VALID",
            "statusReason": "JobQueue Healthy",
            "priority": request["priority"],
            "computeEnvironmentOrder": order,
            "tags": request.get("tags", {}),
        }
        self._add(QUEUE, record["jobQueueName"], record)
        return {name: record[name] for name in ("jobQueueName", "jobQueueArn")}

    def update_queue(self, request: Record) -> Record:
        """UpdateJobQueue."""
        record = self.queue(request["jobQueue"])
        changes: Record = {
            name: request[name] for name in ("state", "priority", "computeEnvironmentOrder") if name in request
        }
        self._store.change(QUEUE, record["jobQueueName"], changes)
        return {name: record[name] for name in ("jobQueueName", "jobQueueArn")}

    def describe_queues(self, request: Record) -> Record:
        """DescribeJobQueues."""
        return {"jobQueues": self._described(QUEUE, request.get("jobQueues"))}

    def delete_queue(self, request: Record) -> Record:
        """DeleteJobQueue: disabled ones. Its jobs must have ended."""
        record = self._store.get(QUEUE, self._name(QUEUE, request["jobQueue"]))
        if record is None:
            return {}
        if record["state"] != "DISABLED":
            raise refuse("Cannot delete, resource is not in a DISABLED state: set it to DISABLED first")
        self._store.remove(QUEUE, record["jobQueueName"])
        return {}

    def queue(self, reference: str) -> Record:
        """A queue by name or ARN.

        Raises:
            ApiError: there is none.
        """
        record = self._store.get(QUEUE, self._name(QUEUE, reference))
        if record is None:
            raise refuse(f"Error executing request, Exception : JobQueue {reference} not found.")
        return record

    def queues(self) -> list[Record]:
        """All of them, the most urgent first."""
        return sorted(self._store.all(QUEUE), key=lambda queue: -int(queue["priority"]))

    # -- definitions --

    def register(self, request: Record) -> Record:
        """RegisterJobDefinition: the next revision of a name."""
        for field in DEFINITION_REFUSED:
            if request.get(field):
                raise not_here(field, "write containerProperties")
        if request["type"] != "container" or not request.get("containerProperties", {}).get("image"):
            raise not_here(f"type {request['type']}", "write type container, with containerProperties.image")
        name = request["jobDefinitionName"]
        if not NAME.fullmatch(name):
            raise _bad_name("jobDefinitionName", name)
        revision = 1 + max((int(known["revision"]) for known in self._revisions(name)), default=0)
        record = {
            "parameters": {},
            "tags": {},
            "retryStrategy": {"attempts": 1, "evaluateOnExit": []},
            "platformCapabilities": ["EC2"],
            **request,
            "jobDefinitionArn": f"{self._arn(DEFINITION, name)}:{revision}",
            "revision": revision,
            "status": "ACTIVE",
            "containerOrchestrationType": "ECS",
        }
        self._add(DEFINITION, f"{name}:{revision}", record)
        return {field: record[field] for field in ("jobDefinitionName", "jobDefinitionArn", "revision")}

    def deregister(self, request: Record) -> Record:
        """DeregisterJobDefinition: no new job takes it any more."""
        record = self.definition(request["jobDefinition"])
        self._store.change(DEFINITION, f"{record['jobDefinitionName']}:{record['revision']}", {"status": "INACTIVE"})
        return {}

    def describe_definitions(self, request: Record) -> Record:
        """DescribeJobDefinitions, newest first."""
        wanted = [self._name(DEFINITION, reference) for reference in request.get("jobDefinitions", [])]
        found = [
            record
            for record in self._store.all(DEFINITION)
            if request.get("jobDefinitionName", record["jobDefinitionName"]) == record["jobDefinitionName"]
            and request.get("status", record["status"]) == record["status"]
            and (not wanted or f"{record['jobDefinitionName']}:{record['revision']}" in wanted)
        ]
        return {"jobDefinitions": found[::-1]}

    def definition(self, reference: str) -> Record:
        """An active definition by name, name:revision or ARN; without a revision the newest.

        Raises:
            ApiError: there is none.
        """
        name, _, revision = self._name(DEFINITION, reference).partition(":")
        active = [record for record in self._revisions(name) if record["status"] == "ACTIVE"]
        found = [record for record in active if revision in ("", str(record["revision"]))]
        if not found:
            raise refuse(f"Error executing request, Exception : JobDefinition not found, {reference}")
        return found[-1]

    # -- names --

    def definition_arn(self, reference: str) -> str:
        """The ARN that IAM compares: of the name, without a revision unless one is asked for."""
        return self._arn(DEFINITION, self._name(DEFINITION, reference))

    def queue_arn(self, reference: str) -> str:
        """The ARN that IAM compares."""
        return self._arn(QUEUE, self._name(QUEUE, reference))

    def _arn(self, kind: str, name: str) -> str:
        return f"{self._prefix}:{kind}/{name}"

    def _name(self, kind: str, reference: str) -> str:
        return reference.removeprefix(f"{self._prefix}:{kind}/")

    def _add(self, kind: str, name: str, record: Record) -> None:
        if kind != DEFINITION and not NAME.fullmatch(name):
            raise _bad_name(kind, name)
        if not self._store.add(kind, name, record):
            raise refuse(f"Error executing request, Exception : Object already exists: {name}")

    def _described(self, kind: str, references: list[str] | None) -> list[Any]:
        names = [self._name(kind, reference) for reference in references or []]
        key = "jobQueueName" if kind == QUEUE else "computeEnvironmentName"
        return [record for record in self._store.all(kind) if not names or record[key] in names]

    def _revisions(self, name: str) -> list[Record]:
        return [record for record in self._store.all(DEFINITION) if record["jobDefinitionName"] == name]


def _bad_name(field: str, name: str) -> ApiError:
    return refuse(f"Error executing request, Exception : {field} {name!r} must be 1 to 128 letters, digits, - and _")
