"""The job that brings a table's replicas up to its newest metadata.

It reads the table as the role of its configuration, which must be allowed to do in the destination what
replication does there; what is written is written by S3 Tables itself, for nobody else may write to a
replica. The replica's pointer moves last: until then it is as it was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.bodies import pieces
from doppio.kernel.context import Context, Tx
from doppio.kernel.identity import service_caller
from doppio.kernel.jobs import Job
from doppio.kernel.service import Need
from doppio.services.s3tables.errors import no_bucket
from doppio.services.s3tables.file_work import Unreadable, on_files
from doppio.services.s3tables.files import as_maintenance, read_metadata, write_metadata
from doppio.services.s3tables.limits import REPLICATION_AGAIN
from doppio.services.s3tables.lookup import bucket_at, bucket_of, warehouse_of
from doppio.services.s3tables.records import NAMES, Namespace, Replica, Table, TableBucket
from doppio.services.s3tables.replication import REPLICATE, SERVICE, effective
from doppio.services.s3tables.rules import key_of, place_of
from doppio.services.s3tables.tables import begin_table, give_name
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio.services.s3tables.file_io import Warehouse


class Failed(Exception):
    """A destination that cannot be replicated to; the text says why."""


async def replicate(ctx: Context, job: Job) -> None:
    """Bring every destination of a table up to date; what fails is tried again later."""
    reader = ctx.read()
    table = await reader.get(Table, job.key)
    if table is None or table.name is None or table.location is None:
        return
    wanted = effective(await bucket_of(reader, table.bucket_arn), table)
    if wanted is None:
        return
    failed = False
    for arn in wanted.destinations:
        found = await reader.get(Replica, table.id, arn) or Replica(table=table.id, destination=arn)
        if found.seen == table.location and not found.failure:
            continue
        try:
            found = await _brought(ctx, table, wanted.role, found)
        except (AwsError, Failed, Unreadable) as error:
            failed = True
            found = replace(found, failure=str(error) or type(error).__name__)
        await ctx.transact(partial(_keep, found))
    if failed:
        again = ctx.now + REPLICATION_AGAIN
        await ctx.transact(lambda tx: tx.schedule(again, REPLICATE, job.key))


async def _keep(found: Replica, tx: Tx) -> None:
    if await tx.get(Table, found.table) is not None:
        tx.put(found)


async def _brought(ctx: Context, table: Table, role: str, found: Replica) -> Replica:
    """A destination as it is once it has the table's newest metadata."""
    acting = await ctx.as_role(role, SERVICE, source=table.arn, session="s3tables-replication")
    place = place_of(found.destination)
    bucket = None if place is None else await bucket_at(ctx.read(), place)
    if bucket is None:
        raise no_bucket()
    there = ctx.derive(acting.caller, region=bucket.region)
    there.account = acting.account
    own = ctx.derive(service_caller(SERVICE, bucket.account, table.arn), region=bucket.region)
    own.account = bucket.account
    replica = await _replica(there, own, bucket, table, found)
    await _check_may(there, bucket, replica)
    raw = await read_metadata(acting, table)
    writing = as_maintenance(own, replica)
    text = await _copied(acting, writing, table, replica, raw)
    location = await write_metadata(writing, replica, 0, text)
    if replica.name is None:
        replica = await give_name(own, replica, location)
    else:
        asked = {
            "tableBucketARN": replica.bucket_arn, "namespace": replica.namespace,
            "name": replica.name, "versionToken": replica.token, "metadataLocation": location,
        }  # fmt: skip
        await writing.call("s3tables", "update_table_metadata_location", asked)
    return Replica(
        table=table.id, destination=found.destination, arn=replica.arn, seen=str(table.location),
        location=location, at=ctx.now,
    )  # fmt: skip


async def _replica(
    there: Context, own: Context, bucket: TableBucket, table: Table, found: Replica
) -> Table:
    """The replica of a table: as it was made before, or a new one, which has no name yet."""
    reader = there.read()
    if found.arn:
        old = await reader.get(Table, found.arn.rpartition("/")[2])
        if old is not None and old.name is not None:
            if old.source != table.arn:
                raise Failed("The destination table is no longer a replica of this table.")
            return old
    same = await reader.find(NAMES, (bucket.id, table.namespace, table.name), limit=1)
    if same:
        if same[0].source == table.arn:
            return same[0]
        raise Failed("A table with an identical name already exists in the destination.")
    if await reader.get(Namespace, bucket.id, table.namespace) is None:
        new = {"tableBucketARN": bucket.arn, "namespace": [table.namespace]}
        await there.call("s3tables", "create_namespace", new)
    keys = {"s3tables:namespace": table.namespace}
    await there.kernel.authorise(there, Need("s3tables:CreateTable", bucket.arn, keys))
    asked: Any = {
        "tableBucketARN": bucket.arn, "namespace": table.namespace, "name": str(table.name),
        "format": "ICEBERG",
    }  # fmt: skip
    new_id = own.new_id()

    return await own.transact(lambda tx: begin_table(tx, asked, new_id, replica_of=table.arn))


async def _check_may(there: Context, bucket: TableBucket, replica: Table) -> None:
    """Raise AccessDenied unless the role may write to tables of the destination.

    Of the replica itself it is not asked: nobody may write there, so that it stays what it is.
    """
    keys = {"s3tables:namespace": replica.namespace, "s3tables:tablename": replica.wanted}
    for action in ("PutTableData", "UpdateTableMetadataLocation"):
        need = Need(f"s3tables:{action}", replica.arn, keys, bucket.arn)
        await there.kernel.authorise(there, need)


async def _copied(
    source: Context, target: Context, table: Table, replica: Table, raw: bytes
) -> bytes:
    """Copy a table's files to its replica's warehouse; the metadata that goes with them."""

    async def carried(at: str, to: str) -> None:
        home, away = warehouse_of(table), warehouse_of(replica)
        asked = {"Bucket": home, "Key": key_of(at, home)}
        found = await source.call("s3", "get_object", asked)
        body = Passing(found["Body"], found["ContentLength"])
        await target.call(
            "s3", "put_object", {"Bucket": away, "Key": key_of(to, away), "Body": body}
        )

    def work(home: Warehouse, away: Warehouse) -> bytes:
        from doppio.services.s3tables.copying import Copy, NotCopied

        try:
            return Copy(raw, home, away, lambda at, to: home.wait(carried(at, to))).made()
        except NotCopied as error:
            raise Unreadable(str(error)) from error

    return await on_files(table, [(source, table), (target, replica)], work)


class Passing:
    """What GetObject gives, as PutObject takes it: piece by piece."""

    def __init__(self, body: Any, length: int) -> None:
        self.length: int | None = length
        self.whole: bytes | None = body if isinstance(body, bytes) else None
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in pieces(self._body):
            yield part
