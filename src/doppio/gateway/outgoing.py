"""Bodies on their way out that are not in memory: files and iterators, as fast as the client reads."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import BinaryIO

from doppio.gateway.bodies import close_body
from doppio.wire.http import FileRange

# Where the kernel cannot send a file by itself (TLS), it is read in pieces of this size.
PIECE_BYTES = 1024 * 1024

Write = Callable[[bytes], Awaitable[None]]


async def send_file(
    transport: asyncio.Transport,
    part: FileRange,
    write: Write,
    drained: Callable[[asyncio.Transport], Awaitable[None]],
) -> None:
    """Send part of a file, by the kernel where it can.

    `drained` waits until the transport has nothing more to send itself.

    Raises ConnectionAbortedError if the file is shorter than its record says: the head is out, and
    the client must not take what it got for the whole.
    """
    if part.length == 0:
        return
    with part.path.open("rb", buffering=0) as file:
        if transport.get_extra_info("ssl_object") is None and hasattr(os, "sendfile"):
            await drained(transport)
            await _send_by_kernel(transport.get_extra_info("socket").fileno(), file, part)
        else:
            await _send_in_pieces(file, part, write)


async def _send_by_kernel(socket: int, file: BinaryIO, part: FileRange) -> None:
    sending = _Sending(socket, file.fileno(), part)
    sending.step()
    if not sending.over.done():
        # Loops keep descriptors of their transports to themselves, and wait for others as for any.
        sending.socket = os.dup(socket)
        loop = asyncio.get_running_loop()
        loop.add_writer(sending.socket, sending.step)
        try:
            await sending.over
        finally:
            loop.remove_writer(sending.socket)
            os.close(sending.socket)
    sending.over.result()


class _Sending:
    """A file on its way into a socket: as much at once as there is room, then the others' turn."""

    def __init__(self, socket: int, file: int, part: FileRange) -> None:
        self.socket = socket
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._file = file
        self._offset = part.offset
        self._left = part.length

    def step(self) -> None:
        """Send what the socket takes now."""
        if self.over.done():
            return
        try:
            sent = os.sendfile(self.socket, self._file, self._offset, self._left)
        except BlockingIOError:
            return
        except OSError as error:
            self.over.set_exception(error)
            return
        self._offset += sent
        self._left -= sent
        if sent == 0:
            self.over.set_exception(_too_short())
        elif self._left == 0:
            self.over.set_result(None)


async def _send_in_pieces(file: BinaryIO, part: FileRange, write: Write) -> None:
    left = part.length
    file.seek(part.offset)
    while left > 0:
        chunk = await asyncio.get_running_loop().run_in_executor(
            None, file.read, min(left, PIECE_BYTES)
        )
        if not chunk:
            raise _too_short()
        left -= len(chunk)
        await write(chunk)


def _too_short() -> ConnectionAbortedError:
    return ConnectionAbortedError("the file is shorter than its record")


async def send_iterator(body: AsyncIterator[bytes], write: Write, *, chunked: bool) -> None:
    """Send what an iterator gives, and close it whatever happens."""
    try:
        async for chunk in body:
            if chunk:
                await write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
        if chunked:
            await write(b"0\r\n\r\n")
    finally:
        await close_body(body)
