"""One client's connection: bytes into requests, responses into bytes, in order.

Heads are parsed by httptools. A small body is collected before its handler runs. A large one of
known length goes past the parser, straight from the socket into buffers of its own; a chunked one
comes through the parser. Requests that a client sends ahead wait their turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from operator import methodcaller
from typing import TYPE_CHECKING, Any, cast

import httptools

from doppio.gateway.bodies import BadBody, IncompleteBody, RequestTimeout, StreamedBody, close_body
from doppio.gateway.drive import Drive, drive
from doppio.gateway.heads import (
    LARGE_HEAD,
    Refused,
    broken,
    content_length,
    ends_of,
    head_bytes,
    headers_of,
    nothing,
    origin_form,
)
from doppio.gateway.outgoing import send_file, send_iterator
from doppio.gateway.responses import has_no_body
from doppio.wire.http import ByteStream, FileRange, Request, Response, Whole

if TYPE_CHECKING:
    from doppio.gateway.listener import Server

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
READ_BYTES = 262_144
# A read that fills less than this is copied, so that its large buffer serves again.
KEEP_BUFFER_BYTES = 65_536
JOIN_BYTES_MAX = 65_536
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_NEVER = float("inf")
_shut = methodcaller("close")
# How far a request has been read, while it is not whole.
_HEAD, _BODY = "head", "body"


class Connection(asyncio.BufferedProtocol):
    """The server's side of one connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._limits = server.limits
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._peer = self._secure = self._cipher = ""
        self._queue: deque[Request] = deque()
        self._drive: Drive[Response] | None = None
        self._view = server.view
        self._current: Request | None = None
        # The one whose client wants no other answer after it.
        self._last: Request | None = None
        self._sender: asyncio.Task[None] | None = None
        self._closing = False
        self._reading = True
        self._writable: asyncio.Future[None] | None = None
        self._buffer: bytearray | None = None
        self.deadline = _NEVER
        self._taking = 0
        # How long the client has for the rest of a small body; 0 where its time runs already.
        self._grace = 0.0
        self._reset()

    # The request being read.

    def _reset(self) -> None:
        self._url = b""
        self._lines: list[tuple[bytes, bytes]] = []
        self._headers: dict[str, str] = {}
        self._head_bytes = 0
        self._parts: list[bytes] = []
        self._stream: StreamedBody | None = None
        self._raw_left = 0
        self._within = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self._transport = transport = cast("asyncio.Transport", transport)
        self._peer, self._secure, self._cipher = ends_of(transport)
        if not self._server.admit(self):
            transport.abort()
            return
        self._expect(self._limits.idle_seconds_max)

    def connection_lost(self, error: Exception | None) -> None:
        """The client has gone: whatever runs for it lets go of what it holds."""
        self._server.forget(self)
        self._closing = True
        self._transport = None
        if self._stream is not None and not self._stream.ended:
            self._stream.end(IncompleteBody())
        if self._drive is not None:
            self._drive.cancel()
        if self._sender is not None:
            self._sender.cancel()
        if self._writable is not None and not self._writable.done():
            self._writable.set_exception(ConnectionResetError())
        self._queue.clear()

    # Bytes in.

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go: shared by all connections, or this body's own.
        A view, since asyncio's TLS reads into slices of it, and those of bytes are copies."""
        if self._raw_left == 0:
            return self._view
        if self._buffer is None:
            self._buffer = bytearray(READ_BYTES)
        return memoryview(self._buffer)

    def buffer_updated(self, count: int) -> None:
        """Bytes have come."""
        if self._raw_left:
            assert self._buffer is not None
            view = memoryview(self._buffer)[:count]
            if count >= KEEP_BUFFER_BYTES:
                self._buffer = None
                self._take_raw(view)
            else:
                self._take_raw(memoryview(bytes(view)))
        else:
            self._take(self._view[:count])

    def eof_received(self) -> bool:
        """The client will send no more; what it has asked is answered, if that is soon done.

        Somebody who waits for minutes and is gone must not be given a message, so waiting ends.
        """
        if self._stream is not None and not self._stream.ended:
            self._stream.end(IncompleteBody())
        elif self._within:
            self._refuse(400, "RequestTimeout", "The request ended before it was complete.")
        self._closing = True
        if self._current is None and not self._queue:
            self._close()
        else:
            loop = asyncio.get_running_loop()
            loop.call_later(self._limits.half_closed_seconds_max, self.abort)
        # TLS cannot be half closed: to want it there only makes the loop warn.
        return not self._secure

    def _take(self, data: memoryview) -> None:
        if self._closing:
            return
        self._taking = len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # An upgrade may be ignored: the request is answered, and what follows is not read.
            self._closing = True
        except (httptools.HttpParserError, Refused) as error:
            why = broken(error)
            self._refuse(why.status, why.code, why.text)
        if not self._within:
            # Whole, as nearly always: nobody has had to look at the time.
            return
        if self._within == _BODY:
            if self._grace:
                self._expect(self._grace)
                self._grace = 0.0
            # Lines that come after a chunked body are nobody's: HTTP lets them be dropped.
            self._lines.clear()
            return
        if self._head_bytes == 0 and self._current is None:
            self._expect(self._limits.head_seconds_max)
        if not self._closing:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.head_bytes_max:
                self._refuse(431, *LARGE_HEAD)

    def _take_raw(self, view: memoryview) -> None:
        stream = self._stream
        assert stream is not None
        self._expect(self._limits.body_stall_seconds_max)
        piece = view[: self._raw_left]
        self._raw_left -= len(piece)
        stream.feed(piece)
        if stream.dropped > self._limits.dropped_body_bytes_max:
            self.abort()
        elif self._raw_left == 0:
            stream.end()
            self._buffer = None
            self._parser = httptools.HttpRequestParser(self)
            self._reset()
            self._expect(self._limits.idle_seconds_max if self._current is None else _NEVER)
            rest = view[len(piece) :]
            if rest:
                self._take(rest)

    # The parser's callbacks.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._url = b""
        self._lines = []
        self._head_bytes = 0
        self._parts = []
        self._within = _HEAD

    def on_url(self, url: bytes) -> None:
        """The request target, maybe in pieces."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line. Called a dozen times a request: nothing happens here that can wait."""
        self._lines.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is there: a small body is awaited, a large one streamed."""
        self._within = _BODY
        headers = self._headers = headers_of(self._lines)
        # A head is no larger than the bytes it came in; only of many must it be worked out.
        most = self._limits.head_bytes_max
        if self._head_bytes + self._taking > most and head_bytes(headers) > most:
            raise Refused(431, *LARGE_HEAD)
        length = content_length(headers)
        chunked = "transfer-encoding" in headers
        if length is None:
            if not chunked:
                return
        elif chunked:
            raise Refused(
                400, "BadRequest", "Content-Length and Transfer-Encoding exclude each other."
            )
        elif length <= self._limits.small_body_bytes_max:
            if "expect" in headers and length and self._current is None and not self._queue:
                self._send_continue()
            self._grace = self._limits.body_stall_seconds_max
            return
        expects = headers.get("expect", "").lower() == "100-continue"
        self._stream = StreamedBody(
            length,
            self._limits.held_body_bytes_max,
            self._flow,
            self._send_continue if expects else nothing,
        )
        if length is not None:
            self._raw_left = length
        self._grace = 0.0
        self._expect(self._limits.body_stall_seconds_max)
        self._enqueue(self._stream)

    def on_body(self, body: bytes) -> None:
        """Bytes of a body."""
        stream = self._stream
        if stream is None:
            self._parts.append(body)
            return
        if self._raw_left:
            self._raw_left -= len(body)
        self._expect(self._limits.body_stall_seconds_max)
        stream.feed(body)
        if stream.dropped > self._limits.dropped_body_bytes_max:
            self.abort()

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._within = ""
        if self._stream is None:
            parts = self._parts
            self._enqueue(Whole(parts[0] if len(parts) == 1 else b"".join(parts)))
        else:
            self._stream.end()
            self._stream = None
            self._raw_left = 0

    # Requests.

    def _enqueue(self, body: ByteStream) -> None:
        target = self._url.decode("latin-1")
        if not target.startswith("/"):
            target = origin_form(target)
        path, _, query = target.partition("?")
        request = Request(
            self._parser.get_method().decode(), path, query, self._headers, body,
            self._peer, self._secure, self._cipher,
        )  # fmt: skip
        if not self._parser.should_keep_alive() and self._last is None:
            self._last = request
        if self._current is None:
            self._current = request
            self._server.soon(self._start, request)
            return
        self._queue.append(request)
        if len(self._queue) >= self._limits.pipelined_max:
            self._flow(False)

    def _start(self, request: Request) -> None:
        if self._transport is None:
            return
        if self._stream is None:
            self.deadline = _NEVER
        self._drive = drive(self._server.handler(request), self._answered)

    def _answered(self, response: Response | None, error: BaseException | None) -> None:
        request = self._current
        assert request is not None
        self._drive = None
        if self._transport is None or (error and isinstance(error, asyncio.CancelledError)):
            self._current = None
            return
        if response is None:
            assert error is not None
            response = self._server.crashed(request, error)
        body = response.body
        if body.__class__ is bytes:
            self._send_whole(request, response, body)
        else:
            self._sender = asyncio.get_running_loop().create_task(
                self._send_streamed(request, response)
            )

    def _send_whole(self, request: Request, response: Response, body: bytes) -> None:
        keep_alive = request is not self._last and not self._closing
        try:
            head = self._server.heads.head(response, keep_alive=keep_alive, chunked=False)
        except ValueError:
            response = self._server.crashed(request, ValueError("unsendable header"))
            body = response.body if isinstance(response.body, bytes) else b""
            head = self._server.heads.head(response, keep_alive=keep_alive, chunked=False)
        if has_no_body(response.status, request.method):
            self._server.late(self._write_if_open, head)
        elif len(body) <= JOIN_BYTES_MAX:
            self._server.late(self._write_if_open, head + body)
        else:
            self._write(head)
            self._write(body)
        self._finished(request, keep_alive)

    async def _send_streamed(self, request: Request, response: Response) -> None:
        body = response.body
        keep_alive = request is not self._last and not self._closing
        chunked = not isinstance(body, (bytes, FileRange)) and not any(
            name == "content-length" for name, _ in response.headers
        )
        try:
            self._write(self._server.heads.head(response, keep_alive=keep_alive, chunked=chunked))
            if has_no_body(response.status, request.method):
                if isinstance(body, AsyncIterator):
                    await close_body(body)
            elif isinstance(body, FileRange):
                if self._transport is not None:
                    await send_file(self._transport, body, self._write_waiting, self._drained)
            elif not isinstance(body, bytes):
                await send_iterator(body, self._write_waiting, chunked=chunked)
        except (ConnectionError, OSError, asyncio.CancelledError):
            # The head is out: all that can be said is that the answer is not complete.
            self.abort()
            return
        except Exception as error:
            self._server.crashed(request, error)
            self.abort()
            return
        self._sender = None
        self._finished(request, keep_alive)

    def _finished(self, request: Request, keep_alive: bool) -> None:
        self._current = None
        stream = self._stream
        if stream is not None and stream is request.body and not stream.ended:
            # The answer is out before the body is in: what still comes is dropped.
            stream.drop()
            if request.headers.get("expect", "").lower() == "100-continue":
                # A client that waited for leave and got its answer sends no body: the connection
                # cannot be used again, since nobody knows what comes next.
                self._close_when_sent(None)
        if not keep_alive:
            self._close_when_sent(request.body)
            return
        if self._queue:
            following = self._queue.popleft()
            if not self._reading and len(self._queue) < self._limits.pipelined_max // 2:
                self._flow(True)
            # A turn of the loop for the others between two requests of one client.
            asyncio.get_running_loop().call_soon(self._start, following)
            self._current = following
        elif not self._within:
            self._expect(self._limits.idle_seconds_max)

    def _close_when_sent(self, stream: Any) -> None:
        self._closing = True
        if self._transport is not None:
            if isinstance(stream, StreamedBody) and not stream.ended:
                # Closing now would reset the connection under the answer: read on for a while.
                self._closing = False
                self._expect(self._limits.sweep_seconds)
            else:
                self._close()

    # Bytes out, and time.

    def pause_writing(self) -> None:
        """The client reads more slowly than we write."""
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def _write(self, data: bytes) -> None:
        if self._transport is None:
            raise ConnectionResetError
        self._transport.write(data)

    def _write_if_open(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    async def _drained(self, transport: asyncio.Transport) -> None:
        # Until all that was written is with the kernel.
        transport.set_write_buffer_limits(0)
        if self._writable is not None:
            await self._writable
        transport.set_write_buffer_limits()

    async def _write_waiting(self, data: bytes) -> None:
        self._write(data)
        if self._writable is not None:
            await self._writable

    def _send_continue(self) -> None:
        if self._transport is not None:
            self._transport.write(_CONTINUE)

    def _flow(self, on: bool) -> None:
        self._reading = on
        if self._transport is None or self._transport.is_closing():
            return
        if on:
            self._transport.resume_reading()
            self._expect(self._limits.body_stall_seconds_max)
        else:
            self._transport.pause_reading()
            self.deadline = _NEVER

    def _expect(self, seconds: float) -> None:
        self.deadline = self._server.now() + seconds

    def expired(self) -> None:
        """The client has not done in time what was expected of it."""
        if self._stream is not None and not self._stream.ended and not self._stream.dropping:
            self._closing = True
            self._stream.end(RequestTimeout())
            self.deadline = _NEVER
        elif self._within:
            self._refuse(408, "RequestTimeout", RequestTimeout.text)
        elif self._current is not None:
            # Nothing is expected of a client that waits for its answer.
            self.deadline = _NEVER
        elif self._transport is not None:
            self._close()

    def finish(self) -> None:
        """The server is closing: an idle connection ends now, a busy one after its answer."""
        self._closing = True
        if self._current is None and self._transport is not None:
            if self._secure:
                # TLS would wait for the client's farewell, which an idle one does not send.
                self._transport.abort()
            else:
                self._close()

    def _refuse(self, status: int, code: str, text: str) -> None:
        if self._closing and self._transport is None:
            return
        self._within = ""
        self._closing = True
        if self._stream is not None and not self._stream.ended:
            # Whoever reads the body hears of it, and answers.
            self._stream.end(BadBody(text))
        if self._current is None and self._transport is not None:
            response = self._server.bad_request(status, code, text)
            body = response.body if isinstance(response.body, bytes) else b""
            head = self._server.heads.head(response, keep_alive=False, chunked=False)
            self._transport.write(head + body)
            self._close()

    def _close(self) -> None:
        # After the answers of this turn, which are still to be written.
        self._server.late(_shut, self._transport)

    def abort(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()
