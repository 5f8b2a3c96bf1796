"""Copies: of whole objects, which share their bytes, and of ranges into parts of uploads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.store import Conflict
from doppio.services.s3 import annotation_copies, checksums
from doppio.services.s3.acls import with_acl
from doppio.services.s3.archives import check_readable
from doppio.services.s3.attributes import (
    Attributes,
    new_attributes,
    tags_of_header,
)
from doppio.services.s3.bodies import Bodies, Expected, Placed
from doppio.services.s3.conditions import check_copy_source, check_write, copy_range_of
from doppio.services.s3.encryption import (
    Sealing,
    encryption_of,
    etag_of,
    keys_to_read,
    sealing_of,
    sealing_of_part,
    told_of,
    with_sealing,
)
from doppio.services.s3.errors import InvalidArgument, InvalidRequest, MethodNotAllowed
from doppio.services.s3.limits import COPY_BYTES_MAX, PART_BYTES_MAX
from doppio.services.s3.lookup import bucket_and_current, version_and_content
from doppio.services.s3.multipart import checked_number, existing_upload, keep_part
from doppio.services.s3.objects import new_version, placed
from doppio.services.s3.reclaim import share
from doppio.services.s3.records import Annotated, Bucket, Checksum, Content, Current, Version
from doppio.services.s3.rules import copy_source, quoted
from doppio.services.s3.sealing import DataKeys
from doppio.services.s3.stock import request_type
from doppio.services.s3.tiering import accessed
from doppio.services.s3.versions import ENABLED

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

_CHANGES = (
    "MetadataDirective", "StorageClass", "WebsiteRedirectLocation", "ServerSideEncryption",
    "SSECustomerAlgorithm",
)  # fmt: skip


class _Source(NamedTuple):
    bucket: Bucket
    version: Version
    content: Content | None


class _Digest(NamedTuple):
    etag: str
    checksum: Checksum


class Copies:
    """CopyObject and UploadPartCopy."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies

    async def copy_object(self, ctx: Context, req: w.CopyObjectRequest) -> w.CopyObjectOutput:
        """Make a version elsewhere the current version here; the bytes are shared, not copied."""
        attributes = new_attributes(req)
        source = await _source(ctx.read(), req)
        if source.version.size > COPY_BYTES_MAX:
            raise InvalidRequest(
                "The specified copy source is larger than the maximum allowable size for a copy "
                f"source: {COPY_BYTES_MAX}"
            )
        bucket, _ = await bucket_and_current(ctx.read(), req)
        texts = await annotation_copies.to_copy(ctx, req, source.bucket, source.version, bucket)
        await accessed(ctx, source.bucket, source.version)
        sealing = await sealing_of(ctx, bucket, req, req["Key"])
        keys = await keys_to_read(ctx, req, source.version.more, "CopySource")
        if sealing is None and keys is None:
            copied = await self._shared(ctx, req, source, attributes, texts)
        else:
            copied = await self._sealed(ctx, req, source, keys, attributes, sealing, texts)
        bucket, again, current = copied
        result: w.CopyObjectOutput = {
            "CopyObjectResult": {
                "ETag": quoted(current.etag),
                "LastModified": current.modified.replace(microsecond=0),
                **checksums.to_wire(current.checksum),
            },
        }
        result.update(cast("w.CopyObjectOutput", told_of(sealing)))
        if again.bucket.versioning:
            result["CopySourceVersionId"] = again.version.id
        if bucket.versioning == ENABLED:
            result["VersionId"] = current.id
        return result

    async def _shared(
        self,
        ctx: Context,
        req: w.CopyObjectRequest,
        source: _Source,
        attributes: Attributes,
        texts: Annotated | None,
    ) -> tuple[Bucket, _Source, Current]:
        """Plain bytes become those of both versions."""
        digest = await self._digest(ctx, req, source)
        async with ctx.write() as tx:
            # Read again here: the source must still be what its digest was made of.
            again = await _source(tx, req)
            bucket, old = await bucket_and_current(tx, req)
            owned = with_acl(ctx, bucket, req, attributes)
            check_write(req, old)
            _check_change(req, bucket, again)
            annotation_copies.check_unchanged(again.version, texts)
            if texts is not None:
                more = annotation_copies.with_annotations(
                    owned.more, await annotation_copies.shared(tx, bucket, texts)
                )
                owned = owned._replace(more=more)
            if again.version.content != source.version.content:
                digest = await self._digest(ctx, req, again)
            current = await _put_copy(tx, req, bucket, old, again, owned, digest)
            tx.meter("Requests-Tier1")
        return bucket, again, current

    async def _sealed(
        self,
        ctx: Context,
        req: w.CopyObjectRequest,
        source: _Source,
        keys: DataKeys | None,
        attributes: Attributes,
        sealing: Sealing | None,
        texts: Annotated | None,
    ) -> tuple[Bucket, _Source, Current]:
        """Each sealed version has bytes of its own, since it has a key of its own."""
        version = source.version
        algorithm, _ = checksums.said(req)
        kept = algorithm or (version.checksum.algorithm if version.checksum else checksums.DEFAULT)
        received = await self._bodies.receive(
            ctx,
            self._bodies.read(ctx, version, source.content, 0, version.size, keys),
            Expected(None, None, None),
            algorithm=kept,
            bytes_max=COPY_BYTES_MAX,
            keys=None if sealing is None else sealing.keys,
        )
        received = received.with_etag(etag_of(ctx, sealing, received.etag))
        carried: list[annotation_copies.Carried] = []
        if texts is not None:
            after = None if sealing is None else sealing.keys
            more = with_sealing(None, sealing)
            carried = await annotation_copies.resealed(ctx, self._bodies, texts, keys, after, more)

        async def commit(tx: Tx) -> tuple[Bucket, _Source, Current]:
            again = await _source(tx, req)
            if again.version.id != version.id or again.version.sequence != version.sequence:
                raise Conflict("the source of a copy has changed")
            bucket, old = await bucket_and_current(tx, req)
            owned = with_acl(ctx, bucket, req, attributes)
            check_write(req, old)
            _check_change(req, bucket, again)
            wanted = _attributes(req, version, owned)
            wanted = wanted._replace(more=with_sealing(wanted.more, sealing))
            annotation_copies.check_unchanged(again.version, texts)
            if texts is not None:
                more = annotation_copies.with_annotations(
                    wanted.more, annotation_copies.kept(tx, bucket, texts, carried)
                )
                wanted = wanted._replace(more=more)
            tx.meter(request_type(1, wanted.storage_class))
            current = await new_version(
                tx, bucket, req["Key"], old, wanted, placed(tx, received), cause="Copy"
            )
            return bucket, again, current

        files = [received, *(one.received for one in carried)]
        return await self._bodies.claim_all(ctx, files, commit)

    async def upload_part_copy(
        self, ctx: Context, req: w.UploadPartCopyRequest
    ) -> w.UploadPartCopyOutput:
        """A range of an object as a part; its MD5 must be made, so its bytes are read anyway."""
        number = checked_number(req["PartNumber"])
        reader = ctx.read()
        source = await _source(reader, req)
        upload = await existing_upload(reader, req)
        offset, length = 0, source.version.size
        if "CopySourceRange" in req:
            offset, length = copy_range_of(req["CopySourceRange"], source.version)
        if length > PART_BYTES_MAX:
            raise InvalidRequest(
                "The specified copy source is larger than the maximum allowable size for a copy "
                f"source: {PART_BYTES_MAX}"
            )
        await accessed(ctx, source.bucket, source.version)
        sealing = await sealing_of_part(ctx, req, upload.more)
        keys = await keys_to_read(ctx, req, source.version.more, "CopySource")
        received = await self._bodies.receive(
            ctx,
            self._bodies.read(ctx, source.version, source.content, offset, length, keys),
            Expected(None, None, None),
            algorithm=upload.algorithm,
            bytes_max=PART_BYTES_MAX,
            file=True,
            keys=None if sealing is None else sealing.keys,
        )
        received = received.with_etag(etag_of(ctx, sealing, received.etag))
        part = await keep_part(self._bodies, ctx, req, number, received)
        copied: w.CopyPartResult = {
            "ETag": quoted(part.etag),
            "LastModified": part.modified.replace(microsecond=0),
        }
        copied.update(cast("w.CopyPartResult", checksums.value_to_wire(received.checksum)))
        result: w.UploadPartCopyOutput = {"CopyPartResult": copied}
        result.update(cast("w.UploadPartCopyOutput", encryption_of(upload.more)))
        if source.bucket.versioning:
            result["CopySourceVersionId"] = source.version.id
        return result

    async def _digest(self, ctx: Context, req: Mapping[str, Any], source: _Source) -> _Digest:
        """ETag and checksum of the copy: the source's where they are of its whole content."""
        version = source.version
        checksum = version.checksum
        algorithm, _ = checksums.said(req)
        known = checksum is not None and checksum.kind == "FULL_OBJECT"
        if known and algorithm in {None, checksum.algorithm} and "-" not in version.etag:  # type: ignore[union-attr]
            assert checksum is not None
            return _Digest(version.etag, checksum)
        algorithm = algorithm or (checksum.algorithm if checksum else checksums.DEFAULT)
        etag, computed = await self._bodies.hashed(ctx, version, source.content, algorithm)
        return _Digest(etag, computed)


