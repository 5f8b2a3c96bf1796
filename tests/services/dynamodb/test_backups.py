"""Backups: what a table was in one commit, whatever is written meanwhile and whatever crashes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from doppio.kernel.jobs import Job
from doppio.kernel.records import table_of
from doppio.services.dynamodb.item_keys import INDEXED
from doppio.services.dynamodb.past import PAST
from doppio.services.dynamodb.records import ITEMS
from tests.services.world import START, World, refusal, run, told

from .helpers import arn, caller, described, index, item, make, put, scanned
from .test_permissions import T, employed
from .test_upkeep import ROWS, crashed_everywhere, filled


async def backed_up(world: World, table: str = "orders", name: str = "backup") -> str:
    """CreateBackup; the backup's ARN."""
    made = await caller(world)("create_backup", TableName=table, BackupName=name)
    assert made["BackupDetails"]["BackupStatus"] == "CREATING"
    found: str = made["BackupDetails"]["BackupArn"]
    return found


async def details(world: World, backup: str) -> dict[str, Any]:
    """What DescribeBackup says of a backup itself."""
    got = await caller(world)("describe_backup", BackupArn=backup)
    found: dict[str, Any] = got["BackupDescription"]["BackupDetails"]
    return found


async def restored(world: World, backup: str, target: str = "again", **req: Any) -> None:
    """RestoreTableFromBackup, to its end."""
    await caller(world)(
        "restore_table_from_backup", TargetTableName=target, BackupArn=backup, **req
    )
    await world.advance(1)


@told
async def test_a_backup_holds_what_the_table_was_when_it_was_asked_for(world: World) -> None:
    await make(world, kinds={"id": "S", "w": "S"}, GlobalSecondaryIndexes=[index("by-w", "w")])
    for number in range(3):
        await put(world, id=f"{number}", w=f"w{number}", n=1)
    backup = await backed_up(world)
    # All of this is before the backup's job has had its turn.
    await put(world, id="0", w="other", n=2)
    await caller(world)("delete_item", TableName="orders", Key=item(id="1"))
    await put(world, id="3", w="late")
    await world.advance(1)
    shown = await caller(world)("describe_backup", BackupArn=backup)
    assert shown["BackupDescription"]["BackupDetails"] == {
        "BackupArn": backup, "BackupName": "backup", "BackupSizeBytes": 27,
        "BackupStatus": "AVAILABLE", "BackupType": "USER",
        "BackupCreationDateTime": START + timedelta(seconds=1),
    }  # fmt: skip
    source = shown["BackupDescription"]["SourceTableDetails"]
    assert (source["ItemCount"], source["TableSizeBytes"], source["BillingMode"]) == (
        3, 27, "PAY_PER_REQUEST",
    )  # fmt: skip
    features = shown["BackupDescription"]["SourceTableFeatureDetails"]
    assert [one["IndexName"] for one in features["GlobalSecondaryIndexes"]] == ["by-w"]
    await restored(world, backup)
    expected = [item(id=f"{number}", w=f"w{number}", n=1) for number in range(3)]
    assert await scanned(world, "again") == expected
    assert await scanned(world, "again", IndexName="by-w") == expected
    table = await described(world, "again")
    assert (table["ItemCount"], table["TableSizeBytes"], table["TableStatus"]) == (3, 27, "ACTIVE")
    assert table["RestoreSummary"] == {
        "SourceBackupArn": backup, "SourceTableArn": T, "RestoreInProgress": False,
        "RestoreDateTime": START + timedelta(seconds=1),
    }  # fmt: skip
    assert len(await scanned(world)) == 3  # The table itself goes its own way.
    assert not [key for key in world.memory.disk if key.startswith(PAST)]


@told
async def test_backups_are_listed_by_table_time_and_kind(world: World) -> None:
    await make(world)
    await make(world, "till")
    call = caller(world)
    made = []
    for number, table in enumerate(("orders", "till", "orders")):
        made.append(await backed_up(world, table, f"number{number}"))
        await world.advance(60)

    async def listed(**req: Any) -> list[str]:
        got = await call("list_backups", **req)
        return [one["BackupArn"] for one in got["BackupSummaries"]]

    assert await listed() == made
    assert await listed(TableName="orders") == await listed(TableName=T) == [made[0], made[2]]
    first = (await details(world, made[0]))["BackupCreationDateTime"]
    second = (await details(world, made[1]))["BackupCreationDateTime"]
    assert await listed(TimeRangeLowerBound=second) == made[1:]
    assert await listed(TimeRangeLowerBound=first, TimeRangeUpperBound=second) == made[:1]
    assert await listed(BackupType="SYSTEM") == []
    page = await call("list_backups", Limit=1)
    assert page["LastEvaluatedBackupArn"] == made[0]
    page = await call("list_backups", ExclusiveStartBackupArn=made[0])
    assert [one["BackupName"] for one in page["BackupSummaries"]] == ["number1", "number2"]
    assert "LastEvaluatedBackupArn" not in page


