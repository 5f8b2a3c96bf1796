"""Annotations: named texts that hang on a version of an object, each up to 1 MiB.

A version says in its own record that it has some (`Annotated`), so that those without pay nothing.
They are encrypted as it is, each under a key that follows from the version's data keys; they go
along when it is copied, and go when it goes.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from doppio.kernel.context import Context, Tx
from doppio.kernel.paging import page_token
from doppio.services.s3 import checksums, locks
from doppio.services.s3.bodies import Bodies, Expected, Received, body_of, expected
from doppio.services.s3.encryption import (
    AES256,
    DSSE,
    encryption_of,
    keys_to_read,
    opaque_etag,
)
from doppio.services.s3.errors import (
    AnnotationLimitExceeded,
    AnnotationNameTooLong,
    EntityTooLarge,
    InvalidAnnotationName,
    InvalidPrefix,
    InvalidRequest,
    NoSuchAnnotation,
    PreconditionFailed,
    UnsupportedMediaType,
)
from doppio.services.s3.happenings import happened
from doppio.services.s3.limits import (
    ANNOTATION_BYTES_MAX,
    ANNOTATION_NAME_BYTES_MAX,
    ANNOTATIONS_MAX,
)
from doppio.services.s3.lookup import version_of
from doppio.services.s3.objects import keep_body
from doppio.services.s3.reclaim import free
from doppio.services.s3.records import Annotated, Annotation, Bucket, Content, More, Version
from doppio.services.s3.replication_rules import PENDING, REPLICA
from doppio.services.s3.rules import etag_matches, quoted
from doppio.services.s3.sealing import DataKeys
from doppio.services.s3.stock import annotated
from doppio.services.s3.tokens import name_of
from doppio.wire.http import ByteStream, Whole

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

# Behind every text that begins with a prefix.
_LAST = "\U0010ffff"


class Annotations:
    """The annotations of one version."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies

    async def put_object_annotation(
        self, ctx: Context, req: w.PutObjectAnnotationRequest
    ) -> w.PutObjectAnnotationOutput:
        """Attach a text to a version under a name, or replace it."""
        name = _checked_name(req["AnnotationName"])
        _, version = await version_of(ctx.read(), req)
        _check_object(req, version)
        keys = await _keys(ctx, version)
        salt = ctx.new_id("hex32") if keys else ""
        received = await self._receive(ctx, req, keys_of_annotation(keys, salt))
        etag = opaque_etag(ctx, version.more) or received.etag

        async def commit(tx: Tx) -> tuple[Bucket, Version, Annotation]:
            bucket, again = await version_of(tx, req)
            _check_object(req, again)
            if _sealing(again) != _sealing(version):
                raise InvalidRequest("The object was changed while it was annotated.")
            made = Annotation(
                home="",
                name=name,
                modified=ctx.now.replace(microsecond=0),
                size=received.size,
                etag=etag,
                checksum=received.checksum,
                salt=salt,
                replication=_awaiting(again),
            )
            return bucket, again, await put_annotation(tx, bucket, again, made, received)

        bucket, version, made = await self._bodies.claim(ctx, received, commit)
        result: dict[str, Any] = {"Key": version.key, "AnnotationName": name}
        result.update(_shown(bucket, version, made))
        result.update(checksums.to_wire(made.checksum))
        return cast("w.PutObjectAnnotationOutput", result)

    async def get_object_annotation(
        self, ctx: Context, req: w.GetObjectAnnotationRequest
    ) -> w.GetObjectAnnotationOutput:
        """The text under a name."""
        name = _checked_name(req["AnnotationName"])
        reader = ctx.read()
        bucket, version = await version_of(reader, req)
        home = annotated_of(version)
        found = None if home is None else await reader.get(Annotation, home.home, name)
        if found is None:
            raise NoSuchAnnotation(AnnotationName=name)
        content = None if found.content is None else await reader.get(Content, found.content)
        keys = keys_of_annotation(await _keys(ctx, version), found.salt)
        reader.meter("Requests-Tier2")
        result = _shown(bucket, version, found)
        result["AnnotationPayload"] = self._bodies.send(ctx, found, content, 0, found.size, keys)
        result["LastModified"] = found.modified
        if found.replication:
            result["ReplicationStatus"] = found.replication
        result["ContentLength"] = found.size
        if req.get("ChecksumMode") == "ENABLED":
            result.update(checksums.to_wire(found.checksum))
        return cast("w.GetObjectAnnotationOutput", result)

    async def delete_object_annotation(
        self, ctx: Context, req: w.DeleteObjectAnnotationRequest
    ) -> w.DeleteObjectAnnotationOutput:
        """Take a text off for good; none is no error."""
        name = _checked_name(req["AnnotationName"])
        async with ctx.write() as tx:
            bucket, version = await version_of(tx, req)
            _check_match(req, version)
            bypasses = bool(req.get("BypassGovernanceRetention"))
            home = annotated_of(version)
            found = None if home is None else await tx.get(Annotation, home.home, name)
            if found is not None:
                await locks.check_may_go(ctx, bucket, version, bypasses=bypasses)
                await take_off(tx, bucket, version, found)
        return {"ObjectVersionId": version.id} if bucket.versioning else {}

    async def list_object_annotations(
        self, ctx: Context, req: w.ListObjectAnnotationsRequest
    ) -> w.ListObjectAnnotationsOutput:
        """The annotations of a version by name, without their texts."""
        prefix = _checked_prefix(req.get("AnnotationPrefix", ""))
        count = req.get("MaxAnnotationResults", ANNOTATIONS_MAX)
        reader = ctx.read()
        bucket, version = await version_of(reader, req)
        home = annotated_of(version)
        scope = f"{bucket.id}/{version.key}/{version.id}/{prefix}"
        token = req.get("ContinuationToken")
        since = prefix if token is None else name_of(token, scope) + "\0"
        rows = []
        if home is not None:
            rows = await reader.list(
                Annotation, (home.home,), since=since, until=prefix + _LAST, limit=count + 1
            )
        reader.meter("Requests-Tier1")
        shown = rows[:count]
        result: w.ListObjectAnnotationsOutput = {
            "Bucket": req["Bucket"],
            "Key": version.key,
            "MaxAnnotationResults": count,
            "AnnotationCount": len(shown),
            "Annotations": [_entry(one) for one in shown],
        }
        if prefix:
            result["AnnotationPrefix"] = prefix
        if token is not None:
            result["ContinuationToken"] = token
        if len(rows) > count:
            result["NextContinuationToken"] = page_token(shown[-1].name.encode(), scope)
        if bucket.versioning:
            result["ObjectVersionId"] = version.id
        return result

    async def _receive(
        self, ctx: Context, req: w.PutObjectAnnotationRequest, keys: DataKeys | None
    ) -> Received:
        """A text as it comes in: all of it in memory, since it has to be text as a whole."""
        body = body_of({"Body": req["AnnotationPayload"]})
        says = expected(req, body)
        whole = await _gathered(body)
        if says.value is None and says.algorithm is not None:
            _, late = checksums.trailing(getattr(body, "trailers", None) or {})
            says = Expected(says.algorithm, late, says.md5)
        try:
            whole.decode()
        except UnicodeDecodeError as error:
            raise UnsupportedMediaType from error
        return await self._bodies.receive(
            ctx,
            Whole(whole),
            says,
            algorithm=checksums.DEFAULT,
            bytes_max=ANNOTATION_BYTES_MAX,
            keys=keys,
        )


