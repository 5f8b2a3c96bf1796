"""A listener with a handler of the test's own, and a client that writes bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from doppio.gateway.limits import Limits
from doppio.gateway.listener import Server, serve
from doppio.gateway.loop import loop_factory
from doppio.wire.http import Request, Response

# All that a cloud may run on: the listener must be the same on each.
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": loop_factory()}
running_on = ["asyncio"]
# A test that waits longer than this hangs.
PATIENCE = 10.0


class Peer:
    """One connection, from the client's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Write bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        """The next answer's status and headers."""
        text = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)).decode()
        first, *lines = text.split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        return int(first.split(" ")[1]), headers

    async def answer(self, *, no_body: bool = False) -> tuple[int, dict[str, str], bytes]:
        """The next answer with its body."""
        status, headers = await self.head()
        if no_body or status in {204, 304} or status < 200:
            return status, headers, b""
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(await asyncio.wait_for(self.reader.readline(), PATIENCE), 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readline()
            return status, headers, body
        length = int(headers["content-length"])
        return status, headers, await asyncio.wait_for(self.reader.readexactly(length), PATIENCE)

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        try:
            return await asyncio.wait_for(self.reader.read(-1), PATIENCE)
        except ConnectionResetError:
            return b""

    async def close(self) -> None:
        """Go away."""
        self.writer.close()


class Listening:
    """A listener, and what its handler met."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.crashes: list[BaseException] = []
        self.peers: list[Peer] = []

    async def connect(self, **more: Any) -> Peer:
        """A client."""
        streams = await asyncio.open_connection("127.0.0.1", self.server.port, **more)
        self.peers.append(Peer(*streams))
        return self.peers[-1]


@asynccontextmanager
async def listening(
    handler: Callable[[Request], Awaitable[Response]], *, tls: Any = None, **limits: Any
) -> AsyncIterator[Listening]:
    """A listener on a free port of loopback."""

    def bad_request(status: int, code: str, text: str) -> Response:
        return Response(status, [("content-type", "text/plain")], f"{code}: {text}".encode())

    def crashed(request: Request, error: BaseException) -> Response:
        known.crashes.append(error)
        return Response(500, [], b"crashed")

    server = await serve(
        handler,  # type: ignore[arg-type]
        ("127.0.0.1",),
        0,
        tls=tls,
        limits=Limits(**limits),
        host_seconds=lambda: 1_900_000_000.0,
        bad_request=bad_request,
        crashed=crashed,
    )
    known = Listening(server)
    try:
        yield known
    finally:
        for peer in known.peers:
            peer.writer.close()
        await server.close(1.0)
        for peer in known.peers:
            with contextlib.suppress(OSError):
                await peer.writer.wait_closed()


async def until(so: Callable[[], bool]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(PATIENCE):
        while not so():
            await asyncio.sleep(0.005)


async def echo(request: Request) -> Response:
    """Answers with method, path, query and body."""
    body = b"".join([bytes(chunk) async for chunk in request.body])
    text = f"{request.method} {request.path}?{request.query} ".encode()
    return Response(200, [("content-type", "text/plain")], text + body)


def get(path: str = "/", **headers: str) -> bytes:
    """A GET as bytes."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode()


def put(body: bytes, path: str = "/", **headers: str) -> bytes:
    """A PUT as bytes."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
    return head.encode() + body


def run(work: Awaitable[Any]) -> None:
    """Run a test's coroutine to its end, on the loop whose turn it is."""

    async def bounded() -> None:
        await asyncio.wait_for(work, 4 * PATIENCE)

    with asyncio.Runner(loop_factory=LOOPS[running_on[-1]]) as runner:
        runner.run(bounded())
