"""Directory buckets (S3 Express One Zone): what is there, and who may ask for it.

A directory bucket lies in one zone and is known by its name. Of S3's operations it has some; they
run as for other buckets, with what differs put right here, before and after. What concerns objects
is authorised by a session (CreateSession) bound to the bucket, or asked for without one, each time
as that session would be: by `s3express:CreateSession`. What concerns the bucket itself has actions
of its own, for the owner's account alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.identity import EXPRESS
from doppio.kernel.regions import is_up, zone_of_id
from doppio.services.s3.directory_encryption import put_encryption
from doppio.services.s3.directory_errors import FunctionNotImplemented
from doppio.services.s3.directory_listings import list_objects, uploads_listed
from doppio.services.s3.directory_names import is_directory
from doppio.services.s3.directory_rules import (
    checked_lifecycle,
    checked_listing,
    checked_parts,
    checked_write,
)
from doppio.services.s3.errors import AccessDenied, MethodNotAllowed, ZoneUnavailable
from doppio.services.s3.lambda_points import LAMBDA_END
from doppio.services.s3.lookup import existing_bucket
from doppio.services.s3.payers import charged, telling
from doppio.services.s3.records import Bucket
from doppio.services.s3.rules import copy_source
from doppio.services.s3.warehouses import in_warehouse, is_warehouse
from doppio.wire.errors import NotImplementedByDoppio

Operation = Callable[[Context, Any], Awaitable[Mapping[str, Any] | None]]
READ_ONLY, READ_WRITE = "ReadOnly", "ReadWrite"
# The operations on objects, and which session they take. Source: CreateSession's documentation.
_ZONAL = {
    **dict.fromkeys(
        ("GetObject", "HeadObject", "ListObjectsV2", "GetObjectAttributes", "ListParts",
         "ListMultipartUploads", "HeadBucket"),
        READ_ONLY,
    ),
    **dict.fromkeys(
        ("PutObject", "DeleteObject", "DeleteObjects", "CreateMultipartUpload", "UploadPart",
         "CompleteMultipartUpload", "AbortMultipartUpload", "RenameObject", "CopyObject",
         "UploadPartCopy"),
        READ_WRITE,
    ),
}  # fmt: skip
# Those on buckets, with their actions. Source: "Authorizing Regional endpoint APIs with IAM".
_REGIONAL = {
    "DeleteBucket": "DeleteBucket",
    "PutBucketPolicy": "PutBucketPolicy",
    "GetBucketPolicy": "GetBucketPolicy",
    "DeleteBucketPolicy": "DeleteBucketPolicy",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "PutBucketMetricsConfiguration": "PutMetricsConfiguration",
    "GetBucketMetricsConfiguration": "GetMetricsConfiguration",
    "ListBucketMetricsConfigurations": "GetMetricsConfiguration",
    "DeleteBucketMetricsConfiguration": "PutMetricsConfiguration",
}
# These see to everything themselves: the bucket is not there yet, or it is about sessions.
_BY_THEMSELVES = frozenset({"CreateBucket", "CreateSession"})
_ANNOTATIONS = frozenset(
    {"PutObjectAnnotation", "GetObjectAnnotation", "DeleteObjectAnnotation",
     "ListObjectAnnotations"}
)  # fmt: skip
_NOT_YET = frozenset(
    {"PutBucketInventoryConfiguration", "GetBucketInventoryConfiguration",
     "ListBucketInventoryConfigurations", "DeleteBucketInventoryConfiguration"}
)  # fmt: skip
_OF_NO_BUCKET = frozenset({"list_buckets", "list_directory_buckets", "write_get_object_response"})
_ONLY_HERE = frozenset({"RenameObject", "CreateSession"})


def directing(operations: Mapping[str, Operation], functions: Operation) -> dict[str, Operation]:
    """The operations on a bucket, each with its way to buckets of other kinds, to the functions of
    Object Lambda (`functions`), and to who pays.

    All are asked in one step, which makes no coroutine of its own: a request to another bucket,
    that says nothing of paying, waits for nothing here.
    """
    payable = telling()
    found = {}
    for name, run in operations.items():
        if name in _OF_NO_BUCKET:
            continue
        way = _copying(run) if name in {"copy_object", "upload_part_copy"} else run
        found[name] = (_payable if name in payable else _free)(way, functions)
    return found


def _payable(run: Operation, functions: Operation) -> Operation:
    def asked(ctx: Context, req: Any) -> Awaitable[Mapping[str, Any] | None]:
        if (
            req["Bucket"][-3:] == "-s3"
            and (other := _elsewhere(run, functions, ctx, req)) is not None
        ):
            return other
        return charged(run, ctx, req) if "RequestPayer" in req else run(ctx, req)

    return asked


def _free(run: Operation, functions: Operation) -> Operation:
    def asked(ctx: Context, req: Any) -> Awaitable[Mapping[str, Any] | None]:
        if (
            req["Bucket"][-3:] == "-s3"
            and (other := _elsewhere(run, functions, ctx, req)) is not None
        ):
            return other
        return run(ctx, req)

    return asked


def _elsewhere(
    run: Operation, functions: Operation, ctx: Context, req: Any
) -> Awaitable[Mapping[str, Any] | None] | None:
    """The way to a directory bucket, a table's warehouse or a function; None for other buckets."""
    if is_directory(req["Bucket"]):
        return _directed(run, ctx, req)
    if req["Bucket"].endswith(LAMBDA_END):
        return functions(ctx, req)
    return in_warehouse(run, ctx, req) if is_warehouse(req["Bucket"]) else None


