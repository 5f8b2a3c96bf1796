"""Bodies that an operation answered through the door, read piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from doppio.wire.http import FileRange

READ_BYTES = 262_144


async def pieces(body: Any) -> AsyncIterator[bytes]:
    """What S3's GetObject gives, in pieces: bytes, a range of a file, or a stream."""
    if isinstance(body, bytes):
        yield body
    elif isinstance(body, FileRange):
        loop, left = asyncio.get_running_loop(), body.length
        with body.path.open("rb") as file:
            file.seek(body.offset)
            while left and (
                part := await loop.run_in_executor(None, file.read, min(left, READ_BYTES))
            ):
                left -= len(part)
                yield part
    else:
        async for part in body:
            yield bytes(part)
