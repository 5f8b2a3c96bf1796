"""DynamoDB's background work: tables that settle, indexes that fill, items that expire.

All of it is durable jobs on the cloud's clock: a crash in the middle only means doing a bit of it
again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx, row_key
from doppio.kernel.jobs import Job
from doppio.kernel.keys import pack
from doppio.services.dynamodb.access import (
    COUNTERS,
    bytes_key,
    count_entry,
    count_key,
    find_table,
    index_row,
    projected,
    write_item,
)
from doppio.services.dynamodb.item_collections import forget_collections
from doppio.services.dynamodb.item_keys import INDEXED
from doppio.services.dynamodb.past import past_prefix
from doppio.services.dynamodb.policies import take_down
from doppio.services.dynamodb.records import ITEMS, SecondaryIndex, Table, Token, table_arn
from doppio.services.dynamodb.replication import depart, log_of, traces
from doppio.services.dynamodb.sealing import admit_work, decode_item, decode_sized, encoder
from doppio.services.dynamodb.values import Item, size_of

SETTLE = "dynamodb.settle"
BACKFILL = "dynamodb.backfill"
EMPTY = "dynamodb.empty"
EXPIRE = "dynamodb.expire"
FORGET = "dynamodb.forget"
TRACES = "dynamodb.traces"
ROWS_A_COMMIT = 200
# What is only looked at: a few milliseconds, then others have their turn.
ROWS_A_RUN = 1_000
# AWS deletes expired items "within a few days"; here they are looked for every so often.
EXPIRE_EVERY = timedelta(minutes=10)
# Items that expired longer ago than this are left alone, as AWS leaves them.
EXPIRED_MAX = timedelta(days=5 * 365)


def settled_topic(ctx: Context, name: str) -> str:
    """What rings when a table, by its name or ARN, has become ACTIVE or is gone."""
    arn = name if name.startswith("arn:") else table_arn(ctx.account, ctx.region, name)
    return f"dynamodb.settled/{arn}"


async def settle(ctx: Context, job: Job) -> None:
    """A table that was created or changed becomes ACTIVE."""

    async def step(tx: Tx) -> None:
        table = await find_table(tx, ctx, job.key)
        if table is not None and table.status in ("CREATING", "UPDATING"):
            tx.put(replace(table, status="ACTIVE"))
            tx.wake(settled_topic(ctx, job.key))

    await ctx.transact(step)


async def backfill(ctx: Context, job: Job) -> None:
    """Fill a new index from the table's items, then let it be read.

    Items that are written meanwhile reach the index by themselves: each batch is a transaction
    over the rows it reads.
    """
    arn, name, index_id = job.arguments["table"], job.arguments["index"], job.arguments["id"]
    there = await find_table(ctx.read(), ctx, arn)
    if there is None:
        return
    await admit_work(ctx, there)
    lo: bytes | None = None
    while True:

        async def batch(tx: Tx, lo: bytes | None = lo) -> bytes | None:
            table = await find_table(tx, ctx, arn)
            index = table.index(name) if table is not None else None
            if table is None or table.status == "DELETING" or index is None or index.id != index_id:
                return None
            prefix = table.prefix
            rows = await tx.raw.scan(lo or prefix, prefix + b"\xff", limit=ROWS_A_COMMIT)
            for _, raw in rows:
                item: Item = decode_item(raw)
                row = index_row(table, index, item)
                if row is not None and await tx.raw.get(row) is None:
                    entry = projected(table, index, item)
                    size = size_of(entry)
                    tx.raw.put(row, encoder(ctx, table)(size, entry))
                    count_entry(tx, table, index, 1, size)
            if len(rows) < ROWS_A_COMMIT:
                tx.put(_with_active(table, index))
                return None
            return rows[-1][0] + b"\0"

        lo = await ctx.transact(batch)
        if lo is None:
            return


def _with_active(table: Table, index: SecondaryIndex) -> Table:
    found = tuple(
        replace(one, status="ACTIVE") if one.name == index.name else one for one in table.indexes
    )
    return replace(table, indexes=found)


async def empty(ctx: Context, job: Job) -> None:
    """Clear away the rows of a deleted table or index, then the table itself."""
    table_id, name = job.arguments["id"], job.arguments.get("index")
    if name is not None:
        prefixes = [INDEXED + table_id.encode() + pack(name)]
    else:
        prefixes = [INDEXED + table_id.encode(), past_prefix(table_id)]
        if "items" not in job.arguments:  # Else they are a backup's now.
            prefixes.append(ITEMS + table_id.encode())
    for prefix in prefixes:
        while await _clear(ctx, prefix):
            pass

    if name is None:
        await forget_collections(ctx, table_id)

    async def gone(tx: Tx) -> None:
        counters = [pack(kind, table_id, name) for kind in COUNTERS] if name is not None else []
        table = None if name is not None else await find_table(tx, ctx, job.key)
        if table is not None and table.id == table_id:
            tx.delete(table)
            if table.replication is not None:
                over = await depart(tx, table)
                await forget_members(tx, table, [*over, table.replication.id])
            await take_down(tx, table.arn)
            tx.wake(settled_topic(ctx, job.key))
            await tx.unschedule(EXPIRE, table.arn)
            for index in (None, *table.indexes):
                counters += [count_key(table, index), bytes_key(table, index)]
            for one in table.vectors:
                counters += [pack(kind, table_id, one.id) for kind in COUNTERS]
        for counter in counters:
            tx.raw.add(counter, -await tx.raw.counter(counter))

    await ctx.transact(gone)


async def forget_members(tx: Tx, table: Table, ids: list[str]) -> None:
    """See to what memberships have left that are over."""
    for one in ids:
        await tx.schedule(tx.context.now, TRACES, f"{table.arn}/replica/{one}", id=one)


async def clear_traces(ctx: Context, job: Job) -> None:
    """Clear away the stamps, graves and log of a membership that is over."""
    for prefix in traces(job.arguments["id"]):
        while await _clear(ctx, prefix):
            pass
    await ctx.kernel.store.drop_log(log_of(job.arguments["id"]))


async def _clear(ctx: Context, prefix: bytes) -> bool:
    async def batch(tx: Tx) -> bool:
        rows = await tx.raw.scan(prefix, prefix + b"\xff", limit=ROWS_A_COMMIT)
        for row, _ in rows:
            tx.raw.delete(row)
        return len(rows) == ROWS_A_COMMIT

    return await ctx.transact(batch)


async def expire(ctx: Context, job: Job) -> None:
    """Delete items whose time is over, some rows a run, and come again: for the rest, or later."""
    table = await find_table(ctx.read(), ctx, job.key)
    if table is None or table.ttl_attribute is None:
        return
    await admit_work(ctx, table)
    prefix = table.prefix
    after = bytes.fromhex(job.arguments.get("after", ""))
    lo = after if after.startswith(prefix) else prefix
    rows = await ctx.read().raw.scan(lo, prefix + b"\xff", limit=ROWS_A_RUN)
    old = [row for row, raw in rows if _expired(ctx, table, decode_item(raw))]
    for first in range(0, len(old), ROWS_A_COMMIT):
        await _delete(ctx, table, old[first : first + ROWS_A_COMMIT])

    async def again(tx: Tx) -> None:
        current = await find_table(tx, ctx, job.key)
        if current is None or current.ttl_attribute is None:
            return
        now = ctx.clock.now()
        if len(rows) == ROWS_A_RUN:
            await tx.schedule(now, EXPIRE, job.key, after=(rows[-1][0] + b"\0").hex())
        else:
            await tx.schedule(now + EXPIRE_EVERY, EXPIRE, job.key)

    await ctx.transact(again)


async def forget(ctx: Context, job: Job) -> None:
    """Forget the tokens of transactions whose ten minutes are over; come again for the others."""
    now = ctx.clock.now()

    after: bytes | None = None
    latest: datetime | None = None

    async def sweep(tx: Tx) -> tuple[bytes | None, datetime | None]:
        tokens = await tx.list(Token, (ctx.account, ctx.region), after=after, limit=ROWS_A_COMMIT)
        for token in tokens:
            if token.until <= now:
                tx.delete(token)
        left = [token.until for token in tokens if token.until > now]
        more = row_key(tokens[-1]) if len(tokens) == ROWS_A_COMMIT else None
        return more, max(left, default=None)

    while True:
        after, until = await ctx.transact(sweep)
        latest = max((one for one in (latest, until) if one is not None), default=None)
        if after is None:
            break
    if latest is not None:
        due = latest
        await ctx.transact(lambda tx: tx.schedule(due, FORGET, job.key))


def _expired(ctx: Context, table: Table, item: Item) -> bool:
    assert table.ttl_attribute is not None
    text = item.get(table.ttl_attribute, {}).get("N")
    if text is None:
        return False
    now = ctx.clock.now().timestamp()
    moment = float(text)
    return now - EXPIRED_MAX.total_seconds() < moment <= now


async def _delete(ctx: Context, table: Table, old: list[bytes]) -> None:
    async def batch(tx: Tx) -> None:
        current = await find_table(tx, ctx, table.arn)
        if current is None or current.id != table.id:
            return
        for row in old:
            raw = await tx.raw.get(row)
            if raw is not None:
                size, item = decode_sized(raw)
                if _expired(ctx, current, item):
                    await write_item(tx, current, row, item, None, size, 0, expired=True)

    await ctx.transact(batch)
