"""Tables: create, get, list, rename, delete.

A table that is made with metadata is made in steps: its warehouse and a record without a name, the
metadata as the caller writes it, and last the name. What stops on the way is cleared away by a job.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.authorise import forget_resource
from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.kernel.paging import begins, page_of
from doppio.services.s3 import ports as s3
from doppio.services.s3tables import iceberg, replication
from doppio.services.s3tables.counting import TABLES, check_room, count
from doppio.services.s3tables.errors import BadRequest, Stale, Taken
from doppio.services.s3tables.files import check_key, write_metadata
from doppio.services.s3tables.limits import LISTED_MAX, ROWS_A_COMMIT
from doppio.services.s3tables.lookup import (
    bucket_of,
    find_table,
    namespace_of,
    table_of,
    warehouse_of,
)
from doppio.services.s3tables.pages import position
from doppio.services.s3tables.policies import tell_table
from doppio.services.s3tables.records import NAMES, Aside, Replica, Table, TableBucket, Upkept
from doppio.services.s3tables.rules import table_name_is_allowed
from doppio.services.s3tables.settings import (
    checked_encryption,
    checked_storage_class,
    default_of_warehouse,
)
from doppio.services.s3tables.tags import checked_tags
from doppio.services.s3tables.upkeep import UPKEEP, keep_up
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio._stubs import s3tables as w

CLEAR = "s3tables.clear"
# No call takes so long to write metadata.
_GIVEN_UP = timedelta(days=1)


class Tables:
    """The operations on tables themselves."""

    async def create_table(self, ctx: Context, req: w.CreateTableRequest) -> w.CreateTableResponse:
        """Make a table and its warehouse; with `metadata`, also the first version of that."""
        if not table_name_is_allowed(req["name"]):
            raise BadRequest("The specified table name is not valid.")
        given = (req.get("metadata") or {}).get("iceberg")
        if given is not None:
            iceberg.check_library()
        table_id = ctx.new_id()
        bucket = await bucket_of(ctx.read(), req["tableBucketARN"])
        await check_key(ctx, _new(ctx, bucket, req, table_id))
        table = await ctx.transact(lambda tx: begin_table(tx, req, table_id, named=given is None))
        if given is not None:
            try:
                location = f"s3://{warehouse_of(table)}"
                text = await iceberg.beside(
                    iceberg.first_metadata, given, location, ctx.new_id(), _ms(ctx)
                )
                table = await give_name(ctx, table, await write_metadata(ctx, table, 0, text))
            except AwsError:
                await ctx.transact(lambda tx: tx.schedule(ctx.now, CLEAR, table_id))
                raise
        return {"tableARN": table.arn, "versionToken": table.token}

    async def get_table(self, ctx: Context, req: w.GetTableRequest) -> w.GetTableResponse:
        """A table, by its ARN or by its name."""
        named = ("tableBucketARN", "namespace", "name")
        if "tableArn" in req:
            if any(member in req for member in named):
                raise BadRequest("Specify either the table ARN or bucket, namespace and name.")
        elif any(member not in req for member in named):
            raise BadRequest("Specify the table ARN, or bucket, namespace and name.")
        reader = ctx.read()
        bucket, table = await table_of(reader, req)
        namespace = await namespace_of(reader, bucket, table.namespace)
        shown = {
            **_summary(bucket, table),
            "namespaceId": namespace.id,
            "versionToken": table.token,
            "warehouseLocation": f"s3://{warehouse_of(table)}",
            "createdBy": table.created_by,
            "modifiedBy": table.modified_by,
            "ownerAccountId": table.account,
            "format": "ICEBERG",
            **_managed(table),
        }
        if table.location is not None:
            shown["metadataLocation"] = table.location
        return shown  # type: ignore[return-value]

    async def list_tables(self, ctx: Context, req: w.ListTablesRequest) -> w.ListTablesResponse:
        """A bucket's tables by namespace and name, of all namespaces or one."""
        reader = ctx.read()
        bucket = await bucket_of(reader, req["tableBucketARN"])
        prefix, room = req.get("prefix", ""), req.get("maxTables", LISTED_MAX)
        namespace = req.get("namespace")
        scope = f"tables/{bucket.id}/{namespace}/{prefix}"
        where: tuple[str, ...] = (bucket.id,)
        if namespace is not None:
            await namespace_of(reader, bucket, namespace)
            where = (bucket.id, namespace)
        shown, token = await page_of(
            reader, NAMES, where, most=room, scope=scope, after=position(req, scope),
            fits=lambda one: (one.name or "").startswith(prefix), step=LISTED_MAX,
            **begins(prefix if namespace is not None else None),
        )  # fmt: skip
        spaces = {}
        for name in {one.namespace for one in shown}:
            spaces[name] = (await namespace_of(reader, bucket, name)).id
        result: dict[str, Any] = {
            "tables": [
                {**_summary(bucket, one), "namespaceId": spaces[one.namespace]} for one in shown
            ]
        }
        if token is not None:
            result["continuationToken"] = token
        return result  # type: ignore[return-value]

    async def rename_table(self, ctx: Context, req: w.RenameTableRequest) -> None:
        """Give a table another name, or move it to another namespace; its files stay."""
        namespace, name = req.get("newNamespaceName"), req.get("newName")
        if namespace is None and name is None:
            raise BadRequest("Specify a new name or a new namespace for the table.")
        if name is not None and not table_name_is_allowed(name):
            raise BadRequest("The specified table name is not valid.")
        async with ctx.write() as tx:
            bucket, table = await table_of(tx, req)
            check_token(table, req)
            moved = replace(
                table,
                namespace=namespace or table.namespace,
                name=name or table.name,
                token=ctx.new_id(),
                modified_at=ctx.now,
                modified_by=ctx.account,
            )
            if namespace is not None:
                await namespace_of(tx, bucket, namespace)
            await _check_free(tx, bucket, moved.namespace, str(moved.name))
            tx.put(moved)

    async def delete_table(self, ctx: Context, req: w.DeleteTableRequest) -> None:
        """Delete a table; its files are cleared away behind it."""
        async with ctx.write() as tx:
            _, table = await table_of(tx, req)
            check_token(table, req)
            tx.put(replace(table, name=None, wanted=str(table.name), gone=True))
            forget_resource(tx, table.arn)
            count(tx, TABLES, table.bucket, -1)
            await tx.unschedule(UPKEEP, table.id)
            await tx.schedule(ctx.now, CLEAR, table.id)


