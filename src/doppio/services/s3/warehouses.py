"""Warehouses: the buckets in which S3 Tables keeps the files of tables, one bucket for one table.

Nobody makes, lists or deletes one by S3's API. Who may read the table's data reads its objects, who
may write the data writes them, and nothing is deleted by hand: which file is no more wanted is for
the table's maintenance to find out. Source: "S3 API operations supported by S3 Tables".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from doppio.kernel.authorise import forget_resource, put_resource
from doppio.kernel.context import Context, Reader, Tx
from doppio.services.s3 import stock
from doppio.services.s3.errors import InvalidRequest, MethodNotAllowed, NoSuchBucket
from doppio.services.s3.lookup import bucket_id, checked_bucket
from doppio.services.s3.reclaim import discard_upload, keep_sweeping, release
from doppio.services.s3.records import Bucket, Current, Older, Upload
from doppio.services.s3.versions import ENABLED, hide
from doppio.services.s3.warehouse_names import SUFFIX, is_warehouse

__all__ = [
    "SUFFIX", "Lying", "close", "in_warehouse", "is_warehouse", "lying", "open_warehouse",
    "remove_hidden", "set_aside",
]  # fmt: skip

Operation = Callable[[Context, Any], Awaitable[Mapping[str, Any] | None]]
_READ, _WRITE = "GetTableData", "PutTableData"
_OPERATIONS = {
    "GetObject": _READ,
    "HeadObject": _READ,
    "ListParts": _READ,
    "PutObject": _WRITE,
    "CreateMultipartUpload": _WRITE,
    "UploadPart": _WRITE,
    "CompleteMultipartUpload": _WRITE,
    "AbortMultipartUpload": _WRITE,
}
# What an object of a general purpose bucket may be given, and a table's file may not.
_NOT_FOR_FILES = (
    "ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP", "ObjectLockMode",
    "ObjectLockLegalHoldStatus", "ObjectLockRetainUntilDate", "SSECustomerAlgorithm", "StorageClass",
    "Tagging", "WebsiteRedirectLocation", "WriteOffsetBytes",
)  # fmt: skip


class Lying(NamedTuple):
    """A file of a table: its key, its size, and when it came."""

    key: str
    bytes: int
    at: float


async def in_warehouse(run: Operation, ctx: Context, req: Any) -> Mapping[str, Any] | None:
    """An operation on a table's warehouse, for who may do as much with the table's data."""
    if ctx.operation == "CreateBucket":
        return await run(ctx, req)
    action = _OPERATIONS.get(ctx.operation)
    bucket = await ctx.read().get(Bucket, bucket_id(ctx, req["Bucket"]))
    if bucket is None:
        raise NoSuchBucket(BucketName=req["Bucket"])
    if action is None:
        raise MethodNotAllowed(Method=ctx.operation, ResourceType="BUCKET")
    checked_bucket(ctx, bucket, bucket.name, req)
    from doppio.services.s3tables import ports

    storage_class = await ports.authorise_data(ctx, action, bucket.table)
    if storage_class is None:
        # Its files are on their way out.
        raise NoSuchBucket(BucketName=req["Bucket"])
    for name in _NOT_FOR_FILES:
        if name in req:
            raise InvalidRequest(f"A table's files take no {name}.")
    _check_encryption(bucket, req)
    if storage_class and ctx.operation in {"PutObject", "CreateMultipartUpload"}:
        req = {**req, "StorageClass": storage_class}
    return await run(ctx, req)


def _check_encryption(bucket: Bucket, req: Mapping[str, Any]) -> None:
    """Raise InvalidRequest where a file is to be encrypted in another way than its table is."""
    rule: Mapping[str, Any] = {"SSEAlgorithm": "AES256"}
    if bucket.encryption is not None:
        rule = bucket.encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    for member, of_table in (
        ("ServerSideEncryption", rule["SSEAlgorithm"]),
        ("SSEKMSKeyId", rule.get("KMSMasterKeyID")),
    ):
        if req.get(member, of_table) != of_table:
            raise InvalidRequest("A table's files are encrypted as the table is.")


async def open_warehouse(
    tx: Tx, name: str, table: str, *, encryption: Mapping[str, Any] | None
) -> None:
    """Make the warehouse of a table, whose ARN is `table`.

    `encryption` is S3's default encryption; None is what S3 does of itself.
    """
    ctx = tx.context
    account = table.split(":")[4]
    assert await tx.get(Bucket, bucket_id(ctx, name)) is None, "a table's id was given twice"
    bucket = Bucket(
        id=bucket_id(ctx, name),
        name=name,
        partition=ctx.partition,
        account=account,
        region=ctx.region,
        created_at=ctx.now.replace(microsecond=0),
        encryption=None if encryption is None else dict(encryption),
        table=table,
        extracts=True,
    )
    tx.put(bucket)
    put_resource(tx, bucket.arn, account)
    await keep_sweeping(tx)
    await stock.keep_measuring(tx, bucket)


async def lying(reader: Reader, name: str, after: str, *, limit: int) -> list[Lying]:
    """The next files in a warehouse behind a key."""
    bucket = bucket_id(reader.context, name)
    found = await reader.list(
        Current, (bucket,), since=f"{after}\0" if after else None, limit=limit
    )
    return [Lying(one.key, one.size, one.modified.timestamp()) for one in found]


async def set_aside(tx: Tx, name: str, keys: Sequence[str]) -> None:
    """Make files non-current: they cannot be read any more, and still take their room."""
    bucket = await tx.get(Bucket, bucket_id(tx.context, name))
    if bucket is None:
        return
    # Nobody else's version is kept: what a client writes over is gone, as in any unversioned bucket.
    keeping = msgspec.structs.replace(bucket, versioning=ENABLED)
    for key in keys:
        current = await tx.get(Current, bucket.id, key)
        if current is not None:
            await hide(tx, keeping, key, current)


async def remove_hidden(tx: Tx, name: str, keys: Sequence[str], *, limit: int) -> None:
    """Delete what lies below the markers of keys that were set aside, and the markers."""
    bucket = bucket_id(tx.context, name)
    for key in keys:
        for older in await tx.list(Older, (bucket, key), limit=limit):
            tx.delete(older)
            await release(tx, older)


async def close(tx: Tx, name: str, *, limit: int) -> bool:
    """Clear a warehouse away whose table is gone, a step at a time; whether there is more to do."""
    bucket = await tx.get(Bucket, bucket_id(tx.context, name))
    if bucket is None:
        return False
    for kind in (Current, Older):
        found = await tx.list(kind, (bucket.id,), limit=limit)
        for version in found:
            tx.delete(version)
            await release(tx, version)
        if found:
            return True
    uploads = await tx.list(Upload, (bucket.id,), limit=limit)
    for upload in uploads:
        tx.delete(upload)
        await discard_upload(tx, upload.id, None)
    if uploads:
        return True
    await tx.unschedule(stock.MEASURE, bucket.id)
    await stock.measure(tx, bucket)
    tx.delete(bucket)
    forget_resource(tx, bucket.arn)
    return False
