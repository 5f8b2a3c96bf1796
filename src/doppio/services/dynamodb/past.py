"""What items were before: the history of a table, kept while something may ask for it.

A table remembers while point-in-time recovery is on, or while a backup, a restore or an export reads
it as of a moment. Each change then lies in its own commit beside the item: under the item's key and
the time of the change, what the item was until then. So an item as of a moment is what the first
later change replaced; where there is none, it is what it is now. Both are read in the order of keys,
page by page, however large the table and however long its history is.

A change that comes to an item behind one of a later time (it lost a race, or the clock was set back)
counts as of that later time: what was before it is remembered already.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.jobs import Job
from doppio.kernel.keys import pack
from doppio.services.dynamodb.limits import PRUNE_EVERY
from doppio.services.dynamodb.records import ITEMS, Recovery, Table

PAST = pack("ddb.past")
PRUNE = "dynamodb.prune"
KEYS_A_RUN = 1_000
_TIME_BYTES = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
# Behind all entries of an item: no time begins with it.
_AFTER = b"\xff"


class Page(NamedTuple):
    """Items as of a moment, by their keys' bytes; `after` is where the next page begins."""

    rows: list[tuple[bytes, bytes]]
    after: bytes | None


async def remember(tx: Tx, table: Table, row: bytes, before: bytes) -> None:
    """Keep what an item was (nothing: b"") in the commit that changes it."""
    assert table.remembers_since is not None
    moment = max(tx.context.now, table.remembers_since + _TICK)
    item = _past(table.id) + row[len(table.prefix) :]
    at = item + _bytes(moment)
    if not await tx.raw.scan(at, item + _AFTER, limit=1):
        tx.raw.put(at, before)


async def as_of(
    reader: Reader, data: str, moment: datetime | None, after: bytes, most: int
) -> Page:
    """A page of the items that begin with an id, as of a moment; None: as they are.

    The items are read before the past. What changes in between is in the past by then, since
    both are in one commit.
    """
    prefix, past = ITEMS + data.encode(), _past(data)
    lo = prefix + after + b"\0" if after else prefix
    items = await reader.raw.scan(lo, prefix + _AFTER, limit=most)
    found = {row[len(prefix) :]: raw for row, raw in items}
    edges = [items[-1][0][len(prefix) :]] if len(items) == most else []
    if moment is None:
        return Page(list(found.items()), edges[0] if edges else None)
    lo = past + after + _AFTER if after else past
    entries = await reader.raw.scan(lo, past + _AFTER, limit=most)
    was: dict[bytes, bytes | None] = {}
    since = _bytes(moment + _TICK)
    for key, before in entries:
        item = key[len(past) : -_TIME_BYTES]
        if was.get(item) is None:
            was[item] = before if key[-_TIME_BYTES:] >= since else None
    if len(entries) == most:
        last = entries[-1][0][len(past) : -_TIME_BYTES]
        edges.append(last)
        if was[last] is None:
            later = await reader.raw.scan(past + last + since, past + last + _AFTER, limit=1)
            was[last] = later[0][1] if later else None
    edge = min(edges, default=None)
    found |= {item: before for item, before in was.items() if before is not None}
    rows = [
        (item, raw) for item, raw in sorted(found.items()) if raw and (edge is None or item <= edge)
    ]
    return Page(rows, edge)


class Changed(NamedTuple):
    """What became of an item between two moments; `between` is what it was of late, if it was.

    `micros` is when it changed last, since 1970.
    """

    item: bytes
    old: bytes
    new: bytes
    between: bytes
    micros: int


class Changes(NamedTuple):
    """A page of changes; `after` is where the next one begins."""

    changed: list[Changed]
    after: bytes | None


async def changes(
    reader: Reader, data: str, since: datetime, until: datetime, after: bytes, most: int
) -> Changes:
    """A page of the items that changed at `since` or later, and before `until`."""
    past = _past(data)
    entries = await reader.raw.scan(
        past + after + _AFTER if after else past, past + _AFTER, limit=most
    )
    lo, hi = _bytes(since), _bytes(until)
    found = []
    groups: dict[bytes, list[tuple[bytes, bytes]]] = {}
    for key, before in entries:
        groups.setdefault(key[len(past) : -_TIME_BYTES], []).append((key[-_TIME_BYTES:], before))
    last = entries[-1][0][len(past) : -_TIME_BYTES] if len(entries) == most else None
    for item, group in groups.items():
        while item == last:  # The end of its past may be in the next page.
            more = await reader.raw.scan(
                past + item + group[-1][0] + b"\0", past + item + _AFTER, limit=most
            )
            group += [(key[-_TIME_BYTES:], before) for key, before in more]
            if len(more) < most:
                break
        within = [one for one in group if lo <= one[0] < hi]
        if within:
            new = await _until(reader, data, item, hi)
            micros = int.from_bytes(within[-1][0], "big")
            between = next((before for _, before in reversed(within) if before), b"")
            found.append(Changed(item, within[0][1], new, between, micros))
    return Changes(found, last)


