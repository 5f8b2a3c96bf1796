"""Long work in the background: purged, deleted and moved messages, and a crash at every commit."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from doppio.kernel.memory_store import MemoryStore
from doppio.kernel.store import StoreClosed
from doppio.services.sqs import move_tasks, upkeep
from tests.services.world import World

from .helpers import arn, bodies, counts, make, send

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
        except Exception:
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
