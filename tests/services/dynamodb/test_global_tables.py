"""Global tables of version 2017.11.29: tables that join by their name."""

from __future__ import annotations

from typing import Any

from tests.services.world import ACCOUNT, World, refusal, told

from .helpers import index, item, types
from .regions import (
    HERE,
    STREAM,
    THERE,
    YONDER,
    everything,
    in_region,
    set_region,
    table_in,
    write_in,
)

NAME = {"GlobalTableName": "orders"}


async def make_in(world: World, *regions: str, **req: Any) -> None:
    """Tables of one name."""
    for region in regions:
        await in_region(
            world, region, "create_table",
            **{
                "TableName": "orders", "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "AttributeDefinitions": types(id="S"), "BillingMode": "PAY_PER_REQUEST",
                "StreamSpecification": STREAM, **req,
            },
        )  # fmt: skip
    await world.advance(1)


async def join(world: World, *regions: str) -> Any:
    """CreateGlobalTable."""
    group = [{"RegionName": one} for one in regions]
    shown = await in_region(world, HERE, "create_global_table", **NAME, ReplicationGroup=group)
    return shown["GlobalTableDescription"]


async def update(world: World, *updates: Any) -> Any:
    """UpdateGlobalTable."""
    shown = await in_region(
        world, HERE, "update_global_table", **NAME, ReplicaUpdates=list(updates)
    )
    return shown["GlobalTableDescription"]


def plain(items: list[Any]) -> list[Any]:
    """Items without what replication writes into them."""
    return [
        {name: value for name, value in one.items() if not name.startswith("aws:rep:")}
        for one in items
    ]


@told
async def test_tables_join_and_their_items_say_who_wrote_last(world: World) -> None:
    await make_in(world, HERE, THERE)
    shown = await join(world, HERE, THERE)
    assert shown["GlobalTableArn"] == f"arn:aws:dynamodb::{ACCOUNT}:global-table/orders"
    assert [one["RegionName"] for one in shown["ReplicationGroup"]] == [HERE, THERE]
    await write_in(world, THERE, item(id="a", n=1))
    await world.advance(1)
    [found] = await everything(world, HERE)
    assert found == {
        **item(id="a", n=1),
        "aws:rep:deleting": {"BOOL": False},
        "aws:rep:updatetime": {"N": str(int(world.now.timestamp()) - 1)},
        "aws:rep:updateregion": {"S": THERE},
    }
    assert await everything(world, THERE) == [found]
    await in_region(
        world, HERE, "update_item", TableName="orders", Key=item(id="a"),
        UpdateExpression="ADD n :n", ExpressionAttributeValues={":n": {"N": "1"}},
    )  # fmt: skip
    await world.advance(1)
    [found] = await everything(world, THERE)
    assert (found["n"], found["aws:rep:updateregion"]) == ({"N": "2"}, {"S": HERE})
    for region in (HERE, THERE):
        table = await table_in(world, region)
        assert table["GlobalTableVersion"] == "2017.11.29"
        assert "Replicas" not in table
        assert table["TableSizeBytes"] > 60, "what replication writes counts, too"
    await in_region(world, THERE, "delete_item", TableName="orders", Key=item(id="a"))
    await world.advance(1)
    assert await everything(world, HERE) == []
    assert (await table_in(world, HERE))["TableSizeBytes"] == 0


