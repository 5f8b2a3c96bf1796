"""The job that keeps a table in order, on the cloud's clock: compaction, snapshots, files nobody needs.

Each of the three stands for itself, and may run twice or stop anywhere: compaction and the expiry of
snapshots are commits like a client's, which lose where somebody else has written; a file is set aside
before it is deleted, and what was set aside is written down in the same commit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.services.s3 import ports as s3
from doppio.services.s3tables import commits, iceberg, limits
from doppio.services.s3tables.errors import Stale
from doppio.services.s3tables.file_work import Disabled, Unreadable, on_files
from doppio.services.s3tables.files import as_maintenance, read_metadata
from doppio.services.s3tables.lookup import bucket_of, warehouse_of
from doppio.services.s3tables.maintenance import (
    COMPACTION,
    REMOVAL,
    SNAPSHOTS,
    is_on,
    settings_of,
)
from doppio.services.s3tables.records import Aside, Ran, Table, TableBucket, Upkept
from doppio.services.s3tables.rules import key_of
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio.services.s3tables.compaction import Commit
    from doppio.services.s3tables.file_io import Warehouse

UPKEEP = "s3tables.upkeep"
_MB = 1024 * 1024


async def keep_up(tx: Tx, table: Table) -> None:
    """See to it that a table is looked at from now on."""
    await tx.schedule(tx.context.now + limits.UPKEEP_EVERY, UPKEEP, table.id)


async def upkeep(ctx: Context, job: Job) -> None:
    """Do for a table what there is to be done, and come again."""
    reader = ctx.read()
    table = await reader.get(Table, job.key)
    if table is None or table.name is None:
        return
    bucket = await bucket_of(reader, table.bucket_arn)
    as_own = as_maintenance(ctx, table)
    ran = {}
    for kind, whose, work in (
        (COMPACTION, table, _compact),
        (SNAPSHOTS, table, _expire),
        (REMOVAL, bucket, _remove),
    ):
        # A replica is as its table is, and takes no commits of its own.
        if is_on(kind, whose) and (kind == REMOVAL or not table.source):
            ran[kind] = await _ran(as_own, bucket, table.id, work)

    async def end(tx: Tx) -> None:
        if await tx.get(Table, job.key) is None:
            return
        kept = await tx.get(Upkept, job.key) or Upkept(table=job.key)
        tx.put(Upkept(table=job.key, jobs={**kept.jobs, **ran}))
        await keep_up(tx, table)

    await ctx.transact(end)


async def _ran(ctx: Context, bucket: TableBucket, table_id: str, work: Callable[..., Any]) -> Ran:
    for tries in range(limits.COMMIT_TRIES_MAX):
        # What came before it has moved the table's pointer, and clients do.
        table = await ctx.read().get(Table, table_id)
        try:
            if table is not None and table.name is not None and table.location is not None:
                await work(ctx, bucket, table)
        except Stale as error:
            if tries + 1 == limits.COMMIT_TRIES_MAX:
                return Ran(at=ctx.now, failure=error.message)
        except Disabled:
            return Ran(at=ctx.now, disabled=True)
        except AwsError as error:
            return Ran(at=ctx.now, failure=error.message or error.code)
        except Unreadable as error:
            return Ran(at=ctx.now, failure=str(error))
        else:
            break
    return Ran(at=ctx.now)


async def _compact(ctx: Context, bucket: TableBucket, table: Table) -> None:
    settings = settings_of(COMPACTION, table)
    raw = await read_metadata(ctx, table)

    def work(files: Warehouse) -> Commit | None:
        from doppio.services.s3tables import compaction, plans

        target = settings["targetFileSizeMB"] * _MB
        metadata, strategy = plans.parsed(raw), settings["strategy"]
        if strategy == "sort" and not compaction.sort_keys(metadata):
            raise Unreadable("The table has no sort order that compaction can sort by.")
        return compaction.compacted(metadata, str(table.location), files, target, strategy)

    commit = await on_files(table, [(ctx, table)], work)
    if commit is not None:
        await commits.apply(ctx, table, raw, commit.requirements, commit.updates, stamped=True)


async def _expire(ctx: Context, bucket: TableBucket, table: Table) -> None:
    settings = settings_of(SNAPSHOTS, table)
    now_ms = int(ctx.now.timestamp() * 1000)
    raw = await read_metadata(ctx, table)

    def work(files: Warehouse) -> tuple[list[int], set[str]]:
        from doppio.services.s3tables import plans

        metadata = plans.parsed(raw)
        if plans.keeps_by_itself(metadata):
            raise Disabled
        gone = plans.expired(
            metadata, settings["minSnapshotsToKeep"], settings["maxSnapshotAgeHours"], now_ms
        )
        if not gone:
            return [], set()
        left = {one.snapshot_id for one in metadata.snapshots} - set(gone)
        freed = plans.referenced(metadata, files, gone) - plans.referenced(metadata, files, left)
        return gone, freed

    gone, freed = await on_files(table, [(ctx, table)], work)
    if gone:
        updates = [{"action": "remove-snapshots", "snapshot-ids": gone}]
        requirements = [{"type": "assert-table-uuid", "uuid": _uuid_of(raw)}]
        await commits.apply(ctx, table, raw, requirements, updates)
        await _set_aside(ctx, table, freed)


def _uuid_of(raw: bytes) -> str:
    return str(json.loads(iceberg.plain(raw))["table-uuid"])


async def _remove(ctx: Context, bucket: TableBucket, table: Table) -> None:
    settings = settings_of(REMOVAL, bucket)
    await _delete(ctx, table, timedelta(days=settings["nonCurrentDays"]))
    before = (ctx.now - timedelta(days=settings["unreferencedDays"])).timestamp()
    old = [key async for key in _old_files(ctx, table, before)]
    if not old:
        return
    raw = await read_metadata(ctx, table)

    def work(files: Warehouse) -> set[str]:
        from doppio.services.s3tables import plans

        metadata = plans.parsed(raw)
        found = plans.referenced(metadata, files)
        return found | plans.beside_snapshots(metadata, str(table.location))

    referenced = await on_files(table, [(ctx, table)], work)
    warehouse = warehouse_of(table)
    await _set_aside(
        ctx,
        table,
        (f"s3://{warehouse}/{key}" for key in old if f"s3://{warehouse}/{key}" not in referenced),
    )


async def _old_files(ctx: Context, table: Table, before: float) -> Any:
    """The keys of all files that came before a time."""
    after = ""
    while True:
        found = await s3.lying(
            ctx.read(), warehouse_of(table), after, limit=limits.LISTED_FILES_A_STEP
        )
        for one in found:
            if one.at < before:
                yield one.key
        if len(found) < limits.LISTED_FILES_A_STEP:
            return
        after = found[-1].key


async def _set_aside(ctx: Context, table: Table, locations: Iterable[str]) -> None:
    """Make files non-current, each in the commit that writes down since when."""
    warehouse = warehouse_of(table)
    # Clients may have named files that are elsewhere, and none of the table's.
    own = (one for one in locations if one.startswith(f"s3://{warehouse}/"))
    keys = sorted(key_of(location, warehouse) for location in own)
    for begin in range(0, len(keys), limits.ROWS_A_COMMIT):
        some = keys[begin : begin + limits.ROWS_A_COMMIT]

        async def step(tx: Tx, some: list[str] = some) -> None:
            await s3.set_aside(tx, warehouse, some)
            for key in some:
                tx.put(Aside(table=table.id, key=key, since=ctx.now))

        await ctx.transact(step)


async def _delete(ctx: Context, table: Table, age: timedelta) -> None:
    """Delete what has been non-current for so long."""
    warehouse = warehouse_of(table)
    after = ""
    while True:
        found = await ctx.read().list(
            Aside, (table.id,), since=f"{after}\0" if after else None, limit=limits.ROWS_A_COMMIT
        )
        due = [one for one in found if ctx.now - one.since >= age]

        async def step(tx: Tx, due: list[Aside] = due) -> None:
            keys = [one.key for one in due]
            await s3.remove_hidden(tx, warehouse, keys, limit=limits.ROWS_A_COMMIT)
            for one in due:
                tx.delete(one)

        if due:
            await ctx.transact(step)
        if len(found) < limits.ROWS_A_COMMIT:
            return
        after = found[-1].key
