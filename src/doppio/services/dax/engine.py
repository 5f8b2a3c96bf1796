"""A cluster at work: what the caches know, and DynamoDB for the rest.

Reads that may be eventually consistent are answered from the caches; strongly consistent ones and
transactions pass through, and nothing of them is remembered. Writes go to DynamoDB first and then
into the item cache, so who writes by DAX reads what was written. What is written past DAX is seen
when an entry expires, as in AWS.

All nodes of a cluster share what is remembered: AWS's nodes tell each other, which takes a moment.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from doppio.services.dax import limits
from doppio.services.dax.caches import MISSING, Cache
from doppio.services.dax.calls import Call
from doppio.services.dax.items import Schema, content_bytes, identity
from doppio.services.dax.lists import Lists
from doppio.wire.errors import AwsError, ValidationError

Item = Mapping[str, Any]
Answer = Callable[[Mapping[str, Any]], Awaitable[bytes]]
_CAPACITY = "ConsumedCapacity"


class Wanted(NamedTuple):
    """What a batch wants of one table: whole items by key, or `asked`, which is a projection."""

    keys: Sequence[Item]
    schema: Schema
    consistent: bool
    asked: Mapping[str, Any]


class Engine:
    """One cluster's caches, in this process. `key` is its record's, `uid` its own."""

    def __init__(self, key: tuple[str, ...], uid: str, bytes_max: int) -> None:
        self.key = key
        self.uid = uid
        self.cache = Cache(bytes_max)
        self.lists = Lists(key, uid)
        self._schemas: OrderedDict[str, tuple[Schema, datetime]] = OrderedDict()

    async def schema(self, call: Call, table: str) -> Schema:
        """The key of a table: names and types. Raises ResourceNotFoundException."""
        now = call.ctx.now
        known = self._schemas.get(table)
        if known is not None and not now < known[1] <= now + limits.SCHEMA_KNOWN_FOR:
            known = None
        if known is not None:
            return known[0]
        described = (await call.dynamodb("describe_table", {"TableName": table}))["Table"]
        types = {
            one["AttributeName"]: one["AttributeType"] for one in described["AttributeDefinitions"]
        }
        ordered = sorted(described["KeySchema"], key=lambda one: one["KeyType"] != "HASH")
        schema = tuple((one["AttributeName"], types[one["AttributeName"]]) for one in ordered)
        self._schemas[table] = schema, now + limits.SCHEMA_KNOWN_FOR
        if len(self._schemas) > limits.SCHEMAS_KNOWN_MAX:
            self._schemas.popitem(last=False)
        return schema

    # Reads.

    async def get_item(
        self, call: Call, req: Mapping[str, Any], schema: Schema, asked: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """GetItem; `asked` is the projection, for those that pass through."""
        if req.get("ConsistentRead"):
            result: Mapping[str, Any] = await call.dynamodb("get_item", {**req, **asked})
            return result
        key = _item_key(req["TableName"], req["Key"], schema)
        found = self.cache.get(key, call.ctx.now, call.item_ttl)
        if found is not MISSING:
            call.count("ItemCacheHits")
            return {} if found is None else {"Item": found}
        call.count("ItemCacheMisses")
        reading = self.cache.begin_read([key])
        try:
            result = await call.dynamodb("get_item", req)
        finally:
            self.cache.end_read(reading)
        if key not in reading.stale:
            self._remember(call, key, result.get("Item"))
        return result

    async def batch_get_item(
        self, call: Call, tables: Mapping[str, Wanted], more: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """BatchGetItem: what is remembered, and the rest by one call to DynamoDB."""
        if sum(len(one.keys) for one in tables.values()) > limits.BATCH_GET_KEYS_MAX:
            raise ValidationError("Too many items requested for the BatchGetItem call")
        responses: dict[str, list[Item]] = {}
        missing: dict[str, dict[str, Any]] = {}
        looked_up: dict[Hashable, Item] = {}
        for table, wanted in tables.items():
            responses[table] = []
            left: list[Item] = []
            for one in wanted.keys:
                key = _item_key(table, one, wanted.schema)
                found: Any = MISSING
                if not wanted.consistent:
                    found = self.cache.get(key, call.ctx.now, call.item_ttl)
                    call.count("ItemCacheMisses" if found is MISSING else "ItemCacheHits")
                if found is MISSING:
                    left.append(one)
                    if not wanted.consistent:
                        looked_up[key] = one
                elif found is not None:
                    responses[table].append(found)
            if left:
                asked = wanted.asked if wanted.consistent else {}
                missing[table] = {
                    "Keys": left, "ConsistentRead": wanted.consistent, **asked,
                }  # fmt: skip
        if not missing:
            return {"Responses": responses}
        reading = self.cache.begin_read(list(looked_up))
        try:
            result = await call.dynamodb("batch_get_item", {"RequestItems": missing, **more})
        finally:
            self.cache.end_read(reading)
        unanswered = {
            _item_key(table, one, tables[table].schema)
            for table, left in result.get("UnprocessedKeys", {}).items()
            for one in left["Keys"]
        }
        items: dict[Hashable, Item] = {}
        for table, found_items in result.get("Responses", {}).items():
            responses[table] += found_items
            if not tables[table].consistent:
                for item in found_items:
                    items[_item_key(table, item, tables[table].schema)] = item
        for key in looked_up:
            if key not in unanswered and key not in reading.stale:
                self._remember(call, key, items.get(key))
        return {**result, "Responses": responses}

    async def many(
        self, call: Call, method: str, raw: bytes, req: Mapping[str, Any], answer: Answer
    ) -> bytes:
        """Query or Scan: the answer to just this question (`raw`), as it once went over the wire."""
        if req.get("ConsistentRead"):
            return await answer(await call.dynamodb(method, req))
        word = "Query" if method == "query" else "Scan"
        key = (method, raw)
        found = self.cache.get(key, call.ctx.now, call.query_ttl)
        if found is not MISSING:
            call.count(f"{word}CacheHits")
            remembered: bytes = found
            return remembered
        call.count(f"{word}CacheMisses")
        result = await call.dynamodb(method, req)
        # What it cost to ask is told to who asked, and to nobody after.
        bare = await answer({name: one for name, one in result.items() if name != _CAPACITY})
        evicted = self.cache.put(key, bare, len(bare) + len(raw), call.ctx.now)
        call.count("EvictedSize", evicted)
        return await answer(result) if _CAPACITY in result else bare

    # Writes.

    async def put_item(
        self, call: Call, req: Mapping[str, Any], schema: Schema
    ) -> Mapping[str, Any]:
        """PutItem, and then the item is remembered."""
        key = _item_key(req["TableName"], req["Item"], schema)
        return await self._write(call, "put_item", req, {key: req["Item"]})

    async def delete_item(
        self, call: Call, req: Mapping[str, Any], schema: Schema
    ) -> Mapping[str, Any]:
        """DeleteItem, and then it is remembered that there is none."""
        key = _item_key(req["TableName"], req["Key"], schema)
        return await self._write(call, "delete_item", req, {key: None})

    async def update_item(
        self, call: Call, req: Mapping[str, Any], schema: Schema
    ) -> Mapping[str, Any]:
        """UpdateItem; what it made of the item is remembered, unless the sender asks for less."""
        key = _item_key(req["TableName"], req["Key"], schema)
        wanted = req.get("ReturnValues", "NONE")
        if wanted not in {"NONE", "ALL_NEW"}:
            return await self._write(call, "update_item", req, {key: MISSING})
        whole = {**req, "ReturnValues": "ALL_NEW"}
        result, alone = await self._written(call, "update_item", whole, [key])
        if alone and "Attributes" in result:
            self._remember(call, key, result["Attributes"])
        if wanted == "NONE":
            return {name: one for name, one in result.items() if name != "Attributes"}
        return result

    async def batch_write_item(
        self,
        call: Call,
        tables: Mapping[str, Sequence[Mapping[str, Any]]],
        schemas: Mapping[str, Schema],
        more: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        """BatchWriteItem, and then what was written is remembered."""
        entries: dict[Hashable, Item | None] = {}
        for table, requests in tables.items():
            for one in requests:
                item = one["PutRequest"]["Item"] if "PutRequest" in one else None
                key = item if item is not None else one["DeleteRequest"]["Key"]
                entries[_item_key(table, key, schemas[table])] = item
        req = {"RequestItems": tables, **more}
        result, alone = await self._written(call, "batch_write_item", req, list(entries))
        for table, requests in result.get("UnprocessedItems", {}).items():
            for one in requests:
                left = one["PutRequest"]["Item"] if "PutRequest" in one else None
                left = left if left is not None else one["DeleteRequest"]["Key"]
                alone.discard(_item_key(table, left, schemas[table]))
        for key_ in alone:
            self._remember(call, key_, entries[key_])
        return result

    async def transact_write_items(
        self, call: Call, req: Mapping[str, Any], keys: Sequence[tuple[str, Item, Schema]]
    ) -> Mapping[str, Any]:
        """TransactWriteItems; what it touches is forgotten.

        A transaction may be one that was done long ago, by its token: what it once wrote is not
        what is there.
        """
        entries = dict.fromkeys((_item_key(*one) for one in keys), MISSING)
        return await self._write(call, "transact_write_items", req, entries)

    async def _write(
        self,
        call: Call,
        method: str,
        req: Mapping[str, Any],
        entries: Mapping[Hashable, Any],
    ) -> Mapping[str, Any]:
        """Write, and remember what is known of each key then; MISSING: nothing is."""
        result, alone = await self._written(call, method, req, list(entries))
        for key in alone:
            if entries[key] is not MISSING:
                self._remember(call, key, entries[key])
        return result

    async def _written(
        self, call: Call, method: str, req: Mapping[str, Any], keys: Sequence[Hashable]
    ) -> tuple[Mapping[str, Any], set[Hashable]]:
        """Write; the result, and which keys nobody else wrote meanwhile."""
        # Unless it is refused: an answer that is lost may still have been written.
        changed = True
        self.cache.begin_write(keys)
        try:
            result: Mapping[str, Any] = await call.dynamodb(method, req)
        except AwsError as error:
            changed = error.status >= 500
            raise
        finally:
            alone = self.cache.end_write(keys, changed=changed)
        return result, alone

    def _remember(self, call: Call, key: Hashable, item: Item | None) -> None:
        evicted = self.cache.put(key, item, content_bytes(item), call.ctx.now)
        call.count("EvictedSize", evicted)


def _item_key(table: str, item: Item, schema: Schema) -> Hashable:
    return ("item", table, identity(item, schema))
