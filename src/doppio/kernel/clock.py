"""Two times: cloud time, which may stop, run faster or jump; and host time, which may not.

Retention, expiry, schedules and bills follow cloud time. Signature skew, sockets and start-up
follow host time. Nothing else in the project reads the wall clock.
"""

from __future__ import annotations

import asyncio
import heapq
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Protocol

import msgspec

# So long ago somebody may ask what cloud time it was: a presigned link lives a week at most. Of so many
# changes the oldest are forgotten all the same, as if cloud time had run on evenly before.
REMEMBERED_SECONDS = 604_800.0
REMEMBERED_MAX = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Time ends here: dates that services reckon from it must still have four digits for their year.
LAST = datetime(9000, 1, 1, tzinfo=UTC)
_LAST_SECONDS = (LAST - _EPOCH).total_seconds()
# asyncio timers lose precision and then range with very long delays; look again once a day.
_LONGEST_SLEEP_SECONDS = 86_400.0


class HostClock(Protocol):
    """Where host time comes from: the machine, or a simulation."""

    def seconds(self) -> float:
        """Seconds since 1970, UTC."""
        ...

    def call_later(self, seconds: float, run: Callable[[], None]) -> Callable[[], None]:
        """Run once after that much host time; the answer cancels it."""
        ...


class MachineClock:
    """Host time of this machine."""

    # The function itself, since every request asks it several times.
    seconds = staticmethod(time.time)

    def call_later(self, seconds: float, run: Callable[[], None]) -> Callable[[], None]:
        return asyncio.get_running_loop().call_later(seconds, run).cancel


class SimulatedClock:
    """Host time that moves only when told to."""

    def __init__(self, start: datetime) -> None:
        self._now = start.timestamp()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = count()
        self._cancelled: set[int] = set()

    def seconds(self) -> float:
        return self._now

    def call_later(self, seconds: float, run: Callable[[], None]) -> Callable[[], None]:
        number = next(self._count)
        heapq.heappush(self._timers, (self._now + seconds, number, run))
        return lambda: self._cancelled.add(number)

    def next_timer(self) -> float | None:
        """When the soonest timer is due, in seconds since 1970."""
        while self._timers and self._timers[0][1] in self._cancelled:
            self._cancelled.discard(heapq.heappop(self._timers)[1])
        return self._timers[0][0] if self._timers else None

    def run_to(self, seconds: float) -> None:
        """Move to that time, running each timer that comes due on the way, in order."""
        while (due := self.next_timer()) is not None and due <= seconds:
            self._now = max(self._now, due)
            heapq.heappop(self._timers)[2]()
        self._now = max(self._now, seconds)


class ClockState(msgspec.Struct, frozen=True, kw_only=True):
    """Cloud time as a line: at host second `host` it was cloud second `cloud`, running at `rate`.

    A rate of 0 is a paused clock. `before` are the lines that it followed until then, oldest first, for
    as long as somebody may ask what cloud time it was.
    """

    host: float = 0.0
    cloud: float = 0.0
    rate: float = 1.0
    before: tuple[ClockState, ...] = ()

    def at(self, host: float) -> float:
        """Cloud seconds at a second of host time."""
        return self.cloud + (host - self.host) * self.rate


class _Timer:
    """Something to run once; None when it has run or was cancelled."""

    __slots__ = ("run",)

    def __init__(self, run: Callable[[], None]) -> None:
        self.run: Callable[[], None] | None = run


