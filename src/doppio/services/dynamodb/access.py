"""How the operations find a table, and how a change of an item reaches its rows and indexes."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.keys import pack
from doppio.kernel.records import table_of
from doppio.services.dynamodb.capacity import write_units
from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.feeding import feed
from doppio.services.dynamodb.item_collections import grew
from doppio.services.dynamodb.item_keys import (
    encoded,
    index_key,
    index_prefix,
    row_key,
)
from doppio.services.dynamodb.names import table_not_found
from doppio.services.dynamodb.past import remember
from doppio.services.dynamodb.records import SecondaryIndex, Table
from doppio.services.dynamodb.replication import REPLICATED, announced, at, members
from doppio.services.dynamodb.sealing import admit, admit_work, decode_item, decode_sized, encoder
from doppio.services.dynamodb.streams import tell
from doppio.services.dynamodb.values import Item, size_of
from doppio.services.dynamodb.vector_indexes import follow

encode_item = msgspec.msgpack.Encoder().encode

_TABLES = table_of(Table)


# The same few tables are named again and again.
REMEMBERED_MAX = 4_096


async def find_table(reader: Reader, ctx: Context, name: str) -> Table | None:
    """The table of a name, or of an ARN: also another account's, whose policy has let us in."""
    # No table has a colon in its name.
    if ":" in name:
        return await _of_arn(reader, ctx, name)
    raw = await reader.raw.get(_table_row(ctx.account, ctx.region, name))
    return None if raw is None else _TABLES.decode_known(raw)


@lru_cache(REMEMBERED_MAX)
def _table_row(account: str, region: str, name: str) -> bytes:
    return _TABLES.key_of((account, region, name))


async def _of_arn(reader: Reader, ctx: Context, arn: str) -> Table | None:
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[3] != ctx.region:
        return None
    _, _, _, region, account, name = parts
    raw = await reader.raw.get(_table_row(account, region, name.rpartition("/")[2]))
    if raw is None:
        return None
    table = _TABLES.decode_known(raw)
    if arn != table.arn:
        return None
    if account != ctx.account:
        ctx.payer = account  # Requests are billed to the table's owner.
    return table


async def usable_table(reader: Reader, ctx: Context, name: str) -> Table:
    """A table whose items can be used. Raises ResourceNotFoundException."""
    raw = None if ":" in name else await reader.raw.get(_table_row(ctx.account, ctx.region, name))
    # Nearly always it is called by its name, and is there.
    table = await find_table(reader, ctx, name) if raw is None else _TABLES.decode_known(raw)
    if table is None or table.status in ("CREATING", "DELETING"):
        raise table_not_found(name, named=False)
    if table.seal is not None:
        await admit(ctx, table)
    return table


def usable_index(table: Table, name: str) -> SecondaryIndex:
    """An index that can be queried. Raises ValidationException."""
    index = table.index(name)
    if index is None:
        raise ValidationException(f"The table does not have the specified index: {name}")
    if index.status == "CREATING":
        raise ValidationException(f"Cannot read from backfilling global secondary index: {name}")
    return index


def item_row(table: Table, item: Item) -> bytes:
    """The row key of an item of a table."""
    return row_key(table.prefix, table.key, item)


def primary_key(table: Table, item: Item) -> Item:
    """The key attributes of an item."""
    return {part.name: item[part.name] for part in table.key}


async def read_item(reader: Reader, row: bytes) -> Item | None:
    """The item of a row."""
    raw = await reader.raw.get(row)
    return None if raw is None else decode_item(raw)


async def read_sized(reader: Reader, row: bytes) -> tuple[int, Item | None]:
    """The size and the item of a row; what is not there has none."""
    raw = await reader.raw.get(row)
    return (0, None) if raw is None else decode_sized(raw)


COUNTERS = ("ddb.count", "ddb.bytes")


def count_key(table: Table, index: SecondaryIndex | None = None) -> bytes:
    """The counter of the items of a table or index."""
    return _counter("ddb.count", table.id, *_of(index))


def bytes_key(table: Table, index: SecondaryIndex | None = None) -> bytes:
    """The counter of the bytes of a table or index."""
    return _counter("ddb.bytes", table.id, *_of(index))


_counter = lru_cache(REMEMBERED_MAX)(pack)


def _of(index: SecondaryIndex | None) -> tuple[str, ...]:
    return () if index is None else (index.id or index.name,)


def put_row(tx: Tx, table: Table, row: bytes, raw: bytes, was: int, size: int) -> None:
    """Store a row of this size in place of one of another (none: zero), and count its table's."""
    tx.raw.put(row, raw)
    if not was:
        # No item is empty: it has its key.
        tx.raw.add(count_key(table), 1.0)
    if size != was:
        tx.raw.add(bytes_key(table), float(size - was))


