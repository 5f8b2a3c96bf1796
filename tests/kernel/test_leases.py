from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, ClassVar

from doppio.app import Cloud, Settings
from doppio.kernel.clock import SimulatedClock
from doppio.kernel.context import Context
from doppio.kernel.events import Event, Subscription
from doppio.kernel.jobs import Job
from doppio.kernel.leases import (
    LASTS_SECONDS,
    PARTS,
    Lease,
    Member,
    part_of,
    planned,
    preferred,
)
from doppio.kernel.memory_store import MemoryStore
from doppio.kernel.store import StoreFull
from tests.services.world import START, World

from .small import Brewing, Ordered, made, order

JOB = "sns.ring"


class SharedStore(MemoryStore):
    """A store in memory on which several clouds are, as several gateways on one database are."""

    shared = True

    def __init__(self) -> None:
        self.full = False
        super().__init__(reaches_disk=lambda _: StoreFull("full") if self.full else True)
        self._hear: list[Callable[[str], None]] = []

    def listen(self, heard: Callable[[str], None]) -> None:
        """Every cloud hears of every commit."""
        self._hear.append(heard)
        super().listen(self._all_hear)

    def _all_hear(self, topic: str) -> None:
        for heard in self._hear:
            heard(topic)

    async def close(self) -> None:
        """Others go on."""


class Gateway:
    """One of the clouds, and what it has done."""

    def __init__(self, store: MemoryStore, host: SimulatedClock, number: int) -> None:
        self.cloud = Cloud(Settings(seed=number, host_clock=host), store)
        self.heard: list[str] = []
        self.ran: list[str] = []
        self.brewing = Brewing()
        self.hold: asyncio.Event | None = None
        self.service = made(
            jobs={JOB: self._ring},
            controllers=[self.brewing],
            subscriptions=[Subscription("sns.ear", (Ordered,), self._hear)],
        )

    async def _ring(self, ctx: Context, job: Job) -> None:
        self.ran.append(job.key)
        if self.hold is not None:
            await self.hold.wait()

    async def _hear(self, ctx: Context, event: Event) -> None:
        self.heard.append(event.key[0])

    async def held(self) -> list[Lease]:
        """The leases that it has."""
        rows = await self.cloud.root_context().read().list(Lease, limit=1_000)
        mine = self.cloud._leases._me
        return [row for row in rows if row.holder == mine]

    async def start(self) -> None:
        self.cloud.services.join(self.service)
        await self.cloud.start()


class Together:
    """Several clouds on one store, at one host time."""

    def __init__(self) -> None:
        self.store = SharedStore()
        self.host = SimulatedClock(START)
        self.all: list[Gateway] = []

    async def another(self) -> Gateway:
        """One more."""
        gateway = Gateway(self.store, self.host, len(self.all) + 1)
        self.all.append(gateway)
        await gateway.start()
        await self.settle()
        return gateway

    async def settle(self) -> None:
        for _ in range(300):
            await asyncio.sleep(0)
            self.host.run_to(self.host.seconds())

    async def run(self, seconds: float) -> None:
        """Let host time pass, a little at a time."""
        end = self.host.seconds() + seconds
        while self.host.seconds() < end:
            self.host.run_to(min(self.host.seconds() + 0.5, end))
            await self.settle()

    async def kill(self, gateway: Gateway) -> None:
        """It does nothing more, and says so to nobody."""
        cloud = gateway.cloud
        cloud._leases._cancel_lapse()
        follows = [task for one in cloud._dispatcher._followers for task in one._tasks]
        runners = [runner._loop_task for runner in cloud._runners]
        jobs = [cloud._jobs._task, *cloud._jobs._running.values()]
        for task in [cloud._leases._task, *follows, *runners, *jobs, *cloud._tasks]:
            if task is not None:
                task.cancel()
        await self.settle()

    async def schedule(self, keys: range, after: timedelta = timedelta(0)) -> None:
        """So many jobs."""
        context = self.all[0].cloud.root_context()
        for number in keys:
            async with context.write() as tx:
                await tx.schedule(context.clock.now() + after, JOB, f"{number}")


@asynccontextmanager
async def together(gateways: int) -> AsyncIterator[Together]:
    """So many clouds on one store."""
    found = Together()
    for _ in range(gateways):
        await found.another()
    # Each hears of the others, and gives them what is theirs.
    await found.run(3)
    try:
        yield found
    finally:
        for gateway in found.all:
            await gateway.cloud.close()