def check_token(table: Table, req: Mapping[str, Any]) -> None:
    """Raise ConflictException where a request rests on another version of the table."""
    if "versionToken" in req and req["versionToken"] != table.token:
        raise Stale("Provided version token does not match the table version token.")


async def begin_table(
    tx: Tx, req: w.CreateTableRequest, table_id: str, *, named: bool = False, replica_of: str = ""
) -> Table:
    """A new table and its warehouse; one that is not `named` yet is cleared away if it never is."""
    ctx = tx.context
    bucket = await bucket_of(tx, req["tableBucketARN"])
    namespace = await namespace_of(tx, bucket, req["namespace"])
    await _check_free(tx, bucket, namespace.name, req["name"])
    await check_room(tx, TABLES, bucket.id)
    if named:
        count(tx, TABLES, bucket.id, 1)
    await tx.get(Table, table_id)
    table = _new(ctx, bucket, req, table_id)
    if named:
        table = replace(table, name=table.wanted)
    if replica_of:
        table = replace(table, manager=replication.PRINCIPAL, source=replica_of)
    tell_table(tx, table)
    await s3.open_warehouse(
        tx, warehouse_of(table), table.arn, encryption=default_of_warehouse(table.encryption)
    )
    if named:
        await keep_up(tx, table)
    else:
        await tx.schedule(ctx.now + _GIVEN_UP, CLEAR, table.id)
    return table


def _new(ctx: Context, bucket: TableBucket, req: w.CreateTableRequest, table_id: str) -> Table:
    encryption = checked_encryption(req.get("encryptionConfiguration"))
    storage_class = checked_storage_class(req.get("storageClassConfiguration"))
    return Table(
        id=table_id,
        bucket=bucket.id,
        bucket_arn=bucket.arn,
        account=bucket.account,
        namespace=req["namespace"],
        wanted=req["name"],
        created_at=ctx.now,
        created_by=ctx.account,
        modified_at=ctx.now,
        modified_by=ctx.account,
        token=ctx.new_id(),
        manager=bucket.manager,
        tags=checked_tags({}, req.get("tags") or {}),
        encryption=encryption or bucket.encryption,
        storage_class=storage_class or bucket.storage_class,
    )


async def give_name(ctx: Context, table: Table, location: str) -> Table:
    """A table that was being made is there from now on."""

    async def name(tx: Tx) -> Table:
        bucket = await bucket_of(tx, table.bucket_arn)
        await namespace_of(tx, bucket, table.namespace)
        await _check_free(tx, bucket, table.namespace, table.wanted)
        await check_room(tx, TABLES, bucket.id)
        count(tx, TABLES, bucket.id, 1)
        await tx.get(Table, table.id)
        await tx.unschedule(CLEAR, table.id)
        await keep_up(tx, table)
        named = tx.put(replace(table, name=table.wanted, location=location))
        await replication.begin(tx, bucket, named)
        return named

    return await ctx.transact(name)


async def _check_free(tx: Tx, bucket: TableBucket, namespace: str, name: str) -> None:
    if await find_table(tx, bucket, namespace, name) is not None:
        raise Taken("A table with an identical name already exists in the namespace.")


async def clear(ctx: Context, job: Job) -> None:
    """Clear away the files of a table that is gone, or never came to be, and then its record."""

    async def step(tx: Tx) -> bool:
        table = await tx.get(Table, job.key)
        if table is None or table.name is not None:
            return False
        if await s3.close(tx, warehouse_of(table), limit=ROWS_A_COMMIT):
            return True
        aside = await tx.list(Aside, (table.id,), limit=ROWS_A_COMMIT)
        for one in aside:
            tx.delete(one)
        if aside:
            return True
        for replica in await tx.list(Replica, (table.id,), limit=ROWS_A_COMMIT):
            tx.delete(replica)
        tx.delete(Upkept(table=table.id))
        tx.delete(table)
        forget_resource(tx, table.arn)
        return False

    while await ctx.transact(step):
        pass


def _summary(bucket: TableBucket, table: Table) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "namespace": [table.namespace],
        "name": table.name,
        "type": table.type,
        "tableARN": table.arn,
        "createdAt": table.created_at,
        "modifiedAt": table.modified_at,
        "tableBucketId": bucket.id,
    }
    if table.manager:
        shown["managedByService"] = table.manager
    return shown


def _managed(table: Table) -> dict[str, Any]:
    """What a replica says of the table whose it is."""
    if not table.source:
        return {}
    return {"managedTableInformation": {"replicationInformation": {"sourceTableARN": table.source}}}


def _ms(ctx: Context) -> int:
    return int(ctx.now.timestamp() * 1000)