async def _until(reader: Reader, data: str, item: bytes, moment: bytes) -> bytes:
    """What an item was just before a moment: read now, unless it has changed since."""
    raw = await reader.raw.get(ITEMS + data.encode() + item)
    row = _past(data) + item
    later = await reader.raw.scan(row + moment, row + _AFTER, limit=1)
    return later[0][1] if later else raw or b""


def snapshot(table: Table, name: str, now: datetime) -> tuple[Table, datetime]:
    """The table that remembers what it is in this commit, for `name`; and as of which moment.

    What is committed later is of a later time, also if it began before.
    """
    since = table.remembers_since
    moment = now if since is None else max(since, now)
    return holding(table, name, moment), moment


def holding(table: Table, name: str, moment: datetime) -> Table:
    """The table that remembers what it was at a moment, for `name`, until it is released."""
    since = table.remembers_since
    return replace(
        table,
        holds={**table.holds, name: moment},
        remembers_since=moment if since is None else max(since, moment),
    )


def released(table: Table, name: str) -> Table:
    """The table without a hold; it remembers no more than somebody wants."""
    holds = {one: moment for one, moment in table.holds.items() if one != name}
    return _remembering(replace(table, holds=holds))


def recovering(table: Table, recovery: Recovery | None, now: datetime) -> Table:
    """The table with point-in-time recovery on, or off."""
    # What comes in this very moment is of this moment.
    since = table.remembers_since or now - _TICK
    return _remembering(replace(table, recovery=recovery, remembers_since=since))


def _remembering(table: Table) -> Table:
    if table.holds or table.recovery is not None:
        return table
    return replace(table, remembers_since=None)


def earliest(recovery: Recovery, now: datetime) -> datetime:
    """The earliest moment to which a table can be restored."""
    return max(recovery.since, now - timedelta(days=recovery.days))


async def prune(ctx: Context, job: Job) -> None:
    """Forget what nobody can ask for any more, some keys a run, and come again."""
    table = await _named(ctx.read(), job.arguments)
    if table is None:
        return
    now = ctx.clock.now()
    wanted = list(table.holds.values())
    if table.recovery is not None:
        wanted.append(earliest(table.recovery, now))
    # Without anybody, all of it; if somebody comes meanwhile, the table is another one.
    horizon = _bytes(min(wanted)) if wanted else _AFTER
    prefix = _past(table.id)
    lo = bytes.fromhex(job.arguments.get("after", "")) or prefix
    keys = await ctx.read().raw.ahead(lo, prefix + _AFTER, limit=KEYS_A_RUN)
    old = [key for key in keys if key[-_TIME_BYTES:] <= horizon]

    async def step(tx: Tx) -> None:
        current = await _named(tx, job.arguments)
        if current is None:
            return
        if current == table:  # Else somebody may want it again: the next run sees.
            for key in old:
                tx.raw.delete(key)
        if len(keys) == KEYS_A_RUN:
            after = (keys[-1] + b"\0").hex()
            await tx.schedule(now, PRUNE, job.key, **{**job.arguments, "after": after})
        elif current.recovery is not None or current.holds:
            await schedule_prune(tx, current, now + PRUNE_EVERY)

    await ctx.transact(step)


async def schedule_prune(tx: Tx, table: Table, at: datetime) -> None:
    """Look at a table's history at a time; another call's wish is another job, also at that time."""
    await tx.schedule(
        at, PRUNE, table.arn, account=table.account, region=table.region, table=table.name,
        id=table.id, wish=tx.context.request_id,
    )  # fmt: skip


async def _named(reader: Reader, arguments: Mapping[str, str]) -> Table | None:
    table = await reader.get(Table, arguments["account"], arguments["region"], arguments["table"])
    return table if table is not None and table.id == arguments["id"] else None


def _past(data: str) -> bytes:
    return PAST + data.encode()


def past_prefix(table_id: str) -> bytes:
    """What the rows of a table's history begin with."""
    return _past(table_id)


def _bytes(moment: datetime) -> bytes:
    return ((moment - _EPOCH) // _TICK).to_bytes(_TIME_BYTES, "big")
