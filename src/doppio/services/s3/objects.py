"""Objects: put, get, head, delete.

A put of a small object is one commit of two rows: its record, in which the body lies, and what listings
show of it (`extracts`).
A get is one read of bucket and object together. Larger bodies are files; see `bodies`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import msgspec

from doppio.kernel.context import Context, Tx
from doppio.kernel.store import Conflict
from doppio.services.s3 import checksums, locks, mfa, replication_rules, tiering_rules
from doppio.services.s3.acls import with_acl
from doppio.services.s3.appends import append, check_offset
from doppio.services.s3.archives import check_readable, restore_header
from doppio.services.s3.attributes import ENFORCED, PLAIN, Attributes, head_of, new_attributes
from doppio.services.s3.bodies import (
    Bodies,
    Bytes,
    Expected,
    Placed,
    Received,
    body_of,
    expected,
    received_whole,
)
from doppio.services.s3.conditions import (
    CONDITIONS,
    check_delete,
    check_read,
    check_write,
    part_of,
    range_of,
)
from doppio.services.s3.directory_rules import EXPRESS_ONEZONE
from doppio.services.s3.encryption import (
    DefaultApplies,
    Sealing,
    asks,
    check_customer,
    etag_of,
    is_plain,
    keys_to_read,
    sealing_of,
    told_of,
    with_sealing,
)
from doppio.services.s3.errors import InvalidRequest
from doppio.services.s3.glimpses import Known, former_of
from doppio.services.s3.happenings import happened
from doppio.services.s3.lifecycle import expiration_of
from doppio.services.s3.limits import BODY_IN_RECORD_BYTES_MAX, PUT_BYTES_MAX
from doppio.services.s3.lookup import (
    bucket_and_current,
    bucket_and_row,
    current_of,
    version_and_content,
    version_of,
    with_content,
)
from doppio.services.s3.reclaim import lets_go_of_more
from doppio.services.s3.records import (
    Blob,
    Bucket,
    Content,
    Current,
    More,
    Piece,
    Version,
)
from doppio.services.s3.settings import setting
from doppio.services.s3.stock import request_type, retrieval_type, stored
from doppio.services.s3.tiering import accessed, watch
from doppio.services.s3.versions import ENABLED, hide, instead_of, make_way, remove
from doppio.services.s3.zones import check_zone
from doppio.wire.http import ByteStream

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

_OVERRIDES = {
    "ResponseCacheControl": "CacheControl",
    "ResponseContentDisposition": "ContentDisposition",
    "ResponseContentEncoding": "ContentEncoding",
    "ResponseContentLanguage": "ContentLanguage",
    "ResponseContentType": "ContentType",
    "ResponseExpires": "Expires",
}
_OVERRIDING = _OVERRIDES.keys()
# The members by which a read asks for less than a version as it is, or for more.
_CHOOSING = CONDITIONS | {"Range", "PartNumber", "ChecksumMode"} | _OVERRIDING
_UNSEALED = told_of(None)


class Objects:
    """The operations on one object."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies

    async def put_object(self, ctx: Context, req: w.PutObjectRequest) -> w.PutObjectOutput:
        """Store an object, whole or not at all; durable before the answer."""
        attributes = new_attributes(req)
        plain = attributes is PLAIN
        if not plain and "WriteOffsetBytes" in req:
            _, there = await bucket_and_current(ctx.read(), req)
            if there is not None:
                appended = await append(self._bodies, ctx, req, there)
                return cast("w.PutObjectOutput", appended)
            check_offset(req["WriteOffsetBytes"])
        body = body_of(req)
        says = expected(req, body)
        sealing: Sealing | None = None
        received: Received | None = None
        if plain or not asks(req):
            received = received_whole(body, says, checksums.DEFAULT, None)
        if received is None:
            # Nobody should send gigabytes to hear that there is no such bucket.
            bucket, old = await bucket_and_current(ctx.read(), req)
            with_acl(ctx, bucket, req, attributes)
            check_write(req, old)
            sealing = await sealing_of(ctx, bucket, req, req["Key"])
            received = await self._received(ctx, body, says, sealing)
        try:
            bucket, current = await self._put(ctx, req, attributes, received, sealing)
        except DefaultApplies as default:
            sealing = await sealing_of(ctx, default.bucket, req, req["Key"])
            received = await self._received(ctx, body, says, sealing)
            bucket, current = await self._put(ctx, req, attributes, received, sealing)
        result: Any = {
            "ETag": f'"{current.etag}"',
            **(_UNSEALED if sealing is None else told_of(sealing)),
            **checksums.to_wire(current.checksum),
        }
        if bucket.kinds and (ends := await expiration_of(ctx, bucket, current)) is not None:
            result["Expiration"] = ends
        if bucket.versioning == ENABLED:
            result["VersionId"] = current.id
        found: w.PutObjectOutput = result
        return found

    async def _received(
        self, ctx: Context, body: ByteStream, says: Expected, sealing: Sealing | None
    ) -> Received:
        keys = None if sealing is None else sealing.keys
        received = await self._bodies.receive(
            ctx, body, says, algorithm=checksums.DEFAULT, bytes_max=PUT_BYTES_MAX, keys=keys
        )
        if sealing is None:
            return received
        return received.with_etag(etag_of(ctx, sealing, received.etag))

    async def _put(
        self,
        ctx: Context,
        req: w.PutObjectRequest,
        attributes: Attributes,
        received: Received,
        sealing: Sealing | None,
    ) -> tuple[Bucket, Current]:
        """What was received becomes an object."""
        if received.blob is None:
            try:
                # Nearly always nobody is in the way, and nothing has to be run again.
                async with ctx.write() as tx:
                    return await _put(tx, req, attributes, received, sealing)
            except Conflict:
                pass
        again = partial(_put, req=req, attributes=attributes, received=received, sealing=sealing)
        return await self._bodies.claim(ctx, received, again)

    async def get_object(self, ctx: Context, req: w.GetObjectRequest) -> w.GetObjectOutput:
        """A version's bytes, all of them or a range."""
        reader = ctx.read()
        bucket, version = await version_of(reader, req)
        content: Content | None = None
        if version.content is not None:
            bucket, version, content = await with_content(reader, req, bucket, version)
        if version.storage_class != "STANDARD":
            check_readable(version, ctx.now)
        result, offset, length = self._read(ctx, req, bucket, version, content)
        if bucket.kinds and (ends := await expiration_of(ctx, bucket, version)) is not None:
            result["Expiration"] = ends
        plain = is_plain(req, version.more)
        keys = None if plain else await keys_to_read(ctx, req, version.more)
        result["Body"] = self._bodies.send(ctx, version, content, offset, length, keys)
        reader.meter(request_type(2, version.storage_class))
        if version.storage_class != "STANDARD":
            retrieved = retrieval_type(version.storage_class)
            if retrieved is not None:
                reader.meter(retrieved, length)
            if version.storage_class == tiering_rules.CLASS:
                await accessed(ctx, bucket, version)
        found: w.GetObjectOutput = result
        return found

    async def head_object(self, ctx: Context, req: w.HeadObjectRequest) -> w.HeadObjectOutput:
        """What GET would say of a version, without its bytes."""
        reader = ctx.read()
        if "PartNumber" in req:
            bucket, version, content = await version_and_content(reader, req)
        else:
            (bucket, version), content = await version_of(reader, req), None
        if not is_plain(req, version.more):
            check_customer(req, version.more)
        result, _, _ = self._read(ctx, req, bucket, version, content)
        if bucket.kinds and (ends := await expiration_of(ctx, bucket, version)) is not None:
            result["Expiration"] = ends
        if version.more is not None and version.more.tier in tiering_rules.ACCESS_TIERS:
            result["ArchiveStatus"] = tiering_rules.ACCESS_TIERS[version.more.tier]
        reader.meter(request_type(2, version.storage_class))
        found: w.HeadObjectOutput = result
        return found

    def _read(
        self,
        ctx: Context,
        req: Mapping[str, Any],
        bucket: Bucket,
        version: Version,
        content: Content | None,
    ) -> tuple[Any, int, int]:
        """What is said of a version, and which of its bytes are asked for."""
        result = head_of(bucket, version)
        if version.more is not None and (restore := restore_header(version, ctx.now)) is not None:
            result["Restore"] = restore
        if _CHOOSING.isdisjoint(req):
            return result, 0, version.size
        check_read(req, version)
        offset, length = 0, version.size
        if "Range" in req or "PartNumber" in req:
            found: tuple[int, int] | None
            if "PartNumber" in req:
                found = part_of(req, version, content)
                if version.parts_count:
                    result["PartsCount"] = version.parts_count
            else:
                found = range_of(req["Range"], version)
            if found is not None:
                offset, length = found
                if version.size:
                    last = offset + length - 1
                    result["ContentRange"] = f"bytes {offset}-{last}/{version.size}"
        result["ContentLength"] = length
        if req.get("ChecksumMode") == "ENABLED" and length == version.size:
            result.update(checksums.to_wire(version.checksum))
        if not _OVERRIDING.isdisjoint(req):
            if ctx.caller.kind == "anonymous":
                raise InvalidRequest(
                    "Request specific response headers cannot be used for anonymous GET requests."
                )
            result.update((_OVERRIDES[name], req[name]) for name in _OVERRIDING & req.keys())
        return result, offset, length

    async def delete_object(self, ctx: Context, req: w.DeleteObjectRequest) -> w.DeleteObjectOutput:
        """Delete a version for good, or hide the key. No object is no error."""
        if "MFA" in req:
            # A code counts once: what comes behind it must not be begun again by the door.
            proven = await mfa.proven(ctx, req)
            return await ctx.transact(lambda tx: _delete(tx, req, proven=proven))
        async with ctx.write() as tx:
            return await _delete(tx, req)


