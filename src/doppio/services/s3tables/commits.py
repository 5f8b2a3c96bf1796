"""Iceberg's commits: metadata is read, changed as the client asks, written anew and pointed to.

All of it as the caller: who commits reads and writes the table's data, and moves its pointer. A commit
that loses against another is tried again on what that has left, as far as its requirements hold there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.services.s3tables import iceberg
from doppio.services.s3tables.errors import BadRequest, Stale, no_table
from doppio.services.s3tables.files import as_maintenance, read_metadata, write_metadata
from doppio.services.s3tables.limits import COMMIT_TRIES_MAX
from doppio.services.s3tables.lookup import table_by_arn, table_of, warehouse_of
from doppio.services.s3tables.permissions import on_table
from doppio.services.s3tables.records import Table

_NUMBER = re.compile(r"/(\d+)-[^/]*$")
_SCHEMA = {"type": "type", "identifier-field-ids": "identifierFieldIds", "schema-id": "schemaId"}
_PARTITION = {
    "source-id": "sourceId",
    "field-id": "fieldId",
    "transform": "transform",
    "name": "name",
}
_SORT = {
    "source-id": "sourceId", "transform": "transform", "direction": "direction",
    "null-order": "nullOrder",
}  # fmt: skip


def described(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a client says of a new table in Iceberg's words, in those of CreateTable."""
    schema = body.get("schema")
    if not isinstance(schema, dict) or not isinstance(schema.get("fields"), list):
        raise BadRequest("A schema must be specified.")
    found: dict[str, Any] = {
        "schemaV2": {**_renamed(schema, _SCHEMA), "fields": schema["fields"]},
        "properties": {name: str(text) for name, text in (body.get("properties") or {}).items()},
    }
    fields = (body.get("partition-spec") or {}).get("fields") or []
    if fields:
        found["partitionSpec"] = {"fields": [_renamed(one, _PARTITION) for one in fields]}
    order = body.get("write-order") or {}
    if order.get("fields"):
        found["writeOrder"] = {
            "orderId": order.get("order-id", 1),
            "fields": [_renamed(one, _SORT) for one in order["fields"]],
        }
    return found


async def made(ctx: Context, arn: str) -> dict[str, Any]:
    """A table that the caller has just made, and need not be allowed to read."""
    table = await table_by_arn(ctx.read(), arn)
    if table is None:
        raise no_table()
    return _shown(table, await read_metadata(as_maintenance(ctx, table), table))


async def load(ctx: Context, named: Mapping[str, Any]) -> dict[str, Any]:
    """A table with its metadata, for who may ask where that is and may read it."""
    await ctx.call("s3tables", "get_table_metadata_location", named)
    _, table = await table_of(ctx.read(), named)
    return _shown(table, await _metadata(ctx, table))


async def commit(ctx: Context, named: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """Change a table's metadata. Raises ConflictException where a requirement does not hold."""
    requirements, updates = body.get("requirements") or [], body.get("updates") or []
    for tries in range(COMMIT_TRIES_MAX):
        table = await _committable(ctx, named)
        raw = await _metadata(ctx, table)
        try:
            location, text = await apply(ctx, table, raw, requirements, updates)
        except Stale:
            if tries + 1 == COMMIT_TRIES_MAX:
                raise
            continue
        return {"metadata-location": location, "metadata": json.loads(text)}
    raise AssertionError("unreachable")


async def apply(
    ctx: Context,
    table: Table,
    raw: bytes,
    requirements: Sequence[Mapping[str, Any]],
    updates: Sequence[Mapping[str, Any]],
    *,
    stamped: bool = False,
) -> tuple[str, bytes]:
    """Change a table whose metadata is `raw`: where its new metadata is, and that itself.

    With `stamped`, new snapshots are of the cloud's time: a client's bear the client's. Raises
    ConflictException where a requirement does not hold, and `Stale` where another commit was first.
    """
    now_ms = int(ctx.now.timestamp() * 1000)
    if stamped:
        updates = [_stamped(one, now_ms) for one in updates]
    text = await iceberg.beside(iceberg.changed, raw, requirements, updates, table.location, now_ms)
    _check_location(text, table)
    location = await write_metadata(ctx, table, _number(table) + 1, text)
    asked = {
        "tableBucketARN": table.bucket_arn,
        "namespace": table.namespace,
        "name": table.name,
        "versionToken": table.token,
        "metadataLocation": location,
    }
    await ctx.call("s3tables", "update_table_metadata_location", asked)
    return location, text


def _stamped(update: Mapping[str, Any], now_ms: int) -> Mapping[str, Any]:
    if update["action"] != "add-snapshot":
        return update
    return {**update, "snapshot": {**update["snapshot"], "timestamp-ms": now_ms}}


async def _committable(ctx: Context, named: Mapping[str, Any]) -> Table:
    """The table to be changed, for who may move its pointer: nothing is said of it to others."""
    _, table = await table_of(ctx.read(), named)
    await ctx.kernel.authorise(ctx, on_table(ctx, "UpdateTableMetadataLocation", table))
    return table


async def _metadata(ctx: Context, table: Table) -> bytes:
    if table.location is None:
        raise BadRequest("The table has no metadata.")
    return await read_metadata(ctx, table)


def _shown(table: Table, raw: bytes) -> dict[str, Any]:
    try:
        metadata = json.loads(iceberg.plain(raw))
    except ValueError as error:
        raise BadRequest("The metadata of the table is not valid.") from error
    return {"metadata-location": table.location, "metadata": metadata, "config": {}}


def _check_location(text: bytes, table: Table) -> None:
    location = json.loads(text)["location"]
    if location.rstrip("/") != f"s3://{warehouse_of(table)}":
        raise BadRequest("The location of a table cannot be changed.")


def _number(table: Table) -> int:
    """The number of a table's metadata, as the name of its file says it."""
    found = _NUMBER.search(table.location or "")
    return int(found[1]) if found is not None else 0


def _renamed(given: Any, names: Mapping[str, str]) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise BadRequest("The specified metadata is not valid.")
    return {ours: given[theirs] for theirs, ours in names.items() if given.get(theirs) is not None}
