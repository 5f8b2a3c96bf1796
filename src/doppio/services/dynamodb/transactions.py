"""DynamoDB transactions: all of it or nothing, in one commit of the store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.services.dynamodb import limits
from doppio.services.dynamodb.access import (
    encode_item,
    usable_table,
)
from doppio.services.dynamodb.capacity import consumed, read_units, usages
from doppio.services.dynamodb.errors import (
    ConditionalCheckFailedException,
    DuplicateItemException,
    IdempotentParameterMismatchException,
    ItemCollectionSizeLimitExceededException,
    ThrottledError,
    TransactionCanceledException,
    ValidationException,
)
from doppio.services.dynamodb.expressions.paths import project
from doppio.services.dynamodb.item_collections import metrics
from doppio.services.dynamodb.item_keys import row_of_key
from doppio.services.dynamodb.items import (
    READS,
    WRITES,
    Change,
    Done,
    prepare_check,
    prepare_delete,
    prepare_put,
    prepare_update,
    projection_paths,
)
from doppio.services.dynamodb.measures import READ, count_all, count_units
from doppio.services.dynamodb.records import Table, Token
from doppio.services.dynamodb.replication import refuse_strong
from doppio.services.dynamodb.sealing import decode_sized
from doppio.services.dynamodb.throttling import READ as READ_UNITS
from doppio.services.dynamodb.throttling import Watches
from doppio.services.dynamodb.upkeep import FORGET
from doppio.services.dynamodb.values import Item
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio._stubs import dynamodb as w

TOO_LARGE = f"Transaction size cannot exceed {limits.TRANSACT_BYTES_MAX} bytes"
_KINDS: dict[str, Callable[[Mapping[str, Any]], Change]] = {
    "Put": lambda one: prepare_put(one, one),
    "Update": prepare_update,
    "Delete": prepare_delete,
    "ConditionCheck": prepare_check,
}


class Transactions:
    """The transaction operations."""

    async def transact_write_items(
        self, ctx: Context, req: w.TransactWriteItemsInput
    ) -> w.TransactWriteItemsOutput:
        """Up to 100 writes and checks, all or none; the same token again does nothing more."""
        entries: list[Mapping[str, Any]] = req["TransactItems"]  # type: ignore[assignment]
        parts = [_part(entry) for entry in entries]
        token = req.get("ClientRequestToken")
        digest = hashlib.sha256(encode_item({"items": entries})).hexdigest() if token else ""
        async with ctx.write() as tx:
            if token:
                known = await known_answer(ctx, tx, token, digest)
                if known is not None:
                    return known  # type: ignore[return-value]
            tables = [await usable_table(tx, ctx, one["TableName"]) for one, _ in parts]
            refuse_strong(tables)
            changes = [change for _, change in parts]
            check_distinct(map(row_of, tables, changes))
            watches = Watches(ctx)
            done = await apply_all(tx, tables, changes, watches)
            names = _names(tables, [one for one, _ in parts])
            shown = _answer(req, tables, done, names)
            if req.get("ReturnItemCollectionMetrics") == "SIZE":
                sizes = await _sizes(tx, tables, done, names)
                shown |= {"ItemCollectionMetrics": sizes} if sizes else {}
            taken = zip(tables, (one.total for one in done), strict=True)
            for name, amount in usages(WRITES, taken).items():
                tx.meter(name, amount)
            if token:
                await remember(ctx, tx, token, digest, shown)
        watches.settle()
        count_all(
            ctx,
            ((table, one.units, one.indexes) for table, one in zip(tables, done, strict=True)),
        )
        return shown  # type: ignore[return-value]

    async def transact_get_items(
        self, ctx: Context, req: w.TransactGetItemsInput
    ) -> w.TransactGetItemsOutput:
        """Up to 100 items as they were at one moment: the store reads them all at once."""
        gets: list[Mapping[str, Any]] = [one["Get"] for one in req["TransactItems"]]
        reader = ctx.read()
        tables = [await usable_table(reader, ctx, one["TableName"]) for one in gets]
        refuse_strong(tables)
        paths = [projection_paths(one) for one in gets]
        rows = _rows(tables, gets)
        check_distinct(rows)
        watches = Watches(ctx)
        keys: list[Item] = [one["Key"] for one in gets]
        admit_all(watches, tables, keys, ctx.operation)
        responses: list[dict[str, Any]] = []
        units: dict[str, tuple[Table, float]] = {}
        total = 0
        for table, shown_paths, raw, key in zip(
            tables, paths, await reader.raw.get_many(rows), keys, strict=True
        ):
            size, item = (0, None) if raw is None else decode_sized(raw)
            total += size
            more = read_units(size, consistent=True, transactional=True)
            units[table.arn] = (table, units.get(table.arn, (table, 0.0))[1] + more)
            watches.read(table, more, key)
            if item is None:
                responses.append({})
            else:
                found = item if shown_paths is None else project(item, shown_paths)
                responses.append({"Item": found})
        watches.settle()
        for name, amount in usages(READS, units.values()).items():
            reader.meter(name, amount)
        for table, amount in units.values():
            count_units(ctx, READ, table, amount)
        if total > limits.TRANSACT_BYTES_MAX:
            raise ValidationException(TOO_LARGE)
        shown: dict[str, Any] = {"Responses": responses}
        names = _names(tables, gets)
        capacities = [
            consumed(req, table, amount, kind="Read", name=names[table.arn])
            for table, amount in units.values()
        ]
        if any(capacities):
            shown["ConsumedCapacity"] = capacities
        return shown  # type: ignore[return-value]


async def known_answer(ctx: Context, tx: Tx, token: str, digest: str) -> dict[str, Any] | None:
    """What a transaction of this token has answered. Raises where it was another one."""
    known = await tx.get(Token, ctx.account, ctx.region, token)
    if known is None or known.until <= ctx.now:
        return None
    if known.digest != digest:
        raise IdempotentParameterMismatchException()
    return known.answer


async def remember(
    ctx: Context,
    tx: Tx,
    token: str,
    digest: str,
    answer: dict[str, Any],
    life: timedelta = limits.TOKEN_LIFE,
) -> None:
    """Keep a token for its time; whoever keeps the first sees to the sweeping."""
    until = ctx.now + life
    tx.put(
        Token(
            account=ctx.account, region=ctx.region, token=token, digest=digest, until=until,
            answer=answer,
        )
    )  # fmt: skip
    key = f"{ctx.account}/{ctx.region}"
    if await tx.get(Job, FORGET, key) is None:
        await tx.schedule(until, FORGET, key)


def _rows(tables: list[Table], gets: list[Mapping[str, Any]]) -> list[bytes]:
    """The rows to read; raise with every part's reason if one has no key of its table."""
    rows: list[bytes] = []
    reasons: list[dict[str, Any]] = []
    for table, one in zip(tables, gets, strict=True):
        try:
            rows.append(row_of_key(table, one["Key"]))
            reasons.append({"Code": "None"})
        except ValidationException as error:
            reasons.append({"Code": "ValidationError", "Message": error.message})
    if len(rows) < len(gets):
        raise cancelled(reasons)
    return rows


