"""DynamoDB's PartiQL operations: one statement, a batch of them, or a transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context, Reader
from doppio.services.dynamodb.access import encode_item, item_row, usable_table
from doppio.services.dynamodb.capacity import consumed, read_units, usage, usages
from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.expressions.conditions import test
from doppio.services.dynamodb.item_keys import row_of_key
from doppio.services.dynamodb.items import READS, WRITES, Change, count_written, returned
from doppio.services.dynamodb.limits import TRANSACT_BYTES_MAX
from doppio.services.dynamodb.measures import READ, RETURNED, count_all, count_units
from doppio.services.dynamodb.partiql import selects
from doppio.services.dynamodb.partiql.ranges import KIND, mandatory_key
from doppio.services.dynamodb.partiql.syntax import Statement
from doppio.services.dynamodb.partiql.values import Bound
from doppio.services.dynamodb.partiql.writes import change_of, prepared
from doppio.services.dynamodb.permissions import statement_need
from doppio.services.dynamodb.records import Table
from doppio.services.dynamodb.replication import refuse_strong
from doppio.services.dynamodb.sealing import decode_sized
from doppio.services.dynamodb.throttling import READ as READ_UNITS
from doppio.services.dynamodb.throttling import Watches, watch_of
from doppio.services.dynamodb.transactions import (
    TOO_LARGE,
    admit_all,
    apply_all,
    check_distinct,
    known_answer,
    remember,
    row_of,
)
from doppio.services.dynamodb.values import Item
from doppio.wire.errors import AwsError, NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import dynamodb as w

_CODES = {
    "ConditionalCheckFailedException": "ConditionalCheckFailed",
    "DuplicateItemException": "DuplicateItem",
    "ResourceNotFoundException": "ResourceNotFound",
    "ValidationException": "ValidationError",
    "AccessDeniedException": "AccessDenied",
    "ProvisionedThroughputExceededException": "ProvisionedThroughputExceeded",
    "ThrottlingException": "ThrottlingError",
    "ItemCollectionSizeLimitExceededException": "ItemCollectionSizeLimitExceeded",
    "RequestLimitExceeded": "RequestLimitExceeded",
}
_MIXED = "{} API does not support both read and write operations in the same request."
_NO_KEY = "Select statements within {} must specify the primary key in the where clause."


class Statements:
    """The PartiQL operations."""

    async def execute_statement(
        self, ctx: Context, req: w.ExecuteStatementInput
    ) -> w.ExecuteStatementOutput:
        """Read by a SELECT, page by page, or write one item."""
        statement, bound = prepared(req)
        if statement.verb == "EXISTS":
            raise ValidationException("EXISTS is supported as a statement of a transaction only")
        if statement.reads:
            return await _selected(ctx, req, statement, bound)  # type: ignore[return-value]
        if "NextToken" in req:
            raise ValidationException("NextToken is supported for SELECT statements only")
        async with ctx.write() as tx:
            table = await usable_table(tx, ctx, statement.table)
            change = change_of(req, statement, bound, table)
            done = await change.apply(tx, table)
            tx.meter(usage(WRITES, table), done.total)
        count_written(ctx, table, done)
        attributes = returned(statement.returning, change.update, done)
        shown: dict[str, Any] = {"Items": [attributes] if attributes else []}
        capacity = consumed(req, table, done.units, done.indexes, name=statement.table)
        if capacity is not None:
            shown["ConsumedCapacity"] = capacity
        return shown  # type: ignore[return-value]

    async def batch_execute_statement(
        self, ctx: Context, req: w.BatchExecuteStatementInput
    ) -> w.BatchExecuteStatementOutput:
        """Up to 25 statements of one item each, all reads or all writes; each for itself."""
        asked: list[_Asked] = [_Asked(one) for one in req["Statements"]]
        if len({one.statement.reads for one in asked if one.statement is not None}) > 1:
            raise ValidationException(_MIXED.format("BatchExecuteStatement"))
        watches = Watches(ctx)
        for one in asked:
            await one.judge(ctx)
        if any(one.statement is not None and not one.statement.reads for one in asked):
            async with ctx.write() as tx:
                for one in asked:
                    await one.write(tx, ctx, watches)
                taken = [
                    (one.table, one.units + sum(one.indexes.values()))
                    for one in asked
                    if one.table is not None
                ]
                for name, total in usages(WRITES, taken).items():
                    if total:
                        tx.meter(name, total)
            count_all(
                ctx, ((one.table, one.units, one.indexes) for one in asked if one.table is not None)
            )
        else:
            reader = ctx.read()
            for one in asked:
                await one.read(reader, ctx, watches)
        watches.settle()
        shown: dict[str, Any] = {"Responses": [one.response for one in asked]}
        capacities = [
            consumed(req, one.table, one.units, one.indexes, name=one.named)
            for one in asked
            if one.table is not None
        ]
        if any(capacities):
            shown["ConsumedCapacity"] = capacities
        return shown  # type: ignore[return-value]

    async def execute_transaction(
        self, ctx: Context, req: w.ExecuteTransactionInput
    ) -> w.ExecuteTransactionOutput:
        """Up to 100 statements, all reads or all writes and EXISTS: all of it or nothing."""
        given: list[Mapping[str, Any]] = req["TransactStatements"]  # type: ignore[assignment]
        parts = [prepared(one) for one in given]
        if len({statement.reads for statement, _ in parts}) > 1:
            raise ValidationException(_MIXED.format("ExecuteTransaction"))
        if parts[0][0].reads:
            return await _read_together(ctx, req, parts)  # type: ignore[return-value]
        if any(statement.returning != "NONE" for statement, _ in parts):
            raise ValidationException("RETURNING is not supported in ExecuteTransaction.")
        return await _write_together(ctx, req, given, parts)  # type: ignore[return-value]


class _Asked:
    """One statement of a batch, and what became of it."""

    __slots__ = ("bound", "given", "indexes", "response", "statement", "table", "units")

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self.response: dict[str, Any] = {}
        self.table: Table | None = None
        self.units = 0.0
        self.indexes: dict[str, float] = {}
        self.statement: Statement | None = None
        try:
            self.statement, self.bound = prepared(given)
            if self.statement.verb == "EXISTS":
                self.statement = None
                raise ValidationException(
                    "EXISTS is supported as a statement of a transaction only"
                )
        except ValidationException as error:
            self.failed(error)

    @property
    def named(self) -> str:
        """What the statement calls its table."""
        return "" if self.statement is None else self.statement.table

    def failed(self, error: AwsError) -> None:
        """Say why nothing became of it."""
        code = _CODES.get(error.code)
        if code is None:
            raise error
        found = {name: error.fields[name] for name in ("Item",) if name in error.fields}
        self.response["Error"] = {"Code": code, "Message": error.message, **found}
        self.units, self.indexes = 0.0, {}

    async def judge(self, ctx: Context) -> None:
        """Whether the caller may: each statement is judged for itself."""
        if self.statement is None:
            return
        self.response["TableName"] = self.statement.table.rpartition("/")[2]
        need = statement_need(ctx, ctx.operation, self.given, self.given)
        try:
            await ctx.authorise(need.action, need.resource, need.context, beyond=need.beyond)
        except AwsError as error:
            self.failed(error)

    async def write(self, tx: Any, ctx: Context, watches: Watches) -> None:
        """Do a write; one that cannot be done leaves nothing."""
        if self.statement is None or "Error" in self.response:
            return
        try:
            self.table = await usable_table(tx, ctx, self.statement.table)
            change = change_of(self.given, self.statement, self.bound, self.table)
            done = await change.apply(tx, self.table, watches)
        except AwsError as error:
            self.failed(error)
            return
        self.units, self.indexes = done.units, done.indexes
        attributes = returned(self.statement.returning, change.update, done)
        if attributes:
            self.response["Item"] = attributes

    async def read(self, reader: Reader, ctx: Context, watches: Watches) -> None:
        """Read one item."""
        if self.statement is None or "Error" in self.response:
            return
        try:
            self.table = await usable_table(reader, ctx, self.statement.table)
            [key] = _keys([(self.statement, self.bound)], [self.table], "BatchExecuteStatement")
            watch = watches.of(self.table)
            if watch is not None:
                watch.admit(READ_UNITS, None, key)
        except AwsError as error:
            self.failed(error)
            return
        raw = await reader.raw.get(item_row(self.table, key))
        item, size = _shown(self.statement, self.bound, self.table, raw)
        self.units = read_units(size, consistent=self.given.get("ConsistentRead", False))
        watches.read(self.table, self.units, key)
        reader.meter(usage(READS, self.table), self.units)
        count_units(ctx, READ, self.table, self.units)
        if item is not None:
            self.response["Item"] = item


async def _selected(
    ctx: Context, req: Mapping[str, Any], statement: Statement, bound: Bound
) -> dict[str, Any]:
    reader = ctx.read()
    table = await usable_table(reader, ctx, statement.table)
    selection = selects.selection(statement, bound, table, req)
    watch = watch_of(ctx, table)
    if watch is not None:
        watch.admit(READ_UNITS, selection.secondary, None)
    found = await selects.read(reader, selection, req)
    if watch is not None:
        watch.read(found.units, (), selection.secondary, found.whole)
        watch.read(found.fetched, items=found.whole)
        watch.settle()
    reader.meter(usage(READS, table), found.units + found.fetched)
    index = selection.secondary
    by_index = {index.name: found.units} if index is not None else {}
    own = found.fetched if index is not None else found.units
    count_units(ctx, READ, table, own, by_index)
    names = (table.name, ctx.operation)
    ctx.count(RETURNED, table.account, table.region, names, len(found.items))
    shown: dict[str, Any] = {"Items": found.items}
    if found.token is not None:
        shown["NextToken"] = found.token
        shown["LastEvaluatedKey"] = found.last
    capacity = consumed(req, table, own, by_index, name=statement.table)
    if capacity is not None:
        shown["ConsumedCapacity"] = capacity
    return shown


def _keys(
    parts: Sequence[tuple[Statement, Bound]], tables: Sequence[Table], operation: str
) -> list[Item]:
    """The keys of SELECTs of one item each."""
    keys = []
    for (statement, bound), table in zip(parts, tables, strict=True):
        if statement.index_name is not None:
            raise NotImplementedByDoppio(
                f"dynamodb: {operation} of an index exists in AWS and not yet in this cloud"
            )
        key, _ = mandatory_key(statement, table, bound, _NO_KEY.format(operation))
        row_of_key(table, key)
        keys.append(key)
    return keys


def _shown(
    statement: Statement, bound: Bound, table: Table, raw: bytes | None
) -> tuple[Item | None, int]:
    """What a SELECT of one item shows of it, and the item's size."""
    if raw is None:
        return None, 0
    size, item = decode_sized(raw)
    _, rest = mandatory_key(statement, table, bound)
    if rest is not None and not test(rest, bound, KIND)(item):
        return None, size
    return selects.projected(statement, item), size


