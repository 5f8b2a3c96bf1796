from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from doppio.kernel.context import Context, index_row_key, row_key
from doppio.kernel.jobs import DUE, Job, JobRunner, job_key
from doppio.kernel.records import table_of
from doppio.kernel.store import Conflict, StoreClosed, StoreFull
from tests.services.world import World

from .small import made, run_host, running

HOUR = timedelta(hours=1)


class Bell:
    """A job that notes its runs, and fails as often as was asked for."""

    def __init__(self, fails: int = 0) -> None:
        self.fails = fails
        self.ran: list[tuple[str, Any]] = []

    async def __call__(self, ctx: Context, job: Job) -> None:
        if self.fails > 0:
            self.fails -= 1
            raise RuntimeError("no")
        self.ran.append((job.key, job.arguments))


async def schedule(world: World, key: str, after: timedelta, **arguments: Any) -> None:
    context = world.cloud.root_context()
    async with context.write() as tx:
        await tx.schedule(world.now + after, "sns.ring", key, **arguments)
    await world.settle()


async def waiting(world: World) -> list[Job]:
    return await world.cloud.root_context().read().find(DUE, limit=100)


def test_a_job_runs_when_cloud_time_says_so_and_is_forgotten() -> None:
    async def story() -> None:
        bell, world = Bell(), World()
        async with running(world, made(jobs={"sns.ring": bell})):
            await schedule(world, "a", HOUR, loud=True)
            await world.advance(minutes=59)
            assert bell.ran == []
            await world.advance(minutes=1)
            assert bell.ran == [("a", {"loud": True})]
            assert await waiting(world) == []

    asyncio.run(story())


def test_scheduling_again_moves_a_job_and_unscheduling_forgets_it() -> None:
    async def story() -> None:
        bell, world = Bell(), World()
        async with running(world, made(jobs={"sns.ring": bell})):
            await schedule(world, "a", HOUR)
            await schedule(world, "a", 3 * HOUR)
            await schedule(world, "b", HOUR)
            async with world.cloud.root_context().write() as tx:
                await tx.unschedule("sns.ring", "b")
                await tx.unschedule("sns.ring", "never there")
            await world.advance(hours=2)
            assert bell.ran == []
            await world.advance(hours=1)
            assert bell.ran == [("a", {})]

    asyncio.run(story())


