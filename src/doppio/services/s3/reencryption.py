"""Another encryption for an object that is there: its key changes, and nothing else that shows.

What is encrypted keeps its bytes: only its data key is wrapped anew, by KMS. What nobody asked to
be encrypted lies here as it came, though it is shown as AES256: that is sealed now. Source:
UpdateObjectEncryption's documentation, with its texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from doppio.kernel.context import Context, Tx
from doppio.services.s3 import annotation_copies, locks, metadata_records
from doppio.services.s3.annotations import annotated_of
from doppio.services.s3.bodies import Bodies, Expected, Received
from doppio.services.s3.encryption import AES256, KMS, Sealing, rewrapped, under_kms
from doppio.services.s3.errors import AccessDenied, InvalidRequest, SlowDown
from doppio.services.s3.limits import OBJECT_BYTES_MAX
from doppio.services.s3.lookup import version_and_content, version_of
from doppio.services.s3.reclaim import free, unannotate
from doppio.services.s3.records import (
    Blob,
    Bucket,
    Content,
    More,
    Piece,
    Sealed,
    Version,
)

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

_ARN = re.compile(r"arn:aws[-a-z0-9]*:kms:[-a-z0-9]*:([0-9]{12}):key/.+")
_SOURCES = "Only source objects encrypted with SSE-S3 or SSE-KMS are supported."


class _Wanted(NamedTuple):
    """The KMS key that an object is to be under, and whether a bucket key stands between."""

    key: str
    bucket_key: bool


class _Moved(NamedTuple):
    """A plain version's bytes, sealed: in its row, or as files piece by piece."""

    sealing: Sealing
    received: list[Received]
    texts: list[annotation_copies.Carried]


