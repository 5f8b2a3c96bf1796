"""Deleting many keys in one request: each is judged by itself, all go in one commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doppio.kernel.context import Context, Tx
from doppio.services.s3.beyond import RECORDS
from doppio.services.s3.conditions import check_delete
from doppio.services.s3.errors import MalformedXML
from doppio.services.s3.limits import DELETED_KEYS_MAX
from doppio.services.s3.lookup import existing_bucket
from doppio.services.s3.objects import delete
from doppio.services.s3.records import Bucket, Current
from doppio.wire.errors import AccessDenied, AwsError

if TYPE_CHECKING:
    from doppio._stubs import s3 as w


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
        bypasses = bool(req.get("BypassGovernanceRetention"))
        quiet = wanted.get("Quiet", False)
        deleted: list[w.DeletedObject] = []
        errors: list[w.Error] = []
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            for one in objects:
                try:
                    entry = await _delete_one(tx, bucket, one, bypasses=bypasses)
                except AwsError as error:
                    errors.append(_error(one, error))
                else:
                    deleted.append(entry)
        result: w.DeleteObjectsOutput = {}
        if deleted and not quiet:
            result["Deleted"] = deleted
        if errors:
            result["Errors"] = errors
        return result


async def _delete_one(
    tx: Tx, bucket: Bucket, one: w.ObjectIdentifier, *, bypasses: bool
) -> w.DeletedObject:
    key, version_id = one["Key"], one.get("VersionId")
    action = "s3:DeleteObject" if version_id is None else "s3:DeleteObjectVersion"
    await tx.context.authorise(action, f"{bucket.arn}/{key}", policy=bucket.arn, beyond=RECORDS)
    current = await tx.get(Current, bucket.id, key)
    check_delete({"Key": key, **({"IfMatch": one["ETag"]} if "ETag" in one else {})}, current)
    gone = await delete(tx, bucket, key, version_id, current, bypasses=bypasses)
    entry: w.DeletedObject = {"Key": key}
    if version_id is not None:
        entry["VersionId"] = version_id
    if gone.get("DeleteMarker"):
        entry["DeleteMarker"] = True
        entry["DeleteMarkerVersionId"] = gone["VersionId"]
    return entry


def _error(one: w.ObjectIdentifier, error: AwsError) -> w.Error:
    code = "AccessDenied" if isinstance(error, AccessDenied) else error.code
    entry: w.Error = {"Key": one["Key"], "Code": code, "Message": error.message}
    if "VersionId" in one:
        entry["VersionId"] = one["VersionId"]
    return entry
