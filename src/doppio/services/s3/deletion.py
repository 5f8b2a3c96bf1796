"""Deleting many keys in one request: each is judged by itself, all go in one commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context, Tx
from doppio.kernel.service import Need
from doppio.services.s3 import mfa, points
from doppio.services.s3.beyond import RECORDS
from doppio.services.s3.conditions import check_delete
from doppio.services.s3.errors import MalformedXML
from doppio.services.s3.limits import DELETED_KEYS_MAX
from doppio.services.s3.lookup import existing_bucket
from doppio.services.s3.objects import delete
from doppio.services.s3.records import Bucket, Current
from doppio.services.s3.versions import ENABLED
from doppio.wire.errors import AccessDenied, AwsError

if TYPE_CHECKING:
    from doppio._stubs import s3 as w


_CONDITIONS = {
    "ETag": "IfMatch",
    "LastModifiedTime": "IfMatchLastModifiedTime",
    "Size": "IfMatchSize",
}


class Deletion:
    """DeleteObjects."""

    async def delete_objects(
        self, ctx: Context, req: w.DeleteObjectsRequest
    ) -> w.DeleteObjectsOutput:
        """Delete up to a thousand keys or versions; what fails is told beside what went."""
        wanted = req["Delete"]
        objects = wanted.get("Objects") or []
        if not 1 <= len(objects) <= DELETED_KEYS_MAX:
            raise MalformedXML
        quiet = wanted.get("Quiet", False)
        if "MFA" in req:
            # A code counts once: what comes behind it must not be begun again by the door.
            proven = await mfa.proven(ctx, req)
            deleted, errors = await ctx.transact(
                lambda tx: _delete_all(tx, req, objects, proven=proven)
            )
        else:
            async with ctx.write() as tx:
                deleted, errors = await _delete_all(tx, req, objects)
        result: w.DeleteObjectsOutput = {}
        if deleted and not quiet:
            result["Deleted"] = deleted
        if errors:
            result["Errors"] = errors
        return result


async def _delete_all(
    tx: Tx,
    req: w.DeleteObjectsRequest,
    objects: list[w.ObjectIdentifier],
    *,
    proven: bool = False,
) -> tuple[list[w.DeletedObject], list[w.Error]]:
    """What went, and what failed. Without a code that counts, versions that take one fail all."""
    deleted: list[w.DeletedObject] = []
    errors: list[w.Error] = []
    bypasses = bool(req.get("BypassGovernanceRetention"))
    bucket = await existing_bucket(tx, req)
    if bucket.mfa_delete == ENABLED and not proven and any("VersionId" in one for one in objects):
        raise mfa.missing()
    for one in objects:
        try:
            entry = await _delete_one(tx, bucket, one, bypasses=bypasses)
        except AwsError as error:
            errors.append(_error(one, error))
        else:
            deleted.append(entry)
    return deleted, errors


async def _delete_one(
    tx: Tx, bucket: Bucket, one: w.ObjectIdentifier, *, bypasses: bool
) -> w.DeletedObject:
    key, version_id = one["Key"], one.get("VersionId")
    action = "s3:DeleteObject" if version_id is None else "s3:DeleteObjectVersion"
    if not bucket.zone:
        # Directory buckets have let the whole request in.
        need = Need(action, f"{bucket.arn}/{key}", policy=bucket.arn, beyond=RECORDS)
        await points.authorise(tx.context, need)
    current = await tx.get(Current, bucket.id, key)
    check_delete(_asked(bucket, one), current)
    gone = await delete(tx, bucket, key, version_id, current, bypasses=bypasses)
    entry: w.DeletedObject = {"Key": key}
    if version_id is not None:
        entry["VersionId"] = version_id
    if gone.get("DeleteMarker"):
        entry["DeleteMarker"] = True
        entry["DeleteMarkerVersionId"] = gone["VersionId"]
    return entry


def _asked(bucket: Bucket, one: w.ObjectIdentifier) -> dict[str, Any]:
    """One of the deletions as DeleteObject would be asked for it."""
    asked: dict[str, Any] = {"Bucket": bucket.name, "Key": one["Key"]}
    for name, condition in _CONDITIONS.items():
        if name in one:
            asked[condition] = one[name]  # type: ignore[literal-required]
    return asked


def _error(one: w.ObjectIdentifier, error: AwsError) -> w.Error:
    code = "AccessDenied" if isinstance(error, AccessDenied) else error.code
    entry: w.Error = {"Key": one["Key"], "Code": code, "Message": error.message}
    if "VersionId" in one:
        entry["VersionId"] = one["VersionId"]
    return entry
