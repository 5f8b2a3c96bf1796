"""Item collections: the items of one hash key with their entries in local indexes, whose size AWS
limits and tells. Only tables with a local index have them, so only there are they counted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.keys import pack
from doppio.services.dynamodb import limits
from doppio.services.dynamodb.errors import ItemCollectionSizeLimitExceededException
from doppio.services.dynamodb.item_keys import encoded
from doppio.services.dynamodb.records import Table
from doppio.services.dynamodb.values import Item

_GIGABYTE = 2**30


def collection_key(table: Table, item: Item) -> bytes:
    """The counter of the bytes of an item's collection."""
    return _prefix(table.id) + encoded(item[table.key[0].name])


def _prefix(table_id: str) -> bytes:
    return pack("ddb.collection", table_id)


async def grew(tx: Tx, table: Table, item: Item, growth: int) -> None:
    """Count by how many bytes a collection grows. Raises ItemCollectionSizeLimitExceededException."""
    key = collection_key(table, item)
    if growth > 0 and await tx.raw.counter(key) + growth > limits.COLLECTION_BYTES_MAX:
        raise ItemCollectionSizeLimitExceededException()
    if growth:
        tx.raw.add(key, float(growth))


async def metrics(
    reader: Reader, table: Table, items: Iterable[Item | None]
) -> list[dict[str, Any]]:
    """`ItemCollectionMetrics` of items that were changed: each collection once."""
    if all(index.is_global for index in table.indexes):
        return []
    name = table.key[0].name
    found: dict[bytes, dict[str, Any]] = {}
    for item in items:
        if item is not None:
            key = collection_key(table, item)
            whole = int(max(await reader.raw.counter(key), 0.0) // _GIGABYTE)
            found[key] = {
                "ItemCollectionKey": {name: item[name]},
                "SizeEstimateRangeGB": [float(whole), float(whole + 1)],
            }
    return list(found.values())


async def forget_collections(ctx: Context, table_id: str) -> None:
    """Count the collections of a deleted table no longer."""
    lo: bytes | None = _prefix(table_id)
    while lo is not None:

        async def batch(tx: Tx, lo: bytes = lo) -> bytes | None:
            end = _prefix(table_id) + b"\xff"
            rows = await tx.raw.counters(lo, end, limit=limits.ROWS_A_READ)
            for key, amount in rows:
                tx.raw.add(key, -amount)
            return rows[-1][0] + b"\0" if len(rows) == limits.ROWS_A_READ else None

        lo = await ctx.transact(batch)
