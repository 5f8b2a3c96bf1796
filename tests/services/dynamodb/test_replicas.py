"""Global tables of version 2019.11.21: replicas in other Regions, and what comes to them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from doppio.kernel.records import table_of
from doppio.services.dynamodb.records import Outbox
from doppio.services.dynamodb.replication import GRAVES, STAMPS
from tests.services.world import ACCOUNT, World, finished, refusal, told

from .helpers import index, item, make
from .regions import (
    HERE,
    STREAM,
    THERE,
    YONDER,
    everything,
    in_region,
    make_global,
    replicate,
    set_region,
    table_in,
    write_in,
)


async def get_in(world: World, region: str, **key: Any) -> Any:
    """An item of a replica."""
    got = await in_region(world, region, "get_item", TableName="orders", Key=item(**key))
    return got.get("Item")


@told
async def test_a_replica_is_a_table_of_its_own_that_holds_what_the_first_one_held(
    world: World,
) -> None:
    await make(world, StreamSpecification=STREAM)
    for number in range(300):
        await write_in(world, HERE, item(id=f"{number:03d}", n=number))
    await replicate(world, THERE)
    here, there = await table_in(world, HERE), await table_in(world, THERE)
    assert (here["TableStatus"], there["TableStatus"]) == ("ACTIVE", "ACTIVE")
    assert [one["RegionName"] for one in here["Replicas"]] == [THERE]
    assert [one["RegionName"] for one in there["Replicas"]] == [HERE]
    assert here["Replicas"][0]["ReplicaStatus"] == "ACTIVE"
    assert here["GlobalTableVersion"] == there["GlobalTableVersion"] == "2019.11.21"
    assert there["TableArn"] == f"arn:aws:dynamodb:{THERE}:{ACCOUNT}:table/orders"
    assert there["TableId"] != here["TableId"]
    assert there["ItemCount"] == here["ItemCount"] == 300
    assert there["StreamSpecification"] == STREAM
    assert await everything(world, THERE) == await everything(world, HERE)


@told
async def test_what_is_written_in_one_region_comes_to_all_others_and_goes_no_further(
    world: World,
) -> None:
    await make_global(world, THERE, YONDER)
    await write_in(world, HERE, item(id="a", n=1))
    await write_in(world, THERE, item(id="b", n=2))
    await world.settle()
    await in_region(
        world, YONDER, "update_item", TableName="orders", Key=item(id="a"),
        UpdateExpression="SET n = n + :n", ExpressionAttributeValues={":n": {"N": "10"}},
    )  # fmt: skip
    await world.advance(1)
    for region in (HERE, THERE, YONDER):
        assert await everything(world, region) == [item(id="a", n=11), item(id="b", n=2)]
    await in_region(world, THERE, "delete_item", TableName="orders", Key=item(id="a"))
    await world.advance(1)
    for region in (HERE, THERE, YONDER):
        assert await everything(world, region) == [item(id="b", n=2)]
        assert (await table_in(world, region))["ItemCount"] == 1
    assert await changes_told(world, HERE) == ["INSERT", "INSERT", "MODIFY", "REMOVE"]


async def changes_told(world: World, region: str) -> list[str]:
    """What became of items, as a replica's stream tells it."""
    return [one["eventName"] for one in await told_in(world, region)]


async def told_in(world: World, region: str) -> list[Any]:
    """The records of a replica's stream."""
    arn = (await table_in(world, region))["LatestStreamArn"]
    streams = "dynamodbstreams"
    shown = await world.call(streams, "describe_stream", region=region, StreamArn=arn)
    got = await world.call(
        streams, "get_shard_iterator", region=region, StreamArn=arn,
        ShardId=shown["StreamDescription"]["Shards"][0]["ShardId"],
        ShardIteratorType="TRIM_HORIZON",
    )  # fmt: skip
    records = await world.call(
        streams, "get_records", region=region, ShardIterator=got["ShardIterator"]
    )
    found: list[Any] = records["Records"]
    return found


@told
async def test_of_two_writes_at_two_places_the_later_one_wins_everywhere(world: World) -> None:
    await make_global(world, THERE, YONDER)
    for region in (HERE, THERE, YONDER):
        await set_region(world, region, "down")
    await write_in(world, HERE, item(id="a", by="here"))
    await world.advance(1)
    await write_in(world, YONDER, item(id="a", by="yonder"))
    await write_in(world, YONDER, item(id="b", by="yonder"))
    await world.advance(1)
    await write_in(world, THERE, item(id="b", by="there"))
    await in_region(world, YONDER, "delete_item", TableName="orders", Key=item(id="b"))
    assert await get_in(world, HERE, id="b") is None, "a Region that is down hears nothing"
    for region in (HERE, THERE, YONDER):
        await set_region(world, region, "up")
    await world.advance(10)
    for region in (HERE, THERE, YONDER):
        # At the same microsecond the Region whose name is later wins: here, the delete.
        assert await everything(world, region) == [item(id="a", by="yonder")], region


