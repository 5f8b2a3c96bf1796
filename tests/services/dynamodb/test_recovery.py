"""Point-in-time recovery: what a table was at any moment that it remembers."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from doppio.services.dynamodb.past import PAST
from tests.services.world import World, refusal, run, told

from .helpers import Item, caller, described, index, item, make, put, scanned
from .test_backups import restored


async def switched(world: World, on: bool = True, table: str = "orders", **more: Any) -> Any:
    """UpdateContinuousBackups."""
    got = await caller(world)(
        "update_continuous_backups", TableName=table,
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": on, **more},
    )  # fmt: skip
    return got["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]


async def at(world: World, moment: datetime | None, target: str) -> list[Item]:
    """The items of the table at a moment, by a restore."""
    req = {"UseLatestRestorableTime": True} if moment is None else {"RestoreDateTime": moment}
    await caller(world)(
        "restore_table_to_point_in_time", SourceTableName="orders", TargetTableName=target, **req
    )
    await world.advance(1)
    return await scanned(world, target)


def history(world: World) -> int:
    """How many entries of history there are."""
    return sum(key.startswith(PAST) for key in world.memory.disk)


@told
async def test_a_table_remembers_when_it_is_told_to(world: World) -> None:
    await make(world)
    call = caller(world)
    shown = await call("describe_continuous_backups", TableName="orders")
    assert shown["ContinuousBackupsDescription"] == {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
    }
    await put(world, id="1", n=0)
    assert history(world) == 0
    req = {"SourceTableName": "orders", "TargetTableName": "again", "UseLatestRestorableTime": True}
    assert await refusal(call("restore_table_to_point_in_time", **req)) == (
        "PointInTimeRecoveryUnavailableException",
        "Point in time recovery is not enabled for table 'orders'",
    )
    since = world.now
    assert await switched(world) == {
        "PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": 35,
        "EarliestRestorableDateTime": since, "LatestRestorableDateTime": since,
    }  # fmt: skip
    for number in range(1, 4):
        await world.advance(10)
        await put(world, id="1", n=number)
        await put(world, id=f"new{number}")
    for seconds, n in ((0, 0), (9, 0), (10, 1), (19, 1), (20, 2), (30, 3)):
        found = await at(world, since + timedelta(seconds=seconds), f"at{seconds}")
        assert item(id="1", n=n) in found
        assert len(found) == 1 + n
    assert await at(world, None, "latest") == await scanned(world)
    for moment in (since - timedelta(seconds=1), world.now + timedelta(seconds=1)):
        code, _ = await refusal(
            call("restore_table_to_point_in_time", SourceTableName="orders",
                 TargetTableName="never", RestoreDateTime=moment)
        )  # fmt: skip
        assert code == "InvalidRestoreTimeException"
    summary = (await described(world, "at10"))["RestoreSummary"]
    assert summary["RestoreDateTime"] == since + timedelta(seconds=10)
    assert "SourceBackupArn" not in summary


@pytest.mark.parametrize("seed", range(4))
def test_any_moment_is_what_it_was(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A random history against copies of it, read in pages of three."""
    monkeypatch.setattr("doppio.services.dynamodb.limits.ROWS_A_READ", 3)

    async def story(world: World) -> None:
        chance = Random(seed)
        await make(
            world, "orders", ("id", "n"), {"id": "S", "n": "N", "w": "S"},
            GlobalSecondaryIndexes=[index("by-w", "w")],
        )  # fmt: skip
        await switched(world)
        moments: list[tuple[datetime, list[Item]]] = []
        call = caller(world)
        for step in range(60):
            key = {"id": chance.choice("ab"), "n": chance.randrange(5)}
            if chance.random() < 0.3:
                await call("delete_item", TableName="orders", Key=item(**key))
            else:
                await put(world, **key, step=step, w=chance.choice("xyz"))
            if chance.random() < 0.5:
                moments.append((world.now, await scanned(world)))
                await world.advance(chance.choice((0.001, 1, 60)))
        for number, (moment, expected) in enumerate(chance.sample(moments, 8)):
            assert await at(world, moment, f"at{number}") == expected
            in_index = await scanned(world, f"at{number}", IndexName="by-w")
            assert len(in_index) == len(expected)

    run(story)


@told
async def test_what_is_older_than_the_period_is_forgotten(world: World) -> None:
    await make(world)
    await switched(world, RecoveryPeriodInDays=2)
    for number in range(4):
        await put(world, id="1", n=number)
        await world.advance(days=1)
    assert history(world) == 1
    shown = await switched(world, RecoveryPeriodInDays=10)
    assert shown["EarliestRestorableDateTime"] == world.now - timedelta(days=2)
    await put(world, id="1", n=9)
    await switched(world, on=False)
    await world.advance(1)
    assert history(world) == 0
    await put(world, id="1", n=10)
    assert history(world) == 0


@told
async def test_a_restore_reads_what_is_being_forgotten(world: World) -> None:
    await make(world)
    await switched(world)
    await put(world, id="1", n=1)
    moment = world.now
    await world.advance(5)
    await put(world, id="1", n=2)
    call = caller(world)
    await call(
        "restore_table_to_point_in_time", SourceTableName="orders", TargetTableName="again",
        RestoreDateTime=moment,
    )  # fmt: skip
    code, _ = await refusal(call("delete_table", TableName="orders"))
    assert code == "ResourceInUseException"
    await switched(world, on=False)
    await world.advance(1)
    assert await scanned(world, "again") == [item(id="1", n=1)]
    await world.advance(hours=2)
    assert history(world) == 0


@told
async def test_a_deleted_table_with_recovery_leaves_a_backup_for_its_period(world: World) -> None:
    await make(world)
    await switched(world)
    for number in range(3):
        await put(world, id=f"{number}")
    call = caller(world)
    await call("delete_table", TableName="orders")
    await world.advance(1)
    assert (await call("list_backups"))["BackupSummaries"] == []
    [backup] = (await call("list_backups", BackupType="SYSTEM"))["BackupSummaries"]
    assert backup["BackupName"] == "orders$DeletedTableBackup"
    expires = backup["BackupCreationDateTime"] + timedelta(days=35)
    assert backup["BackupExpiryDateTime"] == expires
    assert history(world) == 0
    await make(world)  # another table of the name
    await restored(world, backup["BackupArn"])
    assert [one["id"]["S"] for one in await scanned(world, "again")] == ["0", "1", "2"]
    await world.advance(days=35, hours=1)
    assert (await call("list_backups", BackupType="ALL"))["BackupSummaries"] == []
    assert len(await scanned(world, "again")) == 3


@told
async def test_writes_of_one_moment_are_all_of_that_moment(world: World) -> None:
    await make(world)
    await switched(world)
    before = world.now
    await world.advance(1)
    await asyncio.gather(*(put(world, id="1", n=number) for number in range(5)))
    assert await at(world, before, "before") == []
    assert await at(world, before + timedelta(seconds=1), "after") == await scanned(world)
    assert history(world) == 1


@told
async def test_a_change_that_comes_late_counts_as_of_the_one_before_it(world: World) -> None:
    await make(world)
    await switched(world)
    start = world.now
    await world.advance(10)
    await put(world, id="1", n=1)
    await world.cloud.set_clock(world.cloud.clock.advanced(timedelta(seconds=-5)))
    await put(world, id="1", n=2)
    await world.advance(20)
    assert await at(world, start + timedelta(seconds=7), "before") == []
    assert await at(world, start + timedelta(seconds=10), "after") == [item(id="1", n=2)]