async def _source(reader: Reader, req: Mapping[str, Any]) -> _Source:
    """The version that a copy begins from."""
    named = copy_source(req["CopySource"])
    if named is None:
        raise InvalidArgument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            ArgumentName="x-amz-copy-source",
            ArgumentValue=req["CopySource"],
        )
    bucket_name, key, version_id = named
    asked: dict[str, Any] = {"Bucket": bucket_name, "Key": key}
    if version_id is not None:
        asked["VersionId"] = version_id
    if "ExpectedSourceBucketOwner" in req:
        asked["ExpectedBucketOwner"] = req["ExpectedSourceBucketOwner"]
    if "RequestPayer" in req:
        # It is said once, and counts for both buckets.
        asked["RequestPayer"] = req["RequestPayer"]
    try:
        bucket, version, content = await version_and_content(reader, asked)
    except MethodNotAllowed as error:
        raise InvalidRequest(
            "The source of a copy request may not specifically refer to a delete marker by "
            "version id."
        ) from error
    check_copy_source(req, version)
    check_readable(version, reader.context.now)
    return _Source(bucket, version, content)


def _check_change(req: Mapping[str, Any], bucket: Bucket, source: _Source) -> None:
    """Copying an object onto itself must change something."""
    same = source.bucket.id == bucket.id and source.version.key == req["Key"]
    if not same or "?versionId=" in req["CopySource"]:
        return
    if not any(name in req for name in _CHANGES) or req.get("MetadataDirective") == "COPY":
        raise InvalidRequest(
            "This copy request is illegal because it is trying to copy an object to itself "
            "without changing the object's metadata, storage class, website redirect location or "
            "encryption attributes."
        )


