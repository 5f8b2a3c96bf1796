"""How many messages may be in flight, and what counting costs."""

from __future__ import annotations

import asyncio

import pytest

from doppio.services.sqs import counting, limits
from tests.services.world import World, refusal, run

from .helpers import bodies, counts, delete, make, one, receive, send


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four in place of 120,000, and pages of two rows."""
    monkeypatch.setattr(limits, "IN_FLIGHT_STANDARD_MAX", 4)
    monkeypatch.setattr(limits, "IN_FLIGHT_FIFO_MAX", 4)
    monkeypatch.setattr(counting, "ROWS_A_READ", 2)


async def filled(world: World, name: str = "q", count: int = 8) -> str:
    """A queue with messages, each in a group of its own."""
    url = await make(world, name, VisibilityTimeout="10")
    for number in range(count):
        group = {"MessageGroupId": str(number), "MessageDeduplicationId": str(number)}
        await send(world, url, str(number), **(group if name.endswith(".fifo") else {}))
    return url


def test_a_standard_queue_with_too_many_messages_in_flight_says_so() -> None:
    async def story(world: World) -> None:
        url = await filled(world)
        taken = await receive(world, url, MaxNumberOfMessages=4)
        assert len(taken) == 4
        assert await refusal(receive(world, url)) == (
            "OverLimit",
            "Too many messages in flight: a queue can have at most 4 of them at a time.",
        )
        await delete(world, url, taken[0])
        assert len(await receive(world, url, MaxNumberOfMessages=1)) == 1
        assert (await refusal(receive(world, url)))[0] == "OverLimit"
        await world.advance(10)
        assert len(await receive(world, url, MaxNumberOfMessages=4)) == 4

    run(story)


def test_delayed_messages_are_not_in_flight() -> None:
    async def story(world: World) -> None:
        url = await filled(world, count=4)
        for _ in range(5):
            await send(world, url, "later", DelaySeconds=60)
        assert len(await receive(world, url, MaxNumberOfMessages=3)) == 3
        assert len(await receive(world, url, MaxNumberOfMessages=1)) == 1
        assert await counts(world, url) == (0, 4, 5)

    run(story)


@pytest.mark.parametrize("name", ["q", "q.fifo"])
@pytest.mark.parametrize("room", ["a deletion", "the end of a hiding"])
def test_who_waits_at_a_full_queue_is_served_once_there_is_room(name: str, room: str) -> None:
    async def story(world: World) -> None:
        url = await filled(world, name)
        taken = await receive(world, url, MaxNumberOfMessages=4)
        waiting = asyncio.create_task(
            receive(world, url, MaxNumberOfMessages=1, WaitTimeSeconds=20)
        )
        await world.settle()
        await world.advance(9)
        assert not waiting.done()
        if room == "a deletion":
            await delete(world, url, taken[0])
            await world.settle()
        else:
            await world.advance(1)
        assert waiting.done()
        assert len(await waiting) == 1

    run(story)


def test_a_full_fifo_queue_gives_nothing_and_no_error() -> None:
    async def story(world: World) -> None:
        url = await filled(world, "q.fifo")
        attempt = {"MaxNumberOfMessages": 4, "ReceiveRequestAttemptId": "try"}
        taken = await receive(world, url, **attempt)
        assert await receive(world, url) == []
        again = await receive(world, url, **attempt)
        assert [m["MessageId"] for m in again] == [m["MessageId"] for m in taken]

    run(story)


def test_counts_of_a_fifo_queue_tell_in_flight_delayed_and_waiting_apart() -> None:
    async def story(world: World) -> None:
        url = await make(world, "q.fifo", DelaySeconds="10")
        for number in range(3):
            for group in ("a", "b", "c"):
                sent = f"{group}{number}"
                await send(world, url, sent, MessageGroupId=group, MessageDeduplicationId=sent)
            await world.advance(4)
        # Sent at 0, 4 and 8; now it is 12.
        assert await counts(world, url) == (3, 0, 6)
        message = await one(world, url, MaxNumberOfMessages=1)
        assert await counts(world, url) == (2, 1, 6)
        await world.advance(2)
        assert await counts(world, url) == (5, 1, 3)
        await delete(world, url, message)
        assert await bodies(world, url) == ["b0", "b1", "c0", "c1", "a1"]

    run(story)
