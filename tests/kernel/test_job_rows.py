from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import pytest

from doppio.kernel.context import index_row_key, row_key
from doppio.kernel.job_rows import DUE, Job, Row, mend, next_after, until
from tests.services.world import START, World

SECOND = timedelta(seconds=1)


def job(number: int) -> Job:
    return Job(
        name="sns.ring", key=f"{number}", at=START + number * SECOND, service="sns",
        account="", region="",
    )  # fmt: skip


def row_of(one: Job) -> Row:
    return Row(index_row_key(DUE, one), row_key(one))


async def kept(world: World, *jobs: Job) -> None:
    async with world.cloud.root_context().write() as tx:
        for one in jobs:
            tx.add(one)


def test_jobs_come_in_the_order_of_their_times_and_by_pages() -> None:
    async def story() -> None:
        world = World()
        await kept(world, *(job(number) for number in (3, 1, 2, 9)))
        view = world.memory.view()
        first = await until(view, START + 3 * SECOND, 2)
        assert [one.key for one in first.jobs] == ["1", "2"]
        second = await until(view, START + 3 * SECOND, 2, first.after)
        assert [one.key for one in second.jobs] == ["3"]
        assert second.after is None
        following = await next_after(view, START + 3 * SECOND)
        assert [one.key for one in following.jobs] == ["9"]
        assert first.wrong == second.wrong == following.wrong == []

    asyncio.run(story())


def test_rows_that_are_not_as_their_records_are_mended(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        world = World()
        later, done = job(5), job(1)
        stale = row_of(msgspec.structs.replace(later, at=START))
        await kept(world, later)
        async with world.cloud.root_context().write() as tx:
            tx.raw.put(*stale)
            tx.raw.put(*row_of(done))
            tx.raw.delete(row_of(later).place)
        found = await until(world.memory.view(), START + 9 * SECOND, 10)
        assert found.jobs == []
        assert found.wrong == [stale, row_of(done)]
        await mend(world.cloud.root_context(), found.wrong)
        assert "2 jobs were not due" in caplog.text
        found = await until(world.memory.view(), START + 9 * SECOND, 10)
        assert found.jobs == [later]
        assert found.wrong == []

    asyncio.run(story())


def test_a_row_that_only_seemed_wrong_is_left_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        world = World()
        await kept(world, job(1))
        gone = row_of(job(2))
        await mend(world.cloud.root_context(), [row_of(job(1)), gone])
        found = await until(world.memory.view(), START + SECOND, 10)
        assert [one.key for one in found.jobs] == ["1"]
        assert caplog.text == ""

    asyncio.run(story())