async def _put(
    tx: Tx,
    req: w.PutObjectRequest,
    attributes: Attributes,
    received: Received,
    sealing: Sealing | None,
) -> tuple[Bucket, Current]:
    """What was received becomes an object, within a transaction. Raises DefaultApplies."""
    bucket, there, row = await bucket_and_row(tx, req)
    old: Known | None = None
    if there is not None:
        old = current_of(there) if bucket.versioning else former_of(there)
    if attributes is not PLAIN or bucket.ownership != ENFORCED:
        attributes = with_acl(tx.context, bucket, req, attributes)
        check_write(req, old)
        if old is not None and "WriteOffsetBytes" in req:
            check_offset(-1)
    if sealing is not None:
        attributes = attributes._replace(more=with_sealing(attributes.more, sealing))
    elif bucket.encryption is not None and received.blob is None:
        raise DefaultApplies(bucket)
    tx.meter(request_type(1, attributes.storage_class))
    what = placed(tx, received)
    return bucket, await new_version(tx, bucket, req["Key"], old, attributes, what, row=row)


async def _delete(
    tx: Tx, req: w.DeleteObjectRequest, *, proven: bool = False
) -> w.DeleteObjectOutput:
    bucket, there, _ = await bucket_and_row(tx, req)
    current = None if there is None else current_of(there)
    check_delete(req, current)
    version_id = req.get("VersionId")
    if version_id is not None and bucket.mfa_delete == ENABLED and not proven:
        raise mfa.missing()
    bypasses = bool(req.get("BypassGovernanceRetention"))
    return await delete(tx, bucket, req["Key"], version_id, current, bypasses=bypasses)


