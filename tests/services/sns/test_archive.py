"""What a FIFO topic has archived is told again, in order and once."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

from doppio.services.sns.records import Archived
from tests.services.sns.helpers import heard, queue, subscribe, texts, topic
from tests.services.world import World, refusal, told

POLICY = json.dumps({"MessageRetentionPeriod": "30"})


async def archive(world: World, **attributes: str) -> str:
    """A FIFO topic with an archive."""
    return await topic(world, "news.fifo", ArchivePolicy=POLICY, **attributes)


async def publish(world: World, arn: str, *told: str) -> None:
    """Publish texts in one group."""
    for text in told:
        await world.call(
            "sns",
            "publish",
            TopicArn=arn,
            Message=text,
            MessageGroupId="g",
            MessageDeduplicationId=text,
        )


def replay(world: World, seconds: float, until: float | None = None) -> str:
    """A replay policy from some seconds ago."""
    policy = {
        "PointType": "Timestamp",
        "StartingPoint": (world.now - timedelta(seconds=seconds)).isoformat(),
    }
    if until is not None:
        policy["EndingPoint"] = (world.now + timedelta(seconds=until)).isoformat()
    return json.dumps(policy)


async def attributes(world: World, arn: str) -> dict[str, Any]:
    """A subscription's attributes."""
    found: dict[str, Any] = (
        await world.call("sns", "get_subscription_attributes", SubscriptionArn=arn)
    )["Attributes"]
    return found


async def replayed(world: World, arn: str) -> None:
    """Wait until a subscription has heard all of the archive; the key is made in a thread."""
    for _ in range(500):
        if (await attributes(world, arn))["ReplayStatus"] == "Completed":
            return
        await world.settle()
        await asyncio.sleep(0.005)
    raise AssertionError("never completed")


@told
async def test_a_new_subscription_hears_the_archive_and_then_the_news(world: World) -> None:
    arn = await archive(world)
    await publish(world, arn, *(f"m{at}" for at in range(250)))
    await world.advance(600)
    to = await queue(world, "q.fifo")
    one = await subscribe(world, arn, to, ReplayPolicy=replay(world, 600))
    await publish(world, arn, "new")
    await replayed(world, one)
    found = await heard(world, to)
    bodies = [json.loads(message["Body"]) for message in found]
    assert [body["Message"] for body in bodies] == [*(f"m{at}" for at in range(250)), "new"]
    assert bodies[0]["Replayed"] == "true"
    assert bodies[0]["Timestamp"] == "2030-01-01T00:00:00.000Z"
    assert (await attributes(world, one))["ReplayStatus"] == "Completed"
    await publish(world, arn, "later")
    (message,) = await heard(world, to)
    assert "Replayed" not in json.loads(message["Body"])


@told
async def test_after_its_ending_point_a_replay_is_silent_until_it_is_taken_off(
    world: World,
) -> None:
    arn = await archive(world)
    to = await queue(world, "q.fifo")
    one = await subscribe(world, arn, to)
    await publish(world, arn, "a")
    assert await texts(world, to) == ["a"]
    await world.advance(600)
    await world.call(
        "sns",
        "set_subscription_attributes",
        SubscriptionArn=one,
        AttributeName="ReplayPolicy",
        AttributeValue=replay(world, 600, until=60),
    )
    await publish(world, arn, "b")
    await world.advance(1)
    assert await texts(world, to) == ["a", "b"]
    await world.advance(60)
    assert (await attributes(world, one))["ReplayStatus"] == "Completed"
    await publish(world, arn, "c")
    await world.advance(1)
    assert await texts(world, to) == []
    await world.call(
        "sns",
        "set_subscription_attributes",
        SubscriptionArn=one,
        AttributeName="ReplayPolicy",
        AttributeValue="",
    )
    await publish(world, arn, "d")
    assert await texts(world, to) == ["d"]
    assert "ReplayStatus" not in await attributes(world, one)


@told
async def test_only_what_the_filter_wants_is_replayed(world: World) -> None:
    arn = await archive(world)
    for text, kind in (("x", "tea"), ("y", "coffee")):
        await world.call(
            "sns",
            "publish",
            TopicArn=arn,
            Message=text,
            MessageGroupId="g",
            MessageDeduplicationId=text,
            MessageAttributes={"kind": {"DataType": "String", "StringValue": kind}},
        )
    to = await queue(world, "q.fifo")
    wanted = json.dumps({"kind": ["coffee"]})
    one = await subscribe(world, arn, to, ReplayPolicy=replay(world, 0), FilterPolicy=wanted)
    await replayed(world, one)
    assert await texts(world, to) == ["y"]


@told
async def test_an_archive_forgets_after_its_days_and_all_of_it_when_it_is_off(
    world: World,
) -> None:
    arn = await archive(world)
    await publish(world, arn, "old")
    await world.advance(days=29)
    await publish(world, arn, "young")
    shown = (await world.call("sns", "get_topic_attributes", TopicArn=arn))["Attributes"]
    assert shown["BeginningArchiveTime"] == "2030-01-01T00:00:00.000Z"
    await world.advance(days=2)
    shown = (await world.call("sns", "get_topic_attributes", TopicArn=arn))["Attributes"]
    assert shown["BeginningArchiveTime"] == "2030-01-02T00:00:00.000Z"
    reader = world.cloud.root_context().read()
    kept = await reader.list(Archived, (arn,), limit=10)
    assert [one.message.text for one in kept] == ["young"]
    to = await queue(world, "q.fifo")
    early = replay(world, 31 * 86_400)
    code, text = await refusal(subscribe(world, arn, to, ReplayPolicy=early))
    assert (code, "BeginningArchiveTime" in text) == ("InvalidParameter", True)
    code, _ = await refusal(world.call("sns", "delete_topic", TopicArn=arn))
    assert code == "InvalidState"
    for _ in range(2):
        await world.call(
            "sns",
            "set_topic_attributes",
            TopicArn=arn,
            AttributeName="ArchivePolicy",
            AttributeValue="{}",
        )
    await world.advance(1)
    assert await reader.list(Archived, (arn,), limit=10) == []
    await world.call("sns", "delete_topic", TopicArn=arn)


@told
async def test_a_replay_goes_on_after_a_crash(world: World) -> None:
    arn = await archive(world)
    await publish(world, arn, *(f"m{at}" for at in range(150)))
    await world.advance(600)
    to = await queue(world, "q.fifo")
    one = await subscribe(world, arn, to, ReplayPolicy=replay(world, 600))
    after = world.again()
    await after.start()
    await replayed(after, one)
    assert await texts(after, to) == [f"m{at}" for at in range(150)]
    await after.close()


@told
async def test_policies_that_cannot_be_are_refused(world: World) -> None:
    for bad in ("{", "[]", '{"MessageRetentionPeriod": "366"}', '{"Days": "1"}'):
        code, _ = await refusal(topic(world, "bad.fifo", ArchivePolicy=bad))
        assert code == "InvalidParameter"
    code, _ = await refusal(topic(world, "plain", ArchivePolicy=POLICY))
    assert code == "InvalidParameter"
    arn = await topic(world, "none.fifo")
    to = await queue(world, "q.fifo")
    for bad in (
        replay(world, 0),
        "{}x",
        '{"PointType": "Sequence", "StartingPoint": "1"}',
        '{"PointType": "Timestamp", "StartingPoint": "yesterday"}',
        replay(world, 0, until=-5),
    ):
        code, _ = await refusal(subscribe(world, arn, to, ReplayPolicy=bad))
        assert code == "InvalidParameter"