def on_two(body: Callable[[Together], Any]) -> Callable[[], None]:
    def test() -> None:
        async def run() -> None:
            async with together(2) as both:
                await body(both)

        asyncio.run(run())

    test.__name__ = body.__name__  # type: ignore[attr-defined]
    return test


@on_two
async def test_both_gateways_have_a_share_and_no_part_is_without_one(both: Together) -> None:
    one, two = [await gateway.held() for gateway in both.all]
    assert one
    assert two
    works = {(row.work, row.part) for row in one + two}
    assert len(works) == len(one) + len(two)
    assert {part for work, part in works if work == "jobs"} == set(range(PARTS))


@on_two
async def test_each_job_event_and_key_is_taken_care_of_by_one_gateway(both: Together) -> None:
    one, two = both.all
    await both.schedule(range(40))
    for number in range(40):
        await order(both.all[number % 2].cloud.root_context(), f"{number}")
    await both.run(2)
    names = sorted(f"{number}" for number in range(40))
    assert sorted(one.ran + two.ran) == names
    assert one.ran
    assert two.ran
    assert sorted(one.heard + two.heard) == names
    assert sorted(set(one.brewing.looks + two.brewing.looks)) == names
    assert not set(one.brewing.looks) & set(two.brewing.looks)
    assert one.brewing.looks
    assert two.brewing.looks


@on_two
async def test_what_a_dead_gateway_had_is_done_by_the_other_within_seconds(both: Together) -> None:
    one, two = both.all
    await both.kill(one)
    await both.schedule(range(20))
    for number in range(20):
        await order(two.cloud.root_context(), f"{number}")
    await both.run(LASTS_SECONDS + 2)
    names = sorted(f"{number}" for number in range(20))
    assert sorted(two.ran) == names
    assert sorted(two.heard) == names
    assert sorted(set(two.brewing.looks)) == names
    members = await two.cloud.root_context().read().list(Member, limit=10)
    assert [row.name for row in members] == [two.cloud._leases._me]


@on_two
async def test_a_gateway_that_closes_leaves_its_work_to_the_other_at_once(both: Together) -> None:
    one, two = both.all
    await one.cloud.close()
    both.all.remove(one)
    await both.settle()
    await both.schedule(range(20))
    await both.settle()
    assert len(two.ran) == 20


@on_two
async def test_work_that_is_under_way_stays_where_it_is(both: Together) -> None:
    one, two = both.all
    for gateway in both.all:
        gateway.hold = asyncio.Event()
    await both.schedule(range(16))
    await both.settle()
    before = {gateway: list(gateway.ran) for gateway in both.all}
    busy = {part_of_job(key) for gateway in both.all for key in gateway.ran}
    three = await both.another()
    await both.run(4)
    assert {gateway: gateway.ran for gateway in (one, two)} == before
    assert three.ran == []
    assert not {row.part for row in await three.held() if row.work == "jobs"} & busy
    assert {row.work for row in await three.held()} - {"jobs"}, "what is idle has moved"
    for gateway in (one, two):
        assert gateway.hold is not None
        gateway.hold.set()
    await both.run(3)
    assert sorted(one.ran + two.ran + three.ran) == sorted(f"{number}" for number in range(16))


def part_of_job(key: str) -> int:
    from doppio.kernel.keys import pack

    return part_of(pack(JOB, key), PARTS)


@on_two
async def test_a_gateway_that_cannot_renew_lets_go_and_goes_on_when_it_can(both: Together) -> None:
    one, two = both.all
    both.store.full = True
    with _Quiet():
        await both.run(LASTS_SECONDS + 1)
        assert one.cloud._leases._held == two.cloud._leases._held == set()
        assert one.cloud._jobs._held == two.cloud._jobs._held == set()
        both.store.full = False
        await both.run(3)
    await both.schedule(range(20))
    await both.settle()
    assert sorted(one.ran + two.ran) == sorted(f"{number}" for number in range(20))


class _Quiet:
    def __enter__(self) -> None:
        logging.disable(logging.CRITICAL)

    def __exit__(self, *_: object) -> None:
        logging.disable(logging.NOTSET)


