"""An event loop whose time is simulated: when everybody waits, it jumps to what comes next."""

from __future__ import annotations

import asyncio
import math
import random
import selectors
from collections.abc import Callable
from typing import Any

from doppio.kernel.clock import SimulatedClock

# So many turns in which no time passes are a busy loop.
TURNS_MAX = 50_000
# A world whose time passes and that never comes to rest is none that holds, also on a disk that lies.
WORLD_TURNS_MAX = 500_000


class NobodyWakes(Exception):
    """All wait, and nothing will ever happen: in a real cloud, a hang."""


class NeverRests(Exception):
    """Something runs again and again and waits for nothing."""


class _Jump(selectors.SelectSelector):
    """Waits for nothing: moves the clock to when the loop, or the clock's next timer, is due."""

    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__()
        self._clock = clock
        self._turns = 0
        self._all_turns = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        self._all_turns += 1
        if self._all_turns > WORLD_TURNS_MAX:
            raise NeverRests
        if timeout is not None and timeout <= 0:
            self._turns += 1
            if self._turns > TURNS_MAX:
                raise NeverRests
            return []
        self._turns = 0
        now = self._clock.seconds()
        timer = self._clock.next_timer()
        if timeout is None and timer is None:
            raise NobodyWakes
        due = math.inf if timeout is None else now + timeout
        # At least the smallest step that a float of this size can make.
        self._clock.run_to(max(min(due, timer or math.inf), math.nextafter(now, math.inf)))
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Deterministic: no I/O, no threads, and all chance from `chance`."""

    def __init__(self, clock: SimulatedClock, chance: random.Random) -> None:
        self._sim_clock = clock
        self._chance = chance
        super().__init__(_Jump(clock))
        # Seconds since 1970 have no nanoseconds in a float.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Simulated host time."""
        return self._sim_clock.seconds()

    def run_in_executor(  # type: ignore[override]
        self, executor: object, work: Callable[..., Any], *details: Any
    ) -> asyncio.Future[Any]:
        """Work for a thread: done in one go, some time later."""
        done = self.create_future()

        def run() -> None:
            if done.cancelled():
                return
            try:
                done.set_result(work(*details))
            except Exception as error:
                done.set_exception(error)

        self.call_later(self._chance.uniform(0.0, 0.02), run)
        return done
