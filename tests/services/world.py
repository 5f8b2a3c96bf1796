"""A whole small cloud for the tests of services: the real app on a store in memory.

Time stands still until a test moves it, so what a test says of time is exact. Ids come from a
seed. `again()` is the same cloud after a crash: what reached the disk, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from doppio.app import Cloud, Settings
from doppio.kernel.clock import SimulatedClock
from doppio.kernel.identity import Caller, root_of
from doppio.kernel.memory_store import MemoryStore
from doppio.kernel.meter import usage
from doppio.kernel.regions import partition_of
from doppio.wire.errors import AwsError

ACCOUNT = "000000000000"
OTHER = "111111111111"
REGION = "us-east-1"
START = datetime(2030, 1, 1, tzinfo=UTC)
# So many turns of the loop are more than any background work here takes between two timers.
TURNS = 40


class World:
    """One cloud with all services. Calls are made as the account's root, or as `caller`."""

    def __init__(
        self, store: MemoryStore | None = None, *, at: datetime = START, seed: int = 7
    ) -> None:
        self.seed = seed
        self.memory = MemoryStore() if store is None else store
        self.host = SimulatedClock(at)
        self.cloud = Cloud(Settings(seed=seed, host_clock=self.host), self.memory)

    async def start(self) -> None:
        """Open the cloud."""
        await self.cloud.start()
        await self.settle()

    async def close(self) -> None:
        """Stop it; also one whose store has crashed."""
        await self.cloud.close()

    def again(self) -> World:
        """Crash this one; the cloud that finds what its disk holds, at the same time."""
        self.memory.crash()
        # A machine that starts again does not throw the same dice.
        at = datetime.fromtimestamp(self.host.seconds(), UTC)
        return World(MemoryStore(self.memory.disk), at=at, seed=self.seed + 1)

    @property
    def now(self) -> datetime:
        """Cloud time."""
        return self.cloud.clock.now()

    async def call(
        self,
        service: str,
        method: str,
        /,
        *,
        caller: Caller | None = None,
        account: str = ACCOUNT,
        region: str = REGION,
        **req: Any,
    ) -> Any:
        """Call an operation through the door."""
        who = caller or root_of(account, partition=partition_of(region))
        context = self.cloud.context(
            who, account=who.account, region=region, request_id=self.cloud.ids.uuid()
        )
        return await self.cloud.enter(context, service, method, req)

    async def who(self, credentials: dict[str, Any], partition: str = "aws") -> Caller:
        """The caller that signs with these credentials: an access key's, or a session's."""
        found = await self.cloud.identities.credential(
            credentials["AccessKeyId"], credentials.get("SessionToken"), partition
        )
        return found.caller

    async def advance(self, seconds: float = 0.0, **by: float) -> None:
        """Move cloud time, by seconds or as `timedelta` says, and let what comes due run."""
        clock = self.cloud.clock
        await self.cloud.set_clock(clock.advanced(timedelta(seconds=seconds) + timedelta(**by)))
        await self.settle()

    async def settle(self) -> None:
        """Let background work finish that waits for nothing but its turn."""
        for _ in range(TURNS):
            for _ in range(5):
                await asyncio.sleep(0)
            self.host.run_to(self.host.seconds())

    async def used(self, usage_type: str, account: str = ACCOUNT) -> float:
        """How much an account has used of something."""
        await self.cloud.audit.flush()
        rows = await usage(self.memory.view(), account, limit=1_000)
        return sum(row.amount for row in rows if row.usage_type == usage_type)


async def finished(world: World, work: Awaitable[Any]) -> Any:
    """The result of work that waits for host time: it passes until the work is done."""
    task = asyncio.ensure_future(work)
    while not task.done():
        await world.settle()
        world.host.run_to(world.host.seconds() + 0.01)
    return task.result()


async def refused(call: Awaitable[Any]) -> AwsError:
    """The error with which a call is refused."""
    try:
        result = await call
    except AwsError as error:
        return error
    raise AssertionError(f"not refused, but answered {result!r}")


async def refusal(call: Awaitable[Any]) -> tuple[str, str]:
    """Code and text with which a call is refused."""
    error = await refused(call)
    return error.code, error.message


def run(story: Callable[[World], Awaitable[None]]) -> None:
    """Tell a story in a world of its own."""

    async def told() -> None:
        world = World()
        await world.start()
        try:
            await story(world)
        finally:
            await world.close()

    asyncio.run(told())


def told(story: Callable[[World], Awaitable[None]]) -> Callable[[], None]:
    """A test that tells a story."""

    def test() -> None:
        run(story)

    test.__name__ = story.__name__
    test.__doc__ = story.__doc__
    return test
