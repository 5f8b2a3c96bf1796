"""DynamoDB batches: many gets or many writes in one request, each for itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from doppio.kernel.context import Context, Reader, Tx
from doppio.services.dynamodb import limits
from doppio.services.dynamodb.access import usable_table
from doppio.services.dynamodb.capacity import consumed, read_units, usage
from doppio.services.dynamodb.errors import ThrottledError, ValidationException
from doppio.services.dynamodb.expressions.paths import project
from doppio.services.dynamodb.item_collections import metrics
from doppio.services.dynamodb.item_keys import row_of_key
from doppio.services.dynamodb.items import (
    READS,
    WRITES,
    Change,
    Done,
    projection_paths,
)
from doppio.services.dynamodb.measures import READ, count_all, count_units
from doppio.services.dynamodb.records import Table
from doppio.services.dynamodb.sealing import decode_sized
from doppio.services.dynamodb.throttling import READ as READ_UNITS
from doppio.services.dynamodb.throttling import Watches
from doppio.services.dynamodb.values import Item

if TYPE_CHECKING:
    from doppio._stubs import dynamodb as w

_DUPLICATES = "Provided list of item keys contains duplicates"


class Batches:
    """The batch operations."""

    async def batch_get_item(self, ctx: Context, req: w.BatchGetItemInput) -> w.BatchGetItemOutput:
        """Up to 100 items of several tables; what is beyond 16 MB is left for the next call."""
        wanted: Mapping[str, Any] = req["RequestItems"]
        if sum(len(one["Keys"]) for one in wanted.values()) > limits.BATCH_GET_MAX:
            raise ValidationException("Too many items requested for the BatchGetItem call")
        reader = ctx.read()
        responses: dict[str, list[Item]] = {}
        unprocessed: dict[str, Any] = {}
        capacities = []
        watches = Watches(ctx)
        total = 0
        refused: ThrottledError | None = None
        for name, one in wanted.items():
            table = await usable_table(reader, ctx, name)
            got = await _got(reader, table, one, watches, limits.BATCH_GET_BYTES_MAX - total)
            responses[name] = got.items
            total += got.size
            refused = refused or got.refused
            if got.left:
                unprocessed[name] = {**one, "Keys": got.left}
            reader.meter(usage(READS, table), got.units)
            count_units(ctx, READ, table, got.units)
            capacities.append(consumed(req, table, got.units, name=name))
        watches.settle()
        if refused is not None:
            _check_any(ctx, refused, watches, wanted, unprocessed, lambda one: one["Keys"])
        shown: dict[str, Any] = {"Responses": responses, "UnprocessedKeys": unprocessed}
        if any(capacities):
            shown["ConsumedCapacity"] = capacities
        return shown  # type: ignore[return-value]

    async def batch_write_item(
        self, ctx: Context, req: w.BatchWriteItemInput
    ) -> w.BatchWriteItemOutput:
        """Up to 25 puts and deletes; no conditions, and no order among them."""
        wanted: Mapping[str, Any] = req["RequestItems"]
        count = sum(len(one) for one in wanted.values())
        if count > limits.BATCH_WRITE_MAX:
            raise ValidationException("Too many items requested for the BatchWriteItem call")
        changes = {name: [_change(one) for one in entries] for name, entries in wanted.items()}
        capacities = []
        sizes = {}
        wants_sizes = req.get("ReturnItemCollectionMetrics") == "SIZE"
        counted = []
        unprocessed: dict[str, Any] = {}
        watches = Watches(ctx)
        refused: ThrottledError | None = None
        async with ctx.write() as tx:
            for name, group in changes.items():
                table = await usable_table(tx, ctx, name)
                done, left, why = await _written(tx, table, group, watches)
                refused = refused or why
                if left:
                    unprocessed[name] = [wanted[name][number] for number in left]
                counted += [(table, one.units, one.indexes) for one in done]
                capacities.append(consumed(req, table, *_units(done), name=name))
                if wants_sizes:
                    sizes[name] = await metrics(tx, table, [one.new or one.old for one in done])
            if refused is not None:
                _check_any(ctx, refused, watches, wanted, unprocessed, list)
        watches.settle()
        count_all(ctx, counted)
        shown: dict[str, Any] = {"UnprocessedItems": unprocessed}
        if any(capacities):
            shown["ConsumedCapacity"] = capacities
        if any(sizes.values()):
            shown["ItemCollectionMetrics"] = {name: one for name, one in sizes.items() if one}
        return shown  # type: ignore[return-value]


class _Got(NamedTuple):
    """What a batch got of one table: `left` are the keys that it did not look at."""

    items: list[Item]
    left: list[Item]
    units: float
    size: int
    refused: ThrottledError | None


async def _got(
    reader: Reader, table: Table, one: Mapping[str, Any], watches: Watches, bytes_max: int
) -> _Got:
    paths = projection_paths(one)
    consistent = one.get("ConsistentRead", False)
    keys: list[Item] = one["Keys"]
    found: list[Item] = []
    left: list[Item] = []
    units, total = 0.0, 0
    watch, refused = watches.of(table), None
    for number, raw in enumerate(await reader.raw.get_many(_rows(table, keys))):
        if total >= bytes_max:
            left += keys[number:]
            break
        if watch is not None:
            try:
                watch.admit(READ_UNITS, None, keys[number])
            except ThrottledError as error:
                refused = error
                left.append(keys[number])
                continue
        size, item = (0, None) if raw is None else decode_sized(raw)
        total += size
        more = read_units(size, consistent=consistent)
        units += more
        if watch is not None:
            watch.read(more, [keys[number]])
        if item is not None:
            found.append(item if paths is None else project(item, paths))
    return _Got(found, left, units, total, refused)


async def _written(
    tx: Tx, table: Table, group: list[Change], watches: Watches
) -> tuple[list[Done], list[int], ThrottledError | None]:
    """Do writes; those for which there was no capacity are left, by their numbers."""
    rows = [change.row(table) for change in group]
    if len(set(rows)) < len(rows):
        raise ValidationException(_DUPLICATES)
    done: list[Done] = []
    left: list[int] = []
    refused: ThrottledError | None = None
    for number, change in enumerate(group):
        try:
            done.append(await change.apply(tx, table, watches))
        except ThrottledError as error:
            refused = error
            left.append(number)
    tx.meter(usage(WRITES, table), sum(one.total for one in done))
    return done, left, refused


def _check_any(
    ctx: Context,
    refused: ThrottledError,
    watches: Watches,
    wanted: Mapping[str, Any],
    left: Mapping[str, Any],
    parts: Callable[[Any], Sequence[Any]],
) -> None:
    """Raise the refusal where a batch did nothing at all: then AWS refuses it whole."""
    asked = sum(len(parts(one)) for one in wanted.values())
    if sum(len(parts(one)) for one in left.values()) == asked:
        watches.count_refused(ctx.operation)
        raise refused


def _units(done: list[Done]) -> tuple[float, dict[str, float]]:
    """What the writes took of their table and of each index."""
    indexes: dict[str, float] = {}
    for one in done:
        for name, more in one.indexes.items():
            indexes[name] = indexes.get(name, 0.0) + more
    return sum(one.units for one in done), indexes


def _rows(table: Table, keys: list[Item]) -> list[bytes]:
    rows = [row_of_key(table, key) for key in keys]
    if len(set(rows)) < len(rows):
        raise ValidationException(_DUPLICATES)
    return rows


def _change(entry: Mapping[str, Any]) -> Change:
    put, delete = entry.get("PutRequest"), entry.get("DeleteRequest")
    if (put is None) == (delete is None):
        raise ValidationException(
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of "
            "the supported datatypes"
        )
    if put is not None:
        return Change(item=put["Item"])
    assert delete is not None
    return Change(key=delete["Key"])