def placed(tx: Tx, received: Received) -> Bytes:
    """Keep what was received: as the body of the version's record, or as a content beside it."""
    body = received.body
    if body is not None and len(body) <= BODY_IN_RECORD_BYTES_MAX:
        return received
    body, content = keep_body(tx, received)
    return Placed(received.size, received.etag, received.checksum, body, content)


def keep_body(tx: Tx, received: Received) -> tuple[bytes | None, str | None]:
    """Keep what was received: as a body for the version's record, or as a content beside it."""
    body, content = received.body, None
    if received.blob is not None:
        content = received.blob
        tx.add(Blob(content))
        tx.add(Content(id=content, pieces=[Piece(1, received.size, content)]))
    elif body is not None and len(body) > BODY_IN_RECORD_BYTES_MAX:
        content = tx.context.new_id("hex32")
        tx.add(Content(id=content, body=body))
        body = None
    return body, content


async def new_version(
    tx: Tx,
    bucket: Bucket,
    key: str,
    old: Known | None,
    attributes: Attributes,
    what: Bytes,
    *,
    parts_count: int = 0,
    cause: str = "Put",
    row: bytes | None = None,
) -> Current:
    """A new current version of a key, with the bytes of `what`; `old` is what it pushes down or replaces.

    `cause` is S3's name of how it came, as in `ObjectCreated:Put`. `row` is the key of its row, for
    who has it at hand.
    """
    more, storage_class, etag, kinds = (
        attributes.more, attributes.storage_class, what.etag, bucket.kinds,
    )  # fmt: skip
    if storage_class != "STANDARD":
        await enter_class(tx, bucket, storage_class)
    if bucket.zone:
        # There is one class in a zone, and its ETags say nothing of the bytes.
        etag, storage_class = tx.context.new_id("hex32"), EXPRESS_ONEZONE
    if more is not None or (kinds and locks.KIND in kinds):
        more = await locks.locked(tx, bucket, more)
    if bucket.versioning or (old is not None and lets_go_of_more(old)):
        place = await make_way(tx, bucket, key, old)
    else:
        place = instead_of(tx.context.now, old)
    current = Current(
        bucket=bucket.id,
        key=key,
        sequence=place.sequence,
        id=place.id,
        modified=place.modified,
        size=what.size,
        etag=etag,
        checksum=what.checksum,
        body=what.body,
        content=what.content,
        parts_count=parts_count,
        storage_class=storage_class,
        headers=attributes.headers,
        expires=attributes.expires,
        metadata=attributes.metadata,
        tags=attributes.tags,
        more=more,
    )
    if kinds and replication_rules.KIND in kinds:
        current = await _awaiting(tx, bucket, current)
    tx.put(current, row)
    stored(tx, current, place.replaced)
    if kinds:
        happened(tx, bucket, current, f"ObjectCreated:{cause}")
    return current