async def write_item(
    tx: Tx,
    table: Table,
    row: bytes,
    old: Item | None,
    new: Item | None,
    was: int,
    size: int,
    *,
    expired: bool = False,
    arriving: bool = False,
) -> dict[str, float]:
    """Replace an item's row and its index rows in one commit, and tell the table's stream.

    `was` and `size` are the sizes of both, zero for none; `expired`: it goes since its time is over;
    `arriving`: another replica wrote it. Gives the write units of each index.
    """
    if table.replication is not None and not arriving:
        if table.replication.strong:
            await _write_peers(tx, table, row, old, new, was, size)
        else:
            new, size = await announced(tx, table, row, new, size)
    encode = encoder(tx.context, table)
    if table.remembers_since is not None and old != new:
        await remember(tx, table, row, b"" if old is None else encode(was, old))
    if new is not None:
        put_row(tx, table, row, encode(size, new), was, size)
    elif old is not None:
        tx.raw.delete(row)
        tx.raw.add(count_key(table), -1.0)
        tx.raw.add(bytes_key(table), -float(was))
    if table.stream is not None:
        tell(tx, table, old, new, expired=expired)
    if table.feeds and old != new:
        feed(tx, table, old, new, expired=expired)
    if table.vectors:
        await follow(tx, table, old, new)
    units: dict[str, float] = {}
    is_collected = False
    growth = size - was
    for index in table.indexes:
        taken, more = await _write_index(tx, table, index, old, new, was, size)
        if taken:
            units[index.name] = taken
        if not index.is_global:
            is_collected = True
            growth += more
    item = new if new is not None else old
    if is_collected and item is not None:
        await grew(tx, table, item, growth)
    return units


async def _write_peers(
    tx: Tx, table: Table, row: bytes, old: Item | None, new: Item | None, was: int, size: int
) -> None:
    """Let the other replicas have a change in its own commit: they are in step."""
    key = row[len(table.prefix) :]
    units = write_units(max(was, size))
    for peer in await members(tx, table):
        there = at(tx, peer.region)
        if peer.seal is not None:
            await admit_work(there.context, peer)
        peer_row = peer.prefix + key
        indexes = await write_item(there, peer, peer_row, old, new, was, size, arriving=True)
        there.meter(REPLICATED, units + sum(indexes.values()))


async def _write_index(
    tx: Tx, table: Table, index: SecondaryIndex, old: Item | None, new: Item | None,
    old_size: int, new_size: int,
) -> tuple[float, int]:  # fmt: skip
    """Let one index follow; units as AWS counts them, for the entry that goes and that comes, and by
    how many bytes it grows."""
    was = None if old is None else index_row(table, index, old)
    now = None if new is None else index_row(table, index, new)
    if was is not None and index.status == "CREATING" and await tx.raw.get(was) is None:
        was = None  # The backfill has not come to this item.
    gone = projected(table, index, old) if old is not None and was is not None else None
    came = projected(table, index, new) if new is not None and now is not None else None
    if gone == came:
        return 0.0, 0
    before = 0 if gone is None else old_size if gone is old else size_of(gone)
    after = 0 if came is None else new_size if came is new else size_of(came)
    if was is not None and was != now:
        tx.raw.delete(was)
    if came is not None and now is not None:
        tx.raw.put(now, encoder(tx.context, table)(after, came))
    count_entry(tx, table, index, (came is not None) - (gone is not None), after - before)
    if was == now:
        return write_units(max(before, after)), after - before
    return sum(write_units(size) for size in (before, after) if size), after - before


def count_entry(tx: Tx, table: Table, index: SecondaryIndex, entries: int, size: int) -> None:
    """Keep the counters of an index."""
    if entries:
        tx.raw.add(count_key(table, index), float(entries))
    if size:
        tx.raw.add(bytes_key(table, index), float(size))


def index_row(table: Table, index: SecondaryIndex, item: Item) -> bytes | None:
    """The row of an item in an index: the index's key, then the item's own."""
    key = index_key(index.key, item)
    if key is None:
        return None
    own = b"".join(encoded(item[part.name]) for part in table.key)
    return index_prefix(table, index) + key + own


def projected(table: Table, index: SecondaryIndex, item: Item) -> Item:
    """What an index keeps of an item."""
    if index.projection == "ALL":
        return item
    names = {part.name for part in (*table.key, *index.key)}
    if index.projection == "INCLUDE":
        names.update(index.included)
    return {name: value for name, value in item.items() if name in names}
