"""How the operations find a table, and how a change of an item reaches its rows and indexes."""

from __future__ import annotations

from typing import Any

import msgspec

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.keys import pack
from doppio.kernel.records import table_of
from doppio.services.dynamodb.errors import ResourceNotFoundException, ValidationException
from doppio.services.dynamodb.item_keys import (
    encoded,
    index_key,
    index_prefix,
    row_key,
    table_prefix,
)
from doppio.services.dynamodb.records import SecondaryIndex, Table
from doppio.services.dynamodb.values import Item

encode_item = msgspec.msgpack.Encoder().encode
decode_item = msgspec.msgpack.Decoder(dict[str, dict[str, Any]]).decode

_TABLES = table_of(Table)
# Tables as decoded, by their rows' bytes: a changed table has other bytes, so nothing goes stale.
_decoded: dict[bytes, Table] = {}
_DECODED_MAX = 2_048


async def find_table(reader: Reader, ctx: Context, name: str) -> Table | None:
    """The table of a name, or of an ARN of this account and Region."""
    if name.startswith("arn:"):
        name = name.rpartition("/")[2]
    raw = await reader.raw.get(_TABLES.prefix + pack(ctx.account, ctx.region, name))
    if raw is None:
        return None
    table = _decoded.get(raw)
    if table is None:
        if len(_decoded) >= _DECODED_MAX:
            _decoded.clear()
        table = _decoded[raw] = _TABLES.decode(raw)
    return table


async def usable_table(reader: Reader, ctx: Context, name: str) -> Table:
    """A table whose items can be used. Raises ResourceNotFoundException."""
    table = await find_table(reader, ctx, name)
    if table is None or table.status in ("CREATING", "DELETING"):
        raise ResourceNotFoundException()
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
    return row_key(table_prefix(table), table.key, item)


def primary_key(table: Table, item: Item) -> Item:
    """The key attributes of an item."""
    return {part.name: item[part.name] for part in table.key}


async def read_item(reader: Reader, row: bytes) -> Item | None:
    """The item of a row."""
    raw = await reader.raw.get(row)
    return None if raw is None else decode_item(raw)


def count_key(table: Table) -> bytes:
    """The counter of a table's items."""
    return pack("ddb.count", table.id)


def bytes_key(table: Table) -> bytes:
    """The counter of a table's bytes."""
    return pack("ddb.bytes", table.id)


def write_item(
    tx: Tx, table: Table, row: bytes, old: Item | None, new: Item | None, growth: int
) -> int:
    """Replace an item's row and its index rows in one commit; the index rows that changed.

    `growth` is by how many bytes the item grows.
    """
    raw = tx.raw
    if new is None:
        raw.delete(row)
    else:
        raw.put(row, encode_item(new))
    if (old is None) != (new is None):
        raw.add(count_key(table), 1.0 if old is None else -1.0)
    if growth:
        raw.add(bytes_key(table), float(growth))
    if not table.indexes:
        return 0
    return sum(_write_index(tx, table, index, old, new) for index in table.indexes)


def _write_index(
    tx: Tx, table: Table, index: SecondaryIndex, old: Item | None, new: Item | None
) -> int:
    was = None if old is None else index_row(table, index, old)
    now = None if new is None else index_row(table, index, new)
    if was is not None and was != now:
        tx.raw.delete(was)
    if now is not None:
        assert new is not None
        shown = encode_item(projected(table, index, new))
        if was == now and old is not None and shown == encode_item(projected(table, index, old)):
            return 0
        tx.raw.put(now, shown)
    return int(was is not None) if was != now and now is None else int(now is not None)


def index_row(table: Table, index: SecondaryIndex, item: Item) -> bytes | None:
    """The row of an item in an index: the index's key, then the item's own."""
    key = index_key(index.key, item)
    if key is None:
        return None
    own = b"".join(encoded(item[part.name]) for part in table.key)
    return index_prefix(table, index.name) + key + own


def projected(table: Table, index: SecondaryIndex, item: Item) -> Item:
    """What an index keeps of an item."""
    if index.projection == "ALL":
        return item
    names = {part.name for part in (*table.key, *index.key)}
    if index.projection == "INCLUDE":
        names.update(index.included)
    return {name: value for name, value in item.items() if name in names}
