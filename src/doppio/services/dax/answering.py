"""Answers onto the wire: results in the form in which each request's client reads them, and errors.

An answer is an empty list and then the result; or a list of numbers that says what went wrong, a
text, and what DynamoDB would have said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.services.dax.calls import Call
from doppio.services.dax.cbor import (
    put,
    put_bytes,
    put_float,
    put_head,
    put_int,
    put_null,
    put_text,
)
from doppio.services.dax.engine import Engine
from doppio.services.dax.expressions import Path, followed
from doppio.services.dax.items import (
    Schema,
    key_bytes,
    names_of,
    put_compound,
    put_value,
    put_values,
)
from doppio.wire.errors import AwsError

SUCCESS = b"\x80"
ITEM, CAPACITY, ATTRIBUTES, METRICS, ITEMS, COUNT, LAST_KEY, SCANNED = 0, 1, 2, 3, 7, 8, 9, 10
# Sources: the open clients' tables of errors.
_DYNAMODB = (4, 37, 38, 39)
_CODES: dict[str, tuple[int, ...]] = {
    "ProvisionedThroughputExceededException": (*_DYNAMODB, 40),
    "ResourceNotFoundException": (*_DYNAMODB, 41),
    "AccessDeniedException": (4, 37, 38, 42),
    "ConditionalCheckFailedException": (*_DYNAMODB, 43),
    "NotImplemented": (4, 37, 38, 44),
    "ResourceInUseException": (*_DYNAMODB, 45),
    "ValidationException": (*_DYNAMODB, 46),
    "InternalServerError": (*_DYNAMODB, 47),
    "ItemCollectionSizeLimitExceededException": (*_DYNAMODB, 48),
    "LimitExceededException": (*_DYNAMODB, 49),
    "ThrottlingException": (*_DYNAMODB, 50),
    "TransactionConflictException": (*_DYNAMODB, 57),
    "TransactionCanceledException": (*_DYNAMODB, 58),
    "TransactionInProgressException": (*_DYNAMODB, 59),
    "IdempotentParameterMismatchException": (*_DYNAMODB, 60),
    "RequestLimitExceeded": (*_DYNAMODB, 61),
    "UnrecognizedClientException": (4, 23, 31, 32),
    "InvalidSignatureException": (4, 23, 31, 32),
    "ExpiredTokenException": (4, 23, 31, 33),
    "MissingAuthenticationTokenException": (4, 23, 31, 33),
}
_OTHER = (*_DYNAMODB, 99)
# What the kernel calls errors that DynamoDB's protocol calls otherwise.
_RENAMED = {
    "AccessDenied": "AccessDeniedException", "InternalFailure": "InternalServerError",
    "ServiceUnavailable": "InternalServerError", "InvalidClientTokenId": "UnrecognizedClientException",
    "ExpiredToken": "ExpiredTokenException", "SignatureDoesNotMatch": "InvalidSignatureException",
}  # fmt: skip


def error_answer(error: AwsError, request_id: str, reasons: Sequence[Any] | None = None) -> bytes:
    """An error; `reasons` are those of a transaction: code, text and item of each part, in turn."""
    code = _RENAMED.get(error.code, error.code)
    out = bytearray()
    put(out, _CODES.get(code, _OTHER))
    put_text(out, error.message)
    told = [request_id, code, 500 if error.status >= 500 else 400]
    put(out, told if reasons is None else [*told, reasons])
    return bytes(out)


class Answers:
    """Writes the results of one request."""

    def __init__(self, engine: Engine, call: Call) -> None:
        self._engine = engine
        self._call = call

    async def values(self, out: bytearray, item: Mapping[str, Any], schema: Schema) -> None:
        """An item's attributes beside its key."""
        names = names_of(item, schema)
        number = await self._engine.lists.number(self._call.ctx, names)
        put_values(out, number, item, names)

    async def whole(self, out: bytearray, item: Mapping[str, Any], schema: Schema) -> None:
        """An item with its key, which nobody has named: as scans give it."""
        put_head(out, 4, 2)
        put_bytes(out, key_bytes(item, schema))
        await self.values(out, item, schema)

    async def one(
        self, result: Mapping[str, Any], schema: Schema, paths: Sequence[Path] | None
    ) -> bytes:
        """The answer to GetItem."""
        members: list[tuple[int, bytes]] = []
        if "Item" in result:
            out = bytearray()
            if paths is None:
                await self.values(out, result["Item"], schema)
            else:
                put_projected(out, result["Item"], paths)
            members.append((ITEM, bytes(out)))
        return _answer(members, result)

    async def written(self, result: Mapping[str, Any], schema: Schema, returned: str) -> bytes:
        """The answer to PutItem, DeleteItem and UpdateItem."""
        members: list[tuple[int, bytes]] = []
        if "Attributes" in result:
            out = bytearray()
            if returned.startswith("UPDATED"):
                await self._changed(out, result["Attributes"])
            else:
                await self.values(out, result["Attributes"], schema)
            members.append((ATTRIBUTES, bytes(out)))
        if "ItemCollectionMetrics" in result:
            members.append((METRICS, metrics(result["ItemCollectionMetrics"])))
        return _answer(members, result)

    async def many(
        self, result: Mapping[str, Any], schema: Schema, paths: Sequence[Path] | None, index: bool
    ) -> bytes:
        """The answer to Query and Scan."""
        members: list[tuple[int, bytes]] = []
        if "Items" in result:
            out = bytearray()
            put_head(out, 4, len(result["Items"]))
            for item in result["Items"]:
                if paths is None:
                    await self.whole(out, item, schema)
                else:
                    put_projected(out, item, paths)
            members.append((ITEMS, bytes(out)))
        for number, name in ((COUNT, "Count"), (SCANNED, "ScannedCount")):
            out = bytearray()
            put_int(out, result.get(name, 0))
            members.append((number, bytes(out)))
        last = result.get("LastEvaluatedKey")
        if last:
            out = bytearray()
            if index:
                put_compound(out, last)
            else:
                put_bytes(out, key_bytes(last, schema))
            members.append((LAST_KEY, bytes(out)))
        return _answer(members, result)

    async def _changed(self, out: bytearray, attributes: Mapping[str, Any]) -> None:
        """Those attributes that an update has touched, by their places in a list of names."""
        names = tuple(sorted(attributes))
        inner = bytearray()
        put_int(inner, await self._engine.lists.number(self._call.ctx, names))
        put_head(inner, 5, len(names))
        for place, name in enumerate(names):
            put_int(inner, place)
            put_value(inner, attributes[name])
        put_bytes(out, bytes(inner))