def annotated_of(version: Version) -> Annotated | None:
    """Where a version's annotations are, if it has any."""
    return None if version.more is None else version.more.annotated


def set_annotated(tx: Tx, version: Version, found: Annotated | None) -> None:
    """Say in a version's record where its annotations are; it was read in this transaction."""
    more = msgspec.structs.replace(version.more or More(), annotated=found)
    tx.put(msgspec.structs.replace(version, more=None if more == More() else more))


def keys_of_annotation(keys: DataKeys | None, salt: str) -> DataKeys | None:
    """The data keys of one annotation, which follow from those of its version."""
    if keys is None:
        return None
    return tuple(hmac.digest(key, f"annotation/{salt}".encode(), "sha256") for key in keys)


async def take_off(tx: Tx, bucket: Bucket, version: Version, found: Annotation) -> None:
    """Take one annotation off a version; both were read in this transaction."""
    home = annotated_of(version)
    assert home is not None, "who has an annotation says so"
    tx.delete(found)
    if found.content is not None:
        await free(tx, found.content)
    left = _changed(home, -1, -found.size)
    set_annotated(tx, version, left if left.count else None)
    annotated(tx, bucket.id, -found.size)
    happened(tx, bucket, version, "ObjectAnnotation:Delete")


async def put_annotation(
    tx: Tx, bucket: Bucket, version: Version, made: Annotation, received: Received
) -> Annotation:
    """Attach what was received to a version, or replace what is there under its name."""
    home = annotated_of(version) or Annotated(tx.context.new_id("hex32"))
    old = await tx.get(Annotation, home.home, made.name)
    if old is None and home.count >= ANNOTATIONS_MAX:
        raise AnnotationLimitExceeded
    body, content = keep_body(tx, received)
    made = tx.put(msgspec.structs.replace(made, home=home.home, body=body, content=content))
    grown = made.size - (0 if old is None else old.size)
    if old is not None and old.content is not None:
        await free(tx, old.content)
    set_annotated(tx, version, _changed(home, 1 if old is None else 0, grown))
    annotated(tx, bucket.id, grown)
    happened(tx, bucket, version, "ObjectAnnotation:Put")
    tx.meter("Requests-Tier1")
    return made


