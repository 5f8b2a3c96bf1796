"""How subscription filters' lines are brought: each filter's by itself, again where a destination fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from doppio.services.logs import bringing, limits
from doppio.services.logs.bringing import log_of
from doppio.services.logs.records import Follower, SubscriptionFilter
from doppio.wire.errors import AwsError
from tests.services.crashes import Told, crash_everywhere
from tests.services.logs.test_logs import put
from tests.services.logs.test_subscription_filters import ask, brought, opened
from tests.services.world import World, run


class Down(AwsError):
    """A destination that fails."""

    code = "InternalFailure"
    status = 500
    text = "not now"


class Throttled(AwsError):
    """A destination that takes no more just now."""

    code = "ProvisionedThroughputExceededException"
    status = 400
    text = "too much"


class Denied(AwsError):
    """A destination that refuses."""

    code = "AccessDeniedException"
    status = 400
    text = "no"


class Destinations:
    """Which destinations fail, and how often each was tried."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture) -> None:
        self.said = said
        self.fails: dict[str, type[AwsError]] = {}
        self.tries: list[str] = []
        real = bringing.send

        async def send(ctx: Any, group: Any, one: SubscriptionFilter, *more: Any) -> None:
            if more[0]["messageType"] == "DATA_MESSAGE":
                self.tries.append(one.name)
                error = self.fails.get(one.name)
                if error is not None:
                    raise error
            await real(ctx, group, one, *more)

        monkeypatch.setattr(bringing, "send", send)


Story = Callable[[World, Destinations], Awaitable[None]]


def bringing_story(story: Story) -> Callable[[pytest.MonkeyPatch, pytest.LogCaptureFixture], None]:
    """A test that tells a story of destinations."""

    def test(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        run(lambda world: story(world, Destinations(monkeypatch, caplog)))

    test.__name__ = story.__name__
    return test


async def followers(world: World) -> list[Follower]:
    return await world.cloud.root_context().read().list(Follower, limit=10)


async def messages(world: World) -> list[str]:
    found = [one for one in await brought(world) if one["messageType"] == "DATA_MESSAGE"]
    return [line["message"] for one in found for line in one["logEvents"]]


@bringing_story
async def test_a_destination_that_fails_holds_up_no_other(
    world: World, destinations: Destinations
) -> None:
    await opened(world)
    await ask(world)
    await ask(world, filterName="broken")
    destinations.fails["broken"] = Down
    for number in range(3):
        await put(world, (0, f"ERROR {number}"))
    assert await messages(world) == [f"ERROR {number}" for number in range(3)]
    assert destinations.tries.count("f") == 3
    assert destinations.tries.count("broken") == 1, "what comes behind waits, and nobody is busy"
    del destinations.fails["broken"]
    await world.advance(1)
    assert sorted(await messages(world)) == sorted(2 * [f"ERROR {number}" for number in range(3)])
    assert [row.failures for row in await followers(world)] == [0, 0]


@bringing_story
async def test_what_may_pass_is_tried_for_a_day_later_and_later(
    world: World, destinations: Destinations
) -> None:
    await opened(world)
    await ask(world)
    destinations.fails["f"] = Down
    await put(world, (0, "ERROR 1"))
    await world.settle()
    for pause in (1, 2, 4, 8):
        destinations.fails["f"] = Throttled if pause > 2 else Down
        await world.advance(pause - 0.5)
        tried = len(destinations.tries)
        await world.advance(0.5)
        assert len(destinations.tries) == tried + 1
    await world.advance(hours=25)
    await world.advance(limits.BRING_PAUSE_MAX.total_seconds())
    assert "were lost" in destinations.said.text
    del destinations.fails["f"]
    await put(world, (0, "ERROR 2"))
    assert await messages(world) == ["ERROR 2"]


@bringing_story
async def test_what_a_destination_refuses_is_lost(world: World, destinations: Destinations) -> None:
    await opened(world)
    await ask(world)
    destinations.fails["f"] = Denied
    await put(world, (0, "ERROR 1"))
    await world.settle()
    assert "were lost" in destinations.said.text
    del destinations.fails["f"]
    await put(world, (0, "ERROR 2"))
    assert await messages(world) == ["ERROR 2"]


@bringing_story
async def test_a_filter_that_is_made_anew_brings_nothing_of_the_old_one(
    world: World, destinations: Destinations
) -> None:
    await opened(world)
    await ask(world)
    destinations.fails["f"] = Down
    await put(world, (0, "ERROR 1"))
    await world.settle()
    (old,) = await followers(world)
    await world.call("logs", "delete_subscription_filter", logGroupName="shop", filterName="f")
    del destinations.fails["f"]
    await ask(world)
    await world.advance(hours=1)
    await put(world, (0, "ERROR 2"))
    assert await messages(world) == ["ERROR 2"]
    (new,) = await followers(world)
    assert new.id != old.id
    assert await world.memory.view().log(log_of(old.id), 0, limit=1) == []
    await world.call("logs", "delete_log_group", logGroupName="shop")
    await world.settle()
    assert await followers(world) == []


@bringing_story
async def test_a_filter_that_is_changed_brings_what_waits(
    world: World, destinations: Destinations
) -> None:
    await opened(world)
    await ask(world)
    destinations.fails["f"] = Down
    await put(world, (0, "ERROR 1"), (0, "WARN 1"))
    await world.settle()
    await ask(world, "WARN")
    del destinations.fails["f"]
    await world.advance(1)
    assert await messages(world) == ["WARN 1"]


@bringing_story
async def test_what_waits_outlives_a_crash(world: World, destinations: Destinations) -> None:
    await opened(world)
    await ask(world)
    destinations.fails["f"] = Down
    await put(world, (0, "ERROR 1"))
    await world.settle()
    del destinations.fails["f"]
    after = world.again()
    await after.start()
    await after.advance(1)
    assert await messages(after) == ["ERROR 1"]
    await after.close()


def test_a_crash_at_any_commit_loses_no_line_of_any_filter() -> None:
    async def prepare(world: World, told: Told) -> None:
        await opened(world)
        await ask(world)
        await ask(world, filterName="g")
        told["taken"] = []

    async def work(world: World, told: Told) -> None:
        for number in range(3):
            await put(world, (0, f"ERROR {number}"))
            told["taken"].append(f"ERROR {number}")
            await world.settle()

    async def check(world: World, told: Told) -> None:
        for _ in range(3):
            await world.advance(2)
        found = await messages(world)
        assert all(found.count(text) >= 2 for text in told["taken"]), found
        assert len(found) <= 2 * len(told["taken"]) + 3, "and what comes twice is one row"

    assert crash_everywhere(prepare, work, check) > 9
