"""The writes that clients send: from the wire to DynamoDB, into the cache, onto the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.services.dax import expressions
from doppio.services.dax.answering import (
    Answers,
    capacities,
    capacities_by_number,
    error_answer,
    metrics_by_table,
)
from doppio.services.dax.calls import Call
from doppio.services.dax.cbor import BadWire, Reader, put_bytes, put_head, put_null, put_text
from doppio.services.dax.engine import Engine
from doppio.services.dax.expressions import Placeholders
from doppio.services.dax.items import Schema, key_bytes, put_values, read_key, read_values
from doppio.services.dax.options import Options, array, blob, table_map, text
from doppio.wire.errors import AwsError, ValidationError

_PUT, _DELETE, _UPDATE, _CHECK = 2, 7, 9, 12
_TRANSACTED = {
    _PUT: ("Put", "PutItem"), _DELETE: ("Delete", "DeleteItem"),
    _UPDATE: ("Update", "UpdateItem"), _CHECK: ("ConditionCheck", "ConditionCheckItem"),
}  # fmt: skip
_TRANSACTION = "TransactWriteItems"
_ALL_OLD = 2


class Cancelled(Exception):
    """A transaction that DynamoDB has cancelled, as its client reads it."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer


async def put_item(engine: Engine, call: Call, args: list[Any], raw: bytes) -> bytes:
    """PutItem."""
    await call.allow("PutItem")
    table, options = text(args[0]), Options(args[3])
    schema = await engine.schema(call, table)
    item = await _item(engine, call, args[1], args[2], schema)
    req = options.places.into({"TableName": table, "Item": item, **options.request(schema)})
    result = await engine.put_item(call, req, schema)
    return await Answers(engine, call).written(result, schema, req.get("ReturnValues", ""))


async def delete_item(engine: Engine, call: Call, args: list[Any], raw: bytes) -> bytes:
    """DeleteItem."""
    await call.allow("DeleteItem")
    return await _by_key(engine, call, args, engine.delete_item)


async def update_item(engine: Engine, call: Call, args: list[Any], raw: bytes) -> bytes:
    """UpdateItem."""
    await call.allow("UpdateItem")
    return await _by_key(engine, call, args, engine.update_item)


async def _by_key(engine: Engine, call: Call, args: list[Any], write: Any) -> bytes:
    table, options = text(args[0]), Options(args[2])
    schema = await engine.schema(call, table)
    key = read_key(blob(args[1]), schema)
    req = options.places.into({"TableName": table, "Key": key, **options.request(schema)})
    result = await write(call, req, schema)
    return await Answers(engine, call).written(result, schema, req.get("ReturnValues", ""))


async def batch_write_item(engine: Engine, call: Call, args: list[Any], raw: bytes) -> bytes:
    """BatchWriteItem."""
    await call.allow("BatchWriteItem")
    tables: dict[str, list[dict[str, Any]]] = {}
    schemas: dict[str, Schema] = {}
    for table, given in table_map(args[0]).items():
        pairs = array(given)
        if len(pairs) % 2:
            raise BadWire("a key without a value")
        schema = schemas[table] = await engine.schema(call, table)
        requests: list[dict[str, Any]] = []
        for key, values in zip(pairs[::2], pairs[1::2], strict=True):
            if values is None:
                requests.append({"DeleteRequest": {"Key": read_key(blob(key), schema)}})
            else:
                made = await _item(engine, call, key, values, schema)
                requests.append({"PutRequest": {"Item": made}})
        tables[table] = requests
    result = await engine.batch_write_item(call, tables, schemas, Options(args[1]).words())
    answers, out = Answers(engine, call), bytearray()
    left = result.get("UnprocessedItems", {})
    put_head(out, 5, len(left))
    for table, unwritten in left.items():
        put_text(out, table)
        put_head(out, 4, len(unwritten) * 2)
        for one in unwritten:
            item = one["PutRequest"]["Item"] if "PutRequest" in one else None
            whole = item if item is not None else one["DeleteRequest"]["Key"]
            put_bytes(out, key_bytes(whole, schemas[table]))
            if item is None:
                put_null(out)
            else:
                await answers.values(out, item, schemas[table])
    out += capacities(result.get("ConsumedCapacity", ()))
    out += metrics_by_table(result.get("ItemCollectionMetrics", {}))
    return bytes(out)