async def _read_together(
    ctx: Context, req: Mapping[str, Any], parts: Sequence[tuple[Statement, Bound]]
) -> dict[str, Any]:
    reader = ctx.read()
    tables = [await usable_table(reader, ctx, statement.table) for statement, _ in parts]
    refuse_strong(tables)
    keys = _keys(parts, tables, "ExecuteTransaction")
    rows = [item_row(table, key) for table, key in zip(tables, keys, strict=True)]
    check_distinct(rows)
    watches = Watches(ctx)
    admit_all(watches, tables, keys, ctx.operation)
    responses: list[dict[str, Any]] = []
    capacities = []
    total = 0
    taken: list[tuple[Table, float]] = []
    for (statement, bound), table, raw, key in zip(
        parts, tables, await reader.raw.get_many(rows), keys, strict=True
    ):
        item, size = _shown(statement, bound, table, raw)
        total += size
        more = read_units(size, consistent=True, transactional=True)
        taken.append((table, more))
        watches.read(table, more, key)
        count_units(ctx, READ, table, more)
        responses.append({} if item is None else {"Item": item})
        capacities.append(consumed(req, table, more, kind="Read", name=statement.table))
    watches.settle()
    for name, amount in usages(READS, taken).items():
        reader.meter(name, amount)
    if total > TRANSACT_BYTES_MAX:
        raise ValidationException(TOO_LARGE)
    shown: dict[str, Any] = {"Responses": responses}
    if any(capacities):
        shown["ConsumedCapacity"] = capacities
    return shown


