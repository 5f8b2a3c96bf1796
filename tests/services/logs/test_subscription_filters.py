"""Subscription filters: lines that fit are brought to streams; functions are in Lambda's stories."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.services.logs.test_logs import put, stream
from tests.services.world import ACCOUNT, REGION, World, refusal, told

ROLE = f"arn:aws:iam::{ACCOUNT}:role/bringer"
STREAM = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/lines"


async def opened(world: World) -> None:
    """A group, a stream of Kinesis, and a role that may put there."""
    await stream(world)
    await world.call("kinesis", "create_stream", StreamName="lines", ShardCount=1)
    await world.advance(60)
    trust = {
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": "logs.amazonaws.com"},
    }  # fmt: skip
    await world.call(
        "iam", "create_role", RoleName="bringer", AssumeRolePolicyDocument=_document(trust)
    )
    may = {"Effect": "Allow", "Action": "kinesis:PutRecord", "Resource": STREAM}
    await world.call(
        "iam", "put_role_policy", RoleName="bringer", PolicyName="p", PolicyDocument=_document(may)
    )


def _document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


async def ask(world: World, pattern: str = "ERROR", **more: Any) -> None:
    req = {"filterName": "f", "destinationArn": STREAM, "roleArn": ROLE, **more}
    await world.call(
        "logs", "put_subscription_filter", logGroupName="shop", filterPattern=pattern,
        **{name: value for name, value in req.items() if value},
    )  # fmt: skip


async def brought(world: World) -> list[dict[str, Any]]:
    """What came to the stream."""
    await world.settle()
    shard = {"StreamName": "lines", "ShardId": "shardId-000000000000"}
    found = await world.call(
        "kinesis", "get_shard_iterator", ShardIteratorType="TRIM_HORIZON", **shard
    )
    page = await world.call("kinesis", "get_records", ShardIterator=found["ShardIterator"])
    return [json.loads(gzip.decompress(one["Data"])) for one in page["Records"]]


@told
async def test_lines_that_fit_come_to_a_stream_behind_a_test(world: World) -> None:
    await opened(world)
    await ask(world)
    await put(world, (0, "well"), (1, "ERROR 1"), (2, "ERROR 2"))
    await put(world, (3, "well"))
    check, lines = await brought(world)
    assert check["messageType"] == "CONTROL_MESSAGE"
    assert lines["messageType"] == "DATA_MESSAGE"
    assert (lines["owner"], lines["logGroup"]) == (ACCOUNT, "shop")
    assert [one["message"] for one in lines["logEvents"]] == ["ERROR 1", "ERROR 2"]
    await world.call("logs", "delete_subscription_filter", logGroupName="shop", filterName="f")
    await put(world, (4, "ERROR 3"))
    assert len(await brought(world)) == 2


@told
async def test_values_that_a_pattern_takes_out_are_told(world: World) -> None:
    await opened(world)
    await ask(world, "[word, count > 2]")
    await put(world, (0, "cups 1"), (1, "cups 3"))
    lines = (await brought(world))[-1]["logEvents"]
    assert [one["extractedFields"] for one in lines] == [{"word": "cups", "count": "3"}]


@told
async def test_what_was_taken_before_a_crash_is_brought_after_it(world: World) -> None:
    await opened(world)
    await ask(world)
    await put(world, (0, "ERROR"))
    after = world.again()
    await after.start()
    messages = [one["logEvents"][0]["message"] for one in await brought(after)]
    assert "ERROR" in messages
    await after.close()


@told
async def test_a_large_request_comes_in_pieces(world: World) -> None:
    await opened(world)
    await ask(world, "")
    text = "x" * 200_000
    await put(world, *((at, text) for at in range(5)))
    assert [len(one["logEvents"]) for one in (await brought(world))[1:]] == [2, 2, 1]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"roleArn": ""}, "InvalidParameterException"),
        ({"roleArn": f"{ROLE}s"}, "InvalidParameterException"),
        ({"destinationArn": f"{STREAM}s"}, "InvalidParameterException"),
        ({"destinationArn": "stream"}, "InvalidParameterException"),
        ({"destinationArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"},
         "InvalidParameterException"),
        ({"destinationArn": f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/s"},
         "NotImplemented"),
        ({"pattern": "{ $.a ="}, "InvalidParameterException"),
    ],
)  # fmt: skip
def test_a_subscription_that_cannot_be_is_refused(more: dict[str, Any], code: str) -> None:
    @told
    async def story(world: World) -> None:
        await opened(world)
        assert (await refusal(ask(world, **more)))[0] == code
        found = await world.call("logs", "describe_subscription_filters", logGroupName="shop")
        assert found["subscriptionFilters"] == []
        missing = world.call(
            "logs", "delete_subscription_filter", logGroupName="shop", filterName="f"
        )
        assert await refusal(missing) == (
            "ResourceNotFoundException", "The specified subscription filter does not exist.",
        )  # fmt: skip

    story()
