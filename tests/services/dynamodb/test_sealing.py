"""Tables under KMS keys: items are ciphertext on disk, and readable only with the key."""

from __future__ import annotations

from typing import Any

from tests.services.crashes import Told, crash_everywhere
from tests.services.kms.helpers import allow, user
from tests.services.world import World, refusal, refused, told

from .helpers import caller, described, get, index, item, make, put, queried, scanned, types

SECRET = "a very secret word"
GSI = {"kinds": {"id": "S", "g": "S"}, "GlobalSecondaryIndexes": [index("by_g", "g")]}


def lies_open(world: World) -> bool:
    """Whether the secret can be read on the disk, in rows or in logs."""
    found = [raw for raw in world.memory.disk.values() if SECRET.encode() in raw]
    return bool(found)


async def key(world: World) -> str:
    """A customer's key."""
    made = await world.call("kms", "create_key")
    name: str = made["KeyMetadata"]["Arn"]
    return name


def under(name: str | None) -> dict[str, Any]:
    """The setting of a table under a key; None: under the one that AWS manages."""
    wish: dict[str, Any] = {"Enabled": True, "SSEType": "KMS"}
    return {"SSESpecification": wish if name is None else {**wish, "KMSMasterKeyId": name}}


@told
async def test_items_and_index_entries_are_ciphertext_on_disk(world: World) -> None:
    name = await key(world)
    await make(world, **GSI, **under(name))
    assert (await described(world))["SSEDescription"] == {
        "Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": name,
    }  # fmt: skip
    await put(world, id="1", g="z", x=SECRET)
    assert not lies_open(world)
    assert await get(world, id="1") == item(id="1", g="z", x=SECRET)
    assert await scanned(world) == [item(id="1", g="z", x=SECRET)]
    by = {"KeyConditionExpression": "g = :g", "ExpressionAttributeValues": {":g": {"S": "z"}}}
    assert await queried(world, IndexName="by_g", **by) == [item(id="1", g="z", x=SECRET)]
    await caller(world)("delete_item", TableName="orders", Key=item(id="1"))
    assert await queried(world, IndexName="by_g", **by) == []


@told
async def test_without_a_key_of_ones_own_it_is_the_one_that_aws_manages(world: World) -> None:
    await make(world, **under(None))
    await put(world, id="1", x=SECRET)
    assert not lies_open(world)
    shown = (await described(world))["SSEDescription"]
    found = await world.call("kms", "describe_key", KeyId="alias/aws/dynamodb")
    assert shown["KMSMasterKeyArn"] == found["KeyMetadata"]["Arn"]
    assert await get(world, id="1") == item(id="1", x=SECRET)


@told
async def test_a_disabled_key_makes_a_table_inaccessible_until_it_is_enabled(world: World) -> None:
    name = await key(world)
    await make(world, **under(name))
    await put(world, id="1")
    await world.call("kms", "disable_key", KeyId=name)
    await world.advance(minutes=6)
    error = await refused(get(world, id="1"))
    assert error.code == "AccessDeniedException"
    assert "is disabled" in error.message
    assert (await refusal(put(world, id="2")))[0] == "AccessDeniedException"
    shown = await described(world)
    assert shown["TableStatus"] == "INACCESSIBLE_ENCRYPTION_CREDENTIALS"
    assert "InaccessibleEncryptionDateTime" in shown["SSEDescription"]
    await world.call("kms", "enable_key", KeyId=name)
    assert await get(world, id="1") == item(id="1")
    shown = await described(world)
    assert shown["TableStatus"] == "ACTIVE"
    assert "InaccessibleEncryptionDateTime" not in shown["SSEDescription"]


@told
async def test_who_may_not_use_the_key_cannot_use_the_table(world: World) -> None:
    name = await key(world)
    await make(world, **under(name))
    await put(world, id="1")
    reads = allow("dynamodb:*")
    without = await user(world, "without", reads)
    req = {"TableName": "orders", "Key": item(id="1")}
    error = await refused(world.call("dynamodb", "get_item", caller=without, **req))
    assert error.code == "AccessDeniedException"
    assert "kms:Decrypt" in error.message
    assert (await described(world))["TableStatus"] == "ACTIVE"
    via = {"StringEquals": {"kms:ViaService": "dynamodb.us-east-1.amazonaws.com"}}
    may = await user(world, "may", reads, allow("kms:Decrypt", Condition=via))
    got = await world.call("dynamodb", "get_item", caller=may, **req)
    assert got["Item"] == item(id="1")


@told
async def test_a_key_that_cannot_be_is_refused(world: World) -> None:
    async def why(**wish: Any) -> tuple[str, str]:
        return await refusal(make(world, SSESpecification=wish))

    code, text = await why(Enabled=True, KMSMasterKeyId="alias/nothing")
    assert code == "ValidationException"
    assert text.startswith("One or more parameter values were invalid: KMS validation error: ")
    assert (await why(Enabled=True, SSEType="AES256"))[0] == "ValidationException"
    assert (await why(Enabled=False, SSEType="KMS"))[0] == "ValidationException"


