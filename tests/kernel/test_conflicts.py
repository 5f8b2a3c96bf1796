from __future__ import annotations

import asyncio

from doppio.kernel.conflicts import PAUSE_SECONDS_MAX, TRIES_AT_ONCE, TRIES_MAX, step_aside
from tests.services.world import World, told


@told
async def test_who_loses_again_and_again_lets_others_go_first(world: World) -> None:
    context = world.cloud.root_context()
    for tries in range(TRIES_AT_ONCE):
        await step_aside(context, tries)
    waiting = asyncio.ensure_future(step_aside(context, TRIES_MAX - 1))
    await world.settle()
    assert not waiting.done()
    world.host.run_to(world.host.seconds() + PAUSE_SECONDS_MAX)
    await waiting
    gone = asyncio.ensure_future(step_aside(context, TRIES_MAX - 1))
    await world.settle()
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    soonest = world.host.next_timer()
    assert soonest is None or soonest > world.host.seconds() + 1, "the pause was cancelled"
