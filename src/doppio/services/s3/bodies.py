"""Bodies on their way in and out.

In: hashed while they are read, small ones kept for the store, large ones written to a file that is
on disk before the commit that refers to it. Hashing and writing happen in worker threads, a batch
at a time and side by side, while the next batch is gathered. Out: bytes, a range of one file that
the kernel sends, or a stream over several files.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from doppio.kernel.blobs import BlobStore
from doppio.kernel.context import Context, Tx
from doppio.kernel.store import Conflict, StoreFull
from doppio.services.s3 import checksums
from doppio.services.s3.errors import (
    BadDigest,
    EntityTooLarge,
    IncompleteBody,
    InvalidDigest,
    MissingContentLength,
)
from doppio.services.s3.landing import Hashes, Landing, pump
from doppio.services.s3.limits import BODY_IN_ROW_BYTES_MAX, READ_BYTES
from doppio.services.s3.records import Checksum, Content, Piece
from doppio.services.s3.rules import decoded_md5
from doppio.services.s3.sealing import DataKeys, Opener, Sealer, opened_whole, sealed_whole
from doppio.wire import checksums as wire_checksums
from doppio.wire.errors import AwsError
from doppio.wire.http import ByteStream, FileRange, Whole

T = TypeVar("T")
_EMPTY = Whole(b"")
_md5 = hashlib.md5
_hash = wire_checksums.whole


class Received(msgspec.Struct, frozen=True, gc=False):
    """A body that has arrived: in memory, or in file `blob` which is on disk. It has no `content` yet."""

    size: int
    etag: str
    checksum: Checksum
    body: bytes | None
    blob: str | None = None
    content: None = None

    def with_etag(self, etag: str) -> Received:
        """The same, shown under another ETag."""
        return msgspec.structs.replace(self, etag=etag)


class Placed(msgspec.Struct, frozen=True, gc=False):
    """Bytes that have their place: what was received, another version's, or the parts of an upload."""

    size: int
    etag: str
    checksum: Checksum | None
    body: bytes | None
    content: str | None


class Bytes(Protocol):
    """What a version's bytes are, wherever they come from."""

    @property
    def size(self) -> int: ...

    @property
    def etag(self) -> str: ...

    @property
    def checksum(self) -> Checksum | None: ...

    @property
    def body(self) -> bytes | None: ...

    @property
    def content(self) -> str | None: ...


class Kept(Protocol):
    """What has bytes: a version, or an annotation of one."""

    @property
    def size(self) -> int: ...

    @property
    def body(self) -> bytes | None: ...


class Expected(NamedTuple):
    """What the sender says of a body: its checksum's algorithm and value, and its MD5."""

    algorithm: str | None
    value: str | None
    md5: bytes | None


# What says of most bodies is nothing.
NOTHING = Expected(None, None, None)
_SAYING = checksums.SAYING | {"ContentMD5"}


def body_of(req: Mapping[str, Any]) -> ByteStream:
    """A request's body; other services give theirs as bytes."""
    body = req.get("Body", _EMPTY)
    return Whole(body) if isinstance(body, bytes) else body


def expected(req: Mapping[str, Any], body: ByteStream) -> Expected:
    """What a request says of its body. Trailers may add the value when the body has been read."""
    if body.__class__ is Whole and _SAYING.isdisjoint(req):
        return NOTHING
    algorithm, value = checksums.said(req)
    if algorithm is None:
        names = getattr(body, "trailer_names", None)
        if names:
            algorithm = checksums.announced(names)
    text = req.get("ContentMD5")
    if text is None:
        return Expected(algorithm, value, None)
    md5 = decoded_md5(text)
    if md5 is None:
        raise InvalidDigest(**{"Content-MD5": text})
    return Expected(algorithm, value, md5)


def received_whole(
    body: ByteStream, says: Expected, algorithm: str, keys: DataKeys | None
) -> Received | None:
    """A body that is here and small enough for the store, checked; None for others.

    Arguments are those of `Bodies.receive`. Most bodies are such, and nothing has to wait for them.
    """
    whole = body.whole
    if whole is None or len(whole) > BODY_IN_ROW_BYTES_MAX:
        return None
    kept = says.algorithm or algorithm
    md5 = _md5(whole, usedforsecurity=False)
    value = _hash(kept, whole)
    if says is not NOTHING:
        checksums.compare(kept, says.value, value)
        if says.md5 is not None:
            _check_md5(says.md5, md5.digest())
    found = whole if keys is None else sealed_whole(keys, whole)
    return Received(len(whole), md5.hexdigest(), Checksum(kept, value), found)