@told
async def test_a_region_joins_while_all_is_empty_and_leaves_with_what_it_has(
    world: World,
) -> None:
    await make_in(world, HERE, THERE, YONDER)
    await join(world, HERE)
    shown = await update(
        world, {"Create": {"RegionName": THERE}}, {"Create": {"RegionName": YONDER}}
    )
    assert [one["RegionName"] for one in shown["ReplicationGroup"]] == [HERE, THERE, YONDER]
    await set_region(world, YONDER, "down")
    await write_in(world, THERE, item(id="a", n=1))
    shown = await update(world, {"Delete": {"RegionName": THERE}})
    assert [one["RegionName"] for one in shown["ReplicationGroup"]] == [HERE, YONDER]
    await write_in(world, THERE, item(id="b", n=1))
    await write_in(world, HERE, item(id="c", n=1))
    await world.advance(1)
    await set_region(world, YONDER, "up")
    await world.advance(10)
    assert sorted(one["id"]["S"] for one in await everything(world, THERE)) == ["a", "b"]
    for region in (HERE, YONDER):
        assert plain(await everything(world, region)) == [item(id="a", n=1), item(id="c", n=1)]
    assert "GlobalTableVersion" not in await table_in(world, THERE)
    await update(world, {"Delete": {"RegionName": HERE}}, {"Delete": {"RegionName": YONDER}})
    code, text = await refusal(in_region(world, HERE, "describe_global_table", **NAME))
    assert (code, text) == (
        "GlobalTableNotFoundException",
        "Global table with name: 'orders' does not exist.",
    )


@told
async def test_a_table_that_is_deleted_leaves_its_global_table(world: World) -> None:
    await make_in(world, HERE, THERE)
    await join(world, HERE, THERE)
    await in_region(world, THERE, "delete_table", TableName="orders")
    await world.advance(1)
    shown = await in_region(world, HERE, "describe_global_table", **NAME)
    group = shown["GlobalTableDescription"]["ReplicationGroup"]
    assert [one["RegionName"] for one in group] == [HERE]
    await in_region(world, HERE, "delete_table", TableName="orders")
    await world.advance(1)
    assert (await in_region(world, HERE, "list_global_tables"))["GlobalTables"] == []


@told
async def test_global_tables_are_listed_by_page_and_by_region(world: World) -> None:
    for name, regions in (("aaa", [HERE]), ("bbb", [HERE, THERE]), ("ccc", [THERE])):
        await make_in(world, *regions, TableName=name)
        await in_region(
            world, HERE, "create_global_table", GlobalTableName=name,
            ReplicationGroup=[{"RegionName": one} for one in regions],
        )  # fmt: skip

    async def listed(**req: Any) -> list[str]:
        found: list[str] = []
        while True:
            page = await in_region(world, HERE, "list_global_tables", Limit=1, **req)
            found += [one["GlobalTableName"] for one in page["GlobalTables"]]
            if "LastEvaluatedGlobalTableName" not in page:
                return found
            req["ExclusiveStartGlobalTableName"] = page["LastEvaluatedGlobalTableName"]

    assert await listed() == ["aaa", "bbb", "ccc"]
    assert await listed(RegionName=THERE) == ["bbb", "ccc"]
    assert await listed(RegionName=YONDER) == []


@told
async def test_what_cannot_join_is_refused(world: World) -> None:
    await make_in(world, HERE)
    assert (await refusal(join(world, HERE, THERE)))[0] == "TableNotFoundException"
    assert (await refusal(update(world, {"Create": {"RegionName": THERE}})))[0] == (
        "GlobalTableNotFoundException"
    )
    await make_in(world, THERE, StreamSpecification={"StreamEnabled": False})
    code, text = await refusal(join(world, HERE, THERE))
    assert (code, "NEW_AND_OLD_IMAGES" in text) == ("ValidationException", True)
    await make_in(
        world, YONDER, AttributeDefinitions=types(id="S", who="S"),
        GlobalSecondaryIndexes=[index("by-who", "who")],
    )  # fmt: skip
    assert "same secondary indexes" in (await refusal(join(world, HERE, YONDER)))[1]
    await make_in(world, "eu-central-1")
    await write_in(world, "eu-central-1", item(id="a"))
    assert "contain data" in (await refusal(join(world, HERE, "eu-central-1")))[1]
    await make_in(world, "eu-north-1", AttributeDefinitions=types(id="N"))
    assert "same key schema" in (await refusal(join(world, HERE, "eu-north-1")))[1]
    assert (await in_region(world, HERE, "list_global_tables"))["GlobalTables"] == []
    await join(world, HERE)
    assert (await refusal(join(world, HERE)))[0] == "GlobalTableAlreadyExistsException"
    assert (await refusal(update(world, {"Create": {"RegionName": HERE}})))[0] == (
        "ReplicaAlreadyExistsException"
    )
    assert (await refusal(update(world, {"Delete": {"RegionName": THERE}})))[0] == (
        "ReplicaNotFoundException"
    )
    call = in_region(
        world, HERE, "update_table", TableName="orders",
        ReplicaUpdates=[{"Create": {"RegionName": THERE}}],
    )  # fmt: skip
    assert "version 2017.11.29" in (await refusal(call))[1]


