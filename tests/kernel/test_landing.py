from __future__ import annotations

import asyncio
from typing import Any

import pytest

from doppio.gateway.drive import Drive
from doppio.kernel.landing import Landing
from doppio.kernel.store import StoreFull


async def waits(landing: Landing) -> str:
    await landing
    return "landed"


def test_who_is_driven_goes_on_at_once() -> None:
    said: list[Any] = []

    async def story() -> None:
        landing = Landing()
        Drive(waits(landing), lambda result, error: said.append((result, error))).step()
        assert said == []
        landing.land()
        # No turn of the loop has passed.
        assert said == [("landed", None)]

    asyncio.run(story())


def test_a_task_goes_on_in_the_next_turn_with_its_own_context() -> None:
    async def story() -> None:
        landing = Landing()
        task = asyncio.create_task(waits(landing))
        await asyncio.sleep(0)
        assert landing.get_loop() is asyncio.get_running_loop()
        landing.land()
        assert not task.done()
        assert await task == "landed"

    asyncio.run(story())


def test_what_has_landed_is_not_waited_for() -> None:
    landing = Landing()
    landing.land()
    coroutine = waits(landing)
    with pytest.raises(StopIteration):
        coroutine.send(None)


def test_each_waiter_hears_of_the_failure() -> None:
    said: list[Any] = []

    async def story() -> None:
        one, two = Landing(), Landing()
        Drive(waits(one), lambda result, error: said.append(error)).step()
        task = asyncio.create_task(waits(two))
        await asyncio.sleep(0)
        for landing in (one, two):
            landing.land(StoreFull("the disk is full"))
        with pytest.raises(StoreFull):
            await task

    asyncio.run(story())
    assert [type(error) for error in said] == [StoreFull]


def test_a_task_that_is_cancelled_stops_waiting_and_the_commit_lands_without_it() -> None:
    async def story() -> None:
        landing = Landing()
        task = asyncio.create_task(waits(landing))
        await asyncio.sleep(0)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert landing.done()
        assert not landing.cancel()
        landing.land()

    asyncio.run(story())


def test_a_commit_in_a_time_limit_lands_or_is_given_up() -> None:
    async def story() -> None:
        landing = Landing()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waits(landing), 0.001)
        later = Landing()
        asyncio.get_running_loop().call_soon(later.land)
        assert await asyncio.wait_for(waits(later), 5) == "landed"

    asyncio.run(story())


def test_a_drive_that_is_cancelled_is_not_called_when_the_commit_lands() -> None:
    said: list[Any] = []

    async def story() -> None:
        landing = Landing()
        drive = Drive(waits(landing), lambda result, error: said.append(error))
        drive.step()
        drive.cancel()
        landing.land()

    asyncio.run(story())
    assert [type(error) for error in said] == [asyncio.CancelledError]


def test_one_waiters_fault_is_logged_and_not_its_neighbours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(landing: Any) -> None:
        raise KeyError("mine")

    landing = Landing()
    landing.add_done_callback(fails)
    landing.land()
    assert landing.done()
    assert "who waited for a commit failed" in caplog.text
