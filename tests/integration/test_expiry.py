"""Items that expire, and what their stream says of them."""

import time

import pytest

from local.client import CloudClient
from local.service import ApiError

SHARD = "shardId-00000000000000000000-00000000"
EXPIRED = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}


@pytest.fixture
def table(cloud: CloudClient) -> str:
    """A table with a time to live and a stream."""
    dynamodb, name = cloud.client("dynamodb"), f"expiring-{time.time_ns()}"
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "OLD_IMAGE"},
    )
    dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"})
    return name


def put(cloud: CloudClient, table: str, pk: str, expires: dict[str, str] | None) -> None:
    item = {"pk": {"S": pk}, **({"expires": expires} if expires else {})}
    cloud.client("dynamodb").put_item(TableName=table, Item=item)


def removed(cloud: CloudClient, table: str) -> dict[str, object]:
    """By key, who removed it."""
    streams = cloud.client("dynamodbstreams")
    [stream] = streams.list_streams(TableName=table)["Streams"]
    told = streams.get_shard_iterator(StreamArn=stream["StreamArn"], ShardId=SHARD, ShardIteratorType="TRIM_HORIZON")
    records = streams.get_records(ShardIterator=told["ShardIterator"])["Records"]
    return {
        record["dynamodb"]["OldImage"]["pk"]["S"]: record.get("userIdentity")
        for record in records
        if record["eventName"] == "REMOVE"
    }


def test_what_has_expired_is_removed_by_the_service_and_nothing_else(cloud: CloudClient, table: str) -> None:
    now = int(time.time())
    put(cloud, table, "over", {"N": str(now - 5)})
    put(cloud, table, "not yet", {"N": str(now + 500)})
    put(cloud, table, "for ever", None)
    put(cloud, table, "no number", {"S": str(now - 5)})
    put(cloud, table, "over for more than five years", {"N": str(now - 6 * 365 * 86400)})
    put(cloud, table, "deleted", {"N": str(now - 5)})
    cloud.client("dynamodb").delete_item(TableName=table, Key={"pk": {"S": "deleted"}})
    assert cloud.expire(table) == 1
    assert removed(cloud, table) == {"over": EXPIRED, "deleted": None}


def test_time_can_be_told(cloud: CloudClient, table: str) -> None:
    put(cloud, table, "later", {"N": str(int(time.time()) + 90 * 86400)})
    assert cloud.expire(table) == 0
    assert cloud.expire(table, at=time.time() + 91 * 86400) == 1
    assert cloud.client("dynamodb").scan(TableName=table)["Count"] == 0


def test_a_table_without_a_time_to_live_is_named(cloud: CloudClient) -> None:
    with pytest.raises(ApiError, match="'nowhere'"):
        cloud.expire("nowhere")