@told
async def test_a_region_that_was_down_catches_up_and_the_others_did_not_wait(
    world: World,
) -> None:
    await make_global(world, THERE, YONDER)
    await set_region(world, THERE, "down")
    for number in range(250):
        await write_in(world, HERE, item(id="a", n=number))
    await world.advance(60)
    assert await get_in(world, YONDER, id="a") == item(id="a", n=249)
    assert await get_in(world, THERE, id="a") is None
    await set_region(world, THERE, "up")
    await world.advance(10)
    assert await get_in(world, THERE, id="a") == item(id="a", n=249)
    told_there = await told_in(world, THERE)
    numbers = [int(one["dynamodb"]["NewImage"]["n"]["N"]) for one in told_there]
    assert numbers == list(range(250)), "each change, in the order of its Region"


@told
async def test_a_deleted_item_does_not_come_to_life_by_an_older_change(world: World) -> None:
    await make_global(world, THERE, YONDER)
    await set_region(world, YONDER, "down")
    await write_in(world, THERE, item(id="a", n=1))
    await world.advance(1)
    await in_region(world, HERE, "delete_item", TableName="orders", Key=item(id="a"))
    await world.advance(hours=5)  # Graves are looked at meanwhile, and kept.
    await set_region(world, YONDER, "up")
    await world.advance(10)
    for region in (HERE, THERE, YONDER):
        assert await everything(world, region) == []


@told
async def test_graves_are_cleared_away_once_nothing_can_pass_them(world: World) -> None:
    await make_global(world, THERE)
    await write_in(world, HERE, item(id="a", n=1))
    await write_in(world, HERE, item(id="b", n=1))
    await world.advance(1)
    await in_region(world, THERE, "delete_item", TableName="orders", Key=item(id="a"))
    await in_region(world, HERE, "delete_item", TableName="orders", Key=item(id="b"))
    await write_in(world, HERE, item(id="b", n=2))
    await world.advance(1)
    assert await rows_of(world, GRAVES) == 2, "of one item, in two replicas"
    assert await rows_of(world, STAMPS) == 4
    await world.advance(hours=1)
    await world.advance(hours=1)
    assert await rows_of(world, GRAVES) == 0
    assert await rows_of(world, STAMPS) == 2
    assert await everything(world, THERE) == [item(id="b", n=2)]


async def rows_of(world: World, prefix: bytes) -> int:
    """How many rows of a kind lie in the store."""
    return len(await world.memory.view().scan(prefix, prefix + b"\xff", limit=1_000))