@told
async def test_settings_are_each_replicas_own_but_for_writes(world: World) -> None:
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    await make_in(
        world, HERE, THERE, BillingMode="PROVISIONED", ProvisionedThroughput=units,
        AttributeDefinitions=types(id="S", who="S"),
        GlobalSecondaryIndexes=[{**index("by-who", "who"), "ProvisionedThroughput": units}],
    )  # fmt: skip
    await join(world, HERE, THERE)
    await in_region(
        world, HERE, "update_global_table_settings", **NAME,
        GlobalTableProvisionedWriteCapacityUnits=20,
        GlobalTableGlobalSecondaryIndexSettingsUpdate=[
            {"IndexName": "by-who", "ProvisionedWriteCapacityUnits": 30}
        ],
        ReplicaSettingsUpdate=[{
            "RegionName": THERE, "ReplicaProvisionedReadCapacityUnits": 50,
            "ReplicaTableClass": "STANDARD_INFREQUENT_ACCESS",
            "ReplicaGlobalSecondaryIndexSettingsUpdate": [
                {"IndexName": "by-who", "ProvisionedReadCapacityUnits": 7}
            ],
        }],
    )  # fmt: skip
    await world.advance(1)
    shown = await in_region(world, THERE, "describe_global_table_settings", **NAME)
    found = {one["RegionName"]: one for one in shown["ReplicaSettings"]}
    for region, read, of_index in ((HERE, 5, 5), (THERE, 50, 7)):
        one = found[region]
        assert one["ReplicaProvisionedReadCapacityUnits"] == read
        assert one["ReplicaProvisionedWriteCapacityUnits"] == 20
        [one_index] = one["ReplicaGlobalSecondaryIndexSettings"]
        assert one_index["ProvisionedReadCapacityUnits"] == of_index
        assert one_index["ProvisionedWriteCapacityUnits"] == 30
        table = await table_in(world, region)
        assert table["ProvisionedThroughput"]["ReadCapacityUnits"] == read
    assert found[THERE]["ReplicaTableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
    await in_region(
        world, HERE, "update_global_table_settings", **NAME,
        GlobalTableBillingMode="PAY_PER_REQUEST",
    )  # fmt: skip
    await world.advance(1)
    for region in (HERE, THERE):
        mode = (await table_in(world, region))["BillingModeSummary"]["BillingMode"]
        assert mode == "PAY_PER_REQUEST"

    async def refused(**req: Any) -> str:
        call = in_region(world, HERE, "update_global_table_settings", **NAME, **req)
        return (await refusal(call))[0]

    wrong_index = [{"IndexName": "nothing", "ProvisionedWriteCapacityUnits": 1}]
    assert await refused(GlobalTableGlobalSecondaryIndexSettingsUpdate=wrong_index) == (
        "IndexNotFoundException"
    )
    assert await refused(ReplicaSettingsUpdate=[{"RegionName": YONDER}]) == (
        "ReplicaNotFoundException"
    )
    assert await refused(
        GlobalTableProvisionedWriteCapacityAutoScalingSettingsUpdate={"MinimumUnits": 1}
    ) == "NotImplemented"  # fmt: skip
