"""Appending to objects of directory buckets: PutObject with an offset.

What is appended is a further piece of the object's content, so it costs what it holds. Up to 10,000
pieces; what lay in a row becomes the first of them. Bytes that a copy shares are copied first.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from doppio.kernel.context import Context, Tx
from doppio.services.s3 import checksums
from doppio.services.s3.bodies import Bodies, Expected, Received, body_of, expected
from doppio.services.s3.conditions import check_write
from doppio.services.s3.directory_errors import (
    EncryptionTypeMismatch,
    InvalidWriteOffset,
    TooManyParts,
)
from doppio.services.s3.directory_rules import EXPRESS_ONEZONE
from doppio.services.s3.encryption import AES256, encryption_of, keys_to_read
from doppio.services.s3.errors import EntityTooLarge, InvalidRequest
from doppio.services.s3.limits import OBJECT_BYTES_MAX, PART_NUMBER_MAX, PUT_BYTES_MAX
from doppio.services.s3.lookup import bucket_and_current, version_content
from doppio.services.s3.reclaim import free
from doppio.services.s3.records import Blob, Bucket, Checksum, Content, Current, Piece
from doppio.services.s3.rules import quoted
from doppio.services.s3.stock import gone, request_type, stored
from doppio.wire import checksums as wire_checksums


class _Pieces(NamedTuple):
    """The pieces that an object has, and the files that had to be written for them."""

    pieces: list[Piece]
    files: list[Received]


async def append(
    bodies: Bodies, ctx: Context, req: Mapping[str, Any], current: Current
) -> dict[str, Any]:
    """Add a body to the end of an object that is there."""
    offset: int = req["WriteOffsetBytes"]
    content = await version_content(ctx.read(), current)
    _check(req, current, content, offset)
    body = body_of(req)
    says = expected(req, body)
    algorithm = _algorithm(current, says)
    keys = await keys_to_read(ctx, {}, current.more)
    added = await bodies.receive(
        ctx, body, says, algorithm=algorithm, bytes_max=PUT_BYTES_MAX, file=True, keys=keys
    )
    if not added.size:
        raise InvalidRequest("Request body cannot be empty when 'write offset' is specified.")
    before = await _pieces(bodies, ctx, current, content, keys)

    async def commit(tx: Tx) -> tuple[Bucket, Current]:
        bucket, again = await bucket_and_current(tx, req)
        check_write(req, again)
        if again is None or again.sequence != current.sequence or again.size != offset:
            raise InvalidWriteOffset
        if again.content != current.content or again.etag != current.etag:
            raise InvalidWriteOffset
        home = await _kept(tx, again, before, added)
        count = len(before.pieces) + 1
        changed = msgspec.structs.replace(
            again,
            modified=ctx.now.replace(microsecond=0),
            size=again.size + added.size,
            etag=ctx.new_id("hex32"),
            checksum=_together(again, before.pieces, added),
            body=None,
            content=home,
            parts_count=count if count > 1 else 0,
        )
        gone(tx, again)
        tx.put(changed)
        stored(tx, changed)
        tx.meter(request_type(1, EXPRESS_ONEZONE))
        return bucket, changed

    _, changed = await bodies.claim_all(ctx, [added, *before.files], commit)
    result: dict[str, Any] = {"ETag": quoted(changed.etag), "Size": changed.size}
    result.update(encryption_of(changed.more))
    result.update(checksums.to_wire(changed.checksum))
    return result


def check_offset(offset: int) -> None:
    """Raise InvalidWriteOffset unless an object that is not there is begun at its beginning."""
    if offset:
        raise InvalidWriteOffset


def _check(req: Mapping[str, Any], current: Current, content: Content | None, offset: int) -> None:
    check_write(req, current)
    if offset != current.size:
        raise InvalidWriteOffset
    if req.get("Metadata"):
        raise InvalidRequest(
            "Cannot specify both a write offset value and user-defined object metadata for "
            "existing objects."
        )
    count = len(content.pieces) if content is not None else 0
    if max(count, current.parts_count) >= PART_NUMBER_MAX:
        raise TooManyParts
    kind = req.get("ServerSideEncryption", AES256)
    if encryption_of(current.more)["ServerSideEncryption"] != kind:
        raise EncryptionTypeMismatch
    length = getattr(req.get("Body"), "length", None)
    if length is not None and current.size + length > OBJECT_BYTES_MAX:
        raise EntityTooLarge(
            ProposedSize=str(current.size + length), MaxSizeAllowed=str(OBJECT_BYTES_MAX)
        )


def _algorithm(current: Current, says: Expected) -> str:
    """The checksum of what is appended: that of the object, as the request has to know."""
    own = checksums.DEFAULT if current.checksum is None else current.checksum.algorithm
    if says.algorithm not in {None, own}:
        assert says.algorithm is not None
        raise InvalidRequest(
            f"Checksum Type mismatch occurred, expected checksum Type: {own.lower()}, actual "
            f"checksum Type: {says.algorithm.lower()}"
        )
    return own


async def _pieces(
    bodies: Bodies,
    ctx: Context,
    current: Current,
    content: Content | None,
    keys: Any,
) -> _Pieces:
    """The object's bytes as files that are its alone."""
    if content is not None and content.pieces and content.refs == 1:
        return _Pieces(content.pieces, [])
    old = content.pieces if content is not None else []
    sizes = [piece.size for piece in old] or ([current.size] if current.size else [])
    algorithm = checksums.DEFAULT if current.checksum is None else current.checksum.algorithm
    files, pieces, offset = [], [], 0
    for number, size in enumerate(sizes, 1):
        received = await bodies.receive(
            ctx,
            bodies.read(ctx, current, content, offset, size, keys),
            Expected(None, None, None),
            algorithm=algorithm,
            bytes_max=OBJECT_BYTES_MAX,
            file=True,
            keys=keys,
        )
        files.append(received)
        pieces.append(Piece(number, size, received.blob or "", received.checksum.value))
        offset += size
    return _Pieces(pieces, files)


