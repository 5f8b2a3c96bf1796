"""Settings of the replicas of a global table of version 2017.11.29: capacity, billing and class.

Write capacity is the same in all replicas; read capacity and class are each replica's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.services.dynamodb import changes, limits
from doppio.services.dynamodb.errors import IndexNotFoundException
from doppio.services.dynamodb.global_tables import authorise, existing, replica_in
from doppio.services.dynamodb.records import GlobalTable, Table, Throughput
from doppio.services.dynamodb.removal import check_at_rest
from doppio.services.dynamodb.replication import at
from doppio.services.dynamodb.upkeep import SETTLE
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import dynamodb as w


class GlobalSettings:
    """The operations on the settings of global tables of the first version."""

    async def describe_global_table_settings(
        self, ctx: Context, req: w.DescribeGlobalTableSettingsInput
    ) -> w.DescribeGlobalTableSettingsOutput:
        """The settings of each replica."""
        reader = ctx.read()
        found = await existing(reader, ctx, req["GlobalTableName"])
        return await _shown(reader, found)  # type: ignore[return-value]

    async def update_global_table_settings(
        self, ctx: Context, req: w.UpdateGlobalTableSettingsInput
    ) -> w.UpdateGlobalTableSettingsOutput:
        """Change the billing and capacity of all replicas, and what is each one's own."""
        _check_absent(req)
        async with ctx.write() as tx:
            found = await existing(tx, ctx, req["GlobalTableName"])
            await authorise(ctx, found)
            own = {one["RegionName"]: one for one in req.get("ReplicaSettingsUpdate", ())}
            for region in own:
                await replica_in(tx, found, region)
            for region in found.regions:
                table = await replica_in(tx, found, region)
                await _change(at(tx, region), table, req, own.get(region, {}))
            shown = await _shown(tx, found)
        return shown  # type: ignore[return-value]


def _check_absent(req: Mapping[str, Any]) -> None:
    """Raise NotImplementedByDoppio for settings of auto scaling, wherever they stand."""
    parts = [
        req,
        *req.get("GlobalTableGlobalSecondaryIndexSettingsUpdate", ()),
        *req.get("ReplicaSettingsUpdate", ()),
        *(
            index
            for one in req.get("ReplicaSettingsUpdate", ())
            for index in one.get("ReplicaGlobalSecondaryIndexSettingsUpdate", ())
        ),
    ]
    for member in sorted({name for part in parts for name in part}):
        if member.endswith("AutoScalingSettingsUpdate"):
            raise NotImplementedByDoppio(
                f"dynamodb: {member} exists in AWS and not yet in this cloud"
            )


async def _change(tx: Tx, table: Table, req: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Change one replica, if there is something to change."""
    check_at_rest(table)
    wanted: dict[str, Any] = {}
    mode = req.get("GlobalTableBillingMode")
    on_demand = table.on_demand if mode is None else mode == "PAY_PER_REQUEST"
    if on_demand != table.on_demand:
        wanted["BillingMode"] = "PAY_PER_REQUEST" if on_demand else "PROVISIONED"
    bought = Throughput(
        read=own.get("ReplicaProvisionedReadCapacityUnits", table.throughput.read),
        write=req.get("GlobalTableProvisionedWriteCapacityUnits", table.throughput.write),
    )
    comes_back = table.on_demand and not on_demand
    asked = (
        "GlobalTableProvisionedWriteCapacityUnits" in req
        or "ReplicaProvisionedReadCapacityUnits" in own
    )
    if comes_back or (asked and bought != table.throughput):
        wanted["ProvisionedThroughput"] = _units(bought)
    updates = _of_indexes(table, req, own)
    if updates:
        wanted["GlobalSecondaryIndexUpdates"] = updates
    if "ReplicaTableClass" in own:
        wanted["TableClass"] = own["ReplicaTableClass"]
    if wanted:
        changed = await changes.changed_table(tx.context, tx, table, wanted)
        tx.put(replace(changed, status="UPDATING"))
        await tx.schedule(tx.context.now + limits.SETTLE, SETTLE, table.arn)


def _of_indexes(
    table: Table, req: Mapping[str, Any], own: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The changes of a replica's indexes, in UpdateTable's words."""
    writes = {
        one["IndexName"]: one.get("ProvisionedWriteCapacityUnits")
        for one in req.get("GlobalTableGlobalSecondaryIndexSettingsUpdate", ())
    }
    reads = {
        one["IndexName"]: one.get("ProvisionedReadCapacityUnits")
        for one in own.get("ReplicaGlobalSecondaryIndexSettingsUpdate", ())
    }
    found = []
    for name in {**writes, **reads}:
        index = table.index(name)
        if index is None or not index.is_global:
            raise IndexNotFoundException(
                f"Index not found: {name} of table: {table.name} in {table.region}"
            )
        wanted = Throughput(
            read=reads.get(name) or index.throughput.read,
            write=writes.get(name) or index.throughput.write,
        )
        if wanted != index.throughput:
            found.append({"Update": {"IndexName": name, "ProvisionedThroughput": _units(wanted)}})
    return found


def _units(bought: Throughput) -> dict[str, int]:
    return {"ReadCapacityUnits": bought.read, "WriteCapacityUnits": bought.write}


async def _shown(reader: Reader, found: GlobalTable) -> dict[str, Any]:
    tables = [await replica_in(reader, found, region) for region in found.regions]
    return {
        "GlobalTableName": found.name,
        "ReplicaSettings": [_replica(table) for table in tables],
    }


def _replica(table: Table) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "RegionName": table.region,
        "ReplicaStatus": table.status,
        "ReplicaBillingModeSummary": {
            "BillingMode": "PAY_PER_REQUEST" if table.on_demand else "PROVISIONED"
        },
        "ReplicaProvisionedReadCapacityUnits": table.throughput.read,
        "ReplicaProvisionedWriteCapacityUnits": table.throughput.write,
    }
    if table.on_demand_since is not None:
        summary = shown["ReplicaBillingModeSummary"]
        summary["LastUpdateToPayPerRequestDateTime"] = table.on_demand_since
    if table.table_class is not None:
        shown["ReplicaTableClassSummary"] = {"TableClass": table.table_class}
    indexes = [one for one in table.indexes if one.is_global]
    if indexes:
        shown["ReplicaGlobalSecondaryIndexSettings"] = [
            {
                "IndexName": one.name,
                "IndexStatus": one.status,
                "ProvisionedReadCapacityUnits": one.throughput.read,
                "ProvisionedWriteCapacityUnits": one.throughput.write,
            }
            for one in indexes
        ]
    return shown
