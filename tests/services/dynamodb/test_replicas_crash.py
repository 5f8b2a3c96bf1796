"""A replica's life with a crash at each commit: it comes, it hears, it goes, whatever happens."""

from __future__ import annotations

import asyncio
from typing import Any

from doppio.kernel.memory_store import MemoryStore
from doppio.kernel.records import table_of
from doppio.kernel.store import StoreError
from doppio.services.dynamodb.records import Outbox
from doppio.services.dynamodb.replication import GRAVES, STAMPS
from doppio.wire.errors import AwsError
from tests.services.world import World

from .helpers import item, make
from .regions import HERE, STREAM, THERE, everything, in_region, table_in, write_in

CREATE = {"Create": {"RegionName": THERE}}
DELETE = {"Delete": {"RegionName": THERE}}
ITEMS = 300


async def update(world: World, change: Any) -> None:
    """UpdateTable; a change that was made before a crash is not made once more."""
    try:
        await in_region(world, HERE, "update_table", TableName="orders", ReplicaUpdates=[change])
    except AwsError as error:
        if error.code == "ServiceUnavailable":
            raise
        said = ("already existed", "was not found", "Replica is being created", "being deleted")
        if not any(one in error.message for one in said):
            raise


async def life(world: World) -> None:
    """The steps of the story, each of which may be done twice."""
    await update(world, CREATE)
    await world.settle()
    await write_in(world, HERE, item(id="new", n=1))
    await in_region(world, HERE, "delete_item", TableName="orders", Key=item(id="001"))
    await world.advance(1)
    await write_in(world, THERE, item(id="there", n=1))
    await world.advance(1)


async def end(world: World) -> None:
    """The replica goes."""
    await update(world, DELETE)
    await world.settle()


async def prepared(store: MemoryStore) -> World:
    """A table with items in a world of its own."""
    world = World(store)
    await world.start()
    await make(world, StreamSpecification=STREAM)
    for number in range(ITEMS):
        await write_in(world, HERE, item(id=f"{number:03d}", n=number))
    await world.settle()
    return world


async def crashing(part: Any, at: int) -> tuple[World, bool]:
    """A part of the story with a crash at its commit `at`; whether it came to that."""
    fails_at = 0
    store = MemoryStore(reaches_disk=lambda number: not fails_at or number < fails_at)
    world = await prepared(store)
    if part is end:
        await life(world)
        await world.settle()
    fails_at = store.groups + at
    crashed = False
    try:
        await part(world)
    except (AwsError, StoreError):
        crashed = True
    crashed = crashed or store.groups >= fails_at
    later = world.again()
    await world.close()
    await later.start()
    await part(later)
    await later.advance(10)
    await later.settle()
    return later, crashed


async def rows_of(world: World, prefix: bytes) -> int:
    """How many rows of a kind lie in the store."""
    return len(await world.memory.view().scan(prefix, prefix + b"\xff", limit=1_000))


def test_a_replica_comes_whole_whatever_commit_is_the_last_one() -> None:
    async def story() -> None:
        at, crashed = 0, True
        while crashed:
            at += 1
            world, crashed = await crashing(life, at)
            here, there = await everything(world, HERE), await everything(world, THERE)
            assert here == there, at
            assert len(here) == ITEMS + 1, at
            for region in (HERE, THERE):
                shown = await table_in(world, region)
                assert (shown["TableStatus"], shown["ItemCount"]) == ("ACTIVE", ITEMS + 1), at
                assert len(shown["Replicas"]) == 1, at
            await world.close()
        assert at > 5, "it took several commits"

    asyncio.run(story())


def test_a_replica_goes_wholly_whatever_commit_is_the_last_one() -> None:
    async def story() -> None:
        at, crashed = 0, True
        while crashed:
            at += 1
            world, crashed = await crashing(end, at)
            shown = await table_in(world, HERE)
            assert "Replicas" not in shown, at
            assert len(await everything(world, HERE)) == ITEMS + 1, at
            for prefix in (STAMPS, GRAVES, table_of(Outbox).prefix):
                assert await rows_of(world, prefix) == 0, at
            code = ""
            try:
                await table_in(world, THERE)
            except AwsError as error:
                code = error.code
            assert code == "ResourceNotFoundException", at
            await world.close()
        assert at > 3, "it took several commits"

    asyncio.run(story())
