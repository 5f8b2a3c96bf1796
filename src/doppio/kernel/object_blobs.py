"""Blobs in an object store: S3 itself, any that speaks its protocol, or another that `obstore` knows.

A blob is cut into objects of 8 MiB, each put whole: nothing is ever half there, no multipart upload
of a crash stays behind unseen, and a range touches only the pieces that it lies in. A blob whose
writer has not finished has pieces and no record: an orphan like any other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from doppio.kernel.blobs import MARK, BlobsMissing, check_id
from doppio.kernel.store import StoreClosed, StoreError
from doppio.wire.http import FileRange

if TYPE_CHECKING:
    from obstore.store import ObjectStore

T = TypeVar("T")
PIECE_BYTES = 8 * 1024 * 1024
# A page of a listing.
LISTED_A_PAGE = 1_000


def open_object_store(url: str) -> ObjectStore:
    """The store that a URL means; its parameters are `obstore`'s settings of that kind of store.

    `s3://bucket/prefix?endpoint=http://127.0.0.1:8333&region=us-east-1`. Keys are better left out
    of it: they are found in the environment.
    """
    try:
        from obstore import store
        from obstore.exceptions import BaseError
    except ImportError as error:
        raise BlobsMissing(
            "bodies in an object store need obstore: pip install 'doppio-cloud[blobs]'"
        ) from error
    parts = urlsplit(url)
    config: dict[str, Any] = dict(parse_qsl(parts.query))
    plain = config.get("endpoint", "").startswith("http://")
    options: dict[str, Any] = {"client_options": {"allow_http": True}} if plain else {}
    # Typed by the kind of store, which only the URL knows.
    from_url: Callable[..., ObjectStore] = store.from_url
    try:
        return from_url(parts._replace(query="").geturl(), config=config or None, **options)
    except (BaseError, ValueError, TypeError) as error:
        raise BlobsMissing(
            f"--blobs {parts._replace(query='').geturl()}: {_line(error)}"
        ) from error


class ObjectBlobs:
    """Blobs in an object store."""

    read_bytes = 4 * 1024 * 1024

    def __init__(self, store: ObjectStore, *, piece_bytes: int = PIECE_BYTES) -> None:
        import obstore
        from obstore import exceptions

        self._store = store
        self._obstore = obstore
        self._missing = (exceptions.NotFoundError, FileNotFoundError)
        self._exists = exceptions.AlreadyExistsError
        self._error = exceptions.BaseError
        self.piece_bytes = piece_bytes

    def writer(self, blob_id: str) -> ObjectWriter:
        """Begin a blob."""
        check_id(blob_id)
        return ObjectWriter(self, blob_id)

    def range(self, blob_id: str, offset: int, length: int) -> FileRange | None:
        """None: there is no file that the kernel could send."""
        return None

    def read(self, blob_id: str, offset: int, length: int) -> bytes:
        """Bytes of a blob, as far as the piece goes that they begin in."""
        number, start = divmod(offset, self.piece_bytes)
        end = min(start + length, self.piece_bytes)
        path = self._path(blob_id, number)
        try:
            return bytes(self._obstore.get_range(self._store, path, start=start, end=end))
        except self._missing as error:
            raise self._ended(blob_id, offset) from error
        except self._error as error:
            size = self._asked(lambda: self._obstore.head(self._store, path)["size"])
            if start >= size:
                raise self._ended(blob_id, offset) from error
            raise _unavailable(error) from error

    def _ended(self, blob_id: str, offset: int) -> EOFError:
        return EOFError(f"{blob_id} ends before byte {offset}")

    def put(self, blob_id: str, number: int, data: bytes) -> None:
        """Store a piece; it is safe when this returns."""
        self._put(self._path(blob_id, number), data)

    def _put(self, path: str, data: bytes) -> None:
        put = self._obstore.put
        try:
            put(self._store, path, data, mode="create", use_multipart=False)
        except self._exists as error:
            raise FileExistsError(path) from error
        except self._error as error:
            raise _unavailable(error) from error

    def delete(self, *blob_ids: str) -> None:
        """Remove blobs; of one that is removed in part, the rest is found again."""
        for blob_id in blob_ids:
            check_id(blob_id)
            pieces = [path for path, _ in self._listed(f"{blob_id[:2]}/{blob_id}/")]
            for start in range(0, len(pieces), LISTED_A_PAGE):
                step = pieces[start : start + LISTED_A_PAGE]
                with contextlib.suppress(FileNotFoundError):
                    self._asked(partial(self._obstore.delete, self._store, step))

    def ids(self) -> Iterator[str]:
        """All blobs that have a piece."""
        last = ""
        for path, _ in self._listed(None):
            parts = path.split("/")
            if len(parts) == 3 and parts[1] != last:
                last = parts[1]
                yield last

    def written_at(self, blob_id: str) -> float | None:
        """When the newest piece of a blob was stored."""
        times = [at for _, at in self._listed(f"{blob_id[:2]}/{blob_id}/")]
        return max(times, default=None)

    def owner(self) -> str | None:
        """The cloud whose place this is, once one has taken it."""
        try:
            return bytes(self._asked(lambda: self._obstore.get(self._store, MARK).bytes())).decode()
        except FileNotFoundError:
            return None

    def own(self, cloud: str) -> None:
        """Take the place for a cloud."""
        with contextlib.suppress(FileExistsError):
            self._put(MARK, cloud.encode())

    def _listed(self, prefix: str | None) -> Iterator[tuple[str, float]]:
        pages = self._obstore.list(self._store, prefix, chunk_size=LISTED_A_PAGE)
        pages_of = iter(pages)
        while True:
            page = self._asked(lambda: next(pages_of, None))
            if page is None:
                return
            for entry in page:
                yield entry["path"], entry["last_modified"].timestamp()

    def _path(self, blob_id: str, number: int) -> str:
        check_id(blob_id)
        return f"{blob_id[:2]}/{blob_id}/{number:08d}"

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except self._missing as error:
            raise FileNotFoundError(str(error)) from error
        except self._error as error:
            raise _unavailable(error) from error


class ObjectWriter:
    """Writes one blob, piece by piece."""

    def __init__(self, blobs: ObjectBlobs, blob_id: str) -> None:
        self._blobs = blobs
        self._id = blob_id
        self._piece = bytearray()
        self._number = 0
        self._done = False
        self.length = 0

    def write(self, data: bytes | memoryview) -> None:
        """Add to the end; whole pieces are stored."""
        rest = memoryview(data)
        self.length += len(rest)
        while rest:
            room = self._blobs.piece_bytes - len(self._piece)
            self._piece += rest[:room]
            rest = rest[room:]
            if len(self._piece) == self._blobs.piece_bytes:
                self._put()

    def sync(self) -> None:
        """Store what is left. A blob of nothing has a piece, too."""
        if self._piece or not self._number:
            self._put()
        self._done = True

    def _put(self) -> None:
        self._blobs.put(self._id, self._number, bytes(self._piece))
        self._number += 1
        self._piece.clear()

    async def finish(self) -> None:
        """`sync` in a worker thread."""
        await asyncio.get_running_loop().run_in_executor(None, self.sync)

    def abandon(self) -> None:
        """Remove what was stored, in the background; what stays is an orphan."""
        self._piece.clear()
        if self._number:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                self._blobs.delete(self._id)
            else:
                loop.run_in_executor(None, self._forget)
            self._number = 0

    def _forget(self) -> None:
        try:
            self._blobs.delete(self._id)
        except StoreError:
            # The sweeper comes by.
            return


def _unavailable(error: Exception) -> StoreClosed:
    return StoreClosed(f"the object store of --blobs: {_line(error)}")


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