async def transact_write_items(engine: Engine, call: Call, args: list[Any], raw: bytes) -> bytes:
    """TransactWriteItems: passes through; each part of it must be allowed."""
    operations, names = array(args[0]), [text(one) for one in array(args[1])]
    count = len(operations)
    columns = [array(one) if one is not None else [None] * count for one in args[2:8]]
    if len(names) != count or any(len(one) != count for one in columns):
        raise BadWire("no items of a transaction")
    keys, values, _, on_failure, conditions, updates = columns
    items: list[dict[str, Any]] = []
    touched: list[tuple[str, Mapping[str, Any], Schema]] = []
    for at, operation in enumerate(operations):
        if type(operation) is not int or operation not in _TRANSACTED:
            raise BadWire("no such operation")
        member, action = _TRANSACTED[operation]
        await call.allow(action, _TRANSACTION)
        schema = await engine.schema(call, names[at])
        part: dict[str, Any] = {"TableName": names[at]}
        key = read_key(blob(keys[at]), schema)
        if operation == _PUT:
            part["Item"] = await _item(engine, call, keys[at], values[at], schema)
        else:
            part["Key"] = key
        places = Placeholders()
        if conditions[at] is not None:
            part["ConditionExpression"] = expressions.condition(blob(conditions[at]), places)
        if updates[at] is not None:
            part["UpdateExpression"] = expressions.update(blob(updates[at]), places)
        if on_failure[at] == _ALL_OLD:
            part["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        items.append({member: places.into(part)})
        touched.append((names[at], key, schema))
    req = {"TransactItems": items, **Options(args[8]).words()}
    try:
        result = await engine.transact_write_items(call, req, touched)
    except AwsError as error:
        if "CancellationReasons" not in error.fields:
            raise
        raise Cancelled(await _cancelled(engine, call, error, touched)) from error
    out = bytearray()
    put_head(out, 4, 3)
    put_head(out, 4, 0)
    out += capacities_by_number(result.get("ConsumedCapacity", ()))
    out += metrics_by_table(result.get("ItemCollectionMetrics", {}))
    return bytes(out)


async def _cancelled(
    engine: Engine,
    call: Call,
    error: AwsError,
    touched: Sequence[tuple[str, Mapping[str, Any], Schema]],
) -> bytes:
    """The reasons, part by part: code, text, and the item as it was where that was wanted."""
    told: list[Any] = []
    for reason, (_, _, schema) in zip(error.fields["CancellationReasons"], touched, strict=False):
        inner: bytes | None = None
        if reason.get("Item"):
            out = bytearray()
            names = sorted(name for name in reason["Item"] if name not in dict(schema))
            number = await engine.lists.number(call.ctx, names)
            put_values(out, number, reason["Item"], names)
            # What `put_values` writes is a value already, and here it becomes one of a list.
            inner = blob(Reader(bytes(out)).value())
        told += [reason.get("Code"), reason.get("Message"), inner]
    return error_answer(error, call.ctx.request_id, told)


async def _item(
    engine: Engine, call: Call, key: Any, values: Any, schema: Schema
) -> dict[str, Any]:
    """A whole item: its key, and its attributes by the names of their list."""
    number, found = read_values(blob(values))
    names = await engine.lists.names(call.ctx, number)
    if len(names) != len(found):
        raise ValidationError("The item does not fit the list of its attributes' names.")
    return {**read_key(blob(key), schema), **dict(zip(names, found, strict=True))}