def test_a_job_that_fails_is_tried_again_later_and_later(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        bell, world = Bell(fails=3), World()
        async with running(world, made(jobs={"sns.ring": bell})):
            await schedule(world, "a", timedelta())
            waits = []
            while not bell.ran:
                [job] = await waiting(world)
                waits.append((job.at - world.now).total_seconds())
                await world.advance(waits[-1])
            assert waits == [2, 4, 8]

    with caplog.at_level(logging.CRITICAL, "doppio.jobs"):
        asyncio.run(story())


def test_a_job_survives_a_crash_and_what_came_due_meanwhile_runs_at_the_start() -> None:
    async def story() -> None:
        bell, world = Bell(), World()
        async with running(world, made(jobs={"sns.ring": bell})):
            await schedule(world, "a", HOUR)
            again = world.again()
        again.host.run_to(again.host.seconds() + 7200)
        async with running(again, made(jobs={"sns.ring": bell})):
            await again.settle()
            assert bell.ran == [("a", {})]

    asyncio.run(story())


def test_a_job_whose_service_is_gone_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        world = World()
        async with running(world, made()):
            await schedule(world, "a", timedelta())
            assert [job.failures for job in await waiting(world)] == [1]

    with caplog.at_level(logging.CRITICAL, "doppio.jobs"):
        asyncio.run(story())
    assert job_key("sns.ring", "a") == "sns.ring(a)"


def test_a_long_job_does_not_keep_others_from_their_time_and_runs_once_at_a_time() -> None:
    async def story() -> None:
        world = World()
        go = asyncio.Event()
        began: list[str] = []

        async def slow(ctx: Context, job: Job) -> None:
            began.append(job.key)
            if job.key == "slow":
                await go.wait()

        async with running(world, made(jobs={"sns.ring": slow})):
            await schedule(world, "slow", timedelta())
            await schedule(world, "slow", timedelta(), again=True)
            await schedule(world, "quick", timedelta())
            await world.advance(hours=1)
            assert began == ["slow", "quick"]
            go.set()
            await world.settle()
            # It was scheduled anew while it ran.
            assert began == ["slow", "quick", "slow"]
            assert await waiting(world) == []

    asyncio.run(story())


def test_a_job_that_schedules_itself_runs_again() -> None:
    async def story() -> None:
        world = World()
        ran: list[str] = []

        async def tick(ctx: Context, job: Job) -> None:
            ran.append(job.key)
            async with ctx.write() as tx:
                await tx.schedule(job.at + HOUR, "sns.ring", job.key)

        async with running(world, made(jobs={"sns.ring": tick})):
            await schedule(world, "a", HOUR)
            for _ in range(5):
                await run_host(world, 3600)
            assert ran == ["a"] * 5
            await world.advance(hours=5)
            assert ran == ["a"] * 10

    asyncio.run(story())


def test_a_job_that_only_its_index_shows_as_due_runs_at_its_own_time() -> None:
    async def story() -> None:
        bell, world = Bell(), World()
        async with running(world, made(jobs={"sns.ring": bell})):
            await schedule(world, "a", HOUR)
            [job] = await waiting(world)
            # As a disk leaves it that has kept a part of a commit.
            stale = index_row_key(DUE, msgspec.structs.replace(job, at=world.now - HOUR))
            async with world.cloud.root_context().write() as tx:
                tx.raw.put(stale, row_key(job))
                tx.wake("jobs")
            await world.settle()
            assert bell.ran == []
            assert await world.memory.view().get(stale) is None, "it is mended"
            assert await waiting(world) == [job]
            await world.advance(hours=1)
            assert [key for key, _ in bell.ran] == ["a"]

    asyncio.run(story())


def test_jobs_that_are_done_and_still_in_the_index_do_not_hide_the_others() -> None:
    async def story() -> None:
        bell, world = Bell(), World()
        async with running(world, made(jobs={"sns.ring": bell})):
            await schedule(world, "a", HOUR)
            [job] = await waiting(world)
            async with world.cloud.root_context().write() as tx:
                for number in range(200):
                    gone = msgspec.structs.replace(job, key=f"{number}", at=world.now - HOUR)
                    tx.raw.put(index_row_key(DUE, gone), row_key(gone))
                # The next to come due is done, too.
                gone = msgspec.structs.replace(job, key="soon", at=world.now + HOUR / 2)
                tx.raw.put(index_row_key(DUE, gone), row_key(gone))
                tx.wake("jobs")
            await world.settle()
            rows = await world.memory.view().scan(DUE.prefix, DUE.prefix + b"\xff", limit=300)
            assert [key for _, key in rows] == [row_key(job)]
            await world.advance(hours=1)
            assert [key for key, _ in bell.ran] == ["a"]

    asyncio.run(story())


def test_a_store_that_cannot_be_read_for_a_while_stops_no_job_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        bell, world = Bell(), World()
        async with running(world, made(jobs={"sns.ring": bell})):
            await schedule(world, "a", HOUR)
            with monkeypatch.context() as patch:

                async def lost(*_: object, **__: object) -> Any:
                    raise StoreClosed("the connection was lost")

                patch.setattr("doppio.kernel.jobs.until", lost)
                await world.advance(hours=1)
                assert "jobs wait for the store: the connection was lost" in caplog.text
            await run_host(world, 1)
            assert [key for key, _ in bell.ran] == ["a"]

    asyncio.run(story())


def test_a_job_that_always_loses_its_race_waits_between_its_tries() -> None:
    async def story() -> None:
        world = World()
        tries: list[str] = []

        async def loses(ctx: Context, job: Job) -> None:
            tries.append(job.key)
            if len(tries) < 4:
                raise Conflict("somebody was quicker")

        async with running(world, made(jobs={"sns.ring": loses})):
            await schedule(world, "a", HOUR)
            await world.advance(hours=1)
            assert len(tries) == 2
            for _ in range(2):
                await run_host(world, 1)
            assert len(tries) == 4
            assert await waiting(world) == []

    asyncio.run(story())


def test_a_job_whose_index_is_late_runs_when_it_is_seen() -> None:
    async def story() -> None:
        bell, world = Bell(), World()
        async with running(world, made(jobs={"sns.ring": bell})):
            await schedule(world, "a", HOUR)
            [job] = await waiting(world)
            early = msgspec.structs.replace(job, at=world.now - HOUR)
            async with world.cloud.root_context().write() as tx:
                # The record says that it is past, its index that it is to come.
                tx.raw.put(row_key(early), table_of(Job).encode(early))
                tx.wake("jobs")
            await world.settle()
            assert [key for key, _ in bell.ran] == ["a"]
            assert await waiting(world) == []

    asyncio.run(story())


def test_a_job_that_cannot_be_settled_is_told_of_and_tried_again_later(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        bell, world = Bell(), World()
        async with running(world, made(jobs={"sns.ring": bell})):
            await schedule(world, "a", HOUR)
            real, full = JobRunner._settle, [True]

            async def settle(runner: JobRunner, *given: Any, **more: Any) -> bool:
                if full[0]:
                    raise StoreFull("no space left")
                return await real(runner, *given, **more)

            monkeypatch.setattr(JobRunner, "_settle", settle)
            await world.advance(hours=1)
            assert len(bell.ran) == 2
            assert "what became of job sns.ring(a) is not kept" in caplog.text
            full[0] = False
            await run_host(world, 1)
            assert len(bell.ran) == 3
            assert await waiting(world) == []

    asyncio.run(story())
