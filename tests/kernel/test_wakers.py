from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from doppio.kernel import wakers
from doppio.kernel.clock import Clock, SimulatedClock
from doppio.kernel.store import MISSED
from doppio.kernel.wakers import Wakers

START = datetime(2030, 1, 1, tzinfo=UTC)
LATER = START + timedelta(seconds=10)


def told(story: Callable[[Wakers, Clock], Awaitable[None]]) -> Callable[[], None]:
    async def main() -> None:
        await story(Wakers(), Clock(SimulatedClock(START)))

    def test() -> None:
        asyncio.run(main())

    test.__name__ = story.__name__
    return test


@told
async def test_a_ring_wakes_who_waits_for_that_topic_alone(here: Wakers, clock: Clock) -> None:
    right = asyncio.create_task(here.ticket("a").wait(clock, LATER))
    wrong = asyncio.create_task(here.ticket("b").wait(clock, LATER))
    await asyncio.sleep(0)
    here.ring("a")
    await asyncio.wait_for(right, 1)
    assert not wrong.done()
    clock.set(clock.advanced(timedelta(seconds=10)))
    await asyncio.wait_for(wrong, 1)
    assert here._waiting == {}


@told
async def test_a_ring_between_looking_and_waiting_is_not_missed(here: Wakers, clock: Clock) -> None:
    ticket = here.ticket("a")
    here.ring("a")
    await asyncio.wait_for(ticket.wait(clock, LATER), 1)
    fresh = asyncio.create_task(here.ticket("a").wait(clock, LATER))
    await asyncio.sleep(0)
    assert not fresh.done()
    here.ring_all()
    await asyncio.wait_for(fresh, 1)


@told
async def test_who_is_cancelled_leaves_nothing(here: Wakers, clock: Clock) -> None:
    waiting = asyncio.create_task(here.ticket("a").wait(clock, LATER))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert here._waiting == {}


@told
async def test_listeners_hear_of_a_whole_family(here: Wakers, clock: Clock) -> None:
    heard: list[str] = []
    here.on("queue", heard.append)
    for topic in ("queue/a", "queue", "queues/b", "queue/c/d"):
        here.ring(topic)
    assert heard == ["queue/a", "queue", "queue/c/d"]


def test_forgotten_topics_wake_once_too_often_and_never_too_seldom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wakers, "REMEMBERED_TOPICS_MAX", 2)

    @told
    async def story(here: Wakers, clock: Clock) -> None:
        old = here.ticket("a")
        here.ring("a")
        for topic in ("b", "c", "d"):
            here.ring(topic)
        assert len(here._last_ring) == 2
        await asyncio.wait_for(old.wait(clock, LATER), 1)

    story()


@told
async def test_a_ticket_tells_whether_its_topic_has_rung(here: Wakers, clock: Clock) -> None:
    ticket = here.ticket("a")
    assert not ticket.rung
    here.ring("b")
    assert not ticket.rung
    here.ring("a")
    assert ticket.rung
    assert not here.ticket("a").rung
    missing = here.ticket("c")
    here.ring(MISSED)
    assert missing.rung
