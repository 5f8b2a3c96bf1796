"""What comes next in a standard queue is looked up ahead, and nobody can tell."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from doppio.kernel.store import StoreFull
from doppio.services.sqs import heads
from doppio.wire.errors import ServiceUnavailable
from tests.services.sqs.helpers import bodies, delete, hide, make, one, receive, send
from tests.services.world import World, told


async def fill(world: World, url: str, count: int, name: str = "") -> list[str]:
    """Send messages, each a moment after the other; their bodies."""
    sent = [f"{name}{number}" for number in range(count)]
    for body in sent:
        await send(world, url, body)
        world.host.run_to(world.host.seconds() + 0.001)
    return sent


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look only a few messages ahead, so that short stories come to the end of it."""
    monkeypatch.setattr(heads, "AHEAD_MESSAGES", 4)


@told
async def test_messages_come_in_order_whatever_number_is_asked_for(world: World) -> None:
    url = await make(world)
    sent = await fill(world, url, 23)
    got: list[str] = []
    for count in (1, 3, 10, 2, 5, 10):
        got += await bodies(world, url, MaxNumberOfMessages=count)
    assert got == sent
    assert await bodies(world, url) == []


@told
async def test_what_was_deleted_after_the_look_ahead_does_not_come(world: World) -> None:
    url = await make(world)
    await fill(world, url, 4)
    first = await one(world, url, MaxNumberOfMessages=1, VisibilityTimeout=1)
    second = await one(world, url, MaxNumberOfMessages=1, VisibilityTimeout=1)
    await world.advance(2)
    # Both stand behind the two that were seen ahead; one of them is deleted by its old handle.
    await delete(world, url, second)
    assert await bodies(world, url) == ["2", "3", first["Body"]]


@told
async def test_what_is_given_back_comes_although_others_were_seen_ahead(world: World) -> None:
    url = await make(world)
    await fill(world, url, 5)
    first = await one(world, url, MaxNumberOfMessages=1)
    await hide(world, url, first, 0)
    got = [body for _ in range(5) for body in await bodies(world, url, MaxNumberOfMessages=1)]
    assert sorted(got) == ["0", "1", "2", "3", "4"]


@told
async def test_a_purge_takes_what_was_seen_ahead(world: World) -> None:
    url = await make(world)
    await fill(world, url, 4)
    await one(world, url, MaxNumberOfMessages=1)
    await world.call("sqs", "purge_queue", QueueUrl=url)
    await send(world, url, "new")
    assert await bodies(world, url) == ["new"]


@told
async def test_a_clock_that_is_set_back_hides_what_was_seen_ahead(world: World) -> None:
    url = await make(world)
    await world.advance(60)
    await fill(world, url, 3)
    assert len(await receive(world, url, MaxNumberOfMessages=1)) == 1
    await world.advance(-60)
    assert await bodies(world, url) == []
    await world.advance(61)
    assert await bodies(world, url) == ["1", "2"]


@told
async def test_many_at_once_get_each_message_once(world: World) -> None:
    url = await make(world)
    sent = await fill(world, url, 40)
    found = await asyncio.gather(*(receive(world, url, MaxNumberOfMessages=3) for _ in range(20)))
    got = Counter(message["Body"] for messages in found for message in messages)
    assert got == Counter(sent)


@told
async def test_a_refused_receipt_loses_nothing(world: World) -> None:
    url = await make(world)
    sent = await fill(world, url, 6)
    assert await bodies(world, url, MaxNumberOfMessages=1) == sent[:1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.memory, "_reaches_disk", lambda group: StoreFull("full"))
        with pytest.raises(ServiceUnavailable):
            await receive(world, url, MaxNumberOfMessages=2)
    # Those two are met again once the look ahead is used up.
    got = [body for _ in range(5) for body in await bodies(world, url, MaxNumberOfMessages=1)]
    assert sorted(got) == sent[1:]
