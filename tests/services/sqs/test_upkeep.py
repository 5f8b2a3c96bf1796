"""Long work in the background: purged, deleted and moved messages, and a crash at every commit."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from doppio.kernel.memory_store import MemoryStore
from doppio.kernel.records import table_of
from doppio.kernel.store import StoreClosed
from doppio.services.sqs import move_tasks, upkeep
from doppio.services.sqs.records import FifoMessage, Message
from doppio.wire.errors import ServiceUnavailable
from tests.services.world import World

from .helpers import arn, attributes, bodies, counts, hide, make, one, send

MESSAGES = 12


async def filled(world: World, name: str, **attributes: str) -> str:
    """A queue with some messages."""
    url = await make(world, name, **attributes)
    fifo = name.endswith(".fifo")
    for number in range(MESSAGES):
        req = {"MessageGroupId": "g", "MessageDeduplicationId": str(number)} if fifo else {}
        await send(world, url, str(number), **req)
    return url


def crashing(store: MemoryStore, number: int) -> None:
    """Let the disk be lost at the commit of that number from here."""
    last = store.groups + number
    store._reaches_disk = lambda group: group < last


def rows(world: World, mark: bytes) -> int:
    """Rows of a table that are on disk."""
    return sum(mark in key for key in world.memory.disk)


@pytest.mark.parametrize("name", ["q", "q.fifo"])
@pytest.mark.parametrize("crash_at", range(1, 9))
def test_a_purge_that_is_cut_short_is_finished_after_the_start(
    name: str, crash_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "ROWS_A_COMMIT", 4)

    async def story() -> None:
        world = World()
        await world.start()
        url = await filled(world, name)
        await world.call("sqs", "purge_queue", QueueUrl=url)
        crashing(world.memory, crash_at)
        with contextlib.suppress(StoreClosed):
            await world.advance(1)
        again = world.again()
        await world.close()
        await again.start()
        try:
            await again.advance(120)
            assert await counts(again, url) == (0, 0, 0)
            assert rows(again, b"sqs.message") + rows(again, b"sqs.fifo") == 0
            await send(again, url, "after", **(
                {"MessageGroupId": "g", "MessageDeduplicationId": "x"} if "." in name else {}
            ))  # fmt: skip
            assert await bodies(again, url) == ["after"]
        finally:
            await again.close()

    asyncio.run(story())


@pytest.mark.parametrize("crash_at", range(1, 9))
def test_a_move_that_is_cut_short_moves_each_message_once(
    crash_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(move_tasks, "MOVED_A_STEP", 4)

    async def story() -> None:
        world = World()
        await world.start()
        dead = await filled(world, "dead")
        policy = f'{{"deadLetterTargetArn": "{arn("dead")}", "maxReceiveCount": 3}}'
        url = await make(world, "q", RedrivePolicy=policy)
        crashing(world.memory, crash_at)
        try:
            await world.call(
                "sqs", "start_message_move_task", SourceArn=arn("dead"), DestinationArn=arn("q")
            )
        except (ServiceUnavailable, StoreClosed):
            assert crash_at == 1, "only the first commit is the operation's own"
        await world.settle()
        again = world.again()
        await world.close()
        await again.start()
        try:
            await again.advance(10)
            moved = [*await bodies(again, url), *await bodies(again, url)]
            left = [*await bodies(again, dead), *await bodies(again, dead)]
            assert sorted(moved + left, key=int) == [str(n) for n in range(MESSAGES)]
            assert (moved == []) == (crash_at == 1)
            assert left == [] or crash_at == 1
        finally:
            await again.close()

    asyncio.run(story())


@pytest.mark.parametrize("name", ["q", "q.fifo"])
def test_sweeping_goes_on_where_it_left_off(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "ROWS_A_RUN", 3)
    monkeypatch.setattr(upkeep, "ROWS_A_COMMIT", 2)

    async def story() -> None:
        world = World()
        await world.start()
        try:
            url = await make(world, name, MessageRetentionPeriod="3600")
            for number in range(MESSAGES):
                ids = {"MessageGroupId": str(number % 7), "MessageDeduplicationId": str(number)}
                await send(world, url, str(number), **(ids if "." in name else {}))
            await world.advance(3000)
            await send(world, url, "newer", **(
                {"MessageGroupId": "0", "MessageDeduplicationId": "x"} if "." in name else {}
            ))  # fmt: skip
            # Nobody asks for anything: only the sweeper comes across what has expired.
            await world.advance(750)
            kind = FifoMessage if "." in name else Message
            prefix = table_of(kind).prefix
            assert sum(key.startswith(prefix) for key in world.memory.disk) == 1
            assert await counts(world, url) == (1, 0, 0)
            assert await bodies(world, url) == ["newer"]
        finally:
            await world.close()

    asyncio.run(story())


def test_what_expires_leaves_no_forward_behind() -> None:
    async def story() -> None:
        world = World()
        await world.start()
        try:
            url = await make(world, "q", MessageRetentionPeriod="60")
            await send(world, url)
            await hide(world, url, await one(world, url), 90)
            assert rows(world, b"sqs.forward") == 1
            await world.advance(3600)
            assert rows(world, b"sqs.forward") + rows(world, b"sqs.message") == 0
        finally:
            await world.close()

    asyncio.run(story())


@pytest.mark.parametrize("crash_at", range(1, 7))
def test_a_new_delay_reaches_every_group_even_after_a_crash(
    crash_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "ROWS_A_RUN", 2)

    async def story() -> None:
        world = World()
        await world.start()
        url = await make(world, "q.fifo", DelaySeconds="900")
        for number in range(MESSAGES):
            ids = {"MessageGroupId": str(number % 4), "MessageDeduplicationId": str(number)}
            await send(world, url, str(number), **ids)
        crashing(world.memory, crash_at)
        with contextlib.suppress(ServiceUnavailable, StoreClosed):
            await world.call(
                "sqs", "set_queue_attributes", QueueUrl=url, Attributes={"DelaySeconds": "0"}
            )
            await world.settle()
        again = world.again()
        await world.close()
        await again.start()
        try:
            changed = (await attributes(again, url, "DelaySeconds"))["DelaySeconds"] == "0"
            assert changed == (crash_at > 1)
            everything = (MESSAGES, 0, 0) if changed else (0, 0, MESSAGES)
            assert await counts(again, url) == everything
            assert len(await bodies(again, url)) == (10 if changed else 0)
        finally:
            await again.close()

    asyncio.run(story())
