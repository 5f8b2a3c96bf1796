"""What CloudWatch hears of tables."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.services.world import START, World, refusal, told


async def summed(world: World) -> dict[tuple[str, ...], float]:
    """Every metric with the values of its dimensions, and its sum."""
    await world.cloud.metrics.flush()
    listed = await world.call("cloudwatch", "list_metrics", Namespace="AWS/DynamoDB")
    found: dict[tuple[str, ...], float] = {}
    for metric in listed["Metrics"]:
        req: dict[str, Any] = {**metric, "Period": 3_600, "Statistics": ["Sum"]}
        answer = await world.call(
            "cloudwatch", "get_metric_statistics", StartTime=START,
            EndTime=START + timedelta(hours=1), **req,
        )  # fmt: skip
        values = [one["Value"] for one in metric["Dimensions"]]
        found[(metric["MetricName"], *values)] = sum(one["Sum"] for one in answer["Datapoints"])
    return found


@told
async def test_units_items_and_refusals_are_counted(world: World) -> None:
    key = [{"AttributeName": "k", "KeyType": "HASH"}]
    await world.call(
        "dynamodb", "create_table", TableName="tea", KeySchema=key, BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "k", "AttributeType": "S"}, {"AttributeName": "g", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[
            {"IndexName": "by_g", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
             "Projection": {"ProjectionType": "ALL"}},
        ],
    )  # fmt: skip
    await world.settle()
    await world.advance(seconds=1)
    item = {"k": {"S": "1"}, "g": {"S": "2"}}
    await world.call("dynamodb", "put_item", TableName="tea", Item=item)
    await world.call("dynamodb", "put_item", TableName="tea", Item={"k": {"S": "2"}})
    new = {"TableName": "tea", "Item": item, "ConditionExpression": "attribute_not_exists(k)"}
    refused = world.call("dynamodb", "put_item", **new)  # type: ignore[arg-type]
    assert (await refusal(refused))[0] == "ConditionalCheckFailedException"
    await world.call("dynamodb", "get_item", TableName="tea", Key={"k": {"S": "1"}})
    await world.call("dynamodb", "scan", TableName="tea")
    await world.call(
        "dynamodb", "query", TableName="tea", IndexName="by_g", KeyConditionExpression="g = :g",
        ExpressionAttributeValues={":g": {"S": "2"}},
    )  # fmt: skip
    assert await summed(world) == {
        ("ConsumedWriteCapacityUnits", "tea"): 3.0,
        ("ConsumedWriteCapacityUnits", "tea", "by_g"): 1.0,
        ("ConditionalCheckFailedRequests", "tea"): 1.0,
        ("ConsumedReadCapacityUnits", "tea"): 1.0,
        ("ConsumedReadCapacityUnits", "tea", "by_g"): 0.5,
        ("ReturnedItemCount", "tea", "Scan"): 2.0,
        ("ReturnedItemCount", "tea", "Query"): 1.0,
    }


@told
async def test_errors_of_users_are_counted_for_the_whole_account(world: World) -> None:
    for _ in range(2):
        gone = world.call("dynamodb", "get_item", TableName="nothing", Key={"k": {"S": "1"}})
        assert (await refusal(gone))[0] == "ResourceNotFoundException"
    assert (await refusal(world.call("dynamodb", "get_item", TableName="nothing")))[0] == (
        "ValidationException"
    )
    assert await summed(world) == {("UserErrors",): 3.0}


@told
async def test_a_table_that_is_looked_at_tells_how_long_requests_take(world: World) -> None:
    await world.call(
        "dynamodb", "create_table", TableName="tea", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        Tags=[{"Key": "doppio:throughput", "Value": "realistic"}],
    )  # fmt: skip
    await world.advance(seconds=1)
    await world.call("dynamodb", "put_item", TableName="tea", Item={"k": {"S": "1"}})
    await world.call("dynamodb", "get_item", TableName="tea", Key={"k": {"S": "1"}})
    found = {name for name in await summed(world) if name[0] == "SuccessfulRequestLatency"}
    assert found == {
        ("SuccessfulRequestLatency", "tea", "PutItem"),
        ("SuccessfulRequestLatency", "tea", "GetItem"),
    }


@told
async def test_tables_for_seldom_access_are_metered_as_such(world: World) -> None:
    for name, kind in (("tea", "STANDARD"), ("attic", "STANDARD_INFREQUENT_ACCESS")):
        await world.call(
            "dynamodb", "create_table", TableName=name, BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}], TableClass=kind,
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        )  # fmt: skip
    await world.advance(seconds=1)
    for name in ("tea", "attic", "attic"):
        item = {"k": {"S": "1"}}
        await world.call("dynamodb", "put_item", TableName=name, Item=item)
        await world.call("dynamodb", "scan", TableName=name)
    both = [{"Put": {"TableName": name, "Item": {"k": {"S": "2"}}}} for name in ("tea", "attic")]
    await world.call("dynamodb", "transact_write_items", TransactItems=both)
    reads = [{"Statement": f"SELECT * FROM {name} WHERE k = '2'"} for name in ("tea", "attic")]
    await world.call("dynamodb", "execute_transaction", TransactStatements=reads)
    assert await world.used("WriteRequestUnits") == 1 + 2
    assert await world.used("IA-WriteRequestUnits") == 2 + 2
    assert await world.used("ReadRequestUnits") == 0.5 + 2
    assert await world.used("IA-ReadRequestUnits") == 1 + 2