async def _put_copy(
    tx: Tx,
    req: Mapping[str, Any],
    bucket: Bucket,
    old: Current | None,
    source: _Source,
    attributes: Attributes,
    digest: _Digest,
) -> Current:
    version = source.version
    if version.content is not None:
        # Before the old version lets go: it may be the source itself.
        await share(tx, version.content)
    return await new_version(
        tx,
        bucket,
        req["Key"],
        old,
        _attributes(req, version, attributes),
        Placed(version.size, digest.etag, digest.checksum, version.body, version.content),
        cause="Copy",
    )


def _attributes(req: Mapping[str, Any], version: Version, attributes: Attributes) -> Attributes:
    """What a copy is stored with: the source's, where the request does not replace it."""
    if _directive(req, "MetadataDirective") == "COPY":
        # Where a website sends its visitors is each object's own, and never copied.
        place = attributes.headers.get("WebsiteRedirectLocation")
        headers = {**version.headers, "WebsiteRedirectLocation": place}
        attributes = attributes._replace(
            headers={name: text for name, text in headers.items() if text is not None},
            expires=version.expires,
            metadata=version.metadata,
        )
    if _directive(req, "TaggingDirective") == "COPY":
        return attributes._replace(tags=version.tags)
    return attributes._replace(tags=tags_of_header(req.get("Tagging", "")))


def _directive(req: Mapping[str, Any], name: str) -> str:
    directive: str = req.get(name, "COPY")
    if directive not in {"COPY", "REPLACE"}:
        raise InvalidArgument(
            "Unknown metadata directive." if name[0] == "M" else "Unknown tagging directive.",
            ArgumentName=f"x-amz-{'metadata' if name[0] == 'M' else 'tagging'}-directive",
            ArgumentValue=directive,
        )
    return directive