@told
async def test_a_table_is_sealed_later_moved_to_another_key_and_let_go(world: World) -> None:
    await make(world, **GSI)
    for number in range(300):
        await put(world, id=str(number), g="z", x=SECRET)
    assert lies_open(world)
    first, second = await key(world), await key(world)
    call = caller(world)
    await call("update_table", TableName="orders", **under(first))
    await world.advance(1)
    assert (await described(world))["SSEDescription"]["Status"] == "ENABLED"
    assert not lies_open(world)
    assert len(await scanned(world)) == 300
    same = call("update_table", TableName="orders", **under(first))
    assert (await refusal(same))[0] == "ValidationException"
    await call("update_table", TableName="orders", **under(second))
    await world.advance(1)
    await world.call("kms", "disable_key", KeyId=first)
    await world.advance(minutes=6)
    assert await get(world, id="7") == item(id="7", g="z", x=SECRET)
    await call("update_table", TableName="orders", SSESpecification={"Enabled": False})
    await world.advance(1)
    await world.call("kms", "disable_key", KeyId=second)
    await world.advance(minutes=6)
    assert "SSEDescription" not in await described(world)
    assert await get(world, id="7") == item(id="7", g="z", x=SECRET)
    assert not lies_open(world)


@told
async def test_work_in_the_background_uses_the_grant(world: World) -> None:
    name = await key(world)
    await make(world, **under(name))
    call = caller(world)
    for number in range(3):
        await put(world, id=str(number), g="z", x=SECRET, ttl=1_893_456_100 if number else 0)
    await call(
        "update_time_to_live", TableName="orders",
        TimeToLiveSpecification={"AttributeName": "ttl", "Enabled": True},
    )  # fmt: skip
    await call(
        "update_table", TableName="orders", AttributeDefinitions=types(g="S"),
        GlobalSecondaryIndexUpdates=[{"Create": index("by_g", "g")}],
    )  # fmt: skip
    await world.advance(1)
    assert len(await scanned(world, IndexName="by_g")) == 3
    await world.advance(minutes=20)
    assert [one["id"] for one in await scanned(world)] == [{"S": "0"}]
    assert not lies_open(world)


@told
async def test_a_backup_and_what_is_restored_of_it_are_sealed(world: World) -> None:
    name = await key(world)
    await make(world, **under(name))
    await put(world, id="1", x=SECRET)
    call = caller(world)
    made = await call("create_backup", TableName="orders", BackupName="one")
    await world.settle()
    where = made["BackupDetails"]["BackupArn"]
    await call("restore_table_from_backup", TargetTableName="again", BackupArn=where)
    await world.advance(1)
    assert await get(world, "again", id="1") == item(id="1", x=SECRET)
    assert (await described(world, "again"))["SSEDescription"]["KMSMasterKeyArn"] == name
    assert not lies_open(world)
    await call(
        "restore_table_from_backup", TargetTableName="open", BackupArn=where,
        SSESpecificationOverride={"Enabled": False},
    )  # fmt: skip
    await world.advance(1)
    assert await get(world, "open", id="1") == item(id="1", x=SECRET)
    assert lies_open(world)


@told
async def test_a_stream_tells_of_a_sealed_table(world: World) -> None:
    name = await key(world)
    view = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    await make(world, StreamSpecification=view, **under(name))
    await put(world, id="1", x=SECRET)
    assert not lies_open(world)
    stream = (await described(world))["LatestStreamArn"]

    async def records(**more: Any) -> Any:
        shard = await world.call("dynamodbstreams", "describe_stream", StreamArn=stream)
        [one] = shard["StreamDescription"]["Shards"]
        at = await world.call(
            "dynamodbstreams", "get_shard_iterator", StreamArn=stream, ShardId=one["ShardId"],
            ShardIteratorType="TRIM_HORIZON",
        )  # fmt: skip
        got = await world.call(
            "dynamodbstreams", "get_records", ShardIterator=at["ShardIterator"], **more
        )
        return got["Records"]

    [found] = await records()
    assert found["dynamodb"]["NewImage"] == item(id="1", x=SECRET)
    without = await user(world, "without", allow("dynamodb:*"))
    assert (await refusal(records(caller=without)))[0] == "AccessDeniedException"


@told
async def test_a_restart_asks_for_the_key_again(world: World) -> None:
    name = await key(world)
    await make(world, **under(name))
    await put(world, id="1", x=SECRET)
    again = world.again()
    await again.start()
    try:
        assert await get(again, id="1") == item(id="1", x=SECRET)
    finally:
        await again.close()


def test_a_table_is_sealed_whole_whatever_crashes() -> None:
    async def prepare(world: World, told: Told) -> None:
        await make(world, **GSI)
        for number in range(5):
            await put(world, id=str(number), g="z", x=SECRET)
        told["key"] = await key(world)

    async def work(world: World, told: Told) -> None:
        await caller(world)("update_table", TableName="orders", **under(told["key"]))
        told["done"] = True
        await world.advance(1)

    async def check(world: World, told: Told) -> None:
        await world.advance(1)
        assert len(await scanned(world)) == 5
        shown = (await described(world)).get("SSEDescription")
        assert shown is not None or not told.get("done")
        if shown is not None:
            assert shown["Status"] == "ENABLED"
            assert not lies_open(world)

    assert crash_everywhere(prepare, work, check) >= 5
