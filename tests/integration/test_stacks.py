"""Stacks through the real SAM CLI: made, changed, deleted."""

import pytest
from botocore.exceptions import ClientError

from local.client import CloudClient, wait_for
from tests.integration.conftest import Deployed, outputs_of, sam_deploy


def test_tables_made_by_a_stack_expire_their_items(deployed: Deployed) -> None:
    told = deployed.cloud.client("dynamodb").describe_time_to_live(TableName=deployed.outputs["Table"])
    assert told["TimeToLiveDescription"] == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}


def test_a_stack_is_changed_in_place_and_deleted_whole(cloud: CloudClient) -> None:
    sam_deploy(cloud, "brief")
    made = outputs_of(cloud, "brief")
    first = Deployed(cloud, "brief", made)
    assert first.call(do="look", modules=[])["payload"]["revision"] == "1"
    sam_deploy(cloud, "brief", "Revision=2")
    assert outputs_of(cloud, "brief") == made
    assert first.call(do="look", modules=[])["payload"]["revision"] == "2"

    stacks = cloud.client("cloudformation")
    stacks.delete_stack(StackName="brief")

    def gone() -> bool:
        found = stacks.list_stacks(StackStatusFilter=["DELETE_COMPLETE", "DELETE_FAILED"])["StackSummaries"]
        return any(stack["StackName"] == "brief" and stack["StackStatus"] == "DELETE_COMPLETE" for stack in found)

    wait_for(gone, 30)
    with pytest.raises(ClientError, match="StateMachineDoesNotExist"):
        cloud.client("stepfunctions").describe_state_machine(stateMachineArn=made["Machine"])
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        cloud.client("lambda").get_function(FunctionName=made["Worker"])
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        cloud.client("scheduler").get_schedule(Name="brief-weekly")
