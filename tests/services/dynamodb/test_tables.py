"""Tables: their life, settings, tags and time to live."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from doppio.services.dynamodb.records import ITEMS
from tests.services.world import ACCOUNT, OTHER, World, refusal, run, told

from .helpers import arn, caller, described, get, index, item, key_of, make, put, scanned, types

BAD = "One or more parameter values were invalid: "
SIMPLE: dict[str, Any] = {
    "KeySchema": key_of("id"),
    "AttributeDefinitions": types(id="S"),
    "BillingMode": "PAY_PER_REQUEST",
}


@told
async def test_a_table_is_creating_then_active_then_deleting_then_gone(world: World) -> None:
    call = caller(world)
    made = await call("create_table", TableName="orders", **SIMPLE)
    assert made["TableDescription"]["TableStatus"] == "CREATING"
    assert await refusal(put(world, id="1")) == (
        "ResourceNotFoundException",
        "Requested resource not found",
    )
    assert await refusal(call("delete_table", TableName="orders")) == (
        "ResourceInUseException",
        ("Attempt to change a resource which is still in use: Table is being created: orders"),
    )
    await world.advance(1)
    assert (await described(world))["TableStatus"] == "ACTIVE"
    await put(world, id="1")
    gone = await call("delete_table", TableName="orders")
    assert gone["TableDescription"]["TableStatus"] == "DELETING"
    assert (await refusal(put(world, id="1")))[0] == "ResourceNotFoundException"
    await world.advance(1)
    assert await refusal(call("describe_table", TableName="orders")) == (
        "ResourceNotFoundException",
        "Requested resource not found: Table: orders not found",
    )


@told
async def test_a_table_is_made_and_deleted_while_the_clock_is_paused(world: World) -> None:
    await world.cloud.set_clock(world.cloud.clock.paused())
    call = caller(world)
    await call("create_table", TableName="orders", **SIMPLE)
    await world.settle()
    assert (await described(world))["TableStatus"] == "ACTIVE"
    await call("delete_table", TableName="orders")
    await world.settle()
    assert (await call("list_tables"))["TableNames"] == []


@told
async def test_a_table_made_anew_does_not_see_old_items_or_counts(world: World) -> None:
    await make(world)
    await put(world, id="1")
    await caller(world)("delete_table", TableName="orders")
    await world.advance(1)
    await make(world)
    assert await scanned(world) == []
    table = await described(world)
    assert (table["ItemCount"], table["TableSizeBytes"]) == (0, 0)
    assert not [key for key in world.memory.disk if key.startswith(ITEMS)]


@told
async def test_a_table_is_described_as_it_was_made(world: World) -> None:
    made_at = world.now
    await make(
        world,
        key=("id", "at"),
        kinds={"id": "S", "at": "N", "who": "S"},
        BillingMode="PROVISIONED",
        ProvisionedThroughput={"ReadCapacityUnits": 3, "WriteCapacityUnits": 2},
        LocalSecondaryIndexes=[index("by-who", "id", "who", projection="KEYS_ONLY")],
        TableClass="STANDARD_INFREQUENT_ACCESS",
    )
    table = await described(world)
    assert table["TableArn"] == arn("orders")
    assert table["CreationDateTime"] == made_at
    assert table["KeySchema"] == key_of("id", "at")
    assert table["AttributeDefinitions"] == types(id="S", at="N", who="S")
    assert table["ProvisionedThroughput"] == {
        "ReadCapacityUnits": 3,
        "WriteCapacityUnits": 2,
        "NumberOfDecreasesToday": 0,
    }
    assert "BillingModeSummary" not in table
    assert table["TableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
    assert table["LocalSecondaryIndexes"] == [
        {
            "IndexName": "by-who",
            "IndexArn": arn("orders/index/by-who"),
            "KeySchema": key_of("id", "who"),
            "Projection": {"ProjectionType": "KEYS_ONLY"},
            "IndexSizeBytes": 0,
            "ItemCount": 0,
        }
    ]


@told
async def test_items_and_bytes_are_counted_for_the_table_and_each_index(world: World) -> None:
    await make(
        world,
        kinds={"id": "S", "who": "S"},
        GlobalSecondaryIndexes=[index("by-who", "who", projection="KEYS_ONLY")],
    )
    await put(world, id="1", who="me", n=100)
    await put(world, id="2", n=1.5)
    await put(world, id="1", who="you", n=7)
    table = await described(world)
    by_who = table["GlobalSecondaryIndexes"][0]
    assert (table["ItemCount"], table["TableSizeBytes"]) == (2, 3 + 6 + 3 + 3 + 3)
    assert (by_who["ItemCount"], by_who["IndexSizeBytes"]) == (1, 3 + 6)
    for key in ("1", "2"):
        await caller(world)("delete_item", TableName="orders", Key=item(id=key))
    table = await described(world)
    assert (table["ItemCount"], table["TableSizeBytes"]) == (0, 0)
    by_who = table["GlobalSecondaryIndexes"][0]
    assert (by_who["ItemCount"], by_who["IndexSizeBytes"]) == (0, 0)


CREATIONS = [
    ({"TableName": "ab"}, ("TableName must be at least 3 characters long and at most 255 "
     "characters long")),
    ({"TableName": "a b c"}, ("1 validation error detected: Value 'a b c' at 'tableName' failed to "
     "satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+")),
    ({"BillingMode": "PROVISIONED"}, BAD + "ReadCapacityUnits and WriteCapacityUnits must both be "
     "specified when BillingMode is PROVISIONED"),
    ({"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}, BAD + "Neither "
     "ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
     "PAY_PER_REQUEST"),
    ({"KeySchema": [{"AttributeName": "id", "KeyType": "RANGE"}]}, ("Invalid KeySchema: The first "
     "KeySchemaElement is not a HASH key type")),
    ({"KeySchema": key_of("id") * 2}, ("Invalid KeySchema: The second KeySchemaElement is not a "
     "RANGE key type")),
    ({"KeySchema": key_of("id", "id")}, ("Both the Hash Key and the Range Key element in the "
     "KeySchema have the same name")),
    ({"KeySchema": key_of("key")}, BAD + "Some index key attributes are not defined in "
     "AttributeDefinitions. Keys: [key], AttributeDefinitions: [id]"),
    ({"AttributeDefinitions": types(id="S", x="S")}, BAD + "Number of attributes in KeySchema does "
     "not exactly match number of attributes defined in AttributeDefinitions"),
    ({"LocalSecondaryIndexes": [index("one", "id")]}, BAD + "Table KeySchema does not have a range "
     "key, which is required when specifying a LocalSecondaryIndex"),
    ({"GlobalSecondaryIndexes": [index("one", "id"), index("one", "id")]},
     BAD + "Duplicate index name: one"),
    ({"GlobalSecondaryIndexes": [index("one", "id", projection="ALL", include=("x",))]},
     BAD + "ProjectionType is ALL, but NonKeyAttributes is specified"),
    ({"GlobalSecondaryIndexes": [index("one", "id", projection="INCLUDE")]},
     BAD + "ProjectionType is INCLUDE, but NonKeyAttributes is not specified"),
    ({"GlobalSecondaryIndexes": [
        {"IndexName": "one", "KeySchema": key_of("id"), "Projection": {}}]},
     BAD + "Unknown ProjectionType: null"),
    ({"GlobalSecondaryIndexes": [index(f"one{number}", "id") for number in range(21)]},
     BAD + "GlobalSecondaryIndex count exceeds the per-table limit of 20"),
    ({"GlobalSecondaryIndexes": [
        index(f"one{number}", "id", projection="INCLUDE", include=tuple(f"a{number}{n}" for n in
              range(20))) for number in range(6)]},
     BAD + "Number of projected attributes exceeds the per-table limit of 100. Requested: 120"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "why"), CREATIONS, ids=[why[-40:] for _, why in CREATIONS])
def test_a_table_that_cannot_be_is_refused(change: dict[str, Any], why: str) -> None:
    async def story(world: World) -> None:
        req = {"TableName": "orders", **SIMPLE, **change}
        assert await refusal(caller(world)("create_table", **req)) == ("ValidationException", why)
        assert (await caller(world)("list_tables"))["TableNames"] == []

    run(story)


@told
async def test_local_indexes_share_the_tables_hash_key_and_have_a_range_key(world: World) -> None:
    req = {
        "TableName": "orders",
        "KeySchema": key_of("id", "at"),
        "AttributeDefinitions": types(id="S", at="S", who="S"),
        "BillingMode": "PAY_PER_REQUEST",
    }
    call = caller(world)
    wrong = [index("one", "who", "id")]
    assert (await refusal(call("create_table", **req, LocalSecondaryIndexes=wrong)))[1] == (
        BAD + "Index KeySchema does not have the same leading hash key as table KeySchema for "
        "index: one. index hash key: who, table hash key: id"
    )
    short = [index("one", "id")]
    assert (await refusal(call("create_table", **req, LocalSecondaryIndexes=short)))[1] == (
        BAD + "Index KeySchema does not have a range key for index: one"
    )
    many = [index(f"one{number}", "id", "who") for number in range(6)]
    assert (await refusal(call("create_table", **req, LocalSecondaryIndexes=many)))[1] == (
        BAD + "Number of LocalSecondaryIndexes exceeds per-table limit of 5"
    )


@told
async def test_a_name_is_one_table_in_each_account_and_region(world: World) -> None:
    await make(world)
    req = {"TableName": "orders", **SIMPLE}
    assert await refusal(caller(world)("create_table", **req)) == (
        "ResourceInUseException",
        "Table already exists: orders",
    )
    await world.call("dynamodb", "create_table", account=OTHER, **req)
    await world.call("dynamodb", "create_table", region="eu-west-1", **req)


@told
async def test_a_name_that_no_table_can_have_is_said_to_be_wrong_and_not_missing(
    world: World,
) -> None:
    short = "TableName must be at least 3 characters long and at most 255 characters long"
    for name, says in (
        ("ab", short),
        ("a" * 256, short),
        ("or ders", "failed to satisfy constraint: Member must satisfy regular expression pattern"),
    ):
        for method, more in (
            ("describe_table", {}), ("get_item", {"Key": {"p": {"S": "1"}}}), ("scan", {}),
            ("update_time_to_live", {
                "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "x"},
            }),
        ):  # fmt: skip
            code, text = await refusal(world.call("dynamodb", method, TableName=name, **more))
            assert code == "ValidationException"
            assert says in text
    code, _ = await refusal(world.call("dynamodb", "describe_table", TableName="or.d_e-rs"))
    assert code == "ResourceNotFoundException"


@told
async def test_a_table_goes_by_its_arn_in_its_own_region_alone(world: World) -> None:
    await make(world)
    await put(world, arn("orders"), id="1")
    assert await get(world, arn("orders"), id="1") == item(id="1")
    elsewhere = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/orders"
    assert (await refusal(get(world, elsewhere, id="1")))[0] == "ResourceNotFoundException"
    foreign = f"arn:aws:dynamodb:us-east-1:{OTHER}:table/orders"
    assert (await refusal(get(world, foreign, id="1")))[0] == "AccessDeniedException"


@told
async def test_tables_are_listed_by_name_and_page(world: World) -> None:
    for name in ("ccc", "aaa", "bbb"):
        await make(world, name)
    call = caller(world)
    assert await call("list_tables") == {"TableNames": ["aaa", "bbb", "ccc"]}
    first = await call("list_tables", Limit=2)
    assert first == {"TableNames": ["aaa", "bbb"], "LastEvaluatedTableName": "bbb"}
    assert await call("list_tables", ExclusiveStartTableName="bbb") == {"TableNames": ["ccc"]}


@told
async def test_a_protected_table_is_not_deleted(world: World) -> None:
    await make(world, DeletionProtectionEnabled=True)
    call = caller(world)
    assert await refusal(call("delete_table", TableName="orders")) == (
        "ValidationException",
        (
            "Resource cannot be deleted as it is currently protected against deletion. Disable "
            "deletion protection first."
        ),
    )
    await call("update_table", TableName="orders", DeletionProtectionEnabled=False)
    await world.advance(1)
    await call("delete_table", TableName="orders")


@told
async def test_billing_moves_between_on_demand_and_provisioned(world: World) -> None:
    since = world.now
    await make(
        world,
        kinds={"id": "S", "who": "S"},
        GlobalSecondaryIndexes=[index("by-who", "who")],
    )
    call = caller(world)
    assert (await described(world))["BillingModeSummary"] == {
        "BillingMode": "PAY_PER_REQUEST",
        "LastUpdateToPayPerRequestDateTime": since,
    }
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    provisioned = {"TableName": "orders", "BillingMode": "PROVISIONED"}
    assert (await refusal(call("update_table", **provisioned, ProvisionedThroughput=units)))[1] == (
        BAD + "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is "
        "PROVISIONED for index: by-who"
    )
    await call(
        "update_table",
        **provisioned,
        ProvisionedThroughput=units,
        GlobalSecondaryIndexUpdates=[
            {"Update": {"IndexName": "by-who", "ProvisionedThroughput": units}}
        ],
    )
    await world.advance(1)
    table = await described(world)
    assert table["BillingModeSummary"]["BillingMode"] == "PROVISIONED"
    assert table["ProvisionedThroughput"]["ReadCapacityUnits"] == 5
    assert table["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]["ReadCapacityUnits"] == 5
    same = await refusal(call("update_table", TableName="orders", ProvisionedThroughput=units))
    assert same[1].startswith("The provisioned throughput for the table will not change.")
    await call("update_table", TableName="orders", BillingMode="PAY_PER_REQUEST")
    await world.advance(1)
    table = await described(world)
    assert table["ProvisionedThroughput"]["ReadCapacityUnits"] == 0
    assert table["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]["ReadCapacityUnits"] == 0
    assert table["BillingModeSummary"]["LastUpdateToPayPerRequestDateTime"] > since


@told
async def test_an_update_needs_something_to_change_and_a_table_at_rest(world: World) -> None:
    await make(world)
    call = caller(world)
    assert await refusal(call("update_table", TableName="orders")) == (
        "ValidationException",
        (
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, "
            "GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required"
        ),
    )
    shown = await call("update_table", TableName="orders", DeletionProtectionEnabled=True)
    assert shown["TableDescription"]["TableStatus"] == "UPDATING"
    assert await refusal(
        call("update_table", TableName="orders", DeletionProtectionEnabled=False)
    ) == (
        "ResourceInUseException",
        "Attempt to change a resource which is still in use: Table is being updated: orders",
    )
    await put(world, id="1")


@told
async def test_tags_are_put_listed_by_page_and_taken_off(world: World) -> None:
    await make(world, Tags=[{"Key": "team", "Value": "bar"}])
    call = caller(world)
    more = [{"Key": f"k{number:02}", "Value": str(number)} for number in range(12)]
    await call("tag_resource", ResourceArn=arn("orders"), Tags=more)
    first = await call("list_tags_of_resource", ResourceArn=arn("orders"))
    assert len(first["Tags"]) == 10
    rest = await call(
        "list_tags_of_resource", ResourceArn=arn("orders"), NextToken=first["NextToken"]
    )
    assert [*first["Tags"], *rest["Tags"]] == [{"Key": "team", "Value": "bar"}, *more]
    assert "NextToken" not in rest
    keys = [tag["Key"] for tag in more]
    await call("untag_resource", ResourceArn=arn("orders"), TagKeys=keys)
    assert (await call("list_tags_of_resource", ResourceArn=arn("orders")))["Tags"] == [
        {"Key": "team", "Value": "bar"}
    ]
    assert (await refusal(call("list_tags_of_resource", ResourceArn=arn("nothing"))))[0] == (
        "ResourceNotFoundException"
    )


@told
async def test_items_expire_when_cloud_time_passes_their_time_to_live(world: World) -> None:
    await make(
        world, kinds={"id": "S", "who": "S"}, GlobalSecondaryIndexes=[index("by-who", "who")]
    )
    call = caller(world)
    now = int(world.now.timestamp())
    await put(world, id="soon", who="me", until=now + 3600)
    await put(world, id="later", who="me", until=now + 86_400)
    await put(world, id="text", who="me", until="soon")
    await put(world, id="ancient", who="me", until=now - 6 * 365 * 86_400)
    await put(world, id="none", who="me")
    spec = {"AttributeName": "until", "Enabled": True}
    shown = await call("update_time_to_live", TableName="orders", TimeToLiveSpecification=spec)
    assert shown == {"TimeToLiveSpecification": spec}
    got = await call("describe_time_to_live", TableName="orders")
    assert got["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "ENABLED",
        "AttributeName": "until",
    }
    await world.advance(minutes=30)
    assert len(await scanned(world)) == 5
    await world.advance(hours=2)
    left = {one["id"]["S"] for one in await scanned(world)}
    assert left == {"later", "text", "ancient", "none"}
    assert {one["id"]["S"] for one in await scanned(world, IndexName="by-who")} == left
    assert (await described(world))["ItemCount"] == 4
    await call(
        "update_time_to_live",
        TableName="orders",
        TimeToLiveSpecification={**spec, "Enabled": False},
    )
    await world.advance(days=30)
    assert len(await scanned(world)) == 4


@told
async def test_a_table_of_many_rows_expires_to_the_last(world: World) -> None:
    await make(world)
    spec = {"AttributeName": "until", "Enabled": True}
    call = caller(world)
    await call("update_time_to_live", TableName="orders", TimeToLiveSpecification=spec)
    past = int(world.now.timestamp())
    for first in range(0, 2_100, 25):
        entries = [
            {"PutRequest": {"Item": item(id=f"{n:04}", until=past + (n % 2) * 10**8)}}
            for n in range(first, first + 25)
        ]
        await call("batch_write_item", RequestItems={"orders": entries})
    await world.advance(minutes=11)
    left = await scanned(world)
    assert [int(one["id"]["S"]) for one in left] == list(range(1, 2_100, 2))


@told
async def test_time_to_live_is_switched_once_each_way(world: World) -> None:
    await make(world)
    call = caller(world)

    async def switch(name: str, on: bool) -> str:
        spec = {"AttributeName": name, "Enabled": on}
        req = {"TableName": "orders", "TimeToLiveSpecification": spec}
        return (await refusal(call("update_time_to_live", **req)))[1]

    assert await switch("until", False) == "TimeToLive is already disabled"
    spec = {"AttributeName": "until", "Enabled": True}
    await call("update_time_to_live", TableName="orders", TimeToLiveSpecification=spec)
    assert await switch("until", True) == "TimeToLive is already enabled"
    assert await switch("other", False) == (
        "TimeToLive is active on a different AttributeName: current AttributeName is until"
    )


@told
async def test_what_terraform_reads_of_a_table_is_answered(world: World) -> None:
    await make(world)
    call = caller(world)
    backups = await call("describe_continuous_backups", TableName="orders")
    assert backups["ContinuousBackupsDescription"] == {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
    }
    ttl = await call("describe_time_to_live", TableName="orders")
    assert ttl == {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
    assert await call("list_tags_of_resource", ResourceArn=arn("orders")) == {"Tags": []}
    assert await refusal(call("describe_continuous_backups", TableName="nothing")) == (
        "TableNotFoundException",
        "Table not found: nothing",
    )


@told
async def test_the_accounts_limits_and_the_endpoint_are_told(world: World) -> None:
    call = caller(world)
    assert (await call("describe_limits"))["TableMaxReadCapacityUnits"] == 40_000
    endpoints = (await call("describe_endpoints"))["Endpoints"]
    assert endpoints[0]["CachePeriodInMinutes"] == timedelta(days=1) // timedelta(minutes=1)
