"""What a transaction does that has lost against others: it lets them go first, and tries again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doppio.kernel.context import Context

# A transaction that loses this often is fighting something that never rests.
TRIES_MAX = 32
# One that has lost so often lets the others go first, for a while by chance.
TRIES_AT_ONCE = 4
PAUSE_SECONDS_MAX = 0.064


async def step_aside(context: Context, tries: int) -> None:
    """Wait before the next try of a transaction that has lost `tries` + 1 times.

    Where reads wait (PostgreSQL), all who want the same rows would else lose to each other for ever.
    """
    if tries < TRIES_AT_ONCE:
        return
    most = min(0.001 * 2 ** (tries - TRIES_AT_ONCE), PAUSE_SECONDS_MAX)
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    cancel = context.clock.host.call_later(
        most * context.random(), lambda: None if over.done() else over.set_result(None)
    )
    try:
        await over
    except asyncio.CancelledError:
        cancel()
        raise
