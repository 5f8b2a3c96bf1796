"""Bodies on their way out that are not in memory: files and iterators, as fast as the client reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from doppio.gateway.bodies import close_body
from doppio.wire.http import FileRange

# Where the kernel cannot send a file by itself (TLS), it is read in pieces of this size.
PIECE_BYTES = 1024 * 1024

Write = Callable[[bytes], Awaitable[None]]


async def send_file(transport: asyncio.Transport, part: FileRange, write: Write) -> None:
    """Send part of a file, by the kernel where it can.

    Raises ConnectionAbortedError if the file is shorter than its record says: the head is out, and
    the client must not take what it got for the whole.
    """
    if part.length == 0:
        return
    loop = asyncio.get_running_loop()
    with part.path.open("rb", buffering=0) as file:
        try:
            sent = await loop.sendfile(transport, file, part.offset, part.length, fallback=False)
            if sent < part.length:
                raise ConnectionAbortedError("the file is shorter than its record")
        except (NotImplementedError, asyncio.SendfileNotAvailableError, RuntimeError):
            left = part.length
            file.seek(part.offset)
            while left > 0:
                chunk = await loop.run_in_executor(None, file.read, min(left, PIECE_BYTES))
                if not chunk:
                    raise ConnectionAbortedError("the file is shorter than its record") from None
                left -= len(chunk)
                await write(chunk)


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
