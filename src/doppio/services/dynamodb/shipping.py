"""Replication under way: changes go from each replica to the others, in the order of its log.

A replica's outbox says, by Region, up to where its log has arrived there. The changes and the mark lie
in one commit of the other replica, so none is lost and none comes twice, whatever crashes. A Region
that is down is passed over, and looked at again; to and from it changes wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar

import msgspec
from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.controller import Again, Controller, Key
from doppio.kernel.jobs import Job
from doppio.kernel.regions import region_is_up
from doppio.services.dynamodb import limits
from doppio.services.dynamodb.access import find_table, read_sized, write_item
from doppio.services.dynamodb.capacity import write_units
from doppio.services.dynamodb.errors import KeyInaccessible, KmsDenied
from doppio.services.dynamodb.measures import UNDER_WAY, WRITTEN, count_units
from doppio.services.dynamodb.records import Outbox, Table, table_arn
from doppio.services.dynamodb.replication import (
    GRAVES,
    REPLICATED,
    SHIP,
    Stamp,
    all_members,
    decode_shipped,
    forget_grave,
    log_of,
    moment_of,
    put_stamp,
    read_grave,
    stamp_of,
)
from doppio.services.dynamodb.sealing import admit_work, decode_item
from doppio.services.dynamodb.upkeep import EMPTY, TRACES
from doppio.services.dynamodb.values import Item, size_of

SWEEP = "dynamodb.sweep"


class Taken(msgspec.Struct):
    """What a change took of a replica that it came to, and when it was made."""

    table: Table
    units: float
    indexes: dict[str, float]
    made_at: datetime


class Shipping(Controller[Outbox]):
    """Takes each replica's changes to the others."""

    record = Outbox
    family: ClassVar[str] = SHIP
    resync: ClassVar[timedelta | None] = timedelta(hours=1)

    async def reconcile(self, ctx: Context, key: Key) -> Again | None:
        """Take what lies in one outbox wherever it can go now."""
        outbox = await ctx.read().get(Outbox, *key)
        if outbox is None:
            return None
        waits = False
        home = table_arn(outbox.account, outbox.region, outbox.table)
        home_is_up = await region_is_up(ctx.read(), outbox.region) and await _admitted(ctx, home)
        for region in outbox.cursors:
            there = ctx.derive(ctx.caller, region=region)
            goes = home_is_up and await region_is_up(ctx.read(), region)
            if goes and await _admitted(there, table_arn(outbox.account, region, outbox.table)):
                while await _batch(ctx, outbox.id, region):
                    pass
            else:
                waits = True
        waits = await _tidy(ctx, outbox.id) and waits
        return Again(ctx.clock.now() + limits.REGION_RETRY) if waits else None


async def _admitted(ctx: Context, arn: str) -> bool:
    """Whether the service can read and write a table in the context's Region: whether its key is
    there."""
    table = await find_table(ctx.read(), ctx, arn)
    if table is not None and table.seal is not None:
        try:
            await admit_work(ctx, table)
        except (KeyInaccessible, KmsDenied):
            return False
    return True


async def _batch(ctx: Context, member: str, region: str) -> bool:
    """Take some changes to a Region; whether there may be more."""
    outbox = await ctx.read().get(Outbox, member)
    if outbox is None or region not in outbox.cursors:
        return False
    position = outbox.cursors[region]
    entries = await ctx.read().raw.log(log_of(member), position, limit=limits.SHIPPED_A_COMMIT)
    if not entries:
        return False
    entries = _portion(entries)
    there = ctx.derive(ctx.caller, region=region)
    arn = table_arn(outbox.account, region, outbox.table)
    taken: list[Taken] = []

    async def step(tx: Tx) -> bool:
        taken.clear()
        current = await tx.get(Outbox, member)
        if current is None or current.cursors.get(region) != position:
            return False
        table = await find_table(tx, there, arn)
        if table is None or table.replication is None or table.replication.group != current.group:
            left = {one: at for one, at in current.cursors.items() if one != region}
            tx.put(replace(current, cursors=left))
            return False
        for _, raw in entries:
            one = decode_shipped(raw)
            item = decode_item(one.raw) if one.raw else None
            found = await receive(tx, table, one.key, one.stamp, item)
            if found is not None:
                taken.append(found)
        tx.meter(REPLICATED, sum(one.units + sum(one.indexes.values()) for one in taken))
        tx.put(replace(current, cursors={**current.cursors, region: entries[-1][0]}))
        return True

    done = await there.transact(step)
    if done:
        _count(there, outbox, taken)
    return done


