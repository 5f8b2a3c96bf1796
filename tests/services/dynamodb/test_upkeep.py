"""Background work goes on after a crash at any of its commits, and does nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from doppio.kernel.jobs import Job
from doppio.kernel.memory_store import MemoryStore
from doppio.kernel.records import table_of
from doppio.kernel.store import StoreClosed
from doppio.services.dynamodb.item_keys import INDEXED
from doppio.services.dynamodb.records import ITEMS, Table
from doppio.wire.errors import AwsError
from tests.services.world import World

from .helpers import caller, described, index, item, make, scanned, types

ROWS = 450
Step = Callable[[World], Awaitable[None]]


async def filled(world: World) -> None:
    """A table with more rows than two commits of a job take."""
    await make(world)
    for first in range(0, ROWS, 25):
        entries = [
            {"PutRequest": {"Item": item(id=f"{number:03}", who=f"w{number % 7}")}}
            for number in range(first, first + 25)
        ]
        await caller(world)("batch_write_item", RequestItems={"orders": entries})


def crashed_everywhere(before: Step, work: Step, check: Step) -> int:
    """Crash at each commit of `work`, go on after each, and check; how many crashes there were."""

    async def once(after: int) -> bool:
        fails_at = 0
        store = MemoryStore(reaches_disk=lambda number: not fails_at or number < fails_at)
        world = World(store)
        await world.start()
        await before(world)
        fails_at = store.groups + after
        try:
            await work(world)
            await world.advance(1)
        except StoreClosed:
            pass
        except AwsError as error:
            if error.code != "ServiceUnavailable":
                raise
        crashed = store.groups >= fails_at
        again = world.again()
        await world.close()
        await again.start()
        try:
            await again.advance(1)
            if after == 1:
                # The request itself was lost: it is made again.
                await work(again)
                await again.advance(1)
            await check(again)
        finally:
            await again.close()
        return crashed

    async def all_of_them() -> int:
        after = 1
        while await once(after):
            after += 1
        return after - 1

    return asyncio.run(all_of_them())


def test_an_index_is_filled_whole_and_counted_once_whatever_crashes() -> None:
    async def work(world: World) -> None:
        await caller(world)(
            "update_table",
            TableName="orders",
            AttributeDefinitions=types(who="S"),
            GlobalSecondaryIndexUpdates=[{"Create": index("by-who", "who")}],
        )

    async def check(world: World) -> None:
        shown = (await described(world))["GlobalSecondaryIndexes"][0]
        assert (shown["IndexStatus"], shown["ItemCount"]) == ("ACTIVE", ROWS)
        assert shown["IndexSizeBytes"] == ROWS * (2 + 3 + 3 + 2)
        assert len(await scanned(world, IndexName="by-who")) == ROWS

    assert crashed_everywhere(filled, work, check) >= 4


def test_a_deleted_table_leaves_nothing_whatever_crashes() -> None:
    async def work(world: World) -> None:
        await caller(world)("delete_table", TableName="orders")

    async def check(world: World) -> None:
        left = (ITEMS, INDEXED, table_of(Table).prefix, table_of(Job).prefix)
        assert not [key for key in world.memory.disk if key.startswith(left)]
        await make(world)
        assert (await described(world))["ItemCount"] == 0
        assert await scanned(world) == []

    assert crashed_everywhere(filled, work, check) >= 4