class Bodies:
    """Takes bodies in and gives them out.

    Which files this process writes and reads just now is kept in memory, so that none of them is
    reclaimed under it; what a crash forgets here, the crash has also ended.
    """

    def __init__(self) -> None:
        self._written: set[str] = set()
        self._read: Counter[str] = Counter()

    def is_written(self, blob: str) -> bool:
        """Whether this process is writing the file, or has not committed its claim yet."""
        return blob in self._written

    def is_read(self, content: str) -> bool:
        """Whether a download of this content is under way."""
        return content in self._read

    async def receive(
        self,
        ctx: Context,
        body: ByteStream,
        says: Expected,
        *,
        algorithm: str,
        bytes_max: int,
        file: bool = False,
        keys: DataKeys | None = None,
    ) -> Received:
        """Read a body to its end and check it.

        `algorithm` is the checksum to keep where the sender named none. With `file` every body
        that is not empty becomes a file, which `claim` must be called for. With `keys` what is
        kept is sealed.
        """
        if body.whole is None:
            if body.length is None and not getattr(body, "bounded", False):
                raise MissingContentLength
            if body.length is not None and body.length > bytes_max:
                raise EntityTooLarge(ProposedSize=str(body.length), MaxSizeAllowed=str(bytes_max))
        elif not (file and body.whole):
            small = received_whole(body, says, algorithm, keys)
            if small is not None:
                return small
        return await self._file(ctx, body, says, algorithm, keys)

    async def _file(
        self, ctx: Context, body: ByteStream, says: Expected, algorithm: str, keys: DataKeys | None
    ) -> Received:
        if says.algorithm is not None and says.value is not None:
            checksums.check_value(says.algorithm, says.value)
        blob = ctx.new_id("hex32")
        hashes = Hashes(says.algorithm or algorithm)
        landing = Landing(ctx.blobs, blob, None if keys is None else Sealer(keys, blob))
        landed = False
        self._written.add(blob)
        try:
            size = await landing.take(body, hashes)
            if body.length is not None and size != body.length:
                raise IncompleteBody
            checksum = hashes.checksum.base64()
            given = says.value
            if given is None:
                _, given = checksums.trailing(getattr(body, "trailers", None) or {})
            checksums.compare(hashes.algorithm, given, checksum)
            md5 = hashes.md5
            if says.md5 is not None:
                _check_md5(says.md5, md5.digest())
            landed = True
        finally:
            if not landed:
                self._written.discard(blob)
                landing.give_up()
        return Received(size, md5.hexdigest(), Checksum(hashes.algorithm, checksum), None, blob)

    async def claim(
        self, ctx: Context, received: Received, commit: Callable[[Tx], Awaitable[T]]
    ) -> T:
        """Run the transaction that refers to what was received; its file goes if that fails."""
        return await self.claim_all(ctx, (received,), commit)

    async def claim_all(
        self, ctx: Context, received: Sequence[Received], commit: Callable[[Tx], Awaitable[T]]
    ) -> T:
        """Run the transaction that refers to all that was received; the files go if that fails.

        Cancelled in the middle, or with the store lost, the commit may still have reached the disk:
        then the file stays, and the sweeper finds out whether anything refers to it.
        """
        blobs = [one.blob for one in received if one.blob is not None]
        if not blobs:
            return await ctx.transact(commit)
        try:
            return await ctx.transact(commit)
        except (AwsError, Conflict, StoreFull):
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, partial(ctx.blobs.delete, *blobs))
            raise
        finally:
            self._written.difference_update(blobs)

    def send(
        self,
        ctx: Context,
        version: Kept,
        content: Content | None,
        offset: int,
        length: int,
        keys: DataKeys | None = None,
    ) -> bytes | FileRange | AsyncIterator[bytes]:
        """`length` bytes of a version from `offset`, in the form that is cheapest to send."""
        body = version.body if content is None else content.body
        if keys is not None:
            return self._unseal(ctx, version, content, offset, length, keys)
        if body is not None:
            return body if length == len(body) else body[offset : offset + length]
        if content is None or not length:
            return b""
        parts = list(_pieces(content, offset, length))
        if len(parts) == 1:
            piece, first, count = parts[0]
            file = ctx.blobs.range(piece.blob, first, count)
            if file is not None:
                return file
        return self._stream(ctx, content.id, parts)

    def _unseal(
        self,
        ctx: Context,
        version: Kept,
        content: Content | None,
        offset: int,
        length: int,
        keys: DataKeys,
    ) -> bytes | AsyncIterator[bytes]:
        body = version.body if content is None else content.body
        if body is not None:
            return opened_whole(keys, body, version.size)[offset : offset + length]
        if content is None or not length:
            return b""
        return self._opened(ctx, content, offset, length, keys)

    async def _opened(
        self, ctx: Context, content: Content, offset: int, length: int, keys: DataKeys
    ) -> AsyncIterator[bytes]:
        """A range of sealed files: read, opened and given segment by segment."""
        loop = asyncio.get_running_loop()
        with self._reading(content.id):
            for piece, first, count in _pieces(content, offset, length):
                opener = Opener(keys, piece.blob, piece.size)
                end = first + count
                while first < end:
                    # Up to where a segment ends, so that none is opened twice.
                    stop = min((first // READ_BYTES + 1) * READ_BYTES, end)
                    yield await loop.run_in_executor(
                        None, _read_opened, ctx.blobs, piece.blob, opener, first, stop - first
                    )
                    first = stop

    @contextmanager
    def _reading(self, content: str) -> Iterator[None]:
        """Not to be reclaimed meanwhile."""
        self._read[content] += 1
        try:
            yield
        finally:
            self._read[content] -= 1
            if not self._read[content]:
                del self._read[content]

    async def _stream(
        self, ctx: Context, content: str, parts: Sequence[tuple[Piece, int, int]]
    ) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        blobs = ctx.blobs
        with self._reading(content):
            for piece, first, count in parts:
                done = 0
                while done < count:
                    step = min(blobs.read_bytes, count - done)
                    chunk = await loop.run_in_executor(
                        None, blobs.read, piece.blob, first + done, step
                    )
                    yield chunk
                    done += len(chunk)

    async def hashed(
        self, ctx: Context, version: Kept, content: Content | None, algorithm: str
    ) -> tuple[str, Checksum]:
        """MD5 and checksum of a version's bytes, read again from where they lie unsealed."""
        hashes = Hashes(algorithm)
        source = self.read(ctx, version, content, 0, version.size)
        await pump(source, hashes, None)
        return hashes.md5.hexdigest(), Checksum(algorithm, hashes.checksum.base64())

    def read(
        self,
        ctx: Context,
        version: Kept,
        content: Content | None,
        offset: int,
        length: int,
        keys: DataKeys | None = None,
    ) -> ByteStream:
        """The same bytes as `send`, as a body that can be received again."""
        if keys is None and content is not None and content.body is None:
            parts = list(_pieces(content, offset, length))
            return _Again(self._stream(ctx, content.id, parts), length)
        sent = self.send(ctx, version, content, offset, length, keys)
        assert not isinstance(sent, FileRange), "files are read piece by piece"
        return Whole(sent) if isinstance(sent, bytes) else _Again(sent, length)


class _Again:
    """Stored bytes as a body."""

    def __init__(self, stream: AsyncIterator[bytes], length: int) -> None:
        self.length: int | None = length
        self.whole: bytes | None = None
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._stream


def _read_opened(blobs: BlobStore, blob: str, opener: Opener, offset: int, length: int) -> bytes:
    start, count = opener.place(offset, length)
    sealed = blobs.read(blob, start, count)
    while len(sealed) < count:
        # An object store gives less than was asked for where one of its own pieces ends.
        sealed += blobs.read(blob, start + len(sealed), count - len(sealed))
    return opener.open(sealed, offset, length)


def _pieces(content: Content, offset: int, length: int) -> Iterator[tuple[Piece, int, int]]:
    """The pieces that a range touches, each with offset and length within it."""
    start = 0
    end = offset + length
    for piece in content.pieces:
        first = max(offset, start)
        last = min(end, start + piece.size)
        if first < last:
            yield piece, first - start, last - first
        start += piece.size
        if start >= end:
            break


def _check_md5(given: bytes, computed: bytes) -> None:
    if given != computed:
        raise BadDigest(
            ExpectedDigest=base64.b64encode(given).decode(),
            CalculatedDigest=base64.b64encode(computed).decode(),
        )
