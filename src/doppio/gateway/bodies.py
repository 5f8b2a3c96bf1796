"""Request bodies that are read while they arrive, with back-pressure on the client."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from doppio.wire.errors import AwsError


class RequestTimeout(AwsError):
    """A body that stopped arriving."""

    code = "RequestTimeout"
    text = (
        "Your socket connection to the server was not read from or written to within the timeout "
        "period. Idle connections will be closed."
    )


class IncompleteBody(AwsError):
    """A body that ended too soon."""

    code = "IncompleteBody"
    text = "You did not provide the number of bytes specified by the Content-Length HTTP header"


class BadBody(AwsError):
    """A body whose chunks are not what HTTP says they are."""

    code = "InvalidRequest"


class StreamedBody:
    """A body that arrives while its handler runs; iterated once."""

    whole: bytes | None = None

    def __init__(
        self,
        length: int | None,
        held_max: int,
        flow: Callable[[bool], None],
        begin: Callable[[], None],
    ) -> None:
        self.length = length
        self.ended = False
        self.dropping = False
        self.dropped = 0
        self._begin = begin
        self._flow = flow
        self._held_max = held_max
        self._held = 0
        self._paused = False
        self._chunks: deque[Any] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: AwsError | None = None

    def feed(self, chunk: bytes | memoryview) -> None:
        """Bytes have arrived."""
        if self.dropping:
            self.dropped += len(chunk)
            return
        self._chunks.append(chunk)
        self._held += len(chunk)
        if self._held > self._held_max and not self._paused:
            self._paused = True
            self._flow(False)
        self._wake()

    def end(self, error: AwsError | None = None) -> None:
        """The body is complete, or will never be."""
        self.ended = True
        self._error = error
        self._wake()

    def drop(self) -> None:
        """Nobody reads on: what still arrives is dropped."""
        self.dropping = True
        self._chunks.clear()
        self._held = 0
        self._resume()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._begin()
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self._held -= len(chunk)
                if self._held * 2 < self._held_max:
                    self._resume()
                yield chunk
            if self._error is not None:
                raise self._error
            if self.ended:
                return
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._flow(True)


async def close_body(body: Any) -> None:
    """Let a response's iterator go, read to its end or not."""
    close = getattr(body, "aclose", None)
    if close is not None:
        await close()