class Clock:
    """Cloud time, and waiting for it."""

    def __init__(self, host: HostClock, state: ClockState | None = None) -> None:
        self.host = host
        self.state = state or ClockState()
        self._waiting: list[tuple[float, int, _Timer]] = []
        self._count = count()
        self._cancelled = 0
        self._cancel_timer: Callable[[], None] | None = None

    def seconds(self) -> float:
        """Cloud time in seconds since 1970, UTC."""
        state = self.state
        return state.cloud + (self.host.seconds() - state.host) * state.rate

    def seconds_at(self, host: float) -> float:
        """What cloud time it was at a second of host time, within `REMEMBERED_SECONDS`."""
        for state in (self.state, *reversed(self.state.before)):
            if state.host <= host:
                break
        return state.at(host)

    def end_of(self, end: float, since: float | None = None) -> float:
        """When that ends in cloud time which somebody has given an end in host time.

        The giver said so at `since` at the latest: what cloud time has leapt from then on counts, and
        what it leapt before does not. Who gives no moment may have said so just now.
        """
        now = self.host.seconds()
        given = now if since is None else min(since, now)
        return self.seconds_at(given) + (end - given)

    def now(self) -> datetime:
        """Cloud time."""
        state = self.state
        seconds = state.cloud + (self.host.seconds() - state.host) * state.rate
        return datetime.fromtimestamp(seconds, UTC)

    def host_now(self) -> datetime:
        """Host time, for what must agree with the machines around us."""
        return datetime.fromtimestamp(self.host.seconds(), UTC)

    def paused(self) -> ClockState:
        """The state in which time stands still from now on."""
        return self._changed(self.seconds(), 0.0)

    def running(self, rate: float = 1.0) -> ClockState:
        """The state in which time runs on from now at `rate` cloud seconds a second."""
        return self._changed(self.seconds(), rate)

    def advanced(self, by: timedelta) -> ClockState:
        """The state in which `by` has passed at once. Raises ValueError past the end of time."""
        cloud = self.seconds() + by.total_seconds()
        if cloud > _LAST_SECONDS:
            raise ValueError(f"cloud time ends with the year {LAST.year - 1}")
        return self._changed(cloud, self.state.rate)

    def _changed(self, cloud: float, rate: float) -> ClockState:
        now, last = self.host.seconds(), self.state
        lines = [*last.before, msgspec.structs.replace(last, before=())]
        # A line counts until the next begins.
        ends = [*(line.host for line in lines[1:]), now]
        before = [
            line
            for line, end in zip(lines, ends, strict=True)
            if end > now - REMEMBERED_SECONDS
        ]  # fmt: skip
        return ClockState(host=now, cloud=cloud, rate=rate, before=tuple(before[-REMEMBERED_MAX:]))

    def set(self, state: ClockState) -> None:
        """Follow a new state; whoever waits for a time that has come is woken now."""
        self.state = state
        self._fire()

    def _end(self) -> None:
        """Stand still at the end of time, to which a fast clock may come, as in a stopped cloud."""
        if self.seconds() > _LAST_SECONDS:
            self.state = self._changed(_LAST_SECONDS, 0.0)

    def call_at(self, when: datetime, run: Callable[[], None]) -> Callable[[], None]:
        """Run once when cloud time reaches `when`; the answer cancels it."""
        timer = _Timer(run)
        entry = ((when - _EPOCH).total_seconds(), next(self._count), timer)
        heapq.heappush(self._waiting, entry)
        if self._waiting[0] is entry:
            self._arm()
        return lambda: self._cancel(timer)

    async def wait_until(self, when: datetime) -> None:
        """Return when cloud time has reached `when`."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        cancel = self.call_at(when, lambda: None if done.done() else done.set_result(None))
        try:
            await done
        finally:
            cancel()

    def _cancel(self, timer: _Timer) -> None:
        if timer.run is None:
            return
        timer.run = None
        self._cancelled += 1
        if self._cancelled > 64 and self._cancelled * 2 > len(self._waiting):
            self._waiting = [entry for entry in self._waiting if entry[2].run is not None]
            heapq.heapify(self._waiting)
            self._cancelled = 0

    def _fire(self) -> None:
        self._end()
        now = self.seconds()
        while self._waiting and self._waiting[0][0] <= now:
            timer = heapq.heappop(self._waiting)[2]
            if timer.run is None:
                self._cancelled -= 1
            else:
                run, timer.run = timer.run, None
                run()
        self._arm()

    def _arm(self) -> None:
        if self._cancel_timer is not None:
            self._cancel_timer()
            self._cancel_timer = None
        rate = self.state.rate
        if self._waiting and rate > 0:
            seconds = (min(self._waiting[0][0], _LAST_SECONDS) - self.seconds()) / rate
            self._cancel_timer = self.host.call_later(
                min(max(seconds, 0.0), _LONGEST_SLEEP_SECONDS), self._fire
            )


_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhdw])")
_DURATION = re.compile(f"(?:{_PART.pattern})+")
_DURATION_LENGTH_MAX = 64
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def duration(text: str) -> timedelta:
    """A duration as people type it: `90s`, `5m`, `2h`, `30d`, `1w`, or `1d12h`.

    Raises ValueError with what is allowed.
    """
    stripped = text.strip()
    if len(stripped) > _DURATION_LENGTH_MAX or not _DURATION.fullmatch(stripped):
        raise ValueError(f"{text!r} is not a duration: write for example 90s, 5m, 2h, 30d or 1d12h")
    parts = _PART.findall(stripped)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds > _LAST_SECONDS:
        raise ValueError(f"{text!r} is longer than there is time: it ends with {LAST.year - 1}")
    return timedelta(seconds=seconds)
