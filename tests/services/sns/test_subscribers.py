"""Who hears of a topic is remembered, and every change of it counts at once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doppio.kernel.context import Reader
from doppio.services.sns import limits, signing, subscribers
from doppio.services.sns.notification import as_json
from doppio.services.sns.records import Subscription
from tests.services.sns.helpers import heard, queue, subscribe, topic
from tests.services.world import World, told


async def publish(world: World, arn: str, text: str = "coffee", **req: Any) -> None:
    """Publish a message."""
    await world.call("sns", "publish", TopicArn=arn, Message=text, **req)


async def texts(world: World, arn: str) -> list[str]:
    """The texts in a queue, sorted and taken out of it, of messages in envelopes and raw."""
    found = []
    for message in await heard(world, arn):
        body = message["Body"]
        found.append(json.loads(body)["Message"] if body.startswith("{") else body)
    return sorted(found)


@told
async def test_each_change_of_a_subscription_counts_for_the_next_message(world: World) -> None:
    news, first, second = await topic(world), await queue(world, "a"), await queue(world, "b")
    await publish(world, news, "nobody")
    one = await subscribe(world, news, first)
    await publish(world, news, "one")
    other = await subscribe(world, news, second)
    await publish(world, news, "both")
    await world.call(
        "sns", "set_subscription_attributes", SubscriptionArn=other,
        AttributeName="FilterPolicy", AttributeValue=json.dumps({"size": ["large"]}),
    )  # fmt: skip
    await publish(world, news, "filtered")
    size = {"size": {"DataType": "String", "StringValue": "large"}}
    await publish(world, news, "large", MessageAttributes=size)
    await world.call("sns", "unsubscribe", SubscriptionArn=one)
    await publish(world, news, "after", MessageAttributes=size)
    assert await texts(world, first) == ["both", "filtered", "large", "one"]
    assert await texts(world, second) == ["after", "both", "large"]


@told
async def test_a_topic_made_anew_has_no_subscribers_of_the_old_one(world: World) -> None:
    news, to = await topic(world), await queue(world, "a")
    await subscribe(world, news, to)
    await publish(world, news, "old")
    await world.call("sns", "delete_topic", TopicArn=news)
    await world.advance(1)
    assert await topic(world) == news
    await publish(world, news, "new")
    assert await texts(world, to) == ["old"]


@told
async def test_subscribers_are_read_once_for_many_messages(world: World) -> None:
    news, to = await topic(world), await queue(world, "a")
    await subscribe(world, news, to)
    reads = 0
    listed = Reader.list

    async def counted(self: Reader, cls: type[Any], *args: Any, **named: Any) -> Any:
        nonlocal reads
        reads += cls is Subscription
        return await listed(self, cls, *args, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reader, "list", counted)
        for number in range(5):
            await publish(world, news, str(number))
    assert reads == 1
    assert await texts(world, to) == list("01234")


@told
async def test_more_subscribers_than_a_page_all_hear(world: World) -> None:
    news = await topic(world)
    queues = [await queue(world, f"q{number}") for number in range(5)]
    for one in queues:
        await subscribe(world, news, one)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "SUBSCRIPTIONS_A_READ", 2)
        await publish(world, news, "a")
        await publish(world, news, "b")
    for one in queues:
        assert await texts(world, one) == ["a", "b"]


@told
async def test_what_is_remembered_has_an_end(world: World) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subscribers, "REMEMBERED_MAX", 4)
        to = await queue(world, "a")
        topics = [await topic(world, f"t{number}") for number in range(4)]
        for arn in topics:
            await subscribe(world, arn, to, RawMessageDelivery="true")
        for turn in range(2):
            for arn in topics:
                await publish(world, arn, f"{turn} {arn[-2:]}")
    assert await texts(world, to) == [f"{n} t{m}" for n in range(2) for m in range(4)]


@told
async def test_the_subscribers_of_a_message_share_its_signature_and_the_key_is_made_once(
    world: World,
) -> None:
    news = await topic(world)
    queues = [await queue(world, f"q{number}") for number in range(4)]
    for one in queues:
        await subscribe(world, news, one)
    made = 0
    make = signing._make

    def counted(*args: Any) -> Any:
        nonlocal made
        made += 1
        return make(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signing, "_make", counted)
        patch.setattr(signing, "SIGNATURES_MAX", 1)
        await asyncio.gather(publish(world, news, "a"), publish(world, news, "b"))
    assert made == 1
    signatures: dict[str, set[str]] = {"a": set(), "b": set()}
    for one in queues:
        for message in await heard(world, one):
            envelope = json.loads(message["Body"])
            signatures[envelope["Message"]].add(envelope["Signature"])
    assert [len(found) for found in signatures.values()] == [1, 1]
    assert signatures["a"] != signatures["b"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_an_envelope_is_written_as_the_json_module_would_indent_it(told: dict[str, Any]) -> None:
    assert as_json(told) == json.dumps(told, indent=2, ensure_ascii=False)