@on_two
async def test_who_was_only_slow_moves_no_subscriber_back(both: Together) -> None:
    one, two = both.all
    follower = next(
        found for found in one.cloud._dispatcher._followers if found.subscription.name == "sns.ear"
    )
    for number in range(5):
        await order(one.cloud.root_context(), f"{number}")
    await both.settle()
    await follower._move(one.cloud.root_context(), 1)
    await order(one.cloud.root_context(), "last")
    await both.settle()
    assert len(one.heard + two.heard) == 6


def test_a_service_of_which_another_gateway_has_work_is_joined() -> None:
    async def story() -> None:
        both = Together()
        one = await both.another()
        two = Gateway(both.store, both.host, 2)
        both.all.append(two)
        # It knows of the service only by name, as of those that nobody has asked it for.
        two.cloud.services._packages["sns"] = "sns"
        joined: list[str] = []
        two.cloud._leases._join = joined.append
        await two.cloud.start()
        await both.run(2)
        assert joined == ["sns"]
        assert not await two.cloud._leases.knows_all(), "so it forgets no events"
        two.cloud.services.join(two.service)
        await both.run(3)
        assert await two.cloud._leases.knows_all()
        assert {row.work for row in await two.held()} - {"jobs"}
        for gateway in (one, two):
            await gateway.cloud.close()

    asyncio.run(story())


def test_on_a_store_of_its_own_a_cloud_has_no_leases_and_renews_nothing() -> None:
    async def story() -> None:
        world = World()
        world.cloud.services.join(made(controllers=[Brewing()]))
        await world.start()
        groups = world.memory.groups
        world.host.run_to(world.host.seconds() + 60)
        await world.settle()
        assert world.memory.groups == groups
        reader = world.cloud.root_context().read()
        assert await reader.list(Lease, limit=1) == []
        assert await reader.list(Member, limit=1) == []
        await world.close()

    asyncio.run(story())


def test_a_row_that_ended_long_ago_was_left_by_a_dead_gateway() -> None:
    async def story() -> None:
        both = Together()
        one = await both.another()
        await both.kill(one)
        both.host.run_to(both.host.seconds() + 3_600)
        two = await both.another()
        await both.schedule(range(3))
        await both.settle()
        assert len(two.ran) == 3, "nobody waits to see whether it still lives"
        await two.cloud.close()

    asyncio.run(story())


def test_what_is_about_the_process_is_looked_after_by_every_gateway() -> None:
    class Everywhere(Brewing):
        everywhere: ClassVar[bool] = True

    async def story() -> None:
        both = Together()
        for number in (1, 2):
            gateway = Gateway(both.store, both.host, number)
            gateway.brewing = Everywhere()
            gateway.service = made(controllers=[gateway.brewing])
            both.all.append(gateway)
            await gateway.start()
        await both.run(2)
        await order(both.all[0].cloud.root_context(), "a")
        await both.settle()
        assert [gateway.brewing.looks for gateway in both.all] == [["a"], ["a"]]
        for gateway in both.all:
            await gateway.cloud.close()

    asyncio.run(story())


def test_a_plan_loses_regains_gives_and_takes() -> None:
    parts = {("w", number): ["a", "b"] for number in range(64)}
    wanted = {part: preferred(part, ["a", "b"]) for part in parts}
    mine = [part for part in parts if wanted[part] == "a"]
    others = [part for part in parts if wanted[part] == "b"]
    assert 16 <= len(mine) <= 48
    holders = {mine[0]: "b", mine[1]: "a", others[0]: "a", mine[2]: "gone", others[1]: "gone"}
    plan = planned("a", parts, holders, {mine[0], others[0]}, ["a", "b"])
    assert plan.lost == [mine[0]]
    assert plan.regained == [mine[1]]
    assert plan.given == [others[0]]
    assert set(plan.taken) == set(mine[2:])


def test_when_one_goes_the_others_keep_their_parts() -> None:
    parts = [("w", number) for number in range(100)]
    before = {part: preferred(part, ["a", "b", "c"]) for part in parts}
    after = {part: preferred(part, ["a", "b"]) for part in parts}
    assert all(after[part] == name for part, name in before.items() if name != "c")
    assert {after[part] for part, name in before.items() if name == "c"} == {"a", "b"}


def test_one_part_takes_no_hashing() -> None:
    assert part_of(b"anything", 1) == 0
    assert {part_of(bytes([number]), 4) for number in range(64)} == {0, 1, 2, 3}
