"""DynamoDB items: put, get, update, delete; and what a change is, for batches and transactions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from doppio.kernel.context import Context, Tx
from doppio.services.dynamodb.access import (
    primary_key,
    put_row,
    read_sized,
    usable_table,
    write_item,
)
from doppio.services.dynamodb.capacity import consumed, read_units, usage, write_units
from doppio.services.dynamodb.errors import (
    ConditionalCheckFailedException,
    ValidationException,
)
from doppio.services.dynamodb.expressions.binding import Binding, Path, bind
from doppio.services.dynamodb.expressions.conditions import Test, compile_condition
from doppio.services.dynamodb.expressions.legacy import with_expressions
from doppio.services.dynamodb.expressions.paths import find, project, projected_paths
from doppio.services.dynamodb.expressions.updates import Update
from doppio.services.dynamodb.item_collections import metrics
from doppio.services.dynamodb.item_keys import check_index_types, row_of_item, row_of_key
from doppio.services.dynamodb.item_rows import encode_row, size_in
from doppio.services.dynamodb.limits import ITEM_BYTES_MAX
from doppio.services.dynamodb.measures import READ, REFUSED, WRITTEN, count_units
from doppio.services.dynamodb.records import Table
from doppio.services.dynamodb.throttling import READ as READ_UNITS
from doppio.services.dynamodb.throttling import WRITE as WRITE_UNITS
from doppio.services.dynamodb.throttling import Watch, Watches, watch_of
from doppio.services.dynamodb.values import Item, checked_item, size_of

if TYPE_CHECKING:
    from doppio._stubs import dynamodb as w

# What makes a write more than a plain one, and a read more than one of a whole item.
_GUARDED = frozenset(
    {"ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues", "Expected",
     "ConditionalOperator"}
)  # fmt: skip
_SHOWN = frozenset({"ProjectionExpression", "ExpressionAttributeNames", "AttributesToGet"})
READS, WRITES = "ReadRequestUnits", "WriteRequestUnits"
_OLD = ("NONE", "ALL_OLD")
_OLD_AND_NEW = (*_OLD, "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW")


class Items:
    """The operations on one item."""

    async def put_item(self, ctx: Context, req: w.PutItemInput) -> w.PutItemOutput:
        """Store an item in place of the one with its key, if the condition holds."""
        wanted = _returns(req, _OLD)
        change = prepare_put(req, req)
        if wanted != "NONE":
            change.is_blind = False
        async with ctx.write() as tx:
            table = await usable_table(tx, ctx, req["TableName"])
            done = await change.apply(tx, table)
            tx.meter(usage(WRITES, table), done.total)
        count_written(ctx, table, done)
        shown = _answer(req, table, done, done.old if wanted == "ALL_OLD" else None)
        if "ReturnItemCollectionMetrics" in req:
            await _with_collection(ctx, req, table, done, shown)
        return shown  # type: ignore[return-value]

    async def delete_item(self, ctx: Context, req: w.DeleteItemInput) -> w.DeleteItemOutput:
        """Remove the item of a key, if the condition holds; none is no error."""
        wanted = _returns(req, _OLD)
        change = prepare_delete(req)
        async with ctx.write() as tx:
            table = await usable_table(tx, ctx, req["TableName"])
            done = await change.apply(tx, table)
            tx.meter(usage(WRITES, table), done.total)
        count_written(ctx, table, done)
        shown = _answer(req, table, done, done.old if wanted == "ALL_OLD" else None)
        if "ReturnItemCollectionMetrics" in req:
            await _with_collection(ctx, req, table, done, shown)
        return shown  # type: ignore[return-value]

    async def update_item(self, ctx: Context, req: w.UpdateItemInput) -> w.UpdateItemOutput:
        """Change the attributes of an item, or make it, if the condition holds."""
        wanted = _returns(req, _OLD_AND_NEW)
        change = prepare_update(req)
        async with ctx.write() as tx:
            table = await usable_table(tx, ctx, req["TableName"])
            done = await change.apply(tx, table)
            tx.meter(usage(WRITES, table), done.total)
        count_written(ctx, table, done)
        attributes = returned(wanted, change.update, done)
        shown = _answer(req, table, done, attributes)
        if "ReturnItemCollectionMetrics" in req:
            await _with_collection(ctx, req, table, done, shown)
        return shown  # type: ignore[return-value]

    async def get_item(self, ctx: Context, req: w.GetItemInput) -> w.GetItemOutput:
        """The item of a key, or nothing."""
        reader = ctx.read()
        table = await usable_table(reader, ctx, req["TableName"])
        key: Item = req["Key"]  # type: ignore[assignment]
        row = row_of_key(table, key)
        paths = projection_paths(req)
        watch = watch_of(ctx, table)
        if watch is not None:
            watch.admit(READ_UNITS, None, key)
        size, item = await read_sized(reader, row)
        units = read_units(size, consistent=req.get("ConsistentRead", False))
        if watch is not None:
            watch.read(units, [key])
            watch.settle()
        reader.meter(usage(READS, table), units)
        ctx.count(READ, table.account, table.region, (table.name,), units)
        shown: dict[str, Any] = {}
        if item is not None:
            shown["Item"] = item if paths is None else project(item, paths)
        if "ReturnConsumedCapacity" in req:
            capacity = consumed(req, table, units)
            if capacity is not None:
                shown["ConsumedCapacity"] = capacity
        return shown  # type: ignore[return-value]


class Done(msgspec.Struct):
    """What a change has done; `size` is the new item's. `old` is there where anybody wants it."""

    old: Item | None
    new: Item | None
    size: int
    units: float
    indexes: dict[str, float]
    watch: Watch | None = None

    @property
    def total(self) -> float:
        """The units of the table and its indexes."""
        return self.units + sum(self.indexes.values()) if self.indexes else self.units


