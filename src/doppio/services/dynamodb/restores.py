"""Restores: new tables of backups, or of what a table was at a moment. A job fills them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.jobs import Job
from doppio.services.dynamodb import limits, schemas
from doppio.services.dynamodb.access import find_table, write_item
from doppio.services.dynamodb.backups import (
    existing_backup,
    named_table,
    portions,
    release,
)
from doppio.services.dynamodb.changes import check_absent
from doppio.services.dynamodb.errors import (
    BackupInUseException,
    InvalidRestoreTimeException,
    PointInTimeRecoveryUnavailableException,
    TableAlreadyExistsException,
    ValidationException,
)
from doppio.services.dynamodb.names import checked_name
from doppio.services.dynamodb.past import as_of, earliest, holding
from doppio.services.dynamodb.provisioning import at_most
from doppio.services.dynamodb.records import Restored, SealKey, SecondaryIndex, Table, Throughput
from doppio.services.dynamodb.sealing import admit_work, decode_sized, made_key
from doppio.services.dynamodb.tables import check_room
from doppio.services.dynamodb.upkeep import settled_topic

if TYPE_CHECKING:
    from doppio._stubs import dynamodb as w

RESTORE = "dynamodb.restore"


class Restores:
    """The operations that make tables of what was."""

    async def restore_table_from_backup(
        self, ctx: Context, req: w.RestoreTableFromBackupInput
    ) -> w.RestoreTableFromBackupOutput:
        """Make a table of a backup; it is CREATING until all items are there."""
        _check_overrides(req)
        name = checked_name(req["TargetTableName"], "TargetTableName")
        async with ctx.write() as tx:
            backup = await existing_backup(tx, req["BackupArn"])
            if backup.status == "CREATING":
                raise BackupInUseException(f"Backup is being created: {backup.arn}")
            restored = Restored(at=backup.created_at, table=backup.source.arn, backup=backup.arn)
            table = await _target(ctx, tx, name, backup.source, req, restored)
            tx.put(replace(backup, restoring=(*backup.restoring, table.id)))
            await tx.schedule(ctx.now, RESTORE, table.arn, id=table.id, data=backup.data)
        return {"TableDescription": schemas.to_wire(table, {})}  # type: ignore[typeddict-item]

    async def restore_table_to_point_in_time(
        self, ctx: Context, req: w.RestoreTableToPointInTimeInput
    ) -> w.RestoreTableToPointInTimeOutput:
        """Make a table of what another was at a moment of the last 35 days."""
        _check_overrides(req)
        name = checked_name(req["TargetTableName"], "TargetTableName")
        given = [one for one in ("SourceTableName", "SourceTableArn") if one in req]
        if len(given) != 1:
            raise ValidationException(
                "Exactly one of SourceTableName and SourceTableArn must be specified"
            )
        async with ctx.write() as tx:
            source = await named_table(tx, ctx, str(req[given[0]]))
            moment = _moment(req, source, ctx.now)
            restored = Restored(at=moment, table=source.arn)
            table = await _target(ctx, tx, name, source, req, restored)
            tx.put(holding(source, table.id, moment))
            await tx.schedule(ctx.now, RESTORE, table.arn, id=table.id, data=source.id)
        return {"TableDescription": schemas.to_wire(table, {})}  # type: ignore[typeddict-item]


def _check_overrides(req: Mapping[str, Any]) -> None:
    """Refuse what AWS acts on and this cloud does not."""
    check_absent(
        {
            "VectorIndexOverride": req.get("VectorIndexOverride"),
        }
    )


def _moment(req: Mapping[str, Any], source: Table, now: datetime) -> datetime:
    """The moment to restore. Raises where the table does not remember it."""
    if source.recovery is None or source.status in ("CREATING", "DELETING"):
        raise PointInTimeRecoveryUnavailableException(
            f"Point in time recovery is not enabled for table '{source.name}'"
        )
    latest = bool(req.get("UseLatestRestorableTime"))
    moment: datetime | None = req.get("RestoreDateTime")
    if latest == (moment is not None):
        raise ValidationException(
            "Exactly one of UseLatestRestorableTime and RestoreDateTime must be specified"
        )
    if moment is None:
        return now
    if not earliest(source.recovery, now) <= moment <= now:
        raise InvalidRestoreTimeException(
            "RestoreDateTime must be between EarliestRestorableDateTime and "
            "LatestRestorableDateTime"
        )
    return moment


async def _target(
    ctx: Context, tx: Tx, name: str, source: Table, req: Mapping[str, Any], restored: Restored
) -> Table:
    """The new table, like its source but for what is not restored and what was asked for."""
    if await find_table(tx, ctx, name) is not None:
        raise TableAlreadyExistsException(f"Table already exists: {name}")
    await check_room(tx, ctx, name)
    on_demand, bought = source.on_demand, source.throughput
    if "BillingModeOverride" in req:
        on_demand = req["BillingModeOverride"] == "PAY_PER_REQUEST"
    if on_demand:
        bought = schemas.throughput(
            req.get("ProvisionedThroughputOverride"), on_demand=True, what=""
        )
    elif "ProvisionedThroughputOverride" in req or not bought.read:
        bought = schemas.throughput(
            req.get("ProvisionedThroughputOverride"), on_demand=False, what=""
        )
    most = at_most(
        req.get("OnDemandThroughputOverride"),
        source.at_most if on_demand else Throughput(),
        on_demand=on_demand,
    )
    indexes = _indexes(source, req, on_demand=on_demand)
    used = {part.name for part in source.key} | {
        part.name for index in indexes for part in index.key
    }
    key = await _key(ctx, name, source, req.get("SSESpecificationOverride"))
    return tx.put(
        Table(
            account=ctx.account, region=ctx.region, name=name, id=ctx.new_id(), seal=key,
            vectors=tuple(replace(one, id=ctx.new_id(), status="ACTIVE") for one in source.vectors),
            created_at=ctx.now, status="CREATING", key=source.key,
            attributes={one: kind for one, kind in source.attributes.items() if one in used},
            indexes=indexes, on_demand=on_demand,
            throughput=Throughput(read=bought.read, write=bought.write), at_most=most,
            on_demand_since=ctx.now if on_demand else None, table_class=source.table_class,
            restored=restored,
        )
    )  # fmt: skip


def _indexes(
    source: Table, req: Mapping[str, Any], *, on_demand: bool
) -> tuple[SecondaryIndex, ...]:
    """The indexes of the new table: the source's, or those of them that were named."""
    found: list[SecondaryIndex] = []
    for member, is_global in (
        ("LocalSecondaryIndexOverride", False),
        ("GlobalSecondaryIndexOverride", True),
    ):
        own = [one for one in source.indexes if one.is_global == is_global]
        if member in req:
            own = [_matching(own, given, source, on_demand=on_demand) for given in req[member]]
        found += own
    made = [
        replace(
            one,
            id="",
            status="ACTIVE",
            throughput=Throughput()
            if on_demand
            else Throughput(read=one.throughput.read, write=one.throughput.write),
            at_most=one.at_most if on_demand else Throughput(),
            warm=Throughput(),
        )
        for one in found
    ]
    for one in made:
        if one.is_global and not on_demand and not one.throughput.read:
            schemas.throughput(None, on_demand=False, what=f" for index: {one.name}")
    schemas.check_counts(
        [one for one in made if not one.is_global], [one for one in made if one.is_global]
    )
    return tuple(made)


