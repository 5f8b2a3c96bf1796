"""Three replicas, written to in any order, with Regions that go down and crashes at any commit.

When all is quiet they are the same, and what they hold is what was written last; each index holds what
its table says, and each table counts what it has.
"""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from doppio.kernel.memory_store import MemoryStore
from doppio.kernel.store import StoreError
from doppio.wire.errors import AwsError
from tests.services.world import World

from .helpers import Item, index, item, make
from .regions import (
    HERE,
    STREAM,
    THERE,
    YONDER,
    everything,
    in_region,
    replicate,
    set_region,
    table_in,
)

REGIONS = (HERE, THERE, YONDER)
IDS = st.sampled_from(["a", "b", "c"])
PLACES = st.sampled_from(REGIONS)
OWNERS = st.sampled_from(["me", "you"])
# What nobody can say: two wrote at once, or a write was lost with the disk, or not.
UNKNOWN: Item = {"unknown": {"BOOL": True}}


class Replicas(RuleBasedStateMachine):
    """One global table with an index, and what was written last."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.last: dict[str, Item | None] = {}
        self.written_at: dict[str, Any] = {}
        self.steps = 0
        self.fails_at = 0
        self.world = World(MemoryStore(reaches_disk=self.reaches_disk))

    def reaches_disk(self, number: int) -> bool | StoreError:
        """The disk is lost at one commit, if so wished."""
        return not self.fails_at or number < self.fails_at

    def run(self, coroutine: Any) -> Any:
        """Run to the end."""
        return self.loop.run_until_complete(coroutine)

    @initialize()
    def open(self) -> None:
        async def opened() -> None:
            await self.world.start()
            await make(
                self.world,
                kinds={"id": "S", "who": "S"},
                StreamSpecification=STREAM,
                GlobalSecondaryIndexes=[index("by-who", "who")],
            )
            await replicate(self.world, THERE, YONDER)

        self.run(opened())

    def tell(self, name: str, written: Item | None, *, sure: bool) -> None:
        """An item was written: at the time of another write, nobody knows which one wins."""
        now = self.world.now
        known = sure and self.written_at.get(name) != now
        self.last[name] = written if known else UNKNOWN
        self.written_at[name] = now

    async def write(self, region: str, method: str, **req: Any) -> Any:
        """A call, or None where the disk is lost."""
        try:
            return await in_region(self.world, region, method, TableName="orders", **req)
        except AwsError as error:
            if not self.fails_at or error.code != "ServiceUnavailable":
                raise
            return None

    @rule(name=IDS, region=PLACES, who=OWNERS, tick=st.booleans())
    def put(self, name: str, region: str, who: str, tick: bool) -> None:
        self.steps += 1
        written = item(id=name, who=who, step=self.steps, at=region)

        async def story() -> None:
            if tick:
                await self.world.advance(1)
            done = await self.write(region, "put_item", Item=written)
            self.tell(name, written, sure=done is not None)

        self.run(story())

    @rule(name=IDS, region=PLACES)
    def delete(self, name: str, region: str) -> None:
        async def story() -> None:
            await self.world.advance(1)
            done = await self.write(
                region, "delete_item", Key=item(id=name), ReturnValues="ALL_OLD"
            )
            if done is None or done.get("Attributes"):
                self.tell(name, None, sure=done is not None)

        self.run(story())

    @rule(region=PLACES, first=IDS, second=IDS, who=OWNERS)
    def transact(self, region: str, first: str, second: str, who: str) -> None:
        if first == second:
            return
        self.steps += 1
        written = [item(id=name, who=who, step=self.steps, at=region) for name in (first, second)]
        parts = [{"Put": {"TableName": "orders", "Item": one}} for one in written]

        async def story() -> None:
            await self.world.advance(1)
            await self.world.call(
                "dynamodb", "transact_write_items", region=region, TransactItems=parts
            )
            for name, one in zip((first, second), written, strict=True):
                self.tell(name, one, sure=True)

        self.run(story())

    @rule(region=PLACES, state=st.sampled_from(["up", "down"]))
    def switch(self, region: str, state: Any) -> None:
        self.run(set_region(self.world, region, state))

    @rule(seconds=st.sampled_from([0, 6, 4000]))
    def wait(self, seconds: int) -> None:
        self.run(self.world.advance(seconds))

    @rule(name=IDS, region=PLACES, who=OWNERS, after=st.integers(1, 6))
    def crash(self, name: str, region: str, who: str, after: int) -> None:
        """The disk is lost at this commit, or at one of those that take the change elsewhere."""
        self.run(self.world.advance(1))
        self.fails_at = self.world.memory.groups + after
        self.put(name, region, who, False)
        self.run(self.world.settle())
        self.fails_at = 0

        async def again() -> None:
            old = self.world
            self.world = old.again()
            await old.close()
            self.world.memory._reaches_disk = self.reaches_disk
            await self.world.start()

        self.run(again())

    @rule()
    def converge(self) -> None:
        """All Regions come up, and all is quiet."""
        self.run(self._converged())

    async def _converged(self) -> None:
        for region in REGIONS:
            await set_region(self.world, region, "up")
        await self.world.advance(6)
        await self.world.advance(6)
        first = by_id(await everything(self.world, HERE))
        for region in REGIONS:
            found = by_id(await everything(self.world, region))
            assert found == first, region
            shown = await table_in(self.world, region)
            assert shown["ItemCount"] == len(found)
            page = await in_region(
                self.world, region, "scan", TableName="orders", IndexName="by-who"
            )
            assert by_id(page["Items"]) == found
        for name, last in self.last.items():
            assert last is UNKNOWN or first.get(name) == last, name

    def teardown(self) -> None:
        try:
            self.run(self._converged())
        finally:
            self.run(self.world.close())
            self.loop.close()


def by_id(items: list[Item]) -> dict[str, Item]:
    """Items by their ids."""
    return {one["id"]["S"]: one for one in items}


Replicas.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestReplicas = Replicas.TestCase