async def enter_class(tx: Tx, bucket: Bucket, storage_class: str) -> None:
    """What a version's coming to a class takes. Raises ZoneUnavailable."""
    await check_zone(tx, bucket, storage_class)
    if storage_class == tiering_rules.CLASS:
        await watch(tx, bucket)


async def _awaiting(tx: Tx, bucket: Bucket, current: Current) -> Current:
    """The version as it says that it waits for its replicas, where it is to have any."""
    document = await setting(tx, bucket, replication_rules.KIND)
    if document is None or not replication_rules.chosen(document, current):
        return current
    more = msgspec.structs.replace(current.more or More(), replication=replication_rules.PENDING)
    return msgspec.structs.replace(current, more=more)


async def delete(
    tx: Tx,
    bucket: Bucket,
    key: str,
    version_id: str | None,
    current: Current | None,
    *,
    bypasses: bool = False,
) -> w.DeleteObjectOutput:
    """Delete a key or a version of it: the members of DeleteObject's result."""
    if version_id is None:
        marker = await hide(tx, bucket, key, current)
        if marker is None:
            if current is not None:
                happened(tx, bucket, current, "ObjectRemoved:Delete")
            return {}
        happened(tx, bucket, marker, "ObjectRemoved:DeleteMarkerCreated")
        return {"DeleteMarker": True, "VersionId": marker.id}
    gone = await remove(tx, bucket, key, version_id, current, bypasses=bypasses)
    if gone is not None:
        happened(tx, bucket, gone, "ObjectRemoved:Delete")
    result: w.DeleteObjectOutput = {"VersionId": version_id}
    if gone is not None and gone.marker:
        result["DeleteMarker"] = True
    return result
