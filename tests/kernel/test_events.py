from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from doppio.kernel import events
from doppio.kernel.context import Context
from doppio.kernel.events import Event, Subscription
from tests.services.world import ACCOUNT, REGION, World

from .small import Ordered, Paid, made, order, running


class Ear:
    """A subscriber that notes what it hears, and fails as often as was asked for."""

    def __init__(self, fails: int = 0) -> None:
        self.fails = fails
        self.heard: list[str] = []
        self.where: set[tuple[str, str]] = set()

    async def __call__(self, ctx: Context, event: Event) -> None:
        if self.fails > 0:
            self.fails -= 1
            raise RuntimeError("deaf")
        self.heard.append(event.key[0])
        self.where.add((ctx.account, ctx.region))


def subscribed(**ears: Ear) -> list[Subscription]:
    return [Subscription(f"test.{name}", (Ordered,), ear) for name, ear in ears.items()]


def test_a_fact_reaches_every_subscriber_in_order_with_its_account_and_region() -> None:
    async def story() -> None:
        first, second, world = Ear(), Ear(), World()
        both = subscribed(first=first, second=second)
        async with running(world, made(subscriptions=both)):
            context = world.cloud.root_context()
            for number in range(600):
                await order(context, f"{number:03d}")
            async with context.write() as tx:
                tx.emit(Paid(key=("not asked for",)))
            await world.settle()
            expected = [f"{number:03d}" for number in range(600)]
            assert first.heard == second.heard == expected
            assert first.where == {(ACCOUNT, REGION)}

    asyncio.run(story())


def test_what_was_not_committed_did_not_happen() -> None:
    async def story() -> None:
        ear, world = Ear(), World()
        async with running(world, made(subscriptions=subscribed(ear=ear))):
            with contextlib.suppress(RuntimeError):
                async with world.cloud.root_context().write() as tx:
                    tx.emit(Ordered(key=("x",)))
                    raise RuntimeError
            await world.settle()
            assert ear.heard == []

    asyncio.run(story())


def test_after_a_crash_a_subscriber_goes_on_where_it_was() -> None:
    async def story() -> None:
        ear, world = Ear(), World()
        async with running(world, made(subscriptions=subscribed(ear=ear))):
            await order(world.cloud.root_context(), "before")
            await world.settle()
            again = world.again()
        async with running(again, made(subscriptions=subscribed(ear=ear))):
            await order(again.cloud.root_context(), "after")
            await again.settle()
            assert ear.heard == ["before", "after"]

    asyncio.run(story())


def test_a_subscriber_that_fails_is_asked_again_and_holds_up_only_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        broken, well, world = Ear(fails=2), Ear(), World()
        both = subscribed(broken=broken, well=well)
        async with running(world, made(subscriptions=both)):
            for name in ("a", "b"):
                await order(world.cloud.root_context(), name)
            await world.settle()
            assert well.heard == ["a", "b"]
            for _ in range(100):
                if len(broken.heard) == 2:
                    break
                await asyncio.sleep(0.02)
            assert broken.heard == ["a", "b"]

    with caplog.at_level(logging.CRITICAL, "doppio.events"):
        asyncio.run(story())


def test_what_everybody_has_seen_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "TRIM_EVENTS", 50)

    async def story() -> None:
        ear, world = Ear(), World()
        async with running(world, made(subscriptions=subscribed(ear=ear))):
            for number in range(200):
                await order(world.cloud.root_context(), str(number))
                await world.settle()
            left = await world.memory.view().log("events", 0, limit=1_000)
            assert 0 < len(left) < 120
            assert len(ear.heard) == 200

    asyncio.run(story())
