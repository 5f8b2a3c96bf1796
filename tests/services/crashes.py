"""Crashes at each commit of a story in turn, in a world of its own each time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from doppio.kernel.store import StoreClosed
from doppio.wire.errors import AwsError
from tests.services.world import World

# What a story keeps of what was acknowledged, and of what is under way.
Told = dict[str, Any]
Step = Callable[[World, Told], Awaitable[None]]


def crash_everywhere(
    prepare: Step, work: Step, check: Step, furnish: Callable[[World], object] | None = None
) -> int:
    """Crash at every commit of `work`; `check` judges the cloud that comes back. How many there were.

    `prepare` sets the stage, without a crash. Both what `work` awaits and what goes on behind it
    may be what crashes. At last it goes through without a crash, and is judged all the same.
    `furnish` gives the cloud that comes back what a disk does not hold, before it starts.
    """
    at = 1
    while _crash(at, prepare, work, check, furnish):
        at += 1
    return at - 1


def _crash(
    at: int, prepare: Step, work: Step, check: Step, furnish: Callable[[World], object] | None
) -> bool:
    """Whether the story came as far as the crash."""

    async def story() -> bool:
        told: Told = {}
        world = World()
        await world.start()
        await prepare(world, told)
        await world.settle()
        before = world.memory.groups
        world.memory._reaches_disk = lambda number: number != before + at
        try:
            await work(world, told)
            await world.settle()
        except (AwsError, StoreClosed):
            assert world.memory.groups == before + at, "nothing but the crash fails"
        crashed = world.memory.groups >= before + at
        again = world.again()
        await world.close()
        if furnish is not None:
            furnish(again)
        await again.start()
        try:
            await again.settle()
            await check(again, told)
        finally:
            await again.close()
        return crashed

    return asyncio.run(story())
