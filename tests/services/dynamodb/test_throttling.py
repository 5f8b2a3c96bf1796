"""Realistic throughput: reads and writes that have to wait for capacity."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config

from doppio.app import Cloud as App
from doppio.app import Settings
from doppio.kernel.memory_store import MemoryStore
from doppio.testing import Cloud
from tests.services.world import World, refusal, refused, told

from .helpers import arn, caller, described, get, index, item, key_of, make, put, types
from .test_measures import summed

REALISTIC = [{"Key": "doppio:throughput", "Value": "realistic"}]
EXCEEDED = (
    "The level of configured provisioned throughput for the table was exceeded. Consider "
    "increasing your provisioning level with the UpdateTable API."
)
# Two of these take all that a unit of capacity has saved in five minutes.
HEAVY = "x" * (150 * 1024 - 100)


async def small(world: World, read: int = 1, write: int = 1, **req: Any) -> None:
    """A table of so much capacity, that throttles."""
    bought = {"ReadCapacityUnits": read, "WriteCapacityUnits": write}
    req = {"BillingMode": "PROVISIONED", "ProvisionedThroughput": bought, "Tags": REALISTIC, **req}
    await make(world, **req)


async def spend(world: World, **more: Any) -> None:
    """Write 300 units, which is all the credit there is."""
    for name in ("1", "2"):
        await put(world, id=name, x=HEAVY, **more)


@told
async def test_writes_beyond_the_credit_are_throttled_until_time_has_passed(world: World) -> None:
    await small(world)
    await spend(world)
    error = await refused(put(world, id="3"))
    assert (error.code, error.message) == (
        "ProvisionedThroughputExceededException",
        EXCEEDED,
    )
    assert error.fields["ThrottlingReasons"] == [
        {"reason": "TableWriteProvisionedThroughputExceeded", "resource": arn("orders")}
    ]
    assert await get(world, id="3") is None
    await world.advance(1)
    await put(world, id="3")
    assert (await refusal(put(world, id="4")))[0] == "ProvisionedThroughputExceededException"


@told
async def test_credit_is_kept_for_five_minutes_and_no_longer(world: World) -> None:
    await small(world)
    await spend(world)
    await world.advance(minutes=60)
    await spend(world)
    assert (await refusal(put(world, id="3")))[0] == "ProvisionedThroughputExceededException"


@told
async def test_nothing_is_throttled_where_nobody_asked_for_it(world: World) -> None:
    await small(world, Tags=[])
    for _ in range(3):
        await spend(world)


@told
async def test_a_tag_switches_throttling_on_and_off(world: World) -> None:
    await small(world, Tags=[])
    tag = caller(world)
    await tag("tag_resource", ResourceArn=arn("orders"), Tags=REALISTIC)
    await spend(world)
    assert (await refusal(put(world, id="3")))[0] == "ProvisionedThroughputExceededException"
    await tag("untag_resource", ResourceArn=arn("orders"), TagKeys=["doppio:throughput"])
    await put(world, id="3")
    wrong = [{"Key": "doppio:throughput", "Value": "fast"}]
    code, text = await refusal(tag("tag_resource", ResourceArn=arn("orders"), Tags=wrong))
    assert code == "ValidationException"
    assert text.endswith("In this cloud the tag doppio:throughput is realistic or unlimited")


def test_a_cloud_may_throttle_all_tables_but_those_that_say_otherwise() -> None:
    async def story() -> None:
        world = World()
        settings = Settings(seed=7, host_clock=world.host, realistic_throughput=True)
        world.cloud = App(settings, MemoryStore())
        await world.start()
        try:
            await small(world, Tags=[])
            await spend(world)
            assert (await refusal(put(world, id="3")))[0] == (
                "ProvisionedThroughputExceededException"
            )
            free = [{"Key": "doppio:throughput", "Value": "unlimited"}]
            await caller(world)("tag_resource", ResourceArn=arn("orders"), Tags=free)
            await put(world, id="3")
        finally:
            await world.close()

    asyncio.run(story())


@told
async def test_reads_are_throttled_too_and_a_large_page_is_owed(world: World) -> None:
    await small(world, write=1_000)
    for name in "abcdefg":
        await put(world, id=name, x=HEAVY)
    call = caller(world)
    for _ in range(2):
        await call("scan", TableName="orders", ConsistentRead=True)
    for method, more in (
        ("get_item", {"Key": item(id="a")}),
        ("scan", {}),
        ("query", {"KeyConditionExpression": "id = :i",
                   "ExpressionAttributeValues": {":i": {"S": "a"}}}),
    ):  # fmt: skip
        error = await refused(call(method, TableName="orders", **more))
        assert error.code == "ProvisionedThroughputExceededException"
        [reason] = error.fields["ThrottlingReasons"]
        assert reason["reason"] == "TableReadProvisionedThroughputExceeded"
    statement = "SELECT * FROM orders WHERE id = 'a'"
    assert (await refusal(call("execute_statement", Statement=statement)))[0] == (
        "ProvisionedThroughputExceededException"
    )
    # Two pages of 263 units: 226 are owed beyond the 300 there were.
    await world.advance(226)
    assert (await refusal(call("scan", TableName="orders")))[0] == (
        "ProvisionedThroughputExceededException"
    )
    await world.advance(1)
    await call("scan", TableName="orders")


@told
async def test_an_index_without_capacity_throttles_the_writes_that_reach_it(world: World) -> None:
    one = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    await small(
        world,
        write=1_000,
        kinds={"id": "S", "g": "S"},
        GlobalSecondaryIndexes=[{**index("by_g", "g"), "ProvisionedThroughput": one}],
    )
    await spend(world, g="z")
    error = await refused(put(world, id="3", g="z"))
    assert error.fields["ThrottlingReasons"] == [
        {"reason": "IndexWriteProvisionedThroughputExceeded",
         "resource": arn("orders") + "/index/by_g"}
    ]  # fmt: skip
    assert error.message.startswith(
        "The level of configured provisioned throughput for one or more global secondary indexes"
    )
    assert await get(world, id="3") is None
    await put(world, id="3")
    assert (await refusal(put(world, id="3", g="z")))[0] == error.code
    assert await get(world, id="3") == item(id="3")


@told
async def test_a_batch_leaves_what_there_is_no_capacity_for(world: World) -> None:
    await small(world)
    call = caller(world)

    def puts(*names: str) -> Any:
        return {"orders": [{"PutRequest": {"Item": item(id=one, x=HEAVY)}} for one in names]}

    got = await call("batch_write_item", RequestItems=puts("1", "2", "3", "4"))
    assert got["UnprocessedItems"] == puts("3", "4")
    assert await get(world, id="2") is not None
    assert await get(world, id="3") is None
    again = call("batch_write_item", RequestItems=got["UnprocessedItems"])
    assert (await refusal(again))[0] == "ProvisionedThroughputExceededException"
    keys = [item(id=one) for one in ("1", "2", "3")]
    read = {"orders": {"Keys": keys, "ConsistentRead": True}}
    for _ in range(3):
        got = await call("batch_get_item", RequestItems=read)
        assert got["UnprocessedKeys"] == {}
    got = await call("batch_get_item", RequestItems=read)
    assert [one["id"] for one in got["Responses"]["orders"]] == [{"S": "1"}, {"S": "2"}]
    assert got["UnprocessedKeys"] == {"orders": {"Keys": [item(id="3")], "ConsistentRead": True}}
    error = call("batch_get_item", RequestItems=read)
    assert (await refusal(error))[0] == "ProvisionedThroughputExceededException"
    counts = await summed(world)
    assert counts[("ThrottledRequests", "orders", "BatchWriteItem")] == 1
    assert counts[("WriteThrottleEvents", "orders")] == 4
    assert counts[("WriteProvisionedThroughputThrottleEvents", "orders")] == 4


@told
async def test_a_transaction_is_cancelled_and_says_which_part_was_throttled(world: World) -> None:
    await small(world)
    await make(world, "free")
    await spend(world)
    call = caller(world)
    parts = [
        {"Put": {"TableName": "free", "Item": item(id="1")}},
        {"Put": {"TableName": "orders", "Item": item(id="3")}},
    ]
    error = await refused(call("transact_write_items", TransactItems=parts))
    assert error.code == "TransactionCanceledException"
    assert [one["Code"] for one in error.fields["CancellationReasons"]] == [
        "None", "ProvisionedThroughputExceeded",
    ]  # fmt: skip
    assert await get(world, "free", id="1") is None
    gets = [{"Get": {"TableName": "orders", "Key": item(id=one)}} for one in ("1", "2")]
    for _ in range(2):
        await call("transact_get_items", TransactItems=gets)
    error = await refused(call("transact_get_items", TransactItems=gets))
    assert [one["Code"] for one in error.fields["CancellationReasons"]] == [
        "ProvisionedThroughputExceeded", "ProvisionedThroughputExceeded",
    ]  # fmt: skip
    statements = [{"Statement": f"SELECT * FROM orders WHERE id = '{one}'"} for one in ("1", "2")]
    error = await refused(call("execute_transaction", TransactStatements=statements))
    assert error.code == "TransactionCanceledException"
    got = await call("batch_execute_statement", Statements=statements)
    assert [one["Error"]["Code"] for one in got["Responses"]] == [
        "ProvisionedThroughputExceeded", "ProvisionedThroughputExceeded",
    ]  # fmt: skip


@told
async def test_one_key_has_its_own_limit(world: World) -> None:
    await small(world, write=10_000)
    for _ in range(7):
        await put(world, id="hot", x=HEAVY)
    error = await refused(put(world, id="hot"))
    assert error.fields["ThrottlingReasons"] == [
        {"reason": "TableWriteKeyRangeThroughputExceeded", "resource": arn("orders")}
    ]
    await put(world, id="cold")
    await world.advance(1)
    await put(world, id="hot")


@told
async def test_a_limit_on_demand_throttles(world: World) -> None:
    await make(world, OnDemandThroughput={"MaxWriteRequestUnits": 1}, Tags=REALISTIC)
    assert (await described(world))["OnDemandThroughput"] == {
        "MaxReadRequestUnits": -1, "MaxWriteRequestUnits": 1,
    }  # fmt: skip
    await spend(world)
    error = await refused(put(world, id="3"))
    assert error.code == "ThrottlingException"
    assert error.fields["throttlingReasons"] == [
        {"reason": "TableWriteMaxOnDemandThroughputExceeded", "resource": arn("orders")}
    ]
    await caller(world)(
        "update_table", TableName="orders", OnDemandThroughput={"MaxWriteRequestUnits": -1}
    )
    await world.advance(0)
    assert "OnDemandThroughput" not in await described(world)
    await put(world, id="3")


@told
async def test_a_refused_condition_takes_capacity(world: World) -> None:
    await small(world)
    await spend(world)
    await world.advance(150)
    call = caller(world)
    new = {"TableName": "orders", "ConditionExpression": "attribute_not_exists(id)"}
    assert (await refusal(call("put_item", Item=item(id="1"), **new)))[0] == (
        "ConditionalCheckFailedException"
    )
    assert (await refusal(put(world, id="3")))[0] == "ProvisionedThroughputExceededException"


@told
async def test_more_capacity_ends_the_throttling(world: World) -> None:
    await small(world)
    await spend(world)
    call = caller(world)
    bought = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 50}
    await call("update_table", TableName="orders", ProvisionedThroughput=bought)
    await world.advance(1)
    for number in range(40):
        await put(world, id=f"new-{number}")


@told
async def test_a_table_is_warm_for_twice_what_it_has_carried(world: World) -> None:
    await make(world, Tags=REALISTIC)
    assert (await described(world))["WarmThroughput"] == {
        "ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 4_000, "Status": "ACTIVE",
    }  # fmt: skip
    # 2,500 units a second for a minute, over keys enough.
    for _ in range(4):
        for name in range(250):
            await put(world, id=str(name), x=HEAVY)
        await world.advance(1)
    await world.advance(61)
    await put(world, id="1")
    await world.cloud.metrics.flush()
    for _ in range(40):
        await world.advance(60)
    warm = (await described(world))["WarmThroughput"]
    assert warm["WriteUnitsPerSecond"] == 5_000


@told
async def test_warm_throughput_is_asked_for_and_never_cools(world: World) -> None:
    await make(world)
    call = caller(world)

    async def warmed(**units: int) -> Any:
        got = await call("update_table", TableName="orders", WarmThroughput=units)
        await world.advance(0)
        return got["TableDescription"]["WarmThroughput"]

    assert await warmed(ReadUnitsPerSecond=20_000) == {
        "ReadUnitsPerSecond": 20_000, "WriteUnitsPerSecond": 4_000, "Status": "UPDATING",
    }  # fmt: skip
    assert (await described(world))["WarmThroughput"]["Status"] == "ACTIVE"
    code, text = await refusal(warmed(ReadUnitsPerSecond=19_999))
    assert code == "ValidationException"
    assert text.endswith("decreasing WarmThroughput is not supported")
    assert (await refusal(warmed(WriteUnitsPerSecond=40_001)))[0] == "ValidationException"


@told
async def test_capacity_is_lowered_four_times_a_day_and_then_once_an_hour(world: World) -> None:
    await small(world, read=100)
    call = caller(world)

    async def buy(read: int) -> Any:
        bought = {"ReadCapacityUnits": read, "WriteCapacityUnits": 1}
        got = await call("update_table", TableName="orders", ProvisionedThroughput=bought)
        await world.advance(1)
        return got["TableDescription"]["ProvisionedThroughput"]

    for read in (99, 98, 97, 96):
        shown = await buy(read)
    assert shown["NumberOfDecreasesToday"] == 4
    assert "LastIncreaseDateTime" not in shown
    code, text = await refusal(buy(95))
    assert code == "LimitExceededException"
    assert "Number of decreases today: 4" in text
    assert "LastIncreaseDateTime" in await buy(200)
    await world.advance(hours=1)
    assert (await buy(95))["NumberOfDecreasesToday"] == 5
    await world.advance(hours=24)
    assert (await buy(94))["NumberOfDecreasesToday"] == 1


@told
async def test_what_was_bought_is_told_to_cloudwatch(world: World) -> None:
    await small(world, read=7)
    await put(world, id="1")
    await world.cloud.metrics.flush()
    for _ in range(6):
        await world.advance(60)
    counts = await summed(world)
    assert counts[("ProvisionedReadCapacityUnits", "orders")] == 7
    assert counts[("ProvisionedWriteCapacityUnits", "orders")] == 1
    assert counts[("ConsumedWriteCapacityUnits", "orders")] == 1


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


def test_a_client_sees_the_reasons_and_waits_for_capacity(cloud: Cloud) -> None:
    once = Config(retries={"max_attempts": 0})
    db = cloud.account().client("dynamodb", config=once)
    db.create_table(
        TableName="orders", KeySchema=key_of("id"), AttributeDefinitions=types(id="S"),
        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}, Tags=REALISTIC,
    )  # fmt: skip
    db.get_waiter("table_exists").wait(TableName="orders")
    # It owes a hundred seconds, which do not pass between two calls.
    db.put_item(TableName="orders", Item={"id": {"S": "1"}, "x": {"S": "x" * 400_000}})
    with pytest.raises(db.exceptions.ProvisionedThroughputExceededException) as caught:
        db.put_item(TableName="orders", Item={"id": {"S": "3"}})
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert answer["ThrottlingReasons"][0]["reason"] == "TableWriteProvisionedThroughputExceeded"
    cloud.advance("15m")
    db.put_item(TableName="orders", Item={"id": {"S": "3"}})
