"""Replication of tables to other table buckets, as it is set; `replicas` does it.

A table's own configuration counts before its bucket's. Source: "Replicating S3 tables" in the S3 user guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.paging import every
from doppio.services.s3tables.errors import BadRequest, NotFound, Stale, no_bucket
from doppio.services.s3tables.limits import LISTED_MAX, REPLICATION_DELAY
from doppio.services.s3tables.lookup import bucket_at, bucket_of, table_of
from doppio.services.s3tables.policies import tell_table
from doppio.services.s3tables.records import NAMES, Replica, Replicating, Table, TableBucket
from doppio.services.s3tables.rules import place_of

if TYPE_CHECKING:
    from doppio._stubs import s3tables as w

REPLICATE = "s3tables.replicate"
SERVICE = "replication.s3tables"
PRINCIPAL = f"{SERVICE}.amazonaws.com"


class Replication:
    """The operations on replication."""

    async def put_table_bucket_replication(
        self, ctx: Context, req: w.PutTableBucketReplicationRequest
    ) -> w.PutTableBucketReplicationResponse:
        """Replicate all tables of a bucket, those that are there and those to come."""
        bucket = await bucket_of(ctx.read(), req["tableBucketARN"])
        made = await _checked(ctx, req["configuration"], bucket.arn)
        async with ctx.write() as tx:
            bucket = await bucket_of(tx, req["tableBucketARN"])
            _check_token(bucket.replication, req)
            bucket = tx.put(replace(bucket, replication=made))
            async for table in every(tx, NAMES, (bucket.id,), step=LISTED_MAX):
                await begin(tx, bucket, table)
        return {"versionToken": made.token, "status": "enabled"}

    async def get_table_bucket_replication(
        self, ctx: Context, req: w.GetTableBucketReplicationRequest
    ) -> w.GetTableBucketReplicationResponse:
        """Where a bucket's tables are replicated to."""
        bucket = await bucket_of(ctx.read(), req["tableBucketARN"])
        return cast("w.GetTableBucketReplicationResponse", _shown(bucket.replication))

    async def delete_table_bucket_replication(
        self, ctx: Context, req: w.DeleteTableBucketReplicationRequest
    ) -> None:
        """Replicate a bucket's tables no more; their replicas stay."""
        async with ctx.write() as tx:
            bucket = await bucket_of(tx, req["tableBucketARN"])
            _shown(bucket.replication)
            _check_token(bucket.replication, req)
            tx.put(replace(bucket, replication=None))

    async def put_table_replication(
        self, ctx: Context, req: w.PutTableReplicationRequest
    ) -> w.PutTableReplicationResponse:
        """Replicate a table, whatever is set for its bucket."""
        _, table = await table_of(ctx.read(), req)
        if table.source:
            raise BadRequest("A replica table cannot be replicated.")
        made = await _checked(ctx, req["configuration"], table.bucket_arn)
        async with ctx.write() as tx:
            bucket, table = await table_of(tx, req)
            _check_token(table.replication, req)
            table = tx.put(replace(table, replication=made))
            await begin(tx, bucket, table)
        return {"versionToken": made.token, "status": "enabled"}

    async def get_table_replication(
        self, ctx: Context, req: w.GetTableReplicationRequest
    ) -> w.GetTableReplicationResponse:
        """Where a table is replicated to by a configuration of its own."""
        _, table = await table_of(ctx.read(), req)
        return cast("w.GetTableReplicationResponse", _shown(table.replication))

    async def delete_table_replication(
        self, ctx: Context, req: w.DeleteTableReplicationRequest
    ) -> None:
        """Replicate a table as its bucket says, or no more; its replicas stay."""
        async with ctx.write() as tx:
            _, table = await table_of(tx, req)
            _shown(table.replication)
            _check_token(table.replication, req)
            tx.put(replace(table, replication=None))

    async def get_table_replication_status(
        self, ctx: Context, req: w.GetTableReplicationStatusRequest
    ) -> w.GetTableReplicationStatusResponse:
        """How far each destination of a table is."""
        reader = ctx.read()
        bucket, table = await table_of(reader, req)
        wanted = effective(bucket, table)
        if wanted is None:
            raise NotFound("The specified table does not have a replication configuration.")
        shown = [await _status(reader, table, arn) for arn in wanted.destinations]
        return cast(
            "w.GetTableReplicationStatusResponse",
            {"sourceTableArn": table.arn, "destinations": shown},
        )

    async def disassociate_table_replication(
        self, ctx: Context, req: w.DisassociateTableReplicationRequest
    ) -> w.DisassociateTableReplicationResponse:
        """Make a replica a table like others, for ever."""
        async with ctx.write() as tx:
            _, table = await table_of(tx, req)
            if not table.source:
                raise BadRequest("The specified table is not a replica table.")
            # A commit that is on its way rests on another version of the table now.
            tell_table(tx, replace(table, source="", manager="", token=ctx.new_id()))
        return {}


def effective(bucket: TableBucket, table: Table) -> Replicating | None:
    """What counts for a table: its own configuration before its bucket's. Replicas go no further."""
    if table.source or (table.replication is None and table.manager):
        return None
    return table.replication or bucket.replication


async def begin(tx: Tx, bucket: TableBucket, table: Table) -> None:
    """See to it that a table which is replicated is replicated soon. A replica pays a look."""
    if table.location is not None and effective(bucket, table) is not None:
        await tx.schedule(tx.context.now + REPLICATION_DELAY, REPLICATE, table.id)


async def _checked(ctx: Context, given: Mapping[str, Any], source: str) -> Replicating:
    """A configuration as it is kept: its role can be passed and assumed, its destinations are there."""
    role = given["role"]
    await ctx.authorise("iam:PassRole", role, {"iam:passedtoservice": PRINCIPAL})
    # As its own account's: the session is for the account in which the role is.
    await ctx.as_role(role, SERVICE, source=source, session="s3tables-replication")
    found = [one["destinationTableBucketARN"] for one in given["rules"][0]["destinations"]]
    if source in found:
        raise BadRequest("A table bucket cannot be replicated to itself.")
    if len(set(found)) < len(found):
        raise BadRequest("The destinations of a replication must differ.")
    for arn in found:
        place = place_of(arn)
        if place is None or await bucket_at(ctx.read(), place) is None:
            raise no_bucket()
    return Replicating(role=role, destinations=found, token=ctx.new_id())


def _check_token(there: Replicating | None, req: Mapping[str, Any]) -> None:
    if "versionToken" in req and (there is None or there.token != req["versionToken"]):
        raise Stale("Provided version token does not match the replication version token.")


def _shown(found: Replicating | None) -> dict[str, Any]:
    if found is None:
        raise NotFound("The specified replication configuration does not exist.")
    destinations = [{"destinationTableBucketARN": arn} for arn in found.destinations]
    return {
        "versionToken": found.token,
        "configuration": {"role": found.role, "rules": [{"destinations": destinations}]},
    }


async def _status(reader: Reader, table: Table, arn: str) -> dict[str, Any]:
    found = await reader.get(Replica, table.id, arn) or Replica(table=table.id, destination=arn)
    status = "completed" if found.seen == table.location else "pending"
    shown: dict[str, Any] = {"destinationTableBucketArn": arn}
    if found.failure:
        status = "failed"
        shown["failureMessage"] = found.failure
    if found.arn:
        shown["destinationTableArn"] = found.arn
    if found.location and found.at is not None:
        shown["lastSuccessfulReplicatedUpdate"] = {
            "metadataLocation": found.location, "timestamp": found.at,
        }  # fmt: skip
    return {"replicationStatus": status, **shown}