def _copying(run: Operation) -> Operation:
    async def copied(ctx: Context, req: Any) -> Mapping[str, Any] | None:
        named = copy_source(req["CopySource"])
        if named is not None and is_warehouse(named[0]):
            raise MethodNotAllowed(Method=ctx.operation, ResourceType="BUCKET")
        if named is not None and is_directory(named[0]):
            asked = {
                "Bucket": named[0],
                "ExpectedBucketOwner": req.get("ExpectedSourceBucketOwner"),
            }
            source = await existing_bucket(ctx.read(), asked)
            await check_zone(ctx, source)
            await authorise_zonal(ctx, source, READ_ONLY)
        return await run(ctx, req)

    return copied


async def _directed(run: Operation, ctx: Context, req: Any) -> Mapping[str, Any] | None:
    operation = ctx.operation
    if operation in _BY_THEMSELVES:
        return await run(ctx, req)
    if operation in _ANNOTATIONS:
        raise FunctionNotImplemented
    if operation in _NOT_YET:
        raise NotImplementedByDoppio(
            "Inventories of directory buckets exist in AWS and not yet here"
        )
    action = _REGIONAL.get(operation)
    mode = _ZONAL.get(operation)
    if action is None and mode is None:
        raise MethodNotAllowed(Method=operation, ResourceType="BUCKET")
    bucket = await existing_bucket(ctx.read(), req)
    if action is not None:
        await authorise_regional(ctx, bucket, action)
        if operation == "PutBucketEncryption":
            await put_encryption(ctx, bucket, req)
            return None
        if operation == "PutBucketLifecycleConfiguration":
            checked_lifecycle(req)
        return await run(ctx, req)
    assert mode is not None
    await check_zone(ctx, bucket)
    await authorise_zonal(ctx, bucket, mode)
    return await _on_objects(run, ctx, bucket, req)


async def _on_objects(
    run: Operation, ctx: Context, bucket: Bucket, req: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    operation = ctx.operation
    if operation in {"PutObject", "CopyObject", "CreateMultipartUpload"}:
        req = checked_write(operation, bucket, req, ctx.caller.session.get(EXPRESS) or {})
    elif operation in {"ListObjectsV2", "ListMultipartUploads"}:
        asked = checked_listing(operation, req)
        if operation == "ListObjectsV2":
            return await list_objects(ctx, bucket, asked)
        return uploads_listed(await run(ctx, asked) or {}, req)
    elif operation == "CompleteMultipartUpload":
        checked_parts(req)
    return await run(ctx, req)


async def check_zone(ctx: Context, bucket: Bucket) -> None:
    """Raise ZoneUnavailable while a bucket's zone is down: its data is nowhere else."""
    zone = zone_of_id(bucket.region, bucket.zone)
    if zone is not None and not await is_up(ctx.read(), zone):
        raise ZoneUnavailable


async def authorise_zonal(ctx: Context, bucket: Bucket, mode: str) -> None:
    """Raise AccessDenied unless the caller has such a session, or would get one."""
    session = ctx.caller.session.get(EXPRESS)
    if session is not None:
        if session["bucket"] != bucket.name or mode not in {READ_ONLY, session["mode"]}:
            raise AccessDenied
        # A bucket that somebody else has made since, under the same name, is another one.
        if session["account"] != bucket.account or session["born"] not in {"", born(bucket)}:
            raise AccessDenied
        return
    await ctx.authorise(
        "s3express:CreateSession", bucket.arn, conditions(bucket, {"sessionmode": mode}),
        policy=bucket.arn,
    )  # fmt: skip


def born(bucket: Bucket) -> str:
    """What tells a bucket from a later one of its name."""
    return bucket.created_at.isoformat()


async def authorise_regional(ctx: Context, bucket: Bucket, action: str) -> None:
    """Raise AccessDenied unless the caller's own policies, in the owner's account, allow it."""
    if ctx.caller.account != bucket.account:
        raise AccessDenied
    await ctx.authorise(f"s3express:{action}", bucket.arn, conditions(bucket), policy="*")


def conditions(bucket: Bucket, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Condition keys of S3 Express."""
    found = {"locationname": bucket.zone, "resourceaccount": bucket.account, **(more or {})}
    return {f"s3express:{name}": value for name, value in found.items()}


def only_here(operation: str, bucket: str) -> None:
    """Raise where an operation of directory buckets is asked of another one."""
    if operation in _ONLY_HERE and not is_directory(bucket):
        raise MethodNotAllowed(Method=operation, ResourceType="BUCKET")
