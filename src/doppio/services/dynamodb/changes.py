"""What UpdateTable makes of a table: billing, capacity and indexes; and what is refused as absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.services.dynamodb import schemas, sealing, streams, vector_indexes
from doppio.services.dynamodb.errors import (
    LimitExceededException,
    ResourceInUseException,
    ResourceNotFoundException,
    ValidationException,
)
from doppio.services.dynamodb.provisioning import at_most, turned, warm_of, warmed
from doppio.services.dynamodb.records import SecondaryIndex, Table, Throughput
from doppio.services.dynamodb.upkeep import BACKFILL, EMPTY
from doppio.wire.errors import NotImplementedByDoppio

# Settings that AWS acts on and this cloud does not yet: refused rather than only stored.
_ABSENT = {
    "VectorIndexOverride": "other vector indexes of a restored table",
    "GlobalTableSettingsReplicationMode": "replicas of other accounts",
    "GlobalTableSourceArn": "replicas of other accounts",
}


def check_absent(req: Mapping[str, Any]) -> None:
    """Raise NotImplementedByDoppio for settings that AWS acts on and this cloud does not yet."""
    for member, what in _ABSENT.items():
        if req.get(member) not in (None, [], ""):
            raise NotImplementedByDoppio(
                f"dynamodb: {what} ({member}) exist in AWS and not yet in this cloud"
            )


async def changed_table(ctx: Context, tx: Tx, table: Table, req: Mapping[str, Any]) -> Table:
    """The table as the request wants it; the work on its indexes is scheduled."""
    updates: list[Mapping[str, Any]] = req.get("GlobalSecondaryIndexUpdates", [])
    if any(len(update) != 1 for update in updates):
        raise ValidationException(
            f"{schemas.BAD}Only one global secondary index update per index is allowed "
            "simultaneously."
        )
    if sum("Update" not in update for update in updates) > 1:
        raise LimitExceededException(
            "Subscriber limit exceeded: Only 1 online index can be created or deleted "
            "simultaneously per table"
        )
    changed = _with_settings(ctx, table, req)
    if "StreamSpecification" in req:
        changed = await streams.switched(ctx, tx, changed, req["StreamSpecification"])
    if "SSESpecification" in req:
        changed = await sealing.switched(ctx, tx, changed, req["SSESpecification"])
    if req.get("VectorIndexUpdates"):
        changed = await vector_indexes.changed(ctx, tx, changed, req["VectorIndexUpdates"], EMPTY)
    for update in updates:
        [(action, given)] = update.items()
        if action == "Create":
            changed = await _with_new(ctx, tx, changed, given)
            continue
        index = changed.index(given["IndexName"])
        if index is None or not index.is_global:
            raise ResourceNotFoundException()
        if action == "Delete":
            changed = await _without(ctx, tx, changed, index)
        else:
            changed = _with_capacity(ctx, changed, index, given)
    _check_capacities(changed)
    return changed


def _with_settings(ctx: Context, table: Table, req: Mapping[str, Any]) -> Table:
    """The table with the request's settings of its own."""
    types = {**table.attributes, **schemas.attribute_types(req)}
    on_demand = table.on_demand
    if "BillingMode" in req:
        on_demand = req["BillingMode"] == "PAY_PER_REQUEST"
    bought, since, found = table.throughput, table.on_demand_since, table.indexes
    if on_demand:
        schemas.throughput(req.get("ProvisionedThroughput"), on_demand=True, what="")
        bought = Throughput()
        if not table.on_demand:
            since = ctx.now
            found = tuple(replace(one, throughput=Throughput()) for one in found)
    elif "ProvisionedThroughput" in req or table.on_demand:
        bought = schemas.throughput(req.get("ProvisionedThroughput"), on_demand=False, what="")
        if bought.same(table.throughput) and not table.on_demand:
            raise ValidationException(
                "The provisioned throughput for the table will not change. The requested value "
                f"equals the current value. Current ReadCapacityUnits provisioned for the table: "
                f"{bought.read}. Requested ReadCapacityUnits: {bought.read}. Current "
                f"WriteCapacityUnits provisioned for the table: {bought.write}. Requested "
                f"WriteCapacityUnits: {bought.write}. Refer to the Amazon DynamoDB Developer Guide "
                "for current limits and how to request higher limits."
            )
        bought = turned(ctx.now, table.throughput, bought)
    warm = table.warm
    if "WarmThroughput" in req:
        warm = _warmer(warm, warmed(req["WarmThroughput"], warm_of(table, None), "table"))
    return replace(
        table,
        attributes=types if req.get("GlobalSecondaryIndexUpdates") else table.attributes,
        indexes=found,
        on_demand=on_demand,
        on_demand_since=since,
        throughput=bought,
        at_most=at_most(req.get("OnDemandThroughput"), table.at_most, on_demand=on_demand),
        warm=warm,
        table_class=req.get("TableClass", table.table_class),
        deletion_protection=req.get("DeletionProtectionEnabled", table.deletion_protection),
    )