def _awaiting(version: Version) -> str:
    """Whether a new annotation is to have replicas: if its version has some, or is to."""
    status = "" if version.more is None else version.more.replication
    return "" if status in {"", REPLICA} else PENDING


def _changed(home: Annotated, count: int, size: int) -> Annotated:
    return Annotated(home.home, home.count + count, home.size + size, home.changes + 1)


def _shown(bucket: Bucket, version: Version, found: Annotation) -> dict[str, Any]:
    """What putting and getting say of an annotation."""
    shown: dict[str, Any] = {"ETag": quoted(found.etag)}
    shown["ServerSideEncryption"] = encryption_of(version.more)["ServerSideEncryption"]
    if bucket.versioning:
        shown["ObjectVersionId"] = version.id
    return shown


def _entry(one: Annotation) -> w.AnnotationEntry:
    """An annotation as listings show it."""
    entry: w.AnnotationEntry = {
        "AnnotationName": one.name,
        "LastModified": one.modified,
        "ETag": quoted(one.etag),
        "ChecksumAlgorithm": [one.checksum.algorithm],
        "Size": one.size,
    }
    if one.replication:
        entry["ReplicationStatus"] = one.replication
    return entry


def _sealing(version: Version) -> list[bytes] | None:
    sealed = None if version.more is None else version.more.sealed
    return None if sealed is None else sealed.keys


async def _keys(ctx: Context, version: Version) -> DataKeys | None:
    """The data keys of a version, which S3 may open for the caller."""
    if version.more is None or version.more.sealed is None:
        return None
    return await keys_to_read(ctx, {}, version.more)


def _check_object(req: Mapping[str, Any], version: Version) -> None:
    """Raise where this version takes no annotation."""
    _check_match(req, version)
    kind = encryption_of(version.more).get("ServerSideEncryption")
    if kind is None:
        raise InvalidRequest(
            "Annotations are not supported for objects that are encrypted with customer-provided "
            "keys (SSE-C)."
        )
    assert kind in {AES256, DSSE, "aws:kms"}


def _check_match(req: Mapping[str, Any], version: Version) -> None:
    match = req.get("ObjectIfMatch")
    if match is not None and not etag_matches(match, version.etag):
        raise PreconditionFailed(Condition="x-amz-object-if-match")


def _checked_name(name: str) -> str:
    if len(name.encode()) > ANNOTATION_NAME_BYTES_MAX:
        raise AnnotationNameTooLong(
            Size=str(len(name.encode())), MaxSizeAllowed=str(ANNOTATION_NAME_BYTES_MAX)
        )
    if not name or not name.isprintable():
        raise InvalidAnnotationName(AnnotationName=name)
    return name


def _checked_prefix(prefix: str) -> str:
    if len(prefix.encode()) > ANNOTATION_NAME_BYTES_MAX or not prefix.isprintable():
        raise InvalidPrefix(AnnotationPrefix=prefix)
    return prefix


async def _gathered(body: ByteStream) -> bytes:
    """A body of at most 1 MiB, whatever its sender says."""
    whole = body.whole
    if whole is None:
        _check_size(body.length)
        gathered = bytearray()
        async for chunk in body:
            gathered += chunk
            _check_size(len(gathered))
        whole = bytes(gathered)
    if not whole:
        raise InvalidRequest("The annotation payload must be between 1 byte and 1 MiB in size.")
    _check_size(len(whole))
    return whole


def _check_size(size: int | None) -> None:
    if size is not None and size > ANNOTATION_BYTES_MAX:
        raise EntityTooLarge(ProposedSize=str(size), MaxSizeAllowed=str(ANNOTATION_BYTES_MAX))
