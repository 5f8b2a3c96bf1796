"""A table's files as PyIceberg reads and writes them: through S3, as who works on them.

PyIceberg works in threads, and calls are made in the event loop: each read or write waits there for its
call. This module imports PyIceberg, so it is imported where that is needed, and not before.
"""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import CancelledError, Future
from types import TracebackType
from typing import Any, TypeVar

from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile, OutputStream

from doppio.kernel.bodies import pieces
from doppio.kernel.context import Context
from doppio.services.s3tables.rules import key_of
from doppio.wire.errors import AwsError

T = TypeVar("T")
# A call of S3 that takes longer has met a cloud that is closing.
CALL_SECONDS_MAX = 600
# Larger files are read by ranges of this size.
RANGE_BYTES = 8 * 1024 * 1024


class Warehouse(FileIO):
    """The files of one table."""

    def __init__(self, ctx: Context, name: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.name = name
        self._ctx = ctx
        self._loop = loop
        self._lock = threading.Lock()
        self._waiting = set[Future[Any]]()
        self._is_over = False

    def stop(self) -> None:
        """Let no thread wait any more: the loop may be about to end."""
        with self._lock:
            self._is_over = True
            waiting = list(self._waiting)
        for one in waiting:
            one.cancel()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Let the loop do something, and wait for it in a thread."""
        with self._lock:
            if self._is_over:
                work.close()
                raise CancelledError
            try:
                asked = asyncio.run_coroutine_threadsafe(work, self._loop)
            except RuntimeError:
                # The loop has ended.
                work.close()
                raise
            self._waiting.add(asked)
        try:
            return asked.result(CALL_SECONDS_MAX)
        finally:
            with self._lock:
                self._waiting.discard(asked)

    def new_input(self, location: str) -> InputFile:
        """A file to be read."""
        return _In(location, self)

    def new_output(self, location: str) -> OutputFile:
        """A file to be written."""
        return _Out(location, self)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Nothing: what is no more wanted is found by the removal of unreferenced files."""

    def ask(self, method: str, location: str, more: Mapping[str, Any]) -> Any:
        """Call S3 about a file, from a thread. Raises FileNotFoundError."""
        req = {"Bucket": self.name, "Key": key_of(location, self.name), **more}
        try:
            return self.wait(self._call(method, req))
        except AwsError as error:
            if error.code in {"NoSuchKey", "NotFound", "404"}:
                raise FileNotFoundError(location) from error
            raise

    async def _call(self, method: str, req: Mapping[str, Any]) -> Any:
        found = await self._ctx.call("s3", method, req)
        if method != "get_object":
            return found
        return {**found, "Body": b"".join([part async for part in pieces(found["Body"])])}


class _In(InputFile):
    def __init__(self, location: str, files: Warehouse) -> None:
        super().__init__(location)
        self._files = files

    def __len__(self) -> int:
        return int(self._files.ask("head_object", self.location, {})["ContentLength"])

    def exists(self) -> bool:
        """Whether there is such a file."""
        try:
            len(self)
        except FileNotFoundError:
            return False
        return True

    def open(self, seekable: bool = True) -> InputStream:
        """The file's bytes, of a small one all at once."""
        size = len(self)
        if size <= RANGE_BYTES:
            return io.BytesIO(self._files.ask("get_object", self.location, {})["Body"])
        return io.BufferedReader(_Ranges(self._files, self.location, size), RANGE_BYTES)


class _Ranges(io.RawIOBase):
    """A file that is read by ranges."""

    def __init__(self, files: Warehouse, location: str, size: int) -> None:
        super().__init__()
        self._files, self._location, self._size = files, location, size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, begin + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._size)
        if self._at >= end:
            return 0
        asked = {"Range": f"bytes={self._at}-{end - 1}"}
        found = self._files.ask("get_object", self._location, asked)["Body"]
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


class _Out(OutputFile):
    def __init__(self, location: str, files: Warehouse) -> None:
        super().__init__(location)
        self._files = files
        self.bytes = 0

    def __len__(self) -> int:
        return self.bytes

    def exists(self) -> bool:
        """Whether there is such a file."""
        return self.to_input_file().exists()

    def to_input_file(self) -> InputFile:
        """The same file, to be read."""
        return _In(self.location, self._files)

    def create(self, overwrite: bool = False) -> OutputStream:
        """Where the file's bytes are written to; it is there once that is closed."""
        return _Sink(self, self._files)


class _Sink(io.BytesIO):
    """A file on its way: it is put when it is closed, and not where something failed before."""

    def __init__(self, out: _Out, files: Warehouse) -> None:
        super().__init__()
        self._out, self._files = out, files

    def close(self) -> None:
        if not self.closed:
            content = self.getvalue()
            self._files.ask("put_object", self._out.location, {"Body": content})
            self._out.bytes = len(content)
        super().close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            super().close()