async def _with_new(ctx: Context, tx: Tx, table: Table, given: Mapping[str, Any]) -> Table:
    name = given["IndexName"]
    if table.index(name) is not None:
        raise ValidationException(f"Attempting to create an index which already exists: {name}")
    if any(one.status == "CREATING" for one in table.indexes):
        raise LimitExceededException(
            "Subscriber limit exceeded: Only 1 online index can be created or deleted "
            "simultaneously per table"
        )
    made = schemas.secondary_index(
        given, table.attributes, is_global=True, on_demand=table.on_demand, status="CREATING"
    )
    index = replace(made, id=ctx.new_id())
    found = (*table.indexes, index)
    schemas.check_counts(
        [one for one in found if not one.is_global], [one for one in found if one.is_global]
    )
    await tx.schedule(
        ctx.now, BACKFILL, f"{table.arn}/index/{name}", table=table.arn, index=name, id=index.id
    )
    return replace(table, indexes=found)


async def _without(ctx: Context, tx: Tx, table: Table, index: SecondaryIndex) -> Table:
    if index.status != "ACTIVE":
        raise ResourceInUseException(
            "Attempt to change a resource which is still in use: Index is being created: "
            f"{index.name}"
        )
    kept = tuple(one for one in table.indexes if one.name != index.name)
    rows = index.id or index.name
    await tx.schedule(ctx.now, EMPTY, f"{table.arn}/index/{rows}", id=table.id, index=rows)
    used = {part.name for part in table.key} | {part.name for one in kept for part in one.key}
    types = {name: kind for name, kind in table.attributes.items() if name in used}
    return replace(table, indexes=kept, attributes=types)


def _with_capacity(
    ctx: Context, table: Table, index: SecondaryIndex, given: Mapping[str, Any]
) -> Table:
    if not given.keys() - {"IndexName"}:
        raise ValidationException(
            f"{schemas.BAD}At least one of ProvisionedThroughput, OnDemandThroughput or "
            f"WarmThroughput is required for index: {index.name}"
        )
    bought, warm = index.throughput, index.warm
    if "ProvisionedThroughput" in given:
        asked = schemas.throughput(
            given["ProvisionedThroughput"], on_demand=table.on_demand, what=""
        )
        bought = turned(ctx.now, index.throughput, asked)
    if "WarmThroughput" in given:
        what = f"index {index.name}"
        warm = _warmer(warm, warmed(given["WarmThroughput"], warm_of(table, index), what))
    limit = index.at_most
    if "OnDemandThroughput" in given:
        limit = at_most(given["OnDemandThroughput"], limit, on_demand=table.on_demand)
    changed = replace(index, throughput=bought, warm=warm, at_most=limit)
    found = tuple(changed if one.name == index.name else one for one in table.indexes)
    return replace(table, indexes=found)


def _warmer(old: Throughput, new: Throughput) -> Throughput:
    return Throughput(read=new.read or old.read, write=new.write or old.write)


def _check_capacities(table: Table) -> None:
    """Each global index of a provisioned table has capacity of its own."""
    for index in table.indexes:
        if index.is_global and not table.on_demand and not index.throughput.read:
            schemas.throughput(None, on_demand=False, what=f" for index: {index.name}")