class Reencryption:
    """UpdateObjectEncryption."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies

    async def update_object_encryption(
        self, ctx: Context, req: w.UpdateObjectEncryptionRequest
    ) -> w.UpdateObjectEncryptionResponse:
        """Put a version under a key of KMS, at once or not at all; no other property changes."""
        wanted = _wanted(req)
        bucket, version, content = await version_and_content(ctx.read(), req)
        _check(ctx, bucket, version, wanted)
        sealed = _sealed(version)
        if sealed is None:
            await self._seal(ctx, req, bucket, version, content, wanted)
            return {}
        changed = await rewrapped(ctx, bucket, version.key, sealed, *wanted)
        async with ctx.write() as tx:
            _, again = await version_of(tx, req)
            _check_same(version, again)
            _check(ctx, bucket, again, wanted)
            more = msgspec.structs.replace(again.more or More(), sealed=changed)
            _tell(tx, bucket, tx.put(msgspec.structs.replace(again, more=more)))
            tx.meter("Requests-Tier1")
        return {}

    async def _seal(
        self,
        ctx: Context,
        req: Mapping[str, Any],
        bucket: Bucket,
        version: Version,
        content: Content | None,
        wanted: _Wanted,
    ) -> None:
        sealing = await under_kms(ctx, bucket, version.key, *wanted)
        moved = await self._moved(ctx, version, content, sealing)

        async def commit(tx: Tx) -> None:
            _, again = await version_of(tx, req)
            _check_same(version, again)
            _check(ctx, bucket, again, wanted)
            body, home = _kept(tx, again, content, moved.received)
            if again.content is not None:
                await free(tx, again.content)
            more = msgspec.structs.replace(again.more or More(), sealed=sealing.sealed)
            texts = annotated_of(again)
            if texts is not None:
                await unannotate(tx, bucket.id, texts)
                more = msgspec.structs.replace(
                    more, annotated=annotation_copies.kept(tx, bucket, texts, moved.texts)
                )
            made = msgspec.structs.replace(again, body=body, content=home, more=more)
            _tell(tx, bucket, tx.put(made))
            tx.meter("Requests-Tier1")

        files = [*moved.received, *(one.received for one in moved.texts)]
        await self._bodies.claim_all(ctx, files, commit)

    async def _moved(
        self, ctx: Context, version: Version, content: Content | None, sealing: Sealing
    ) -> _Moved:
        received = []
        offset = 0
        for size in _sizes(version, content):
            received.append(
                await self._bodies.receive(
                    ctx,
                    self._bodies.read(ctx, version, content, offset, size),
                    Expected(None, None, None),
                    algorithm="CRC32",
                    bytes_max=OBJECT_BYTES_MAX,
                    file=content is not None and bool(content.pieces),
                    keys=sealing.keys,
                )
            )
            offset += size
        texts: list[annotation_copies.Carried] = []
        seen = annotated_of(version)
        if seen is not None:
            more = More(sealed=sealing.sealed)
            texts = await annotation_copies.resealed(
                ctx, self._bodies, seen, None, sealing.keys, more
            )
        return _Moved(sealing, received, texts)


def _wanted(req: w.UpdateObjectEncryptionRequest) -> _Wanted:
    kms = (req.get("ObjectEncryption") or {}).get("SSEKMS")
    if kms is None:
        raise InvalidRequest(
            "Requests that modify an object encryption configuration require a valid new "
            "encryption type. Valid values are SSEKMS. Modify the request to specify SSE-KMS for "
            "the updated encryption type, and then try again."
        )
    arn = kms.get("KMSKeyArn")
    if not arn:
        raise InvalidRequest(
            "Requests that modify an object's encryption type to SSE-KMS require an Amazon Web "
            "Services KMS key Amazon Resource Name (ARN). Modify the request to specify a KMS key "
            "ARN, and then try again."
        )
    if _ARN.fullmatch(arn) is None:
        raise InvalidRequest(
            "Requests that modify an object's encryption type to SSE-KMS require a valid Amazon "
            "Web Services KMS key Amazon Resource Name (ARN). Confirm that you have a correctly "
            "formatted KMS key ARN in your request, and then try again."
        )
    return _Wanted(arn, bool(kms.get("BucketKeyEnabled")))


def _check(ctx: Context, bucket: Bucket, version: Version, wanted: _Wanted) -> None:
    """Raise where this version may not come under that key."""
    sealed = _sealed(version)
    if sealed is not None and sealed.kind not in {AES256, KMS}:
        raise InvalidRequest(
            "The UpdateObjectEncryption operation doesn't support source objects with the "
            f"encryption type DSSE-KMS or SSE-C. {_SOURCES}"
        )
    found = _ARN.fullmatch(wanted.key)
    assert found is not None
    if found[1] != bucket.account:
        raise AccessDenied(
            "The Amazon Web Services KMS key in the request must be owned by the same account as "
            "the bucket. Modify the request to specify a KMS key from the same account, and then "
            "try again."
        )
    if locks.is_locked(version, ctx.now):
        raise AccessDenied(
            "The encryption type for the specified object can\N{RIGHT SINGLE QUOTATION MARK}t be "
            "updated because that object is protected by S3 Object Lock. If the object has a "
            "governance-mode retention period or a legal hold, you must first remove the Object "
            "Lock status on the object before you issue your UpdateObjectEncryption request. You "
            "can't use the UpdateObjectEncryption operation with objects that have an Object Lock "
            "compliance mode retention period applied to them."
        )


def _check_same(seen: Version, again: Version) -> None:
    """Raise what may be tried again where the version is not what was read."""
    same = (seen.sequence, seen.id, seen.content, _sealed(seen), annotated_of(seen))
    if same != (again.sequence, again.id, again.content, _sealed(again), annotated_of(again)):
        raise SlowDown("The object changed while its encryption was updated; please try again.")


def _sealed(version: Version) -> Sealed | None:
    return None if version.more is None else version.more.sealed


def _sizes(version: Version, content: Content | None) -> list[int]:
    """How long the pieces are of which a version's bytes consist; parts stay parts."""
    if content is not None and content.pieces:
        return [piece.size for piece in content.pieces]
    return [version.size] if version.size else []


def _kept(
    tx: Tx, version: Version, content: Content | None, received: list[Received]
) -> tuple[bytes | None, str | None]:
    """Keep sealed bytes as the plain ones were kept: the record's body, or a content's id."""
    if content is None:
        return (received[0].body if received else version.body), None
    home = tx.context.new_id("hex32")
    if not content.pieces:
        tx.add(Content(id=home, body=received[0].body))
        return None, home
    pieces = []
    for piece, one in zip(content.pieces, received, strict=True):
        if one.blob is not None:
            tx.add(Blob(one.blob))
        pieces.append(Piece(piece.number, piece.size, one.blob or "", piece.checksum))
    tx.add(Content(id=home, pieces=pieces))
    return None, home


def _tell(tx: Tx, bucket: Bucket, version: Version) -> None:
    """S3 Metadata tells of it, and no event does."""
    if metadata_records.KIND in bucket.kinds:
        metadata_records.note(tx, bucket, version, "ObjectEncryption:Put")
