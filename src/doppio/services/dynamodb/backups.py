"""DynamoDB backups: a table as it was in one commit, copied aside by a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx, index_row_key, row_key
from doppio.kernel.jobs import Job
from doppio.services.dynamodb import limits, schemas
from doppio.services.dynamodb.access import bytes_key, count_key, find_table
from doppio.services.dynamodb.errors import (
    BackupInUseException,
    BackupNotFoundException,
    TableInUseException,
    TableNotFoundException,
    ValidationException,
)
from doppio.services.dynamodb.past import as_of, released, schedule_prune, snapshot
from doppio.services.dynamodb.records import BY_TABLE, ITEMS, Backup, Table

if TYPE_CHECKING:
    from datetime import datetime

    from doppio._stubs import dynamodb as w

COPY = "dynamodb.copy"
LAPSE = "dynamodb.lapse"
# Clears a backup's rows away; `upkeep` does it.
EMPTY = "dynamodb.empty"


class Backups:
    """The operations on backups."""

    async def create_backup(self, ctx: Context, req: w.CreateBackupInput) -> w.CreateBackupOutput:
        """Back a table up as it is in this commit; it is CREATING until all is copied."""
        async with ctx.write() as tx:
            table = await named_table(tx, ctx, req["TableName"])
            if table.status not in ("ACTIVE", "UPDATING"):
                raise TableInUseException(f"Table is being created or deleted: {table.name}")
            backup = await _made(ctx, tx, table, req["BackupName"], "USER")
            held, _ = snapshot(table, backup.id, ctx.now)
            tx.put(held)
            await tx.schedule(ctx.now, COPY, backup.arn)
        return {"BackupDetails": _details(backup)}  # type: ignore[typeddict-item]

    async def describe_backup(
        self, ctx: Context, req: w.DescribeBackupInput
    ) -> w.DescribeBackupOutput:
        """A backup, and the table that it was made of."""
        backup = await existing_backup(ctx.read(), req["BackupArn"])
        return {"BackupDescription": _description(backup)}  # type: ignore[typeddict-item]

    async def list_backups(self, ctx: Context, req: w.ListBackupsInput) -> w.ListBackupsOutput:
        """Backups in the order of their making, by table, time and kind."""
        reader = ctx.read()
        most = req.get("Limit", limits.BACKUPS_A_PAGE)
        kind = req.get("BackupType", "USER")
        last = None
        if "ExclusiveStartBackupArn" in req:
            last = await existing_backup(reader, req["ExclusiveStartBackupArn"])
        shown: list[dict[str, Any]] = []
        while True:
            rows = await _listed(reader, ctx, req, last)
            for backup in rows:
                last = backup
                if kind in ("ALL", backup.kind) and _within(req, backup.created_at):
                    shown.append(_summary(backup))
                if len(shown) == most:
                    return {"BackupSummaries": shown, "LastEvaluatedBackupArn": last.arn}  # type: ignore[typeddict-item]
            if len(rows) < limits.BACKUPS_A_PAGE:
                return {"BackupSummaries": shown}  # type: ignore[typeddict-item]

    async def delete_backup(self, ctx: Context, req: w.DeleteBackupInput) -> w.DeleteBackupOutput:
        """Delete a backup; its items are cleared away behind it."""
        async with ctx.write() as tx:
            backup = await existing_backup(tx, req["BackupArn"])
            if backup.status == "CREATING" or backup.restoring:
                raise BackupInUseException(
                    f"Backup is being created or restored from: {backup.arn}"
                )
            await _discard(tx, backup, ctx.now)
        return {"BackupDescription": _description(replace(backup, status="DELETED"))}  # type: ignore[typeddict-item]


async def _made(ctx: Context, tx: Tx, table: Table, name: str, kind: str, data: str = "") -> Backup:
    """A new backup of a table as it is, whose items are not there yet."""
    number = int(ctx.now.timestamp() * 1_000)
    return tx.add(
        Backup(
            account=table.account, region=table.region, table=table.name,
            id=f"{number:014d}-{ctx.new_id()[:8]}", name=name, data=data or ctx.new_id(),
            kind=kind, status="AVAILABLE" if data else "CREATING", created_at=ctx.now,
            source=replace(table, holds={}),
            items=int(await tx.raw.counter(count_key(table))),
            bytes=int(await tx.raw.counter(bytes_key(table))),
            expires_at=ctx.now + limits.SYSTEM_BACKUP_LIFE if kind == "SYSTEM" else None,
        )
    )  # fmt: skip


async def keep_deleted(ctx: Context, tx: Tx, table: Table) -> None:
    """What AWS keeps of a deleted table that had point-in-time recovery: a backup, for 35 days.

    It takes the table's rows as they are: nothing is copied.
    """
    backup = await _made(
        ctx, tx, table, f"{table.name}$DeletedTableBackup", "SYSTEM", data=table.id
    )
    assert backup.expires_at is not None
    await tx.schedule(backup.expires_at, LAPSE, backup.arn)


async def named_table(reader: Reader, ctx: Context, name: str) -> Table:
    """The table of a name or ARN. Raises TableNotFoundException."""
    table = await find_table(reader, ctx, name)
    if table is None:
        raise TableNotFoundException(f"Table not found: {name}")
    return table


async def existing_backup(reader: Reader, arn: str) -> Backup:
    """The backup of an ARN. Raises BackupNotFoundException."""
    parts = arn.split(":", 5)
    if len(parts) < 6 or "/backup/" not in parts[5]:
        raise ValidationException(f"Invalid backup ARN: {arn}")
    backup = await reader.get(Backup, parts[4], parts[3], arn.rpartition("/")[2])
    if backup is None or backup.arn != arn:
        raise BackupNotFoundException(f"Backup not found: {arn}")
    return backup


async def _listed(
    reader: Reader, ctx: Context, req: Mapping[str, Any], last: Backup | None
) -> list[Backup]:
    most = limits.BACKUPS_A_PAGE
    if "TableName" in req:
        account, region, name = ctx.account, ctx.region, req["TableName"]
        if name.startswith("arn:"):
            _, _, _, region, account, name = name.split(":", 5)
            name = name.rpartition("/")[2]
        after = None if last is None else index_row_key(BY_TABLE, last)
        return await reader.find(BY_TABLE, (account, region, name), after=after, limit=most)
    after = None if last is None else row_key(last)
    return await reader.list(Backup, (ctx.account, ctx.region), after=after, limit=most)


def _within(req: Mapping[str, Any], moment: datetime) -> bool:
    since, until = req.get("TimeRangeLowerBound"), req.get("TimeRangeUpperBound")
    return (since is None or since <= moment) and (until is None or moment < until)


async def _discard(tx: Tx, backup: Backup, at: datetime) -> None:
    tx.delete(backup)
    await tx.schedule(at, EMPTY, backup.arn, id=backup.data)


def _details(backup: Backup) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "BackupArn": backup.arn,
        "BackupName": backup.name,
        "BackupSizeBytes": backup.bytes,
        "BackupStatus": backup.status,
        "BackupType": backup.kind,
        "BackupCreationDateTime": backup.created_at,
    }
    if backup.expires_at is not None:
        shown["BackupExpiryDateTime"] = backup.expires_at
    return shown


def _summary(backup: Backup) -> dict[str, Any]:
    source = {"TableName": backup.table, "TableId": backup.source.id, "TableArn": backup.source.arn}
    return {**source, **_details(backup)}


def _description(backup: Backup) -> dict[str, Any]:
    table = backup.source
    wire = schemas.to_wire(table, {"": (backup.items, backup.bytes)})
    capacity = {
        "ReadCapacityUnits": table.throughput.read, "WriteCapacityUnits": table.throughput.write,
    }  # fmt: skip
    details = {
        **{name: wire[name] for name in ("TableName", "TableId", "TableArn", "TableSizeBytes",
                                         "KeySchema", "ItemCount")},
        "TableCreationDateTime": table.created_at,
        "ProvisionedThroughput": capacity,
        "BillingMode": "PAY_PER_REQUEST" if table.on_demand else "PROVISIONED",
    }  # fmt: skip
    features: dict[str, Any] = {}
    for member, names in (
        ("GlobalSecondaryIndexes",
         ("IndexName", "KeySchema", "Projection", "ProvisionedThroughput")),
        ("LocalSecondaryIndexes", ("IndexName", "KeySchema", "Projection")),
    ):  # fmt: skip
        if member in wire:
            features[member] = [{name: one[name] for name in names} for one in wire[member]]
    for one in features.get("GlobalSecondaryIndexes", ()):
        one["ProvisionedThroughput"].pop("NumberOfDecreasesToday")
    if "StreamSpecification" in wire:
        features["StreamDescription"] = wire["StreamSpecification"]
    if table.ttl_attribute is not None:
        features["TimeToLiveDescription"] = {
            "TimeToLiveStatus": table.ttl_status, "AttributeName": table.ttl_attribute,
        }  # fmt: skip
    return {
        "BackupDetails": _details(backup),
        "SourceTableDetails": details,
        "SourceTableFeatureDetails": features,
    }


async def copy(ctx: Context, job: Job) -> None:
    """Copy a table's items as of the backup's commit, in the order of their keys.

    The last row that is there says where to go on after a crash.
    """
    reader = ctx.read()
    try:
        backup = await existing_backup(reader, job.key)
    except BackupNotFoundException:
        return
    if backup.status != "CREATING":
        return
    table = await find_table(reader, ctx, backup.source.arn)
    assert table is not None, "a held table is not deleted"
    moment = table.holds[backup.id]
    prefix = ITEMS + backup.data.encode()
    copied = await reader.raw.scan(prefix, prefix + b"\xff", limit=1, reverse=True)
    after: bytes | None = copied[0][0][len(prefix) :] if copied else b""
    while after is not None:
        page = await as_of(ctx.read(), table.id, moment, after, limits.ROWS_A_READ)
        for rows in portions(page.rows):

            async def put(tx: Tx, rows: list[tuple[bytes, bytes]] = rows) -> None:
                for key, raw in rows:
                    tx.raw.put(prefix + key, raw)

            await ctx.transact(put)
        after = page.after

    async def finish(tx: Tx) -> None:
        current = await existing_backup(tx, job.key)
        tx.put(replace(current, status="AVAILABLE"))
        source = await find_table(tx, ctx, current.source.arn)
        assert source is not None, "a held table is not deleted"
        await release(tx, source, current.id)

    await ctx.transact(finish)


def portions(rows: list[tuple[bytes, bytes]]) -> list[list[tuple[bytes, bytes]]]:
    """Rows in portions that one commit holds."""
    found: list[list[tuple[bytes, bytes]]] = []
    size = 0
    for key, raw in rows:
        if not found or size + len(raw) > limits.COPIED_BYTES_MAX:
            found.append([])
            size = 0
        found[-1].append((key, raw))
        size += len(raw)
    return found


async def release(tx: Tx, table: Table, name: str) -> None:
    """Let a table forget again what it remembered for `name`."""
    table = tx.put(released(table, name))
    if table.remembers_since is None:
        await schedule_prune(tx, table, tx.context.now)


async def lapse(ctx: Context, job: Job) -> None:
    """Delete the backup of a deleted table when its time is over."""

    async def step(tx: Tx) -> None:
        try:
            backup = await existing_backup(tx, job.key)
        except BackupNotFoundException:
            return
        if backup.restoring:
            await tx.schedule(ctx.clock.now() + limits.PRUNE_EVERY, LAPSE, job.key)
        else:
            await _discard(tx, backup, ctx.clock.now())

    await ctx.transact(step)
