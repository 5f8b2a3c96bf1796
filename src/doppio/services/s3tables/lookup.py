"""Buckets, namespaces and tables by what requests call them.

Who may do what with a table is a matter of its ARN, which holds its id, and requests name it by
bucket, namespace and name. So each request is led to its table before it is judged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from doppio.kernel.context import Context, Reader
from doppio.services.s3.ports import WAREHOUSE_END
from doppio.services.s3tables.errors import BadRequest, no_bucket, no_namespace, no_table
from doppio.services.s3tables.records import NAMES, Namespace, Table, TableBucket
from doppio.services.s3tables.rules import Place, place_of, warehouse_name

# The members that name a table by an ARN of its own.
_TABLE_ARNS = ("tableArn", "tableARN", "resourceArn")


class Meant(dict[str, Any]):
    """A request with the table that it names; None where there is no such table."""

    table: Table | None = None


def readdress(
    ctx: Context, operation: str, req: Mapping[str, Any]
) -> Awaitable[Mapping[str, Any]] | None:
    """The request with its table, where it names one."""
    by_name = "tableBucketARN" in req and "name" in req and operation != "CreateTable"
    arn = _table_arn(req)
    return _found(ctx, req, arn) if by_name or arn else None


def _table_arn(req: Mapping[str, Any]) -> str:
    for member in _TABLE_ARNS:
        arn = req.get(member)
        if arn and "/table/" in arn:
            return str(arn)
    return ""


async def _found(ctx: Context, req: Mapping[str, Any], arn: str) -> Mapping[str, Any]:
    meant = Meant(req)
    reader = ctx.read()
    if arn:
        meant.table = await table_by_arn(reader, arn)
        return meant
    bucket = await find_bucket(reader, req["tableBucketARN"])
    if bucket is not None and "namespace" in req:
        meant.table = await find_table(reader, bucket, req["namespace"], req["name"])
    return meant


async def find_bucket(reader: Reader, arn: str) -> TableBucket | None:
    """The table bucket of an ARN, if it is in this Region."""
    place = place_of(arn)
    if place is None or place.table or place.region != reader.context.region:
        return None
    return await reader.get(TableBucket, place.account, place.region, place.bucket)


async def bucket_at(reader: Reader, place: Place) -> TableBucket | None:
    """The table bucket at a place, in whichever Region."""
    return await reader.get(TableBucket, place.account, place.region, place.bucket)


async def bucket_of(reader: Reader, arn: str) -> TableBucket:
    """The table bucket of an ARN. Raises NotFoundException."""
    place = place_of(arn)
    if place is None:
        raise BadRequest("The specified table bucket ARN is not valid.")
    bucket = await find_bucket(reader, arn)
    if bucket is None:
        raise no_bucket()
    return bucket


async def namespace_of(reader: Reader, bucket: TableBucket, name: str) -> Namespace:
    """A namespace by its name. Raises NotFoundException."""
    found = await reader.get(Namespace, bucket.id, name)
    if found is None:
        raise no_namespace()
    return found


async def find_table(
    reader: Reader, bucket: TableBucket, namespace: str, name: str
) -> Table | None:
    """A table by its name."""
    found = await reader.find(NAMES, (bucket.id, namespace, name), limit=1)
    return found[0] if found else None


async def table_by_arn(reader: Reader, arn: str) -> Table | None:
    """A table by its ARN, also one that is being made."""
    place = place_of(arn)
    if place is None or not place.table or place.region != reader.context.region:
        return None
    table = await reader.get(Table, place.table)
    return table if table is not None and table.arn == arn else None


async def table_of(reader: Reader, req: Mapping[str, Any]) -> tuple[TableBucket, Table]:
    """The table that a request names, by ARN or by name. Raises NotFoundException."""
    arn = _table_arn(req)
    if arn:
        table = await table_by_arn(reader, arn)
        if table is None or table.name is None:
            raise no_table()
        return await bucket_of(reader, table.bucket_arn), table
    bucket = await bucket_of(reader, req["tableBucketARN"])
    await namespace_of(reader, bucket, req["namespace"])
    table = await find_table(reader, bucket, req["namespace"], req["name"])
    if table is None:
        raise no_table()
    return bucket, table


def warehouse_of(table: Table) -> str:
    """The bucket of S3 in which a table's files lie."""
    return warehouse_name(table.id, WAREHOUSE_END)