def put_projected(out: bytearray, item: Mapping[str, Any], paths: Sequence[Path]) -> None:
    """Of an item what a projection wants: the values by the places of their paths."""
    found = [(place, followed(item, path)) for place, path in enumerate(paths)]
    there = [(place, value) for place, value in found if value is not None]
    put_head(out, 5, len(there))
    for place, value in there:
        put_int(out, place)
        put_value(out, value)


def capacity(consumed: Mapping[str, Any]) -> bytes:
    """What an operation has used of a table and its indexes."""
    inner = bytearray()
    put_text(inner, consumed["TableName"])
    put_float(inner, float(consumed.get("CapacityUnits", 0)))
    of_table = consumed.get("Table")
    if of_table is None:
        put_null(inner)
    else:
        put_float(inner, float(of_table["CapacityUnits"]))
    for name in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        used = consumed.get(name)
        if used is None:
            put_null(inner)
            continue
        put(inner, {index: float(one["CapacityUnits"]) for index, one in used.items()})
    out = bytearray()
    put_bytes(out, bytes(inner))
    return bytes(out)


def capacities(consumed: Sequence[Mapping[str, Any]]) -> bytes:
    """What a batch has used."""
    out = bytearray()
    put_head(out, 4, len(consumed))
    for one in consumed:
        out += capacity(one)
    return bytes(out)


def capacities_by_number(consumed: Sequence[Mapping[str, Any]]) -> bytes:
    """What a transaction has used, whose clients read it by numbers."""
    out = bytearray()
    put(out, [_by_number(one) for one in consumed])
    return bytes(out)


_NUMBERS = {
    "CapacityUnits": 1, "ReadCapacityUnits": 2, "WriteCapacityUnits": 3, "TableName": 4,
    "Table": 5, "GlobalSecondaryIndexes": 6, "LocalSecondaryIndexes": 7,
}  # fmt: skip


def _by_number(one: Mapping[str, Any]) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for name, number in _NUMBERS.items():
        value = one.get(name)
        if value is None:
            continue
        if number < 4:
            value = float(value)
        elif number == 5:
            value = _by_number(value)
        elif number > 5:
            value = {index: _by_number(used) for index, used in value.items()}
        found[number] = value
    return found


def metrics(told: Mapping[str, Any]) -> bytes:
    """How large the items of one partition key are together."""
    inner = bytearray()
    (value,) = told["ItemCollectionKey"].values()
    put_value(inner, value)
    for bound in told["SizeEstimateRangeGB"]:
        put_float(inner, float(bound))
    out = bytearray()
    put_bytes(out, bytes(inner))
    return bytes(out)


def metrics_by_table(told: Mapping[str, Sequence[Mapping[str, Any]]]) -> bytes:
    """The same of several tables."""
    out = bytearray()
    put_head(out, 5, len(told))
    for table, listed in told.items():
        put_text(out, table)
        put_head(out, 4, len(listed))
        for one in listed:
            out += metrics(one)
    return bytes(out)


def _answer(members: list[tuple[int, bytes]], result: Mapping[str, Any]) -> bytes:
    consumed = result.get("ConsumedCapacity")
    if consumed is not None:
        members.append((CAPACITY, capacity(consumed)))
    out = bytearray()
    put_head(out, 5, len(members))
    for number, content in members:
        put_int(out, number)
        out += content
    return bytes(out)
