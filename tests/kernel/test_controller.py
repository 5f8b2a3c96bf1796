from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import ClassVar

import pytest

from doppio.kernel.controller import Again
from tests.services.world import World

from .small import Brewing, made, order, run_host, running


def test_every_key_is_looked_at_when_the_cloud_starts_and_when_something_happens() -> None:
    async def story() -> None:
        first, world = Brewing(), World()
        async with running(world, made(controllers=[first])):
            for name in ("a", "b"):
                await order(world.cloud.root_context(), name)
            await world.settle()
            assert sorted(first.looks) == ["a", "b"]
            again = world.again()
        second = Brewing()
        async with running(again, made(controllers=[second])):
            await again.settle()
            assert sorted(second.looks) == ["a", "b"]

    asyncio.run(story())


def test_a_failure_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        brewing, world = Brewing(), World()
        brewing.fails = 2
        async with running(world, made(controllers=[brewing])):
            await order(world.cloud.root_context(), "a")
            await world.settle()
            assert brewing.looks == ["a"]
            await run_host(world, 0.1)
            assert brewing.looks == ["a", "a"]
            await run_host(world, 0.2)
            assert brewing.looks == ["a", "a", "a"]
            await run_host(world, 100)
            assert len(brewing.looks) == 3

    with caplog.at_level(logging.CRITICAL, "doppio.controller"):
        asyncio.run(story())


def test_a_controller_may_ask_to_look_again() -> None:
    async def story() -> None:
        brewing, world = Brewing(), World()
        brewing.again = Again(at=world.now + timedelta(hours=1))
        async with running(world, made(controllers=[brewing])):
            await order(world.cloud.root_context(), "a")
            await world.advance(minutes=59)
            assert brewing.looks == ["a"]
            await world.advance(minutes=2)
            assert brewing.looks == ["a", "a"]

    asyncio.run(story())


def test_one_key_is_never_looked_at_twice_at_a_time_and_no_news_is_lost() -> None:
    async def story() -> None:
        brewing, world = Brewing(), World()
        brewing.hold = asyncio.Event()
        async with running(world, made(controllers=[brewing])):
            for _ in range(5):
                await order(world.cloud.root_context(), "a")
                await world.settle()
            assert brewing.looks == ["a"]
            brewing.hold.set()
            for _ in range(5):
                await run_host(world, 0.02)
            assert brewing.looks == ["a", "a"]
            assert brewing.most_at_once == 1

    asyncio.run(story())


def test_resync_looks_at_everything_again_and_again() -> None:
    class Restless(Brewing):
        resync: ClassVar[timedelta | None] = timedelta(hours=1)

    async def story() -> None:
        restless, world = Restless(), World()
        async with running(world, made(controllers=[restless])):
            await order(world.cloud.root_context(), "a")
            await world.settle()
            for _ in range(3):
                await world.advance(hours=1)
            assert restless.looks == ["a"] * 4

    asyncio.run(story())


def test_a_wake_up_of_its_family_makes_a_controller_look_without_any_event() -> None:
    class Listening(Brewing):
        family: ClassVar[str] = "test.order"

    async def story() -> None:
        listening, world = Listening(), World()
        async with running(world, made(controllers=[listening])):
            async with world.cloud.root_context().write() as tx:
                tx.wake("test.order/a")
                tx.wake("test.tea/b")
            await world.settle()
            assert listening.looks == ["a"]

    asyncio.run(story())


def test_asking_again_and_again_for_the_same_time_leaves_one_timer() -> None:
    async def story() -> None:
        brewing, world = Brewing(), World()
        brewing.again = Again(at=world.now + timedelta(hours=1))
        async with running(world, made(controllers=[brewing])):
            for _ in range(5):
                await order(world.cloud.root_context(), "a")
                await world.settle()
            assert brewing.looks == ["a"] * 5
            brewing.again = None
            await world.advance(hours=2)
            assert brewing.looks == ["a"] * 6

    asyncio.run(story())
