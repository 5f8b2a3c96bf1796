"""Global tables of version 2017.11.29: tables that are there already, joined by their name.

Replication is the same as of later replicas (`replication`), and items say by attributes of theirs who
wrote last. Each replica keeps its own settings, and one that leaves is a table for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.paging import every
from doppio.services.dynamodb import limits
from doppio.services.dynamodb.errors import (
    GlobalTableAlreadyExistsException,
    GlobalTableNotFoundException,
    ReplicaAlreadyExistsException,
    ReplicaNotFoundException,
    TableNotFoundException,
    ValidationException,
)
from doppio.services.dynamodb.names import checked_name
from doppio.services.dynamodb.records import GlobalTable, Replication, Table
from doppio.services.dynamodb.removal import check_at_rest
from doppio.services.dynamodb.replicas import check_stream, opened
from doppio.services.dynamodb.replication import LEGACY, at, close_outbox, depart, send_to
from doppio.services.dynamodb.schemas import BAD

if TYPE_CHECKING:
    from doppio._stubs import dynamodb as w


class GlobalTables:
    """The operations on global tables of the first version."""

    async def create_global_table(
        self, ctx: Context, req: w.CreateGlobalTableInput
    ) -> w.CreateGlobalTableOutput:
        """Join tables of one name in several Regions, which are all empty."""
        name = checked_name(req["GlobalTableName"], "GlobalTableName")
        regions = [one["RegionName"] for one in req["ReplicationGroup"]]
        if not regions or len(set(regions)) < len(regions):
            raise ValidationException(
                f"{BAD}ReplicationGroup must name at least one Region, and each only once"
            )
        async with ctx.write() as tx:
            if await tx.get(GlobalTable, ctx.account, name) is not None:
                raise GlobalTableAlreadyExistsException(
                    f"Global table with name: '{name}' already exists."
                )
            found = tx.put(
                GlobalTable(
                    account=ctx.account, name=name, regions=(), created_at=ctx.now,
                    partition=ctx.partition,
                )
            )  # fmt: skip
            for region in regions:
                found = await _joined(tx, found, region)
            shown = await _described(tx, found)
        return {"GlobalTableDescription": shown}  # type: ignore[typeddict-item]

    async def update_global_table(
        self, ctx: Context, req: w.UpdateGlobalTableInput
    ) -> w.UpdateGlobalTableOutput:
        """Let Regions join, while all tables are empty, or leave, whatever is in them."""
        async with ctx.write() as tx:
            found = await existing(tx, ctx, req["GlobalTableName"])
            await authorise(ctx, found)
            for update in req["ReplicaUpdates"]:
                if len(update) != 1:
                    raise ValidationException(
                        f"{BAD}Exactly one of Create or Delete must be specified per replica update"
                    )
                if "Create" in update:
                    found = await _joined(tx, found, update["Create"]["RegionName"])
                else:
                    found = await _left(tx, found, update["Delete"]["RegionName"])
            shown = await _described(tx, found)
        return {"GlobalTableDescription": shown}  # type: ignore[typeddict-item]

    async def describe_global_table(
        self, ctx: Context, req: w.DescribeGlobalTableInput
    ) -> w.DescribeGlobalTableOutput:
        """A global table and its Regions."""
        reader = ctx.read()
        found = await existing(reader, ctx, req["GlobalTableName"])
        shown = await _described(reader, found)
        return {"GlobalTableDescription": shown}  # type: ignore[typeddict-item]

    async def list_global_tables(
        self, ctx: Context, req: w.ListGlobalTablesInput
    ) -> w.ListGlobalTablesOutput:
        """Global tables in the order of their names, perhaps only those with a replica in a Region."""
        most = req.get("Limit", limits.LIST_TABLES_MAX)
        region, start = req.get("RegionName"), req.get("ExclusiveStartGlobalTableName")
        found: list[GlobalTable] = []
        walk = every(
            ctx.read(), GlobalTable, (ctx.account,), step=limits.ROWS_A_READ, since=start
        )  # fmt: skip
        async with aclosing(walk):
            async for one in walk:
                if one.name != start and (region is None or region in one.regions):
                    found.append(one)
                if len(found) > most:
                    break
        shown: dict[str, Any] = {
            "GlobalTables": [
                {
                    "GlobalTableName": one.name,
                    "ReplicationGroup": [{"RegionName": name} for name in one.regions],
                }
                for one in found[:most]
            ]
        }
        if len(found) > most:
            shown["LastEvaluatedGlobalTableName"] = found[most - 1].name
        return shown  # type: ignore[return-value]


async def existing(reader: Reader, ctx: Context, name: str) -> GlobalTable:
    """A global table. Raises GlobalTableNotFoundException."""
    found = await reader.get(GlobalTable, ctx.account, name)
    if found is None:
        raise GlobalTableNotFoundException(f"Global table with name: '{name}' does not exist.")
    return found


async def authorise(ctx: Context, found: GlobalTable) -> None:
    """Who changes a global table must be allowed to do so with each of its replicas."""
    for region in found.regions:
        arn = f"arn:{ctx.partition}:dynamodb:{region}:{found.account}:table/{found.name}"
        await ctx.authorise(f"dynamodb:{ctx.operation}", arn)


async def replica_in(reader: Reader, found: GlobalTable, region: str) -> Table:
    """A replica of a global table. Raises ReplicaNotFoundException."""
    table = await reader.get(Table, found.account, region, found.name)
    if region not in found.regions or table is None:
        raise ReplicaNotFoundException(
            f"Replica not found: {region} is not a replica of global table '{found.name}'"
        )
    return table


async def _joined(tx: Tx, found: GlobalTable, region: str) -> GlobalTable:
    """The global table with the table of one more Region."""
    if region in found.regions:
        raise ReplicaAlreadyExistsException(
            f"Replica already exists: {region} is a replica of global table '{found.name}'"
        )
    table = await tx.get(Table, found.account, region, found.name)
    if table is None:
        raise TableNotFoundException(f"Table not found: {found.name} in Region: {region}")
    check_at_rest(table)
    check_stream(table)
    if table.replication is not None:
        raise ValidationException(
            f"{BAD}The table is a replica of another global table: {found.name} in {region}"
        )
    others = [await replica_in(tx, found, one) for one in found.regions]
    for one in (table, *others):
        await _check_like(tx, one, table)
    group = tx.context.new_id()
    for one in others:
        assert one.replication is not None
        group = one.replication.group
        await send_to(tx, one, region)
        peers = (*one.replication.peers, region)
        tx.put(replace(one, replication=replace(one.replication, peers=peers)))
    member = Replication(id=tx.context.new_id(), group=group, version=LEGACY, peers=found.regions)
    table = tx.put(replace(table, replication=member))
    await opened(at(tx, region), table, dict.fromkeys(found.regions, 0))
    return tx.put(replace(found, regions=(*found.regions, region)))


async def _check_like(tx: Tx, one: Table, table: Table) -> None:
    """Raise unless two tables can be replicas of each other."""
    prefix = one.prefix
    if await tx.raw.scan(prefix, prefix + b"\xff", limit=1):
        raise ValidationException(
            f"{BAD}One or more replicas contain data: {one.name} in {one.region}"
        )
    if one.key != table.key:
        raise ValidationException(
            f"{BAD}All replicas must have the same key schema: {one.name} in {one.region}"
        )
    if _shapes(one) != _shapes(table):
        raise ValidationException(
            f"{BAD}All replicas must have the same secondary indexes: {one.name} in {one.region}"
        )


def _shapes(table: Table) -> Sequence[Any]:
    return sorted((one.name, one.is_global, one.key) for one in table.indexes)


async def _left(tx: Tx, found: GlobalTable, region: str) -> GlobalTable:
    """The global table without a Region, whose table stays; what it wrote last still goes out."""
    table = await replica_in(tx, found, region)
    await close_outbox(tx, table, {})
    await depart(tx, table)
    tx.put(replace(table, replication=None))
    return replace(found, regions=tuple(one for one in found.regions if one != region))


async def _described(reader: Reader, found: GlobalTable) -> dict[str, Any]:
    replicas = []
    for region in found.regions:
        table = await replica_in(reader, found, region)
        replicas.append({"RegionName": region, "ReplicaStatus": table.status})
    return {
        "ReplicationGroup": replicas,
        "GlobalTableArn": found.arn,
        "CreationDateTime": found.created_at,
        "GlobalTableStatus": "ACTIVE" if found.regions else "DELETING",
        "GlobalTableName": found.name,
    }
