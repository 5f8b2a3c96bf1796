"""A crash at any commit: what was begun is done, and no alarm is left of what is gone."""

from __future__ import annotations

from doppio.kernel.jobs import Job
from doppio.services.application_autoscaling.records import Policy
from tests.services.crashes import Told, crash_everywhere
from tests.services.world import World

from .helpers import TABLE, activities, call, register, table, track, writes


async def alarms(world: World) -> set[str]:
    """The names of all alarms."""
    got = await world.call("cloudwatch", "describe_alarms")
    return {one["AlarmName"] for one in got["MetricAlarms"]}


async def policies(world: World) -> list[Policy]:
    """All policies."""
    return await world.cloud.root_context().read().list(Policy, limit=9)


def test_a_policy_has_all_its_alarms_or_is_not_there() -> None:
    async def prepare(world: World, told: Told) -> None:
        await table(world)
        await register(world)
        await world.advance(1)

    async def work(world: World, told: Told) -> None:
        await track(world)
        told["made"] = True

    async def check(world: World, told: Told) -> None:
        await world.advance(1)
        found = await policies(world)
        assert found or not told.get("made")
        assert await alarms(world) == {name for one in found for name in one.alarms.values()}

    assert crash_everywhere(prepare, work, check) >= 5


def test_what_is_deregistered_leaves_no_alarms() -> None:
    async def prepare(world: World, told: Told) -> None:
        await table(world)
        await register(world)
        await track(world)
        await world.advance(1)

    async def work(world: World, told: Told) -> None:
        await call(world, "deregister_scalable_target", **TABLE)
        told["gone"] = True

    async def check(world: World, told: Told) -> None:
        await world.advance(1)
        found = await policies(world)
        assert not (found and told.get("gone"))
        assert await alarms(world) == {name for one in found for name in one.alarms.values()}

    assert crash_everywhere(prepare, work, check) >= 5


def test_a_change_that_was_begun_is_done_and_written_down_once() -> None:
    async def prepare(world: World, told: Told) -> None:
        await table(world)
        await register(world)
        await world.advance(1)

    async def work(world: World, told: Told) -> None:
        await register(world, least=30)
        told["wanted"] = True
        await world.advance(1)

    async def check(world: World, told: Told) -> None:
        for _ in range(8):
            await world.advance(5)
        found = await activities(world)
        units = await writes(world)
        assert units in (5, 30)
        assert units == 30 or not told.get("wanted")
        assert [one["StatusCode"] for one in found] == ["Successful"] * (units == 30)
        jobs = (
            await world.cloud.root_context()
            .read()
            .list(Job, ("application-autoscaling.scale",), limit=9)
        )
        assert jobs == []

    assert crash_everywhere(prepare, work, check) >= 4