@told
async def test_a_deleted_backup_leaves_nothing(world: World) -> None:
    await make(world)
    await put(world, id="1")
    call = caller(world)
    backup = await backed_up(world)
    for method, req in (
        ("delete_backup", {"BackupArn": backup}),
        ("restore_table_from_backup", {"BackupArn": backup, "TargetTableName": "again"}),
    ):
        assert (await refusal(call(method, **req)))[0] == "BackupInUseException"
    code, _ = await refusal(call("delete_table", TableName="orders"))
    assert code == "ResourceInUseException"
    await world.advance(1)
    gone = await call("delete_backup", BackupArn=backup)
    assert gone["BackupDescription"]["BackupDetails"]["BackupStatus"] == "DELETED"
    await call("delete_table", TableName="orders")
    await world.advance(1)
    left = (ITEMS, INDEXED, PAST, table_of(Job).prefix)
    assert not [key for key in world.memory.disk if key.startswith(left)]
    for method in ("describe_backup", "delete_backup"):
        assert await refusal(call(method, BackupArn=backup)) == (
            "BackupNotFoundException", f"Backup not found: {backup}",
        )  # fmt: skip
    req = {"TableName": "orders", "BackupName": "name"}
    assert await refusal(call("create_backup", **req)) == (
        "TableNotFoundException", "Table not found: orders",
    )  # fmt: skip


@told
async def test_a_backup_outlives_its_table(world: World) -> None:
    await make(world)
    await put(world, id="1", n=1)
    backup = await backed_up(world)
    await world.advance(1)
    await caller(world)("delete_table", TableName="orders")
    await world.advance(1)
    await make(world)
    assert await scanned(world) == []
    await restored(world, backup)
    assert await scanned(world, "again") == [item(id="1", n=1)]
    code, text = await refusal(
        caller(world)("restore_table_from_backup", BackupArn=backup, TargetTableName="again")
    )
    assert (code, text) == ("TableAlreadyExistsException", "Table already exists: again")


@told
async def test_a_restore_can_leave_indexes_out_and_change_how_it_is_billed(world: World) -> None:
    capacity = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
    global_index = {**index("by-w", "w"), "ProvisionedThroughput": capacity}
    await make(
        world, "orders", ("id", "n"), {"id": "S", "n": "N", "w": "S", "x": "N"},
        BillingMode="PROVISIONED", ProvisionedThroughput=capacity,
        GlobalSecondaryIndexes=[global_index],
        LocalSecondaryIndexes=[index("by-x", "id", "x", projection="KEYS_ONLY")],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        Tags=[{"Key": "a", "Value": "b"}],
    )  # fmt: skip
    await put(world, id="1", n=1, w="w", x=1)
    backup = await backed_up(world)
    await world.advance(1)
    await restored(world, backup, "same")
    table = await described(world, "same")
    assert table["ProvisionedThroughput"]["WriteCapacityUnits"] == 6
    assert "LatestStreamArn" not in table
    assert {one["IndexName"] for one in table["GlobalSecondaryIndexes"]} == {"by-w"}
    assert (await caller(world)("list_tags_of_resource", ResourceArn=arn("same")))["Tags"] == []
    await restored(
        world, backup, "less", BillingModeOverride="PAY_PER_REQUEST",
        GlobalSecondaryIndexOverride=[index("by-w", "w")], LocalSecondaryIndexOverride=[],
    )  # fmt: skip
    table = await described(world, "less")
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert "LocalSecondaryIndexes" not in table
    assert {one["AttributeName"] for one in table["AttributeDefinitions"]} == {"id", "n", "w"}
    assert len(await scanned(world, "less", IndexName="by-w")) == 1
    call = caller(world)
    req = {"BackupArn": backup, "TargetTableName": "bad"}
    for override in (index("other", "w"), index("by-w", "id"),
                     index("by-w", "w", projection="KEYS_ONLY")):  # fmt: skip
        code, _ = await refusal(
            call("restore_table_from_backup", **req, GlobalSecondaryIndexOverride=[override])
        )
        assert code == "ValidationException"