def _part(entry: Mapping[str, Any]) -> tuple[Mapping[str, Any], Change]:
    given = [kind for kind in _KINDS if kind in entry]
    if len(given) != 1:
        raise ValidationException(
            "TransactItems can only contain one of Check, Put, Update or Delete"
        )
    kind = given[0]
    change = _KINDS[kind](entry[kind])
    change.transactional = True
    return entry[kind], change


def row_of(table: Table, change: Change) -> bytes | None:
    """The row of a part; none where it has no key of its table, which it says when it is applied."""
    try:
        return change.row(table)
    except ValidationException:
        return None


def check_distinct(rows: Iterable[bytes | None]) -> None:
    """Raise where two parts name one item."""
    named = [row for row in rows if row is not None]
    if len(set(named)) < len(named):
        raise ValidationException(
            "Transaction request cannot include multiple operations on one item"
        )


async def apply_all(
    tx: Tx, tables: list[Table], changes: list[Change], watches: Watches
) -> list[Done]:
    """Do all parts; raise with every part's reason if one cannot be done."""
    done: list[Done] = []
    reasons: list[dict[str, Any]] = []
    for table, change in zip(tables, changes, strict=True):
        try:
            done.append(await change.apply(tx, table, watches))
            reasons.append({"Code": "None"})
        except ThrottledError as error:
            reasons.append({"Code": error.reason, "Message": error.message})
        except ConditionalCheckFailedException as error:
            reason = {"Code": "ConditionalCheckFailed", "Message": error.message, **error.fields}
            reasons.append(reason)
        except DuplicateItemException as error:
            reasons.append({"Code": "DuplicateItem", "Message": error.message})
        except ItemCollectionSizeLimitExceededException as error:
            code = "ItemCollectionSizeLimitExceeded"
            reasons.append({"Code": code, "Message": error.message})
        except ValidationException as error:
            reasons.append({"Code": "ValidationError", "Message": error.message})
    if any(reason["Code"] != "None" for reason in reasons):
        watches.count_cancelled(tx.context.operation, reasons)
        raise cancelled(reasons)
    total = sum(one.size for one in done)
    if total > limits.TRANSACT_BYTES_MAX:
        raise ValidationException(TOO_LARGE)
    return done


