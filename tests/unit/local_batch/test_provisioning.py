"""Batch resources of a stack: made, changed in place or by a revision, and taken away."""

from functools import partial

from local.batch.provisioning import Definitions, Environments, Queues, camel
from local.batch.service import Batch
from tests.unit.local_batch.conftest import Api

ENVIRONMENT = {
    "ComputeEnvironmentName": "stack-fargate",
    "Type": "MANAGED",
    "ComputeResources": {"Type": "FARGATE", "MaxvCpus": "4", "Subnets": ["a"], "SecurityGroupIds": ["b"]},
    "Tags": {"Team": "trees"},
}


def definition(image: str) -> dict:
    needs = [{"Type": "VCPU", "Value": 1}, {"Type": "MEMORY", "Value": "512"}]
    container = {"Image": image, "Environment": [{"Name": "A", "Value": "true"}], "ResourceRequirements": needs}
    return {"JobDefinitionName": "stack-python", "Type": "container", "ContainerProperties": container}


def test_names_and_numbers_of_a_template_become_the_apis():
    assert camel(ENVIRONMENT) == {
        "computeEnvironmentName": "stack-fargate",
        "type": "MANAGED",
        "computeResources": {"type": "FARGATE", "maxvCpus": 4, "subnets": ["a"], "securityGroupIds": ["b"]},
        "tags": {"Team": "trees"},
    }


def test_a_stack_is_made_changed_and_deleted(cloud):
    service = Batch(cloud)
    handle = partial(service.handle, caller_arn="arn:aws:iam::123456789012:root")
    environments, queues, definitions = Environments(handle), Queues(handle), Definitions(handle)
    api = Api(service)

    environment, attributes = environments.create("Place", ENVIRONMENT, "stack")
    assert environment.endswith(":compute-environment/stack-fargate")
    assert attributes == {"ComputeEnvironmentArn": environment}
    line = {
        "JobQueueName": "stack-python",
        "Priority": "1",
        "ComputeEnvironmentOrder": [{"Order": "1", "ComputeEnvironment": environment}],
    }
    queue, _ = queues.create("Line", line, "stack")
    first, _ = definitions.create("Python", definition("a"), "stack")
    assert first.endswith(":job-definition/stack-python:1")

    more = {**ENVIRONMENT, "ComputeResources": {**ENVIRONMENT["ComputeResources"], "MaxvCpus": 8}}
    assert environments.update(environment, ENVIRONMENT, more, "stack", "Place")[0] == environment
    [found] = api.DescribeComputeEnvironments(computeEnvironments=["stack-fargate"])["computeEnvironments"]
    assert found["computeResources"]["maxvCpus"] == 8
    queues.update(queue, line, {**line, "Priority": 5}, "stack", "Line")
    [found] = api.DescribeJobQueues(jobQueues=[queue])["jobQueues"]
    assert found["priority"] == 5
    second, _ = definitions.update(first, definition("a"), definition("b"), "stack", "Python")
    assert second.endswith(":2")
    active = api.DescribeJobDefinitions(jobDefinitionName="stack-python", status="ACTIVE")["jobDefinitions"]
    assert [one["containerProperties"]["image"] for one in active] == ["b"]

    definitions.delete(second, definition("b"))
    queues.delete(queue, line)
    environments.delete(environment, more)
    assert api.DescribeComputeEnvironments()["computeEnvironments"] == []
    assert api.DescribeJobQueues()["jobQueues"] == []
    service.close()


def test_an_environment_that_a_queue_uses_stays(api):
    api.UpdateComputeEnvironment(computeEnvironment="place", state="DISABLED")
    words = api.refused("DeleteComputeEnvironment", computeEnvironment="place")
    assert "found existing JobQueue relationship: queue" in words
