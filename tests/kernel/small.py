"""A service of two operations for the tests of the kernel: enough to see what the kernel does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from doppio.app import Cloud
from doppio.kernel.context import Context
from doppio.kernel.controller import Again, Controller, Key
from doppio.kernel.events import Event, Subscription
from doppio.kernel.jobs import Job, JobHandler
from doppio.kernel.records import record
from doppio.kernel.service import Service
from tests.services.world import World


class Ordered(Event, frozen=True, kw_only=True):
    """An order has come."""


class Paid(Event, frozen=True, kw_only=True):
    """An order was paid."""


@record("test.order", key=("name",))
class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order of the tests."""

    name: str
    cups: int = 1


@record("test.table", key=("cafe", "number"), rings="cafe")
class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table of a café, which hears of its tables' changes."""

    cafe: str
    number: int
    seats: int = 2


async def order(context: Context, name: str, cups: int = 1) -> None:
    """Take an order, and say so."""
    async with context.write() as tx:
        tx.put(Order(name=name, cups=cups))
        tx.emit(Ordered(key=(name,)))


class Brewing(Controller[Order]):
    """Notes each look at an order."""

    record = Order
    wakes_on = (Ordered,)

    def __init__(self) -> None:
        self.looks: list[str] = []
        self.fails = 0
        self.again: Again | None = None
        self.hold: asyncio.Event | None = None
        self.at_once: dict[str, int] = {}
        self.most_at_once = 0

    async def reconcile(self, ctx: Context, key: Key) -> Again | None:
        """Note it; fail as often as was asked for."""
        name = key[0]
        self.at_once[name] = self.at_once.get(name, 0) + 1
        self.most_at_once = max(self.most_at_once, self.at_once[name])
        try:
            self.looks.append(name)
            if self.hold is not None:
                await self.hold.wait()
            if self.fails > 0:
                self.fails -= 1
                raise RuntimeError("out of beans")
            again, self.again = self.again, None
            return again
        finally:
            self.at_once[name] -= 1


def made(
    *,
    groups: Iterable[object] = (),
    jobs: dict[str, JobHandler] | None = None,
    controllers: Iterable[Controller[Any]] = (),
    subscriptions: Iterable[Subscription] = (),
    name: str = "sns",
) -> Service:
    """A service of the tests' own, under the name of a model that no service here has."""
    return Service(
        name, groups=groups, jobs=jobs, controllers=controllers, subscriptions=subscriptions
    )


def add(world: World, service: Service) -> Cloud:
    """Join a service to a world that has not started."""
    cloud = world.cloud
    cloud.services.join(service)
    return cloud


@asynccontextmanager
async def running(world: World, service: Service) -> AsyncIterator[Cloud]:
    """A world with this service beside its own."""
    cloud = add(world, service)
    await world.start()
    try:
        yield cloud
    finally:
        await world.close()


async def run_host(world: World, seconds: float) -> None:
    """Let host time pass, and with it cloud time."""
    world.host.run_to(world.host.seconds() + seconds)
    await world.settle()


__all__ = [
    "Brewing",
    "Job",
    "Order",
    "Ordered",
    "Paid",
    "add",
    "made",
    "order",
    "run_host",
    "running",
]
