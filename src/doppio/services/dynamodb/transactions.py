"""DynamoDB transactions: all of it or nothing, in one commit of the store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context, Tx
from doppio.services.dynamodb import limits
from doppio.services.dynamodb.access import encode_item, item_row, read_item, usable_table
from doppio.services.dynamodb.capacity import consumed, read_units
from doppio.services.dynamodb.errors import (
    ConditionalCheckFailedException,
    IdempotentParameterMismatchException,
    TransactionCanceledException,
    ValidationException,
)
from doppio.services.dynamodb.expressions.paths import project
from doppio.services.dynamodb.item_keys import checked_key
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
from doppio.services.dynamodb.records import Table, Token
from doppio.services.dynamodb.values import checked_item, size_of
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio._stubs import dynamodb as w

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
        _check_count(entries)
        parts = [_part(entry) for entry in entries]
        token = req.get("ClientRequestToken")
        digest = hashlib.sha256(encode_item({"items": entries})).hexdigest() if token else ""
        async with ctx.write() as tx:
            if token:
                known = await tx.get(Token, ctx.account, ctx.region, token)
                if known is not None and known.until > ctx.now:
                    if known.digest != digest:
                        raise IdempotentParameterMismatchException()
                    return known.answer  # type: ignore[return-value]
            tables = [await usable_table(tx, ctx, one["TableName"]) for _, one, _ in parts]
            changes = [change for _, _, change in parts]
            _check_distinct(tables, changes)
            done = await _apply(tx, tables, changes)
            shown = _answer(req, tables, done)
            tx.meter(WRITES, sum(one.units for one in done))
            if token:
                until = ctx.now + limits.TOKEN_LIFE
                tx.put(
                    Token(
                        account=ctx.account, region=ctx.region, token=token, digest=digest,
                        until=until, answer=shown,
                    )
                )  # fmt: skip
        return shown  # type: ignore[return-value]

    async def transact_get_items(
        self, ctx: Context, req: w.TransactGetItemsInput
    ) -> w.TransactGetItemsOutput:
        """Up to 100 items as they were at one moment."""
        entries: list[Mapping[str, Any]] = req["TransactItems"]  # type: ignore[assignment]
        _check_count(entries)
        responses: list[dict[str, Any]] = []
        units: dict[str, tuple[Table, float]] = {}
        # A transaction, so that the store checks that nothing changed between the first and last.
        async with ctx.write() as tx:
            for entry in entries:
                one = entry["Get"]
                table = await usable_table(tx, ctx, one["TableName"])
                checked_item(one["Key"])
                checked_key(table, one["Key"])
                paths = projection_paths(one)
                item = await read_item(tx, item_row(table, one["Key"]))
                if item is None:
                    responses.append({})
                else:
                    responses.append({"Item": item if paths is None else project(item, paths)})
                size = 0 if item is None else size_of(item)
                more = read_units(size, consistent=True, transactional=True)
                units[table.name] = (table, units.get(table.name, (table, 0.0))[1] + more)
            total = sum(amount for _, amount in units.values())
        ctx.read().meter(READS, total)
        shown: dict[str, Any] = {"Responses": responses}
        capacities = [consumed(req, table, amount, kind="Read") for table, amount in units.values()]
        if any(capacities):
            shown["ConsumedCapacity"] = capacities
        return shown  # type: ignore[return-value]


def _check_count(entries: list[Mapping[str, Any]]) -> None:
    if len(entries) > limits.TRANSACT_MAX:
        raise ValidationException(
            "1 validation error detected: Value at 'transactItems' failed to satisfy constraint: "
            f"Member must have length less than or equal to {limits.TRANSACT_MAX}"
        )


def _part(entry: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], Change]:
    given = [kind for kind in _KINDS if kind in entry]
    if len(given) != 1:
        raise ValidationException(
            "TransactItems can only contain one of Check, Put, Update or Delete"
        )
    kind = given[0]
    change = _KINDS[kind](entry[kind])
    change.transactional = True
    return kind, entry[kind], change


def _check_distinct(tables: list[Table], changes: list[Change]) -> None:
    rows = set()
    for table, change in zip(tables, changes, strict=True):
        row = change.row(table)
        if row in rows:
            raise ValidationException(
                "Transaction request cannot include multiple operations on one item"
            )
        rows.add(row)


async def _apply(tx: Tx, tables: list[Table], changes: list[Change]) -> list[Done]:
    """Do all parts; raise with every part's reason if one cannot be done."""
    done: list[Done] = []
    reasons: list[dict[str, Any]] = []
    for table, change in zip(tables, changes, strict=True):
        try:
            done.append(await change.apply(tx, table))
            reasons.append({"Code": "None"})
        except ConditionalCheckFailedException as error:
            reason = {"Code": "ConditionalCheckFailed", "Message": error.message, **error.fields}
            reasons.append(reason)
        except ValidationException as error:
            reasons.append({"Code": "ValidationError", "Message": error.message})
    if any(reason["Code"] != "None" for reason in reasons):
        raise cancelled(reasons)
    total = sum(size_of(one.new) for one in done if one.new is not None)
    if total > limits.TRANSACT_BYTES_MAX:
        raise ValidationException("Transaction size cannot exceed 4194304 bytes")
    return done


def cancelled(reasons: list[dict[str, Any]]) -> AwsError:
    """The error of a transaction that was not done."""
    codes = ", ".join(reason["Code"] for reason in reasons)
    return TransactionCanceledException(
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        CancellationReasons=reasons,
    )


def _answer(req: Mapping[str, Any], tables: list[Table], done: list[Done]) -> dict[str, Any]:
    units: dict[str, tuple[Table, float, dict[str, float]]] = {}
    for table, one in zip(tables, done, strict=True):
        _, before, indexes = units.get(table.name, (table, 0.0, {}))
        for name, more in one.indexes.items():
            indexes[name] = indexes.get(name, 0.0) + 2 * more
        units[table.name] = (table, before + one.units, indexes)
    shown: dict[str, Any] = {}
    capacities = [
        consumed(req, table, amount, indexes, kind="Write")
        for table, amount, indexes in units.values()
    ]
    if any(capacities):
        shown["ConsumedCapacity"] = capacities
    return shown
