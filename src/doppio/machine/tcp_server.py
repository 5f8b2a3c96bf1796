"""Data planes with protocols of their own: ports that services listen at, by name.

A service says what serves a connection; here are the sockets, TLS, and the bounds on both. A port
once given is the caller's to keep. Nothing listens after `close`, and a process that dies takes its
ports with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Sequence

_BACKLOG = 128
# What a client does not take in time, it does not want.
_WRITE_SECONDS_MAX = 60.0


class TcpStream:
    """A connection: what comes, and what goes. Whoever says nothing for long has gone."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        idle_seconds: float,
        read_bytes: int,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._idle_seconds = idle_seconds
        self._read_bytes = read_bytes
        self.local: str = writer.get_extra_info("sockname")[0]
        self.remote: str = writer.get_extra_info("peername")[0]
        secured = writer.get_extra_info("ssl_object")
        # The version of TLS, empty without.
        self.secure: str = "" if secured is None else secured.version()

    async def read(self) -> bytes:
        """What has come, nothing at the end."""
        try:
            async with asyncio.timeout(self._idle_seconds):
                return await self._reader.read(self._read_bytes)
        except (OSError, TimeoutError):
            return b""

    async def write(self, data: bytes) -> None:
        """Send it; to one who has gone, it is lost."""
        if self._writer.is_closing():
            return
        self._writer.write(data)
        if not self._writer.transport.get_write_buffer_size():
            return
        try:
            async with asyncio.timeout(_WRITE_SECONDS_MAX):
                await self._writer.drain()
        except (OSError, TimeoutError):
            self.abort()

    def abort(self) -> None:
        """End the connection at once."""
        self._writer.transport.abort()

    async def end(self) -> None:
        """End the connection when what was written has gone."""
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_WRITE_SECONDS_MAX):
                await self._writer.wait_closed()


Serve = Callable[[TcpStream], Awaitable[None]]


class _Listener:
    """One port with its connections."""

    def __init__(self, serve: Serve, connections_max: int, idle: float, read_bytes: int) -> None:
        self._serve = serve
        self._connections_max = connections_max
        self._idle = idle
        self._read_bytes = read_bytes
        self._servers: list[asyncio.Server] = []
        self._open: dict[TcpStream, asyncio.Task[None]] = {}
        self.port = 0

    async def open(self, hosts: Sequence[str], port: int, tls: ssl.SSLContext | None) -> None:
        """Listen at the same port of every host. Raises OSError if the first cannot be had."""
        for number, host in enumerate(hosts):
            try:
                server = await asyncio.start_server(
                    self._accepted, host, self.port or port, ssl=tls, backlog=_BACKLOG
                )
            except OSError:
                # A machine without IPv6 still has the first address.
                if number == 0:
                    raise
                continue
            self._servers.append(server)
            self.port = self.port or server.sockets[0].getsockname()[1]

    def close(self) -> list[asyncio.Task[None]]:
        """Take no more, and end what there is; the tasks that end with it."""
        for server in self._servers:
            server.close()
        ending = list(self._open.values())
        for stream, task in self._open.items():
            stream.abort()
            task.cancel()
        return ending

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio serves each connection in a task"
        if not writer.get_extra_info("peername"):
            # It has gone already.
            writer.transport.abort()
            return
        stream = TcpStream(reader, writer, self._idle, self._read_bytes)
        if len(self._open) >= self._connections_max:
            stream.abort()
            return
        self._open[stream] = task
        try:
            await self._serve(stream)
            await stream.end()
        except asyncio.CancelledError:
            # The port is closed: asyncio would report a cancelled task as an error.
            return
        finally:
            self._open.pop(stream, None)
            stream.abort()


class TcpServer:
    """All ports of one cloud, by name. `tls` makes the server's side of it when it is needed."""

    def __init__(self, hosts: Sequence[str], tls: Callable[[], ssl.SSLContext]) -> None:
        self._hosts = hosts
        self._make_tls = tls
        self._tls: ssl.SSLContext | None = None
        self._listeners: dict[str, _Listener] = {}

    async def listen(
        self,
        name: str,
        port: int,
        serve: Serve,
        *,
        tls: bool,
        connections_max: int,
        idle_seconds: float,
        read_bytes: int,
    ) -> int | None:
        """Listen at a port, 0 for any; its number, None if it cannot be had. Again is no error."""
        known = self._listeners.get(name)
        if known is not None and port in (0, known.port):
            return known.port
        await self.quiet(name)
        if tls and self._tls is None:
            self._tls = self._make_tls()
        listener = _Listener(serve, connections_max, idle_seconds, read_bytes)
        try:
            await listener.open(self._hosts, port, self._tls if tls else None)
        except OSError:
            return None
        self._listeners[name] = listener
        return listener.port

    async def quiet(self, name: str) -> None:
        """Listen no more; that nobody did is no error."""
        listener = self._listeners.pop(name, None)
        if listener is not None:
            await asyncio.gather(*listener.close(), return_exceptions=True)

    async def quiet_all(self, prefix: str) -> None:
        """Listen no more at any port whose name begins so."""
        for name in [one for one in self._listeners if one.startswith(prefix)]:
            await self.quiet(name)
