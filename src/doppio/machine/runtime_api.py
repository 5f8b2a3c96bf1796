"""Lambda's Runtime API: how the program in an environment gets its events, and answers them.

Each environment has a port of its own on loopback, where it is served and nobody else: a connection
counts only if its other end belongs to a process of the environment (Linux says whose it is).
Source: "Using the Lambda runtime API for custom runtimes".
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, cast

import httptools

_PREFIX = "/2018-06-01/runtime/"


class Invocation(NamedTuple):
    """An event for the program. `headers` tell it what goes with the event."""

    request_id: str
    payload: bytes
    headers: Mapping[str, str]


class Said(NamedTuple):
    """What a program answered: `failed` says that it was an error, of a type. `too_large`: of how
    many bytes the answer was at least, where it was more than may be; `body` is empty then."""

    body: bytes
    failed: bool = False
    error_type: str = ""
    content_type: str = ""
    too_large: int = 0
    streamed: bool = False
    # It was said in place of asking for the first event.
    of_start: bool = False


Chunk = Callable[[bytes], None]
# Whether the other end of a connection (its port) belongs to the environment.
Known = Callable[[int, int], Awaitable[bool]]


class RuntimeApi:
    """The Runtime API of one environment."""

    def __init__(self, known: Known, response_bytes_max: int) -> None:
        self.known = known
        self.response_bytes_max = response_bytes_max
        loop = asyncio.get_running_loop()
        # Done when the program asks for its first event, or says why it cannot.
        self.started: asyncio.Future[Said | None] = loop.create_future()
        self._server: asyncio.Server | None = None
        self._waiting: _Connection | None = None
        self._current: Invocation | None = None
        self._answer: asyncio.Future[Said] | None = None
        self._open: set[_Connection] = set()
        self.chunk: Chunk | None = None
        # Called when the program waits for an event, and nothing is under way.
        self.idle: Callable[[], None] = lambda: None
        self.port = 0

    async def open(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Listen no more, and end what is open."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._open):
            connection.abort()

    @property
    def is_waiting(self) -> bool:
        """Whether the program waits for an event."""
        return self._waiting is not None and self._current is None

    def invoke(self, invocation: Invocation, chunk: Chunk | None = None) -> asyncio.Future[Said]:
        """Give the program an event; what it says to it. `chunk` hears of a streamed answer."""
        assert self._current is None, "an environment serves one event at a time"
        self._current = invocation
        self.chunk = chunk
        self._answer = asyncio.get_running_loop().create_future()
        self._serve()
        return self._answer

    def answered(self, said: Said) -> None:
        """The program has answered its event."""
        self._current = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(said)

    def ask(self, connection: _Connection) -> None:
        """A connection waits for an event."""
        self._waiting = connection
        if not self.started.done():
            self.started.set_result(None)
        self._serve()
        if self._current is None:
            self.idle()

    def failed_to_start(self, said: Said) -> None:
        """The program cannot serve events."""
        if not self.started.done():
            self.started.set_result(said)

    def is_current(self, request_id: str) -> bool:
        """Whether this is the event that the program has."""
        return self._current is not None and self._current.request_id == request_id

    def opened(self, connection: _Connection) -> None:
        """A connection was made."""
        self._open.add(connection)

    def lost(self, connection: _Connection) -> None:
        """A connection is gone."""
        self._open.discard(connection)
        if self._waiting is connection:
            self._waiting = None

    def _serve(self) -> None:
        if self._waiting is None or self._current is None:
            return
        connection, self._waiting = self._waiting, None
        given = self._current
        headers = {"Lambda-Runtime-Aws-Request-Id": given.request_id, **given.headers}
        connection.answer(200, given.payload, headers)


class _Connection(asyncio.Protocol):
    """One connection of a program; it asks one thing after the other."""

    def __init__(self, api: RuntimeApi) -> None:
        self._api = api
        self._chunk: Chunk | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._task: asyncio.Task[None] | None = None
        self._is_known = False
        self._early = b""
        self._begin()

    # asyncio's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._api.opened(self)
        peer = transport.get_extra_info("peername")
        # Of one that has gone already there may be no address.
        self._task = asyncio.ensure_future(self._check(peer[1] if peer else 0))

    def data_received(self, data: bytes) -> None:
        if not self._is_known:
            # Nothing is looked at before it is known who says it. (Some loops read on when a
            # connection is paused at once: what has come is kept, and then no more is read.)
            self._early += data
            self._transport.pause_reading()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._api.lost(self)

    def abort(self) -> None:
        """End it at once."""
        self._transport.abort()

    async def _check(self, port: int) -> None:
        if not await self._api.known(port, self._api.port):
            self.abort()
        elif not self._transport.is_closing():
            self._is_known = True
            early, self._early = self._early, b""
            if early:
                self.data_received(early)
            self._transport.resume_reading()

    # The parser's side.

    def on_url(self, url: bytes) -> None:
        self._url += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        mode = self._headers.get("lambda-runtime-function-response-mode", "")
        streams = self._url.endswith("/response") and mode.lower() == "streaming"
        self._chunk = self._api.chunk if streams and self._is_current() else None
        if self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._length += len(body)
        if self._chunk is not None:
            self._chunk(body)
        elif self._length <= self._api.response_bytes_max:
            self._body.append(body)
        else:
            self._body.clear()

    def on_message_complete(self) -> None:
        method = self._parser.get_method()
        self._route(method, self._url.partition("?")[0])
        self._begin()

    def _begin(self) -> None:
        self._url = ""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._length = 0
        self._chunk = None

    def _route(self, method: bytes, path: str) -> None:
        parts = path.removeprefix(_PREFIX).split("/") if path.startswith(_PREFIX) else []
        if method == b"GET" and parts == ["invocation", "next"]:
            self._api.ask(self)
        elif method == b"POST" and parts == ["init", "error"]:
            self._api.failed_to_start(self._said(failed=True)._replace(of_start=True))
            self._accept()
        elif method == b"POST" and len(parts) == 3 and parts[2] in ("response", "error"):
            self._answered(parts[1], failed=parts[2] == "error")
        else:
            self._refuse(404, "InvalidRequest", "Not found")

    def _answered(self, request_id: str, *, failed: bool) -> None:
        if not self._api.is_current(request_id):
            self._refuse(400, "InvalidRequestID", "Invalid request ID")
            return
        said = self._said(failed=failed or "lambda-runtime-function-error-type" in self._headers)
        if said.too_large:
            self._refuse(
                413, "RequestEntityTooLarge",
                f"Exceeded maximum allowed payload size ({self._api.response_bytes_max} bytes).",
            )  # fmt: skip
        else:
            self._accept()
        self._api.answered(said)

    def _said(self, *, failed: bool) -> Said:
        most = self._api.response_bytes_max
        # A stream that breaks off says why in its trailers.
        why = self._headers.get("lambda-runtime-function-error-body", "")
        return Said(
            base64.b64decode(why) if why else b"".join(self._body),
            failed,
            self._headers.get("lambda-runtime-function-error-type", ""),
            self._headers.get("content-type", ""),
            self._length if self._chunk is None and self._length > most else 0,
            self._chunk is not None,
        )

    def _is_current(self) -> bool:
        return self._api.is_current(self._url.removeprefix(_PREFIX).split("/")[1])

    def _accept(self) -> None:
        self.answer(202, b'{"status":"OK"}\n', {"Content-Type": "application/json"})

    def _refuse(self, status: int, kind: str, text: str) -> None:
        body = json.dumps({"errorMessage": text, "errorType": kind}).encode()
        self.answer(status, body, {"Content-Type": "application/json"})

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Answer what was asked."""
        lines = [f"HTTP/1.1 {status} {_REASONS[status]}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._transport.write("\r\n".join([*lines, "", ""]).encode() + body)


_REASONS = {
    200: "OK", 202: "Accepted", 400: "Bad Request", 404: "Not Found",
    413: "Request Entity Too Large",
}  # fmt: skip
