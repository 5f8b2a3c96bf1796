"""Pipes bring what a table's stream tells to a target, in order, from where they were."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.services.pipes.records import Checkpoint
from tests.services.crashes import Told, crash_everywhere
from tests.services.dynamodb.helpers import caller, described, item, put
from tests.services.dynamodb.helpers import make as make_table
from tests.services.pipes.test_pipes import ACTIONS, pipe, role, state
from tests.services.sqs.helpers import arn, make, receive
from tests.services.world import REGION, World, refusal, run, told

READ = (
    "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
)  # fmt: skip
SHORT = {"InputTemplate": '"<$.eventName> <$.dynamodb.Keys.id.S>"'}


async def table(world: World, **req: Any) -> str:
    """A table with a stream; the stream's ARN."""
    view = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    await make_table(world, StreamSpecification=view, **req)
    found: str = (await described(world))["LatestStreamArn"]
    return found


async def streaming(world: World, source: str, begins: str = "TRIM_HORIZON", **req: Any) -> None:
    """A pipe from the stream to the queue `to`."""
    own = {"StartingPosition": begins, **req.pop("own", {})}
    parameters = {"DynamoDBStreamParameters": own, **req.pop("SourceParameters", {})}
    await pipe(world, Source=source, SourceParameters=parameters, **req)


async def line(world: World, **attributes: str) -> str:
    """The queue `to`, and a role that may bring to it what streams tell; the queue's URL."""
    await role(world, *ACTIONS, *READ)
    return await make(world, "to", **attributes)


async def fifo(world: World) -> str:
    """The queue `to.fifo`, which keeps the order in which things come, and the role; its URL."""
    await role(world, *ACTIONS, *READ)
    given = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    return await make(world, "to.fifo", MaximumMessageSize="1024", **given)


async def bodies(world: World, url: str) -> list[Any]:
    """What has come to a queue, in that order, and is taken out of it."""
    await world.advance(1)
    found: list[Any] = []
    while page := await receive(world, url, MaxNumberOfMessages=10):
        found += [json.loads(one["Body"]) for one in page]
        for one in page:
            await world.call(
                "sqs", "delete_message", QueueUrl=url, ReceiptHandle=one["ReceiptHandle"]
            )
    return found


async def checkpoints(world: World) -> list[Checkpoint]:
    return await world.cloud.root_context().read().list(Checkpoint, limit=9)