class Change(msgspec.Struct, kw_only=True):
    """One write, checked as far as it can be without its table."""

    item: Item | None = None
    key: Item | None = None
    update: Update | None = None
    condition: Test | None = None
    show_old: bool = False
    transactional: bool = False
    # Whether it is a put, and nobody asks what was there before.
    is_blind: bool = False
    size: int = 0

    def __post_init__(self) -> None:
        if self.item is not None:
            self.size = checked_item(self.item)
            self.is_blind = self.condition is None
        if self.key is not None:
            checked_item(self.key)

    def row(self, table: Table) -> bytes:
        """The row it changes. Raises ValidationException where it does not fit the table."""
        if self.item is not None:
            row = row_of_item(table, self.item)
            if table.indexes:
                check_index_types(table, self.item)
            return row
        assert self.key is not None
        return row_of_key(table, self.key)

    async def apply(self, tx: Tx, table: Table, watches: Watches | None = None) -> Done:
        """Do it in a transaction. Raises ConditionalCheckFailedException and others.

        `watches` are those of a call that does several.
        """
        row = self.row(table)
        watch = watch_of(tx.context, table) if watches is None else watches.of(table)
        if watch is not None:
            watch.admit(WRITE_UNITS, None, self.key_in(table))
        if self.is_blind and table.is_plain and watch is None:
            return self._put_over(tx, table, row, await tx.raw.get(row))
        old_size, old = await read_sized(tx, row)
        if self.condition is not None:
            self._check(tx, table, old, old_size, watch)
        new = self._made(table, old)
        new_size = self.size if self.item is not None else (0 if new is None else size_of(new))
        if new_size > ITEM_BYTES_MAX:
            raise ValidationException("Item size to update has exceeded the maximum allowed size")
        if watch is not None and table.indexes:
            watch.admit_entries(old, new)
        indexes: dict[str, float] = {}
        if new is not None or old is not None:
            indexes = await write_item(tx, table, row, old, new, old_size, new_size)
        units = write_units(max(old_size, new_size), transactional=self.transactional)
        if self.transactional:
            indexes = {name: 2 * amount for name, amount in indexes.items()}
        if watch is not None:
            watch.wrote(self.key_in(table), old, new, units, indexes)
        return Done(old, new, new_size, units, indexes, watch)

    def _put_over(self, tx: Tx, table: Table, row: bytes, raw: bytes | None) -> Done:
        """Put an item in place of one of which nobody wants to know more than its size."""
        item, size = self.item, self.size
        assert item is not None
        was = 0 if raw is None else size_in(raw)
        put_row(tx, table, row, encode_row(size, item), was, size)
        units = write_units(max(was, size), transactional=self.transactional)
        return Done(None, item, size, units, {})

    def key_in(self, table: Table) -> Item:
        """The key of the item that it changes."""
        if self.item is not None:
            return primary_key(table, self.item)
        assert self.key is not None
        return self.key

    def _check(
        self, tx: Tx, table: Table, old: Item | None, size: int, watch: Watch | None
    ) -> None:
        assert self.condition is not None
        if self.condition(old or {}):
            return
        self._count_refused(tx, table, size, watch)
        if self.show_old and old is not None:
            raise ConditionalCheckFailedException(Item=old)
        raise ConditionalCheckFailedException()

    def _count_refused(self, tx: Tx, table: Table, size: int, watch: Watch | None) -> None:
        """A write that is refused consumes what it looked at, and has no commit to count it in."""
        units = write_units(size, transactional=self.transactional)
        if watch is not None:
            watch.wasted(self.key_in(table), units)
        tx.context.audit.meter(tx.context, usage(WRITES, table), units)
        count_units(tx.context, WRITTEN, table, units)
        tx.context.count(REFUSED, table.account, table.region, (table.name,))

    def _made(self, table: Table, old: Item | None) -> Item | None:
        if self.item is not None:
            return self.item
        if self.update is None:
            return None
        assert self.key is not None
        for path in self.update.paths:
            if path[0] in table.key_names:
                raise ValidationException(
                    "One or more parameter values were invalid: Cannot update attribute "
                    f"{path[0]}. This attribute is part of the key"
                )
        if old is None and self.update.only_removes:
            return None
        new = self.update.apply(old if old is not None else dict(self.key))
        if table.indexes:
            check_index_types(table, new)
        return new


