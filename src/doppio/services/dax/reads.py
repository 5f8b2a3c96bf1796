"""The reads that clients send: from the wire, through the caches, onto the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.services.dax import expressions
from doppio.services.dax.answering import (
    Answers,
    capacities,
    capacities_by_number,
    put_projected,
)
from doppio.services.dax.calls import Call
from doppio.services.dax.cbor import BadWire, put_bytes, put_head, put_null, put_text
from doppio.services.dax.engine import Engine, Wanted
from doppio.services.dax.expressions import Path, Placeholders
from doppio.services.dax.items import Schema, key_bytes, read_key
from doppio.services.dax.options import INDEX, Options, array, blob, table_map, text


async def get_item(engine: Engine, call: Call, args: list[Any], raw: bytes) -> bytes:
    """GetItem."""
    await call.allow("GetItem")
    table, options = text(args[0]), Options(args[2])
    schema = await engine.schema(call, table)
    req = {"TableName": table, "Key": read_key(blob(args[1]), schema), **options.words()}
    asked = options.places.into(options.projection())
    result = await engine.get_item(call, req, schema, asked)
    return await Answers(engine, call).one(result, schema, options.paths)


async def query(engine: Engine, call: Call, args: list[Any], raw: bytes) -> bytes:
    """Query."""
    await call.allow("Query")
    options = Options(args[2])
    condition = None
    if args[1] is not None:
        condition = expressions.condition(blob(args[1]), options.places)
    return await _many(engine, call, "query", raw, (text(args[0]), options, condition))


async def scan(engine: Engine, call: Call, args: list[Any], raw: bytes) -> bytes:
    """Scan."""
    await call.allow("Scan")
    return await _many(engine, call, "scan", raw, (text(args[0]), Options(args[1]), None))


async def _many(
    engine: Engine, call: Call, method: str, raw: bytes, asked: tuple[str, Options, str | None]
) -> bytes:
    table, options, condition = asked
    schema = await engine.schema(call, table)
    req = {"TableName": table, **options.request(schema), **options.projection()}
    if condition is not None:
        req["KeyConditionExpression"] = condition
    options.places.into(req)
    answers, index = Answers(engine, call), INDEX in options.given

    async def answer(result: Mapping[str, Any]) -> bytes:
        return await answers.many(result, schema, options.paths, index)

    return await engine.many(call, method, raw, req, answer)


async def batch_get_item(engine: Engine, call: Call, args: list[Any], raw: bytes) -> bytes:
    """BatchGetItem."""
    await call.allow("BatchGetItem")
    options = Options(args[1])
    tables: dict[str, Wanted] = {}
    paths: dict[str, list[Path] | None] = {}
    for table, given in table_map(args[0]).items():
        if len(array(given)) != 3:
            raise BadWire("no keys of a table")
        consistent, projected, keys = given
        schema = await engine.schema(call, table)
        places = Placeholders()
        asked: dict[str, Any] = {}
        paths[table] = None
        if projected is not None:
            found = paths[table] = expressions.projection(blob(projected))
            # The items must be told apart, whatever is wanted of them.
            whole = [*found, *((name,) for name, _ in schema if (name,) not in found)]
            asked = places.into({"ProjectionExpression": expressions.asked(whole, places)})
        listed = [read_key(blob(one), schema) for one in array(keys)]
        tables[table] = Wanted(listed, schema, bool(consistent), asked)
    result = await engine.batch_get_item(call, tables, options.words())
    answers = Answers(engine, call)
    out = bytearray()
    put_head(out, 4, 2)
    put_head(out, 5, len(result["Responses"]))
    for table, items in result["Responses"].items():
        put_text(out, table)
        schema, wanted = tables[table].schema, paths[table]
        put_head(out, 4, len(items) * (1 if wanted is not None else 2))
        for item in items:
            if wanted is not None:
                put_projected(out, item, wanted)
            else:
                put_bytes(out, key_bytes(item, schema))
                await answers.values(out, item, schema)
    left = result.get("UnprocessedKeys", {})
    put_head(out, 5, len(left))
    for table, unread in left.items():
        put_text(out, table)
        put_head(out, 4, len(unread["Keys"]))
        for key in unread["Keys"]:
            put_bytes(out, key_bytes(key, tables[table].schema))
    out += capacities(result.get("ConsumedCapacity", ()))
    return bytes(out)


async def transact_get_items(engine: Engine, call: Call, args: list[Any], raw: bytes) -> bytes:
    """TransactGetItems: passes through; each item must be allowed."""
    await call.allow("GetItem", "TransactGetItems")
    names, keys = [text(one) for one in array(args[0])], array(args[1])
    projections = array(args[2]) if args[2] is not None else [None] * len(names)
    if not len(names) == len(keys) == len(projections):
        raise BadWire("no items of a transaction")
    gets: list[dict[str, Any]] = []
    paths: list[list[Path] | None] = []
    schemas: list[Schema] = []
    for table, key, projected in zip(names, keys, projections, strict=True):
        schema = await engine.schema(call, table)
        get: dict[str, Any] = {"TableName": table, "Key": read_key(blob(key), schema)}
        wanted = None
        if projected is not None:
            wanted, places = expressions.projection(blob(projected)), Placeholders()
            get["ProjectionExpression"] = expressions.asked(wanted, places)
            places.into(get)
        gets.append({"Get": get})
        paths.append(wanted)
        schemas.append(schema)
    req = {"TransactItems": gets, **Options(args[3]).words()}
    result = await call.dynamodb("transact_get_items", req)
    answers = Answers(engine, call)
    out = bytearray()
    put_head(out, 4, 2)
    put_head(out, 4, len(result["Responses"]))
    for response, wanted, schema in zip(result["Responses"], paths, schemas, strict=True):
        item = response.get("Item")
        if item is None:
            put_null(out)
        elif wanted is not None:
            put_projected(out, item, wanted)
        else:
            await answers.values(out, item, schema)
    out += capacities_by_number(result.get("ConsumedCapacity", ()))
    return bytes(out)
