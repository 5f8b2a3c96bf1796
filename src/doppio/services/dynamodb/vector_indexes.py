"""Vector indexes at work: entries follow their items, new indexes fill, and searches look at all of a
partition, so that what they find is exact."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.jobs import Job
from doppio.kernel.keys import pack
from doppio.services.dynamodb import limits, vectors
from doppio.services.dynamodb.errors import (
    LimitExceededException,
    ResourceInUseException,
    ResourceNotFoundException,
    ValidationException,
)
from doppio.services.dynamodb.records import Table, VectorIndex
from doppio.services.dynamodb.sealing import admit_work, decode_item, entry_encoder
from doppio.services.dynamodb.values import Item
from doppio.wire.errors import NotImplementedByDoppio

VECTORS = "dynamodb.vectors"
_BAD = "One or more parameter values were invalid: "


def made(ctx: Context, given: Any, others: tuple[str, ...]) -> tuple[VectorIndex, ...]:
    """The vector indexes of a new table. Raises ValidationException."""
    found = tuple(
        vectors.vector_index(one, one["IndexName"], ctx.new_id(), "ACTIVE") for one in given
    )
    vectors.check_together(found, others)
    return found


async def follow(tx: Tx, table: Table, old: Item | None, new: Item | None) -> None:
    """Let each vector index follow a change of an item."""
    for index in table.vectors:
        was = None if old is None else vectors.entry(table, index, old)
        now = None if new is None else vectors.entry(table, index, new)
        if was is not None and index.status == "CREATING" and await tx.raw.get(was[0]) is None:
            was = None  # The backfill has not come to this item.
        if was == now:
            continue
        if was is not None and (now is None or now[0] != was[0]):
            tx.raw.delete(was[0])
        if now is not None:
            tx.raw.put(now[0], entry_encoder(tx.context, table)(now[1]))
        before, after = (0 if one is None else _size(one[1]) for one in (was, now))
        _count(tx, table, index, (now is not None) - (was is not None), after - before)


def _size(entry: Item) -> int:
    size: int = entry[vectors.PACKED]["N"]
    return size


def _count(tx: Tx, table: Table, index: VectorIndex, entries: int, size: int) -> None:
    if entries:
        tx.raw.add(pack("ddb.count", table.id, index.id), float(entries))
    if size:
        tx.raw.add(pack("ddb.bytes", table.id, index.id), float(size))


async def described(reader: Reader, table: Table) -> list[dict[str, Any]]:
    """The vector indexes of a table with their counts."""
    found = []
    for index in table.vectors:
        items = await reader.raw.counter(pack("ddb.count", table.id, index.id))
        size = await reader.raw.counter(pack("ddb.bytes", table.id, index.id))
        found.append(vectors.shown(table, index, int(items), int(size)))
    return found


async def changed(ctx: Context, tx: Tx, table: Table, updates: Any, empty: str) -> Table:
    """The table with indexes made or deleted; `empty` is the job that clears rows away."""
    if table.replication is not None:
        raise NotImplementedByDoppio(
            "dynamodb: vector indexes of replicas exist in AWS and not yet in this cloud"
        )
    if len(updates) > 1:
        raise LimitExceededException(
            "Subscriber limit exceeded: Only 1 online index can be created or deleted "
            "simultaneously per table"
        )
    for update in updates:
        if len(update) != 1:
            raise ValidationException(f"{_BAD}Exactly one of Create or Delete must be specified")
        [(verb, given)] = update.items()
        name = given["IndexName"]
        old = next((one for one in table.vectors if one.name == name), None)
        if verb == "Create":
            index = vectors.vector_index(given, name, ctx.new_id(), "CREATING")
            found = (*table.vectors, index)
            vectors.check_together(found, [one.name for one in table.indexes])
            key = f"{table.arn}/index/{name}"
            await tx.schedule(ctx.now, VECTORS, key, table=table.arn, id=index.id)
            table = replace(table, vectors=found)
        elif old is None:
            raise ResourceNotFoundException()
        elif old.status != "ACTIVE":
            raise ResourceInUseException(
                "Attempt to change a resource which is still in use: Index is being created: "
                f"{name}"
            )
        else:
            key = f"{table.arn}/index/{old.id}"
            await tx.schedule(ctx.now, empty, key, id=table.id, index=old.id)
            kept = tuple(one for one in table.vectors if one.name != name)
            table = replace(table, vectors=kept)
    return table


async def fill(ctx: Context, job: Job) -> None:
    """Fill a new vector index from the table's items, then let it be searched.

    An item whose attribute is no vector of the index is left out, as it stood there before.
    """
    _, _, _, region, account, name = job.arguments["table"].split(":", 5)
    place = (account, region, name.rpartition("/")[2])
    wanted = job.arguments["id"]
    there = await ctx.read().get(Table, *place)
    if there is None:
        return
    await admit_work(ctx, there)
    lo: bytes | None = None
    while True:

        async def batch(tx: Tx, lo: bytes | None = lo) -> bytes | None:
            table = await tx.get(Table, *place)
            index = (
                next((one for one in table.vectors if one.id == wanted), None) if table else None
            )
            if table is None or table.status == "DELETING" or index is None:
                return None
            prefix = table.prefix
            rows = await tx.raw.scan(lo or prefix, prefix + b"\xff", limit=limits.ROWS_A_READ)
            for _, raw in rows:
                try:
                    found = vectors.entry(table, index, decode_item(raw))
                except ValidationException:
                    continue
                if found is not None and await tx.raw.get(found[0]) is None:
                    tx.raw.put(found[0], entry_encoder(ctx, table)(found[1]))
                    _count(tx, table, index, 1, _size(found[1]))
            if len(rows) < limits.ROWS_A_READ:
                ready = tuple(
                    replace(one, status="ACTIVE") if one.id == wanted else one
                    for one in table.vectors
                )
                tx.put(replace(table, vectors=ready))
                return None
            return rows[-1][0] + b"\0"

        lo = await ctx.transact(batch)
        if lo is None:
            return


class Found:
    """The nearest entries seen so far."""

    def __init__(self, index: VectorIndex, asked: list[float], most: int) -> None:
        self._index = index
        self._asked = asked
        self._length = vectors.norm(asked)
        self._most = most
        self._heap: list[tuple[float, int, float, bytes]] = []
        self._number = 0
        self.bytes = 0

    def look(self, rows: Sequence[tuple[bytes, bytes]], filters: Mapping[str, Any]) -> None:
        """Look at rows, at those that pass the filters."""
        for _, raw in rows:
            inside = decode_item(raw)[vectors.PACKED]
            if all(inside["F"].get(name) == value for name, value in filters.items()):
                self.see(inside)

    def see(self, inside: Mapping[str, Any]) -> None:
        """Look at an entry; the first of equally near ones stays."""
        raw: bytes = inside["V"]
        self.bytes += len(raw)
        found = vectors.score(self._index.distance, self._asked, self._length, inside)
        nearness = found if self._index.distance == "DOT_PRODUCT" else -found
        self._number += 1
        held = (nearness, -self._number, found, inside["I"])
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, held)
        elif held[:2] > self._heap[0][:2]:
            heapq.heapreplace(self._heap, held)

    def best(self) -> list[tuple[float, Item]]:
        """The nearest first."""
        ordered = sorted(self._heap, key=lambda one: one[:2], reverse=True)
        return [(found, vectors.decode(raw)) for _, _, found, raw in ordered]


async def nearest(
    reader: Reader,
    table: Table,
    index: VectorIndex,
    asked: list[float],
    wanted: Mapping[str, Any],
    most: int,
) -> Found:
    """The nearest entries to a vector, of those whose attributes are as `wanted`; all of a partition
    is looked at."""
    prefix = vectors.partition(table, index, dict(wanted))
    filters = {name: wanted[name] for name, kind in index.schema
               if kind == vectors.FILTER and name in wanted}  # fmt: skip
    found = Found(index, asked, most)
    lo, hi = prefix, prefix + b"\xff"
    while True:
        rows = await reader.raw.scan(lo, hi, limit=limits.ROWS_A_READ)
        if len(rows) < limits.VECTORS_AT_ONCE:
            found.look(rows, filters)
        else:
            # Others have their turn meanwhile.
            await asyncio.get_running_loop().run_in_executor(None, found.look, rows, filters)
        if len(rows) < limits.ROWS_A_READ:
            return found
        lo = rows[-1][0] + b"\0"