@told
async def test_what_a_stream_tells_comes_as_it_was_told(world: World) -> None:
    url = await line(world)
    source = await table(world)
    await put(world, id="a", cups=1, raw=b"\x00\xff")
    await streaming(world, source)
    await caller(world)("delete_item", TableName="orders", Key=item(id="a"))
    first, second = sorted(
        await bodies(world, url), key=lambda event: str(event["dynamodb"]["SequenceNumber"])
    )
    change = first.pop("dynamodb")
    assert len(first.pop("eventID")) == 32
    assert first == {
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "eventSourceARN": source,
    }
    assert change.pop("SequenceNumber").isdecimal()
    assert change.pop("SizeBytes") > 0
    assert change == {
        "ApproximateCreationDateTime": int(world.now.timestamp()) - 1,
        "Keys": {"id": {"S": "a"}},
        "NewImage": {"id": {"S": "a"}, "cups": {"N": "1"}, "raw": {"B": "AP8="}},
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    assert (second["eventName"], "OldImage" in second["dynamodb"]) == ("REMOVE", True)
    assert await bodies(world, url) == []


@told
async def test_latest_begins_behind_what_is_there(world: World) -> None:
    url = await line(world)
    source = await table(world)
    for number in range(3):
        await put(world, id=f"old{number}")
    await streaming(world, source, "LATEST", TargetParameters=SHORT)
    await put(world, id="new")
    assert await bodies(world, url) == ["INSERT new"]


@told
async def test_a_pipe_that_was_stopped_goes_on_where_it_was(world: World) -> None:
    url = await line(world)
    source = await table(world)
    await streaming(world, source, "LATEST", TargetParameters=SHORT)
    await put(world, id="a")
    assert await bodies(world, url) == ["INSERT a"]
    await world.call("pipes", "stop_pipe", Name="p")
    await world.settle()
    await put(world, id="b")
    assert await bodies(world, url) == []
    await world.call("pipes", "start_pipe", Name="p")
    assert await bodies(world, url) == ["INSERT b"]
    await world.call("pipes", "delete_pipe", Name="p")
    await world.settle()
    assert await checkpoints(world) == []
    # Another pipe of its name begins by itself.
    await streaming(world, source, TargetParameters=SHORT)
    assert sorted(await bodies(world, url)) == ["INSERT a", "INSERT b"]


@told
async def test_what_no_filter_wants_is_passed_by(world: World) -> None:
    url = await line(world)
    source = await table(world)
    pattern = {"eventName": ["INSERT"], "dynamodb": {"NewImage": {"kind": {"S": ["tea"]}}}}
    criteria = {"FilterCriteria": {"Filters": [{"Pattern": json.dumps(pattern)}]}}
    await streaming(world, source, SourceParameters=criteria, TargetParameters=SHORT)
    for number, kind in enumerate(["tea", "milk", "tea"]):
        await put(world, id=str(number), kind=kind)
    assert sorted(await bodies(world, url)) == ["INSERT 0", "INSERT 2"]
    (checkpoint,) = await checkpoints(world)
    assert checkpoint.waiting == []


@told
async def test_a_pipe_waits_for_its_window_or_until_its_batch_is_full(world: World) -> None:
    url = await line(world)
    source = await table(world)
    own = {"BatchSize": 3, "MaximumBatchingWindowInSeconds": 10}
    await streaming(world, source, own=own, TargetParameters=SHORT)
    await put(world, id="a")
    assert await bodies(world, url) == []
    await world.advance(8)
    assert await bodies(world, url) == []
    await world.advance(2)
    assert await bodies(world, url) == ["INSERT a"]
    for name in "bcd":
        await put(world, id=name)
    assert sorted(await bodies(world, url)) == ["INSERT b", "INSERT c", "INSERT d"]


@told
async def test_what_fails_holds_up_what_comes_behind_it_until_it_arrives(world: World) -> None:
    url = await line(world, MaximumMessageSize="1024")
    source = await table(world)
    given = {"InputTemplate": '"<$.dynamodb.NewImage.text.S>"'}
    await streaming(world, source, own={"BatchSize": 1}, TargetParameters=given)
    for text in ("one", "2" * 2_000, "three"):
        await put(world, id=text[0], text=text)
    assert await bodies(world, url) == ["one"]
    for _ in range(9):
        await world.advance(60)
    assert await bodies(world, url) == []
    (checkpoint,) = await checkpoints(world)
    (waiting,) = checkpoint.waiting
    assert waiting.tries > 5
    await world.call(
        "sqs", "set_queue_attributes", QueueUrl=url, Attributes={"MaximumMessageSize": "4096"}
    )
    await world.advance(60)
    assert set(await bodies(world, url)) == {"2" * 2_000, "three"}
    assert (await checkpoints(world))[0].waiting == []


@pytest.mark.parametrize("bisects", [False, True])
def test_a_batch_that_fails_too_often_is_given_up_and_told_of(bisects: bool) -> None:
    async def story(world: World) -> None:
        url = await line(world, MaximumMessageSize="1024")
        dead = await make(world, "dead")
        source = await table(world)
        own: dict[str, Any] = {
            "BatchSize": 4, "MaximumRetryAttempts": 2, "DeadLetterConfig": {"Arn": arn("dead")},
        }  # fmt: skip
        if bisects:
            own["OnPartialBatchItemFailure"] = "AUTOMATIC_BISECT"
        given = {"InputTemplate": '"<$.dynamodb.NewImage.text.S>"'}
        for text in ("one", "2" * 2_000, "three", "four"):
            await put(world, id=text[0], text=text)
        await streaming(world, source, own=own, TargetParameters=given)
        for _ in range(6):
            await world.advance(60)
        (letter,) = await bodies(world, dead)
        info = letter["DDBStreamBatchInfo"]
        assert letter["context"]["condition"] == "RetryAttemptsExhausted"
        assert letter["context"]["partnerResourceArn"].endswith(":pipe/p")
        assert (info["streamArn"], info["batchSize"]) == (source, 1 if bisects else 3)
        assert info["startSequenceNumber"] <= info["endSequenceNumber"]
        assert info["shardId"].startswith("shardId-")
        # What stands behind the bad one in its batch goes with it, again and again, and was
        # taken by the queue each time.
        found = await bodies(world, url)
        assert set(found) == {"one", "three", "four"}
        assert found.count("one") == 1
        assert found.count("four") == (2 if bisects else 3)
        (checkpoint,) = await checkpoints(world)
        assert (checkpoint.waiting, checkpoint.after >= info["endSequenceNumber"]) == ([], True)

    run(story)


@told
async def test_records_that_are_too_old_are_given_up(world: World) -> None:
    url = await line(world)
    dead = await make(world, "dead")
    source = await table(world)
    await put(world, id="old")
    await world.advance(120)
    await put(world, id="new")
    own = {"MaximumRecordAgeInSeconds": 60, "DeadLetterConfig": {"Arn": arn("dead")}}
    await streaming(world, source, own=own, TargetParameters=SHORT)
    assert await bodies(world, url) == ["INSERT new"]
    (letter,) = await bodies(world, dead)
    assert letter["context"]["condition"] == "RecordAgeExceeded"
    assert letter["DDBStreamBatchInfo"]["batchSize"] == 1
    assert letter["DDBStreamBatchInfo"]["approximateArrivalOfFirstRecord"] == (
        "2030-01-01T00:00:01.000Z"
    )


@told
async def test_batches_side_by_side_keep_the_order_of_each_item(world: World) -> None:
    url = await fifo(world)
    source = await table(world)
    given = {
        "InputTemplate": '"<$.dynamodb.Keys.id.S> <$.dynamodb.NewImage.n.N>"',
        "SqsQueueParameters": {"MessageGroupId": "$.dynamodb.Keys.id.S"},
    }
    for number in range(5):
        for name in "abcdefgh":
            await put(world, id=name, n=number)
    own = {"BatchSize": 3, "ParallelizationFactor": 4}
    await streaming(world, source, own=own, TargetParameters=given, Target=arn("to.fifo"))
    found = await bodies(world, url)
    for name in "abcdefgh":
        mine = [one for one in found if one.startswith(name)]
        assert mine == [f"{name} {number}" for number in range(5)]
    assert found != [f"{name} {number}" for number in range(5) for name in "abcdefgh"]


@told
async def test_a_role_that_may_not_read_leaves_records_until_it_may(world: World) -> None:
    await role(world, *ACTIONS)
    url = await make(world, "to")
    source = await table(world)
    await put(world, id="a")
    await streaming(world, source, TargetParameters=SHORT)
    assert await state(world) == "RUNNING"
    await world.advance(10)
    assert await bodies(world, url) == []
    statement = {"Effect": "Allow", "Action": ["dynamodb:*", "sqs:*"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await world.call(
        "iam", "put_role_policy", RoleName="plumber", PolicyName="more", PolicyDocument=policy
    )
    await world.advance(6)
    assert await bodies(world, url) == ["INSERT a"]


@told
async def test_an_update_keeps_where_the_pipe_began(world: World) -> None:
    url = await line(world)
    source = await table(world)
    await streaming(world, source, "LATEST", TargetParameters=SHORT)
    await world.call(
        "pipes",
        "update_pipe",
        Name="p",
        RoleArn="arn:aws:iam::000000000000:role/plumber",
        SourceParameters={"DynamoDBStreamParameters": {"BatchSize": 7}},
    )
    await world.settle()
    shown = await world.call("pipes", "describe_pipe", Name="p")
    assert shown["SourceParameters"]["DynamoDBStreamParameters"] == {
        "StartingPosition": "LATEST",
        "BatchSize": 7,
    }
    await put(world, id="a")
    assert await bodies(world, url) == ["INSERT a"]


def test_a_crash_at_any_commit_brings_all_in_order() -> None:
    async def prepare(world: World, told: Told) -> None:
        told["url"] = await fifo(world)
        source = await table(world)
        given = {
            "InputTemplate": '"<$.dynamodb.NewImage.text.S>"',
            "SqsQueueParameters": {"MessageGroupId": "g"},
        }
        own = {"BatchSize": 2, "MaximumRetryAttempts": 1}
        await streaming(world, source, own=own, TargetParameters=given, Target=arn("to.fifo"))
        told["sent"] = []

    async def work(world: World, told: Told) -> None:
        for text in ("a", "b", "c" * 2_000, "d"):
            await put(world, id=text[0], text=text)
            told["sent"].append(text)
        await world.advance(1)
        await world.advance(1)

    async def check(world: World, told: Told) -> None:
        for _ in range(3):
            await world.advance(30)
        found = await bodies(world, told["url"])
        first = list(dict.fromkeys(found))
        wanted = [text for text in told["sent"] if len(text) == 1]
        # What came twice came in order, too; one more may have been told of than was answered.
        assert first[: len(wanted)] == wanted
        assert len(first) <= len(wanted) + 1
        assert all(one.waiting == [] for one in await checkpoints(world))

    assert crash_everywhere(prepare, work, check) > 5


@pytest.mark.parametrize(
    ("source", "parameters", "text"),
    [
        ("table/orders", {"StartingPosition": "LATEST"}, "Invalid Source"),
        ("table/orders/stream/x", None, "StartingPosition must be given"),
        (
            "table/orders/stream/x",
            {"StartingPosition": "LATEST", "MaximumRecordAgeInSeconds": 59},
            "MaximumRecordAgeInSeconds must be -1 or at least 60.",
        ),
        (
            "table/orders/stream/x",
            {
                "StartingPosition": "LATEST",
                "DeadLetterConfig": {"Arn": "arn:aws:s3:::letters"},
            },
            "Invalid DeadLetterConfig",
        ),
        ("table/orders/stream/x", {"StartingPosition": "AT_TIMESTAMP"}, "enum value set"),
    ],
)
def test_a_stream_that_cannot_be_a_source_is_refused(
    source: str, parameters: dict[str, Any] | None, text: str
) -> None:
    async def story(world: World) -> None:
        await role(world, *READ)
        req: dict[str, Any] = {"Source": f"arn:aws:dynamodb:{REGION}:000000000000:{source}"}
        if parameters is not None:
            req["SourceParameters"] = {"DynamoDBStreamParameters": parameters}
        code, found = await refusal(pipe(world, **req))
        assert code == "ValidationException"
        assert text in found

    run(story)