async def _write_together(
    ctx: Context,
    req: Mapping[str, Any],
    given: Sequence[Mapping[str, Any]],
    parts: Sequence[tuple[Statement, Bound]],
) -> dict[str, Any]:
    token = req.get("ClientRequestToken")
    digest = hashlib.sha256(encode_item({"statements": given})).hexdigest() if token else ""
    async with ctx.write() as tx:
        if token:
            known = await known_answer(ctx, tx, token, digest)
            if known is not None:
                return known
        tables = [await usable_table(tx, ctx, statement.table) for statement, _ in parts]
        refuse_strong(tables)
        changes: list[Change] = []
        for one, (statement, bound), table in zip(given, parts, tables, strict=True):
            change = change_of(one, statement, bound, table)
            change.transactional = True
            changes.append(change)
        check_distinct(map(row_of, tables, changes))
        watches = Watches(ctx)
        done = await apply_all(tx, tables, changes, watches)
        shown: dict[str, Any] = {"Responses": [{} for _ in done]}
        capacities = [
            consumed(req, table, one.units, one.indexes, kind="Write", name=statement.table)
            for (statement, _), table, one in zip(parts, tables, done, strict=True)
        ]
        if any(capacities):
            shown["ConsumedCapacity"] = capacities
        written = zip(tables, (one.total for one in done), strict=True)
        for name, amount in usages(WRITES, written).items():
            tx.meter(name, amount)
        if token:
            await remember(ctx, tx, token, digest, shown)
    watches.settle()
    count_all(
        ctx, ((table, one.units, one.indexes) for table, one in zip(tables, done, strict=True))
    )
    return shown
