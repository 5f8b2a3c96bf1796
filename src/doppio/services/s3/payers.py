"""Who pays for a request: the bucket's owner, or the requester where the bucket says so.

In a bucket that lets its requesters pay, who comes from another account must say that he will, and
nobody may come unsigned. Source: "Using Requester Pays buckets for storage transfers and usage".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context
from doppio.services.s3.errors import AccessDenied
from doppio.services.s3.records import Bucket
from doppio.services.s3.rules import copy_source

if TYPE_CHECKING:
    from doppio.kernel.service import Operation

REQUESTER = "requester"
# The operations that take x-amz-request-payer. The others are for owners; no header is asked of them.
_PAYABLE = frozenset(
    {
        "AbortMultipartUpload", "CompleteMultipartUpload", "CopyObject", "CreateMultipartUpload",
        "DeleteObject", "DeleteObjectAnnotation", "DeleteObjects",
        "GetBucketAccelerateConfiguration", "GetObject", "GetObjectAcl", "GetObjectAnnotation",
        "GetObjectAttributes", "GetObjectLegalHold", "GetObjectRetention", "GetObjectTagging",
        "GetObjectTorrent", "HeadObject", "ListMultipartUploads", "ListObjectAnnotations",
        "ListObjectVersions", "ListObjects", "ListObjectsV2", "ListParts", "PutObject",
        "PutObjectAcl", "PutObjectAnnotation", "PutObjectLegalHold", "PutObjectLockConfiguration",
        "PutObjectRetention", "PutObjectTagging", "RestoreObject", "UpdateObjectEncryption",
        "UploadPart", "UploadPartCopy",
    }
)  # fmt: skip
# Those of them whose answers have no place for x-amz-request-charged, by their methods.
_SILENT = frozenset(
    {"get_object_legal_hold", "get_object_retention", "get_object_tagging", "put_object_tagging"}
)


def settle(ctx: Context, bucket: Bucket, req: Mapping[str, Any]) -> None:
    """Say who pays for a request from another account. Raises AccessDenied where nobody will."""
    if not bucket.requester_pays:
        ctx.payer = bucket.account
        return
    ctx.payer = None
    if ctx.operation not in _PAYABLE or ctx.caller.kind == "service":
        return
    if ctx.caller.kind == "anonymous" or req.get("RequestPayer") != REQUESTER:
        raise AccessDenied


def telling() -> set[str]:
    """The methods of the operations whose answers say who was charged."""
    return {_method(name) for name in _PAYABLE} - _SILENT


async def charged(run: Operation, ctx: Context, req: Any) -> Mapping[str, Any] | None:
    """An operation and, where its request says who pays, who was charged."""
    result = await run(ctx, req)
    source = copy_source(req["CopySource"]) if "CopySource" in req else None
    for name in (req["Bucket"], *([] if source is None else [source[0]])):
        home = name if ctx.partition == "aws" else f"{ctx.partition}:{name}"
        bucket = await ctx.read().get(Bucket, home)
        if bucket is not None and bucket.requester_pays and bucket.account != ctx.account:
            return {**(result or {}), "RequestCharged": REQUESTER}
    return result


def _method(operation: str) -> str:
    small = "".join(f"_{char.lower()}" if char.isupper() else char for char in operation)
    return small.removeprefix("_")
