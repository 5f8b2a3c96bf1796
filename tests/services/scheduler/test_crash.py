"""A crash at any commit of a schedule's life: each time is called at least once, and nothing is left."""

from __future__ import annotations

from doppio.kernel.jobs import Job
from doppio.kernel.keys import pack
from doppio.services.scheduler.records import Execution, Group, Schedule
from tests.services.crashes import Told, crash_everywhere
from tests.services.scheduler.test_scheduler import bodies, role, schedule
from tests.services.sqs.helpers import arn, make
from tests.services.world import ACCOUNT, REGION, World


async def check_left(world: World) -> None:
    """Each timer is one of a schedule that waits, and no execution goes on for ever."""
    reader = world.cloud.root_context().read()
    assert await reader.list(Execution, limit=9) == []
    assert await reader.list(Job, ("scheduler.deliver",), limit=9) == []
    assert await reader.list(Job, ("scheduler.empty",), limit=9) == []
    timers = {one.key for one in await reader.list(Job, ("scheduler.fire",), limit=9)}
    schedules = await reader.list(Schedule, limit=9)
    assert timers <= {one.arn for one in schedules}
    # As many are counted as there are.
    key = pack("scheduler.schedules", ACCOUNT, REGION)
    counted = await reader.raw.counters(key, key + b"\x00", limit=1)
    assert sum(int(amount) for _, amount in counted) == len(schedules)


def test_each_time_is_called_and_a_schedule_that_is_over_goes() -> None:
    async def prepare(world: World, told: Told) -> None:
        await role(world, "sqs:SendMessage")
        told["q"] = await make(world)

    async def work(world: World, told: Told) -> None:
        await schedule(
            world,
            "at(2030-01-01T00:01:00)",
            Input="<aws.scheduler.scheduled-time>",
            ActionAfterCompletion="DELETE",
        )
        told["made"] = True
        await world.advance(60)

    async def check(world: World, told: Told) -> None:
        await world.advance(61)
        found = await world.cloud.root_context().read().list(Schedule, limit=9)
        assert found == []
        called = set(await bodies(world, told["q"]))
        assert called in ({"2030-01-01T00:01:00Z"}, set())
        assert called or not told.get("made")
        await check_left(world)

    assert crash_everywhere(prepare, work, check) >= 4


def test_what_fails_is_tried_again_after_a_crash_and_ends_as_a_dead_letter() -> None:
    async def prepare(world: World, told: Told) -> None:
        await role(world, "sqs:SendMessage")
        told["dead"] = await make(world, "dead")

    async def work(world: World, told: Told) -> None:
        await schedule(
            world,
            "at(2030-01-01T00:01:00)",
            target=arn("none"),
            Input="lost",
            DeadLetterConfig={"Arn": arn("dead")},
        )
        told["made"] = True
        await world.advance(60)

    async def check(world: World, told: Told) -> None:
        await world.advance(61)
        letters = set(await bodies(world, told["dead"]))
        assert letters in ({"lost"}, set())
        assert letters or not told.get("made")
        await check_left(world)

    assert crash_everywhere(prepare, work, check) >= 4


def test_a_change_and_a_deletion_count_wholly_or_not_at_all() -> None:
    async def prepare(world: World, told: Told) -> None:
        await role(world, "sqs:SendMessage")
        told["q"] = await make(world)
        await world.call("scheduler", "create_schedule_group", Name="bar")
        for number in range(3):
            await schedule(world, "at(2030-01-02T00:00:00)", f"s{number}", GroupName="bar")
        await schedule(world, "at(2030-01-02T00:00:00)", "own", Input="old")

    async def work(world: World, told: Told) -> None:
        told["inputs"] = ["old", "new"]
        await schedule(
            world, "at(2030-01-03T00:00:00)", "own", Input="new", method="update_schedule"
        )
        told["inputs"] = ["new"]
        await world.call("scheduler", "delete_schedule_group", Name="bar")
        told["deleted"] = True

    async def check(world: World, told: Told) -> None:
        reader = world.cloud.root_context().read()
        groups = [one.name for one in await reader.list(Group, limit=9)]
        there = [one.name for one in await reader.list(Schedule, limit=9) if one.group == "bar"]
        if "bar" in groups:
            assert "deleted" not in told
            assert there == ["s0", "s1", "s2"]
        else:
            assert there == []
        await world.advance(days=3)
        called = set(await bodies(world, told["q"])) & {"old", "new"}
        assert len(called) == 1
        assert called <= set(told["inputs"])
        await check_left(world)

    assert crash_everywhere(prepare, work, check) >= 3