def _portion(entries: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """As many entries from the first as one commit holds."""
    size, count = 0, 0
    for _, raw in entries:
        size += len(raw)
        if count and size > limits.COPIED_BYTES_MAX:
            break
        count += 1
    return entries[:count]


def _count(there: Context, outbox: Outbox, taken: Sequence[Taken]) -> None:
    """Tell CloudWatch what arrived, and how long it was under way."""
    now = there.clock.now()
    for one in taken:
        count_units(there, WRITTEN, one.table, one.units, one.indexes)
        late = max(now - one.made_at, timedelta(0)) / timedelta(milliseconds=1)
        names = (outbox.table, there.region)
        there.count(UNDER_WAY, outbox.account, outbox.region, names, late)


async def receive(
    tx: Tx, table: Table, key: bytes, stamp: Stamp, item: Item | None
) -> Taken | None:
    """Let a replica have another one's change, unless its own is later."""
    assert table.replication is not None
    known = await stamp_of(tx, table.replication, key)
    if known is not None and known >= stamp:
        return None
    row = table.prefix + key
    was, old = await read_sized(tx, row)
    put_stamp(tx, table.replication, key, known, stamp, dead=item is None)
    if old is None and item is None:
        return None
    now = 0 if item is None else size_of(item)
    indexes = await write_item(tx, table, row, old, item, was, now, arriving=True)
    return Taken(table, write_units(max(was, now)), indexes, moment_of(stamp.micros))


async def _tidy(ctx: Context, member: str) -> bool:
    """Forget what has arrived everywhere; whether the outbox is still wanted."""
    outbox = await ctx.read().get(Outbox, member)
    if outbox is None:
        await ctx.kernel.store.drop_log(log_of(member))
        return False
    end = await ctx.read().raw.log_end(log_of(member))
    arrived = min(outbox.cursors.values(), default=end)

    async def step(tx: Tx) -> bool:
        current = await tx.get(Outbox, member)
        if current != outbox:
            tx.wake(f"{SHIP}/{member}")  # Somebody was here meanwhile: look again.
            return True
        if current.emptying is not None and arrived >= end:
            tx.delete(current)
            arn = table_arn(current.account, current.region, current.table)
            if current.emptying:
                await tx.schedule(ctx.now, EMPTY, arn, **current.emptying)
            else:
                await tx.schedule(ctx.now, TRACES, f"{arn}/replica/{member}", id=member)
            return False
        if arrived > current.trimmed:
            tx.put(replace(current, trimmed=arrived))
        return True

    wanted = await ctx.transact(step)
    if not wanted:
        await ctx.kernel.store.drop_log(log_of(member))
    elif arrived > outbox.trimmed:
        await ctx.kernel.store.trim_log(log_of(member), arrived)
    return wanted


async def sweep(ctx: Context, job: Job) -> None:
    """Clear away the graves of a replica that no change under way can pass by any more.

    A grave goes in all replicas in one commit, and only where all of them have the same: what comes
    later to any of them comes to all of them behind it.
    """
    table = await find_table(ctx.read(), ctx, job.key)
    if table is None or table.replication is None or table.replication.id != job.arguments["id"]:
        return
    group = [table, *await all_members(ctx.read(), table)]
    horizon = await _under_way(ctx.read(), group)
    prefix = GRAVES + table.replication.id.encode()
    lo: bytes | None = prefix
    while lo is not None and horizon is not None:
        rows = await ctx.read().raw.scan(lo, prefix + b"\xff", limit=limits.GRAVES_A_COMMIT)
        graves = [read_grave(table.replication, row) for row, _ in rows]
        old = [(micros, key) for micros, key in graves if micros < horizon]
        await ctx.transact(lambda tx, old=old: _forget(tx, table, old))  # type: ignore[misc]
        lo = rows[-1][0] + b"\0" if len(old) == limits.GRAVES_A_COMMIT else None

    async def again(tx: Tx) -> None:
        await tx.schedule(ctx.clock.now() + limits.SWEEP_EVERY, SWEEP, job.key, **job.arguments)

    await ctx.transact(again)


async def _under_way(reader: Reader, group: Sequence[Table]) -> int | None:
    """The time before which nothing is under way between the replicas; None: much is, no telling."""
    found = [int(reader.context.now.timestamp() * 1_000_000)]
    for one in group:
        assert one.replication is not None
        outbox = await reader.get(Outbox, one.replication.id)
        position = 0 if outbox is None else outbox.trimmed
        log = log_of(one.replication.id)
        entries = await reader.raw.log(log, position, limit=limits.ENTRIES_SWEPT)
        if len(entries) == limits.ENTRIES_SWEPT:
            return None
        found += [decode_shipped(raw).micros for _, raw in entries]
    return min(found)


async def _forget(tx: Tx, table: Table, graves: Sequence[tuple[int, bytes]]) -> None:
    group = [table, *await all_members(tx, table)]
    if any(one.status not in ("ACTIVE", "UPDATING") for one in group):
        return
    for micros, key in graves:
        stamps = []
        for one in group:
            assert one.replication is not None
            gone = await tx.raw.get(one.prefix + key) is None
            stamps.append(await stamp_of(tx, one.replication, key) if gone else None)
        stamp = stamps[0]
        if stamp is None or stamp.micros != micros or any(one != stamp for one in stamps):
            continue
        for one in group:
            assert one.replication is not None
            forget_grave(tx, one.replication, key, stamp)