@told
async def test_settings_that_all_replicas_share_change_in_all_of_them(world: World) -> None:
    await make_global(
        world, THERE, BillingMode="PROVISIONED",
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
    )  # fmt: skip
    await in_region(
        world, HERE, "update_table", TableName="orders", ReplicaUpdates=[{"Update": {
            "RegionName": THERE, "ProvisionedThroughputOverride": {"ReadCapacityUnits": 50},
            "TableClassOverride": "STANDARD_INFREQUENT_ACCESS",
        }}],
    )  # fmt: skip
    await world.advance(1)
    [replica] = (await table_in(world, HERE))["Replicas"]
    assert replica["ProvisionedThroughputOverride"] == {"ReadCapacityUnits": 50}
    assert replica["ReplicaTableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
    await in_region(
        world, HERE, "update_table", TableName="orders", TableClass="STANDARD",
        ProvisionedThroughput={"ReadCapacityUnits": 7, "WriteCapacityUnits": 8},
        DeletionProtectionEnabled=True,
    )  # fmt: skip
    await world.advance(1)
    await in_region(
        world, THERE, "update_time_to_live", TableName="orders",
        TimeToLiveSpecification={"AttributeName": "until", "Enabled": True},
    )  # fmt: skip
    await in_region(
        world, THERE, "update_table", TableName="orders",
        AttributeDefinitions=[{"AttributeName": "who", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[{"Create": {**index("by-who", "who"), "ProvisionedThroughput":
            {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}}],
    )  # fmt: skip
    await world.advance(1)
    here, there = await table_in(world, HERE), await table_in(world, THERE)
    assert here["ProvisionedThroughput"]["ReadCapacityUnits"] == 7
    assert there["ProvisionedThroughput"]["ReadCapacityUnits"] == 50
    assert there["ProvisionedThroughput"]["WriteCapacityUnits"] == 8
    assert there["TableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
    assert here["DeletionProtectionEnabled"]
    assert not there["DeletionProtectionEnabled"]
    for shown in (here, there):
        [found] = shown["GlobalSecondaryIndexes"]
        assert (found["IndexName"], found["IndexStatus"]) == ("by-who", "ACTIVE")
    got = await in_region(world, HERE, "describe_time_to_live", TableName="orders")
    assert got["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLED"


@told
async def test_an_index_follows_what_arrives(world: World) -> None:
    await make(
        world,
        kinds={"id": "S", "who": "S"},
        StreamSpecification=STREAM,
        GlobalSecondaryIndexes=[index("by-who", "who")],
    )
    await replicate(world, THERE)
    await write_in(world, HERE, item(id="a", who="me"))
    await write_in(world, HERE, item(id="a", who="you"))
    await world.advance(1)
    got = await in_region(world, THERE, "scan", TableName="orders", IndexName="by-who")
    assert got["Items"] == [item(id="a", who="you")]


@told
async def test_what_time_deletes_goes_everywhere_and_only_its_own_region_says_so(
    world: World,
) -> None:
    await make_global(world, THERE)
    await in_region(
        world, HERE, "update_time_to_live", TableName="orders",
        TimeToLiveSpecification={"AttributeName": "until", "Enabled": True},
    )  # fmt: skip
    await set_region(world, THERE, "down")
    until = int(world.now.timestamp()) + 30
    await write_in(world, HERE, item(id="a", until=until))
    await world.advance(minutes=11)
    assert await everything(world, HERE) == []
    await set_region(world, THERE, "up")
    await world.advance(10)
    here, there = await told_in(world, HERE), await told_in(world, THERE)
    service = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
    assert here[-1]["userIdentity"] == service
    assert [one["eventName"] for one in there] == ["INSERT", "REMOVE"]
    assert "userIdentity" not in there[-1]


@told
async def test_a_replica_is_deleted_by_the_others_or_by_itself(world: World) -> None:
    await make_global(world, THERE, YONDER)
    await write_in(world, THERE, item(id="a", n=1))
    delete = {"Delete": {"RegionName": THERE}}
    await in_region(world, HERE, "update_table", TableName="orders", ReplicaUpdates=[delete])
    await world.advance(1)
    assert await everything(world, YONDER) == [item(id="a", n=1)], "its last change came"
    code, _ = await refusal(in_region(world, THERE, "describe_table", TableName="orders"))
    assert code == "ResourceNotFoundException"
    assert [one["RegionName"] for one in (await table_in(world, YONDER))["Replicas"]] == [HERE]
    code, text = await refusal(in_region(world, HERE, "delete_table", TableName="orders"))
    assert (code, text) == (
        "ValidationException",
        (
            "Replica cannot be deleted because it has acted as a source region for new replica(s) "
            "being added to the table in the last 24 hours."
        ),
    )
    await world.advance(hours=25)
    await write_in(world, HERE, item(id="b", n=2))
    await in_region(world, HERE, "delete_table", TableName="orders")
    await world.advance(1)
    assert len(await everything(world, YONDER)) == 2
    shown = await table_in(world, YONDER)
    assert "Replicas" not in shown
    assert "GlobalTableVersion" not in shown
    await write_in(world, YONDER, item(id="c", n=3))
    await world.advance(1)
    assert await rows_of(world, STAMPS) == 0
    assert await rows_of(world, table_of(Outbox).prefix) == 0


@told
async def test_a_region_gets_a_new_replica_after_the_old_one_is_gone(world: World) -> None:
    await make_global(world, THERE)
    await write_in(world, HERE, item(id="a", n=1))
    await in_region(
        world, HERE, "update_table", TableName="orders",
        ReplicaUpdates=[{"Delete": {"RegionName": THERE}}],
    )  # fmt: skip
    await world.advance(1)
    await write_in(world, HERE, item(id="b", n=1))
    await in_region(world, HERE, "delete_item", TableName="orders", Key=item(id="a"))
    await replicate(world, THERE)
    assert await everything(world, THERE) == [item(id="b", n=1)]
    await write_in(world, THERE, item(id="a", n=2))
    await world.advance(1)
    assert len(await everything(world, HERE)) == 2


@told
async def test_a_replica_hears_also_what_was_under_way_when_it_was_made(world: World) -> None:
    await make_global(world, THERE)
    await set_region(world, THERE, "down")
    await write_in(world, THERE, item(id="a", n=1))
    await replicate(world, YONDER)
    assert (await table_in(world, YONDER))["TableStatus"] == "ACTIVE"
    assert await everything(world, YONDER) == []
    await set_region(world, THERE, "up")
    await world.advance(10)
    for region in (HERE, THERE, YONDER):
        assert await everything(world, region) == [item(id="a", n=1)]


@told
async def test_a_replica_of_a_region_that_is_down_is_filled_when_it_is_up(world: World) -> None:
    await make(world, StreamSpecification=STREAM)
    await write_in(world, HERE, item(id="a", n=1))
    await set_region(world, THERE, "down")
    await replicate(world, THERE)
    [replica] = (await finished(world, table_in(world, HERE)))["Replicas"]
    assert replica["ReplicaStatus"] == "CREATING"
    code, _ = await refusal(in_region(world, THERE, "scan", TableName="orders"))
    assert code == "ResourceNotFoundException"
    await set_region(world, THERE, "up")
    await world.advance(10)
    assert await everything(world, THERE) == [item(id="a", n=1)]


@told
async def test_what_cannot_be_a_replica_is_refused(world: World) -> None:
    await make(world)

    async def refused(**req: Any) -> tuple[str, str]:
        return await refusal(in_region(world, HERE, "update_table", TableName="orders", **req))

    create = [{"Create": {"RegionName": THERE}}]
    code, text = await refused(ReplicaUpdates=create)
    assert code == "ValidationException"
    assert "NEW_AND_OLD_IMAGES" in text
    await in_region(world, HERE, "update_table", TableName="orders", StreamSpecification=STREAM)
    await world.advance(1)
    code, text = await refused(ReplicaUpdates=[{"Create": {"RegionName": HERE}}])
    assert text == (
        "One or more parameter values were invalid: Cannot add, delete, or update the local region "
        "through ReplicaUpdates. Use CreateTable, DeleteTable, or UpdateTable as required."
    )
    code, text = await refused(ReplicaUpdates=[{"Delete": {"RegionName": THERE}}])
    assert text == (
        "Replica specified in the Replica Update or Replica Delete action of the request was not "
        "found"
    )
    code, text = await refused(ReplicaUpdates=[{"Create": {"RegionName": "moon-1"}}])
    assert code == "ValidationException"
    await in_region(
        world, YONDER, "create_table", TableName="orders", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )  # fmt: skip
    await world.advance(1)
    code, text = await refused(ReplicaUpdates=[{"Create": {"RegionName": YONDER}}])
    assert text == (
        "Failed to create a the new replica of table with name: 'orders' because one or more "
        "replicas already existed as tables."
    )
    await replicate(world, THERE)
    code, text = await refused(StreamSpecification={"StreamEnabled": False})
    assert code == "ValidationException"
    assert [one["RegionName"] for one in (await table_in(world, HERE))["Replicas"]] == [THERE]


@told
async def test_a_protected_replica_is_not_deleted(world: World) -> None:
    await make_global(world, THERE)
    await in_region(
        world, THERE, "update_table", TableName="orders", DeletionProtectionEnabled=True
    )
    await world.advance(1)
    call = in_region(
        world, HERE, "update_table", TableName="orders",
        ReplicaUpdates=[{"Delete": {"RegionName": THERE}}],
    )  # fmt: skip
    assert "protected against deletion" in (await refusal(call))[1]


@told
async def test_what_arrives_is_metered_where_it_arrives(world: World) -> None:
    await make_global(world, THERE)
    await write_in(world, HERE, item(id="a", text="x" * 1500))
    await world.advance(1)
    assert await world.used("ReplicatedWriteRequestUnits") == 2.0
    assert await world.used("WriteRequestUnits") == 2.0


@told
async def test_cloudwatch_hears_how_long_changes_were_under_way(world: World) -> None:
    await make_global(world, THERE)
    await set_region(world, THERE, "down")
    await write_in(world, HERE, item(id="a"))
    await world.advance(20)
    await set_region(world, THERE, "up")
    await world.advance(10)
    await world.cloud.metrics.flush()
    got = await world.call(
        "cloudwatch", "get_metric_statistics", Namespace="AWS/DynamoDB",
        MetricName="ReplicationLatency", StartTime=world.now - timedelta(hours=1),
        EndTime=world.now + timedelta(hours=1), Period=3600, Statistics=["Maximum", "SampleCount"],
        Dimensions=[
            {"Name": "TableName", "Value": "orders"}, {"Name": "ReceivingRegion", "Value": THERE},
        ],
    )  # fmt: skip
    [point] = got["Datapoints"]
    assert point["SampleCount"] == 1
    assert 20_000 <= point["Maximum"] <= 31_000