def _matching(
    own: Sequence[SecondaryIndex], given: Mapping[str, Any], source: Table, *, on_demand: bool
) -> SecondaryIndex:
    """The source's index that an override names, with its capacity."""
    index = next((one for one in own if one.name == given["IndexName"]), None)
    wanted = [(one["AttributeName"], one["KeyType"] == "HASH") for one in given["KeySchema"]]
    projection = given.get("Projection") or {}
    if (
        index is None
        or wanted != [(part.name, part.hash) for part in index.key]
        or projection.get("ProjectionType") != index.projection
        or set(projection.get("NonKeyAttributes", ())) != set(index.included)
    ):
        raise ValidationException(
            f"{schemas.BAD}Index override must match an index of the source: {given['IndexName']}"
        )
    if given.get("ProvisionedThroughput"):
        bought = schemas.throughput(given["ProvisionedThroughput"], on_demand=on_demand, what="")
        index = replace(index, throughput=bought)
    return index


async def restore(ctx: Context, job: Job) -> None:
    """Fill a restored table from where it is filled to, then let it be used."""
    data = job.arguments["data"]
    table = await _unfinished(ctx.read(), ctx, job)
    if table is None:
        return
    assert table.restored is not None
    moment = None if table.restored.backup is not None else table.restored.at
    await admit_work(ctx, table, await _source(ctx, table.restored))
    prefix = table.prefix
    last = await ctx.read().raw.scan(prefix, prefix + b"\xff", limit=1, reverse=True)
    after: bytes | None = last[0][0][len(prefix) :] if last else b""
    while after is not None:
        page = await as_of(ctx.read(), data, moment, after, limits.ROWS_A_READ)
        for rows in portions(page.rows):
            await ctx.transact(lambda tx, rows=rows: _fill(tx, ctx, job, rows))  # type: ignore[misc]
        after = page.after
    await ctx.transact(lambda tx: _finish(tx, ctx, job))


async def _source(ctx: Context, restored: Restored) -> Table:
    if restored.backup is not None:
        return (await existing_backup(ctx.read(), restored.backup)).source
    found = await find_table(ctx.read(), ctx, restored.table)
    assert found is not None, "a held table is not deleted"
    return found


async def _key(
    ctx: Context, name: str, source: Table, given: Mapping[str, Any] | None
) -> SealKey | None:
    """The key of a new table: as was asked for, or under the KMS key of its source."""
    held = source.seal
    if given is None and held is not None and held.kms_key is not None:
        given = {"Enabled": True} | ({} if held.managed else {"KMSMasterKeyId": held.kms_key})
    return await made_key(ctx, given or {}, name)


async def _unfinished(reader: Reader, ctx: Context, job: Job) -> Table | None:
    table = await find_table(reader, ctx, job.key)
    if table is None or table.id != job.arguments["id"] or table.status != "CREATING":
        return None
    return table


async def _fill(tx: Tx, ctx: Context, job: Job, rows: list[tuple[bytes, bytes]]) -> None:
    """Put rows and their index rows; those that are there already are left alone."""
    table = await _unfinished(tx, ctx, job)
    if table is None:
        return
    prefix = table.prefix
    there = await tx.raw.get_many([prefix + key for key, _ in rows])
    for (key, raw), before in zip(rows, there, strict=True):
        if before is None:
            size, item = decode_sized(raw)
            await write_item(tx, table, prefix + key, None, item, 0, size)


async def _finish(tx: Tx, ctx: Context, job: Job) -> None:
    table = await _unfinished(tx, ctx, job)
    if table is None:
        return
    assert table.restored is not None
    tx.put(replace(table, status="ACTIVE", restored=replace(table.restored, in_progress=False)))
    tx.wake(settled_topic(ctx, table.arn))
    if table.restored.backup is not None:
        backup = await existing_backup(tx, table.restored.backup)
        left = tuple(one for one in backup.restoring if one != table.id)
        tx.put(replace(backup, restoring=left))
    else:
        source = await find_table(tx, ctx, table.restored.table)
        assert source is not None, "a held table is not deleted"
        await release(tx, source, table.id)