@told
async def test_who_restores_must_be_allowed_to_fill_the_table(world: World) -> None:
    await make(world)
    backup = await backed_up(world)
    await world.advance(1)
    barista = await employed(world, Action="dynamodb:RestoreTableFromBackup", Resource="*")
    req = {"BackupArn": backup, "TargetTableName": "again", "caller": barista}
    code, text = await refusal(caller(world)("restore_table_from_backup", **req))
    assert code == "AccessDeniedException"
    assert "dynamodb:BatchWriteItem" in text


def test_a_backup_is_whole_whatever_crashes() -> None:
    async def work(world: World) -> None:
        backups = (await caller(world)("list_backups"))["BackupSummaries"]
        if not backups:
            await backed_up(world)
        await put(world, id="00", n=99)

    async def check(world: World) -> None:
        [backup] = (await caller(world)("list_backups"))["BackupSummaries"]
        assert backup["BackupStatus"] == "AVAILABLE"
        await restored(world, backup["BackupArn"])
        assert len(await scanned(world, "again")) == ROWS
        assert not [one for one in await scanned(world, "again") if one.get("n") == {"N": "99"}]
        assert not [key for key in world.memory.disk if key.startswith(PAST)]

    assert crashed_everywhere(filled, work, check) >= 4


def test_a_restore_is_whole_and_counted_once_whatever_crashes() -> None:
    async def before(world: World) -> None:
        await filled(world)
        await backed_up(world)
        await world.advance(1)

    async def work(world: World) -> None:
        [backup] = (await caller(world)("list_backups"))["BackupSummaries"]
        await caller(world)(
            "restore_table_from_backup", BackupArn=backup["BackupArn"], TargetTableName="again"
        )

    async def check(world: World) -> None:
        table = await described(world, "again")
        source = await described(world)
        assert (table["TableStatus"], table["ItemCount"]) == ("ACTIVE", ROWS)
        assert table["TableSizeBytes"] == source["TableSizeBytes"]
        assert await scanned(world, "again") == await scanned(world)
        [backup] = (await caller(world)("list_backups"))["BackupSummaries"]
        await caller(world)("delete_backup", BackupArn=backup["BackupArn"])

    assert crashed_everywhere(before, work, check) >= 4


def test_no_backup_or_moment_shows_half_a_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Money moves between accounts, many at a time; whatever is restored, none is lost or made."""
    accounts, each = 12, 100
    monkeypatch.setattr("doppio.services.dynamodb.limits.ROWS_A_READ", 3)

    async def story(world: World) -> None:
        chance, call = Random(5), caller(world)
        await make(world)
        await call(
            "update_continuous_backups", TableName="orders",
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        )  # fmt: skip
        for number in range(accounts):
            await put(world, id=f"{number:02}", n=each)

        def part(number: int, amount: int) -> dict[str, Any]:
            return {
                "Update": {
                    "TableName": "orders", "Key": item(id=f"{number:02}"),
                    "UpdateExpression": "ADD n :n",
                    "ExpressionAttributeValues": {":n": {"N": str(amount)}},
                }
            }  # fmt: skip

        async def move() -> None:
            one, other = chance.sample(range(accounts), 2)
            amount = chance.randrange(1, 9)
            for _ in range(chance.randrange(60)):
                await asyncio.sleep(0)  # Also while the backup is being made.
            await call(
                "transact_write_items", TransactItems=[part(one, -amount), part(other, amount)]
            )

        async def total(table: str) -> int:
            return sum(int(one["n"]["N"]) for one in await scanned(world, table))

        moments, backups = [], []
        for round_ in range(6):
            moves = [move() for _ in range(20)]
            made = backed_up(world, name=f"round{round_}")
            # In the middle of those who move money.
            found = await asyncio.gather(*moves[:10], made, *moves[10:])
            backups.append(str(found[10]))
            moments.append(world.now)
            await world.advance(chance.choice((0.000001, 0.5, 7)))
        assert await total("orders") == accounts * each
        for number, backup in enumerate(backups):
            await restored(world, backup, f"backup{number}")
            assert await total(f"backup{number}") == accounts * each
        for number, moment in enumerate(moments):
            assert await sum_at(world, moment, f"moment{number}") == accounts * each

    run(story)


async def sum_at(world: World, moment: Any, target: str) -> int:
    """The sum of what the table held at a moment."""
    await caller(world)(
        "restore_table_to_point_in_time", SourceTableName="orders", TargetTableName=target,
        RestoreDateTime=moment,
    )  # fmt: skip
    await world.advance(1)
    return sum(int(one["n"]["N"]) for one in await scanned(world, target))