async def _kept(tx: Tx, current: Current, before: _Pieces, added: Received) -> str:
    """One piece more, in the object's own content; its id."""
    assert added.blob is not None
    for one in (*before.files, added):
        if one.blob is not None:
            tx.add(Blob(one.blob))
    last = Piece(len(before.pieces) + 1, added.size, added.blob, added.checksum.value)
    if before.files or current.content is None:
        if current.content is not None:
            await free(tx, current.content)
        home = tx.context.new_id("hex32")
        tx.add(Content(id=home, pieces=[*before.pieces, last]))
        return home
    content = await tx.get(Content, current.content)
    assert content is not None, "a version's content lives as long as the version"
    if content.refs != 1 or len(content.pieces) != len(before.pieces):
        raise InvalidWriteOffset
    tx.put(msgspec.structs.replace(content, pieces=[*content.pieces, last]))
    return current.content


def _together(current: Current, pieces: list[Piece], added: Received) -> Checksum | None:
    """The checksum of the whole: computed of a CRC, else that of the pieces' own."""
    own = current.checksum
    if own is None:
        return None
    if own.kind == "FULL_OBJECT" and own.algorithm in checksums.FULL_OBJECT:
        first, second = (base64.b64decode(one) for one in (own.value, added.checksum.value))
        whole = wire_checksums.combine(own.algorithm, first, second, added.size)
        return Checksum(own.algorithm, base64.b64encode(whole).decode())
    values = [(piece.checksum, piece.size) for piece in pieces]
    if len(values) == 1 and not values[0][0]:
        values = [(own.value, current.size)]
    if not all(value for value, _ in values):
        return None
    values.append((added.checksum.value, added.size))
    return checksums.of_parts(own.algorithm, "COMPOSITE", values)