def admit_all(
    watches: Watches, tables: Sequence[Table], keys: Sequence[Item], operation: str
) -> None:
    """Raise with the reason of every part of a transaction that reads, if one has to wait."""
    reasons: list[dict[str, Any]] = []
    for table, key in zip(tables, keys, strict=True):
        watch = watches.of(table)
        try:
            if watch is not None:
                watch.admit(READ_UNITS, None, key)
            reasons.append({"Code": "None"})
        except ThrottledError as error:
            reasons.append({"Code": error.reason, "Message": error.message})
    if any(reason["Code"] != "None" for reason in reasons):
        watches.count_cancelled(operation, reasons)
        raise cancelled(reasons)


def cancelled(reasons: list[dict[str, Any]]) -> AwsError:
    """The error of a transaction that was not done."""
    codes = ", ".join(reason["Code"] for reason in reasons)
    return TransactionCanceledException(
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        CancellationReasons=reasons,
    )


def _names(tables: list[Table], parts: list[Mapping[str, Any]]) -> dict[str, str]:
    """What a transaction calls its tables: by their names or their ARNs."""
    return {table.arn: one["TableName"] for table, one in zip(tables, parts, strict=True)}


def _answer(
    req: Mapping[str, Any], tables: list[Table], done: list[Done], names: Mapping[str, str]
) -> dict[str, Any]:
    units: dict[str, tuple[Table, float, dict[str, float]]] = {}
    for table, one in zip(tables, done, strict=True):
        _, before, indexes = units.get(table.arn, (table, 0.0, {}))
        for name, more in one.indexes.items():
            indexes[name] = indexes.get(name, 0.0) + more
        units[table.arn] = (table, before + one.units, indexes)
    shown: dict[str, Any] = {}
    capacities = [
        consumed(req, table, amount, indexes, kind="Write", name=names[table.arn])
        for table, amount, indexes in units.values()
    ]
    if any(capacities):
        shown["ConsumedCapacity"] = capacities
    return shown


async def _sizes(
    tx: Tx, tables: list[Table], done: list[Done], names: Mapping[str, str]
) -> dict[str, list[dict[str, Any]]]:
    """How large the collections of what was changed are, by what the transaction calls the tables."""
    found: dict[str, list[dict[str, Any]]] = {}
    for table in {table.arn: table for table in tables}.values():
        mine = [one for of, one in zip(tables, done, strict=True) if of.arn == table.arn]
        sizes = await metrics(tx, table, [one.new or one.old for one in mine])
        if sizes:
            found[names[table.arn]] = sizes
    return found
