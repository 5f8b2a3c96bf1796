"""Event source mappings of streams, through the door: their records come to code that runs, in order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.services.lambda_.base import make_function, make_role, zipped
from tests.services.lambda_.test_mappings import allow, heard, lines, until_soon
from tests.services.world import World, refusal, told

# It says what it was told of, and fails with what is bad.
CODE = """
import base64, json
def name(one):
    if "kinesis" in one:
        return base64.b64decode(one["kinesis"]["data"]).decode()
    return one["dynamodb"]["Keys"]["id"]["S"]
def number(one):
    return one["dynamodb"]["SequenceNumber"] if "dynamodb" in one else one["kinesis"]["sequenceNumber"]
def handler(event, context):
    names = [name(one) for one in event["Records"]]
    print("told " + json.dumps(names))
    if "worse" in names:
        raise ValueError("worse")
    bad = [number(one) for one in event["Records"] if name(one) == "bad"]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in bad]}
"""


async def stage(world: World) -> None:
    await make_role(world)
    await allow(world, ["dynamodb:*", "kinesis:*", "logs:*", "sqs:*"])
    await make_function(world, "f", Code={"ZipFile": zipped(CODE)})


async def table(world: World) -> str:
    made = await world.call(
        "dynamodb", "create_table", TableName="till", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )  # fmt: skip
    await world.settle()
    await world.advance(seconds=10)
    return str(made["TableDescription"]["LatestStreamArn"])


async def put(world: World, *names: str) -> None:
    for name in names:
        await world.call("dynamodb", "put_item", TableName="till", Item={"id": {"S": name}})


async def stream(world: World, shards: int = 1) -> str:
    await world.call("kinesis", "create_stream", StreamName="s", ShardCount=shards)
    await world.advance(seconds=60)
    told = await world.call("kinesis", "describe_stream_summary", StreamName="s")
    return str(told["StreamDescriptionSummary"]["StreamARN"])


async def push(world: World, *names: str) -> None:
    for name in names:
        await world.call(
            "kinesis", "put_record", StreamName="s", Data=name.encode(), PartitionKey=name
        )


async def mapped(world: World, source: str, **more: Any) -> dict[str, Any]:
    given = {"EventSourceArn": source, "FunctionName": "f", "StartingPosition": "TRIM_HORIZON"}
    made: dict[str, Any] = await world.call(
        "lambda", "create_event_source_mapping", **{**given, **more}
    )
    await world.settle()
    return made


async def passing(world: World, seconds: int) -> None:
    """Let cloud time pass, second by second."""
    for _ in range(seconds):
        await world.advance(seconds=1)
        await until_soon(world)


@told
async def test_a_table_s_changes_come_in_order(world: World) -> None:
    await stage(world)
    source = await table(world)
    await put(world, "a", "b")
    made = await mapped(world, source)
    assert (made["BatchSize"], made["LastProcessingResult"]) == (100, "No records processed")
    await heard(world, lambda found: found == [["a", "b"]])
    await put(world, "c")
    await passing(world, 2)
    await heard(world, lambda found: found == [["a", "b"], ["c"]])
    got = await world.call("lambda", "get_event_source_mapping", UUID=made["UUID"])
    assert (got["State"], got["LastProcessingResult"]) == ("Enabled", "OK")


@told
async def test_latest_begins_behind_what_is_there(world: World) -> None:
    await stage(world)
    source = await table(world)
    await put(world, "old")
    await mapped(world, source, StartingPosition="LATEST")
    await until_soon(world)
    await put(world, "new")
    await passing(world, 2)
    await heard(world, lambda found: found == [["new"]])


@told
async def test_a_stream_s_shards_are_read_side_by_side_and_their_children_behind_them(
    world: World,
) -> None:
    await stage(world)
    source = await stream(world, 2)
    await push(world, *"abcdef")
    await mapped(world, source)
    found = await heard(world, lambda found: sum(map(len, found)) == 6)
    assert sorted(name for batch in found for name in batch) == list("abcdef")
    await world.call(
        "kinesis", "update_shard_count", StreamName="s", TargetShardCount=1,
        ScalingType="UNIFORM_SCALING",
    )  # fmt: skip
    await passing(world, 40)
    await push(world, "later")
    await passing(world, 15)
    await heard(world, lambda found: ["later"] in found)
    assert sum(map(len, await lines(world))) == 7


@told
async def test_filters_look_into_the_data(world: World) -> None:
    await stage(world)
    source = await stream(world)
    await push(world, '{"size": 1}', '{"size": 9}')
    pattern = json.dumps({"data": {"size": [{"numeric": [">", 5]}]}})
    await mapped(world, source, FilterCriteria={"Filters": [{"Pattern": pattern}]})
    await heard(world, lambda found: found == [['{"size": 9}']])


@told
async def test_what_failed_is_tried_again_from_there_on_in_order(world: World) -> None:
    await stage(world)
    source = await table(world)
    await put(world, "a", "bad", "c")
    await mapped(
        world, source, FunctionResponseTypes=["ReportBatchItemFailures"], MaximumRetryAttempts=1
    )
    await heard(world, lambda found: found == [["a", "bad", "c"]])
    await passing(world, 2)
    await heard(world, lambda found: found[:2] == [["a", "bad", "c"], ["bad", "c"]])


@told
async def test_a_batch_is_halved_and_what_is_given_up_is_told(world: World) -> None:
    await stage(world)
    source = await table(world)
    await world.call("sqs", "create_queue", QueueName="lost")
    await put(world, "a", "worse", "c", "d")
    await mapped(
        world, source, BisectBatchOnFunctionError=True, MaximumRetryAttempts=0,
        DestinationConfig={
            "OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:lost"}
        },
    )  # fmt: skip
    await heard(world, lambda found: found[-1:] == [["c", "d"]])
    found = await lines(world)
    assert found == [["a", "worse", "c", "d"], ["a", "worse"], ["a"], ["worse"], ["c", "d"]]
    await until_soon(world)
    answer = await world.call(
        "sqs", "receive_message", QueueUrl="http://localhost:4566/000000000000/lost"
    )
    letter = json.loads(answer["Messages"][0]["Body"])
    assert letter["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert letter["responseContext"]["functionError"] == "Unhandled"
    assert letter["DDBStreamBatchInfo"]["batchSize"] == 1
    assert letter["DDBStreamBatchInfo"]["streamArn"] == source


@told
async def test_a_deleted_mapping_is_forgotten_with_how_far_it_had_come(world: World) -> None:
    await stage(world)
    source = await table(world)
    await put(world, "a")
    made = await mapped(world, source)
    await heard(world, lambda found: found == [["a"]])
    await world.call("lambda", "delete_event_source_mapping", UUID=made["UUID"])
    await world.settle()
    await mapped(world, source)
    await heard(world, lambda found: found == [["a"], ["a"]])


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"StartingPosition": None}, ("1 validation error detected: Value null at "
         "'startingPosition' failed to satisfy constraint: Member must not be null.")),
        ({"StartingPosition": "AT_TIMESTAMP"},
         "Unsupported starting position for DynamoDB Streams: AT_TIMESTAMP."),
        ({"MaximumRecordAgeInSeconds": 59},
         "MaximumRecordAgeInSeconds must be -1 or at least 60 seconds."),
        ({"ScalingConfig": {"MaximumConcurrency": 2}},
         "Unsupported source parameter: ScalingConfig for DynamoDB."),
    ],
    ids=["position", "moment", "age", "scaling"],
)  # fmt: skip
def test_a_mapping_of_a_stream_that_cannot_be_is_refused(given: dict[str, Any], text: str) -> None:
    @told
    async def story(world: World) -> None:
        await stage(world)
        source = await table(world)
        given_now = {"StartingPosition": "LATEST", **given}
        req = {name: one for name, one in given_now.items() if one is not None}
        call = world.call(
            "lambda", "create_event_source_mapping", EventSourceArn=source, FunctionName="f", **req
        )
        assert await refusal(call) == ("InvalidParameterValueException", text)

    story()