class Check(Change):
    """A transaction's condition on an item that it does not change."""

    async def apply(self, tx: Tx, table: Table, watches: Watches | None = None) -> Done:
        """Check; nothing is written."""
        row = self.row(table)
        watch = watch_of(tx.context, table) if watches is None else watches.of(table)
        if watch is not None:
            watch.admit(WRITE_UNITS, None, self.key_in(table))
        size, old = await read_sized(tx, row)
        self._check(tx, table, old, size, watch)
        units = write_units(size, transactional=True)
        if watch is not None:
            watch.wrote(self.key_in(table), old, old, units, {})
        return Done(old, old, size, units, {}, watch)


def prepare_put(req: Mapping[str, Any], entry: Mapping[str, Any]) -> Change:
    """The change that a put asks for."""
    if _GUARDED.isdisjoint(req):
        return Change(item=entry["Item"])
    req = with_expressions(req)
    binding = bind(req, "ConditionExpression")
    condition = _condition(req, binding)
    binding.finish()
    return Change(item=entry["Item"], condition=condition, show_old=_shows_old(req))


def prepare_delete(req: Mapping[str, Any]) -> Change:
    """The change that a delete asks for."""
    req = with_expressions(req)
    binding = bind(req, "ConditionExpression")
    condition = _condition(req, binding)
    binding.finish()
    return Change(key=req["Key"], condition=condition, show_old=_shows_old(req))


def prepare_update(req: Mapping[str, Any]) -> Change:
    """The change that an update asks for."""
    req = with_expressions(req)
    binding = bind(req, "UpdateExpression", "ConditionExpression")
    update = Update(req.get("UpdateExpression"), binding)
    condition = _condition(req, binding)
    binding.finish()
    return Change(key=req["Key"], update=update, condition=condition, show_old=_shows_old(req))


def prepare_check(req: Mapping[str, Any]) -> Check:
    """The check that a transaction asks for."""
    binding = bind(req, "ConditionExpression")
    condition = _condition(req, binding)
    binding.finish()
    return Check(key=req["Key"], condition=condition, show_old=_shows_old(req))


def projection_paths(req: Mapping[str, Any]) -> list[Path] | None:
    """The paths that a read of one item asks for; None for whole items."""
    if _SHOWN.isdisjoint(req):
        return None
    req = with_expressions(req)
    binding = bind(req)
    paths = projected_paths(req, binding)
    binding.finish()
    return paths


def _condition(req: Mapping[str, Any], binding: Binding) -> Test | None:
    text = req.get("ConditionExpression")
    return None if text is None else compile_condition(text, binding, "ConditionExpression")


def _shows_old(req: Mapping[str, Any]) -> bool:
    return req.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"


def _returns(req: Mapping[str, Any], allowed: tuple[str, ...]) -> str:
    """What a write is to show. Raises ValidationException for what it cannot."""
    if "ReturnValues" not in req:
        return "NONE"
    wanted: str = req["ReturnValues"]
    if wanted not in allowed:
        raise ValidationException("Return values set to invalid value")
    return wanted


def returned(wanted: str, update: Update | None, done: Done) -> Item | None:
    """The attributes that a write shows, in the words of `ReturnValues`."""
    if wanted == "ALL_OLD":
        return done.old
    if wanted == "ALL_NEW":
        return done.new
    if wanted in ("UPDATED_OLD", "UPDATED_NEW"):
        item = done.old if wanted == "UPDATED_OLD" else done.new
        paths = [path for path in (update.paths if update else ()) if item and find(item, path)]
        return project(item, paths) if item else None
    return None


def count_written(ctx: Context, table: Table, done: Done) -> None:
    """Tell of a write behind its commit, and draw what it took."""
    count_units(ctx, WRITTEN, table, done.units, done.indexes)
    if done.watch is not None:
        done.watch.settle()


def _answer(
    req: Mapping[str, Any], table: Table, done: Done, attributes: Item | None
) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if attributes:
        shown["Attributes"] = attributes
    if "ReturnConsumedCapacity" in req:
        capacity = consumed(req, table, done.units, done.indexes)
        if capacity is not None:
            shown["ConsumedCapacity"] = capacity
    return shown


async def _with_collection(
    ctx: Context, req: Mapping[str, Any], table: Table, done: Done, shown: dict[str, Any]
) -> None:
    """Tell how large the item's collection is, where that is asked for."""
    if req["ReturnItemCollectionMetrics"] == "SIZE":
        found = await metrics(ctx.read(), table, [done.new or done.old])
        if found:
            shown["ItemCollectionMetrics"] = found[0]
