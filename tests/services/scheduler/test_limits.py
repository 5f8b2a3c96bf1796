"""Both sides of every number that AWS documents for EventBridge Scheduler."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from doppio.services.scheduler import limits
from doppio.services.scheduler.counting import count
from doppio.services.scheduler.definition import retry_at
from doppio.services.scheduler.records import Execution, Group
from tests.services.scheduler.test_scheduler import role, schedule
from tests.services.sqs.helpers import arn
from tests.services.world import ACCOUNT, OTHER, REGION, START, World, refusal, told

MUCH = "ServiceQuotaExceededException"


@told
async def test_an_account_has_a_million_schedules_at_most(world: World) -> None:
    await role(world)
    async with world.cloud.root_context().write() as tx:
        count(tx, ACCOUNT, REGION, limits.SCHEDULES_MAX - 1)
        count(tx, OTHER, REGION, limits.SCHEDULES_MAX)
    await schedule(world, "rate(1 day)", "last")
    assert await refusal(schedule(world, "rate(1 day)", "more")) == (
        MUCH,
        "You have exceeded the quota of 1000000 schedules.",
    )
    await schedule(world, "rate(2 days)", "last", method="update_schedule")
    await world.call("scheduler", "delete_schedule", Name="last")
    await schedule(world, "rate(1 day)", "more")


@told
async def test_a_region_has_500_groups_at_most(world: World) -> None:
    async with world.cloud.root_context().write() as tx:
        for number in range(limits.GROUPS_MAX - 1):
            tx.add(
                Group(
                    account=ACCOUNT, region=REGION, name=f"g{number:03}", partition="aws",
                    created_at=START, modified_at=START,
                )
            )  # fmt: skip
    await world.call("scheduler", "create_schedule_group", Name="last")
    assert await refusal(world.call("scheduler", "create_schedule_group", Name="more")) == (
        MUCH,
        "You have exceeded the quota of 500 schedule groups.",
    )
    page = await world.call("scheduler", "list_schedule_groups")
    assert len(page["ScheduleGroups"]) == limits.LISTED_MAX
    assert page["NextToken"]


@told
async def test_an_input_is_256_kib_at_most(world: World) -> None:
    await role(world)
    await schedule(world, "rate(1 day)", Input="x" * limits.INPUT_BYTES_MAX)
    assert await refusal(
        schedule(world, "rate(1 day)", "t", Input="ü" * (limits.INPUT_BYTES_MAX // 2) + "x")
    ) == ("ValidationException", "The target input is larger than 256 KB.")


@told
async def test_a_list_has_a_hundred_on_a_page(world: World) -> None:
    await role(world)
    for number in range(limits.LISTED_MAX + 1):
        await schedule(world, "rate(1 day)", f"s{number:03}")
    page = await world.call("scheduler", "list_schedules")
    assert len(page["Schedules"]) == limits.LISTED_MAX
    rest = await world.call("scheduler", "list_schedules", NextToken=page["NextToken"])
    assert [one["Name"] for one in rest["Schedules"]] == [f"s{limits.LISTED_MAX}"]
    assert "NextToken" not in rest


def test_without_a_policy_a_target_is_tried_for_a_day_and_185_times() -> None:
    def tried(attempts: int, late: timedelta) -> Any:
        execution = Execution(
            id="e", schedule=(ACCOUNT, REGION, "default", "s"), revision="r", arn="a",
            group_arn="g", target={"Arn": arn("q")}, due_at=START, attempts=attempts,
        )  # fmt: skip
        return retry_at(execution, START + late)

    assert (185, timedelta(days=1)) == (limits.RETRIES_DEFAULT, limits.EVENT_AGE_DEFAULT)
    soon = timedelta(0)
    assert tried(1, soon) == (START + limits.RETRY_PAUSE_MIN, "")
    assert tried(185, soon) == (START + limits.RETRY_PAUSE_MAX, "")
    assert tried(186, soon) == (None, "MaximumRetryAttempts")
    last = limits.EVENT_AGE_DEFAULT - limits.RETRY_PAUSE_MIN
    assert tried(1, last)[0] == START + limits.EVENT_AGE_DEFAULT
    assert tried(1, last + timedelta(seconds=1)) == (None, "MaximumEventAgeInSeconds")
