"""Listens: sockets, connections, and the one timer that watches them all."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import Any

from doppio.gateway.connection import READ_BYTES, Connection, Handler
from doppio.gateway.limits import Limits
from doppio.gateway.responses import Heads
from doppio.wire.http import Request, Response

BACKLOG = 1_024
SERVER_NAME = "doppio"

BadRequest = Callable[[int, str, str], Response]
Crashed = Callable[[Request, BaseException], Response]


class Server:
    """A listening gateway."""

    def __init__(
        self,
        handler: Handler,
        limits: Limits,
        host_seconds: Callable[[], float],
        bad_request: BadRequest,
        crashed: Crashed,
    ) -> None:
        self.handler = handler
        self.limits = limits
        self.bad_request = bad_request
        self.crashed = crashed
        self.heads = Heads(SERVER_NAME, host_seconds)
        # A read is parsed before the next one begins, so one buffer serves every connection.
        self.buffer = bytearray(READ_BYTES)
        self.view = memoryview(self.buffer)
        self.port = 0
        self.now = asyncio.get_running_loop().time
        self._connections: set[Connection] = set()
        self._listening: list[asyncio.Server] = []
        self._sweep: asyncio.TimerHandle | None = None
        self._empty: asyncio.Future[None] | None = None
        self._closing = False
        self._soon: list[tuple[Callable[[Any], None], Any]] = []
        self._late: list[tuple[Callable[[Any], None], Any]] = []

    def soon(self, run: Callable[[Any], None], what: Any) -> None:
        """Run it when this turn's reads are done: all requests that came together start together.

        Reads, handlers and writes each in one go: the caches stay warm, and the commits of a
        turn share a group.
        """
        if not self._soon:
            asyncio.get_running_loop().call_soon(self._run_soon)
        self._soon.append((run, what))

    def late(self, run: Callable[[Any], None], what: Any) -> None:
        """Run it after this turn's handlers, in the order of the calls: answers, and closes."""
        if not self._late:
            asyncio.get_running_loop().call_soon(self._run_late)
        self._late.append((run, what))

    def _run_soon(self) -> None:
        todo, self._soon = self._soon, []
        self._run(todo)

    def _run_late(self) -> None:
        todo, self._late = self._late, []
        self._run(todo)

    def _run(self, todo: list[tuple[Callable[[Any], None], Any]]) -> None:
        following = iter(todo)
        try:
            for run, what in following:
                run(what)
        finally:
            # One connection's fault, which the loop reports, is not its neighbours'.
            for run, what in following:
                asyncio.get_running_loop().call_soon(run, what)

    async def listen(self, hosts: Sequence[str], port: int, tls: ssl.SSLContext | None) -> None:
        """Listen on the same port of every host. Raises OSError if the first cannot be had."""
        loop = asyncio.get_running_loop()
        for number, host in enumerate(hosts):
            try:
                listening = await loop.create_server(
                    lambda: Connection(self), host, self.port or port, ssl=tls, backlog=BACKLOG
                )
            except OSError:
                # A machine without IPv6 still has the first address.
                if number == 0:
                    raise
                continue
            self._listening.append(listening)
            self.port = self.port or listening.sockets[0].getsockname()[1]

    async def close(self, grace_seconds: float) -> None:
        """Take no more; let what is under way finish within the grace."""
        self._closing = True
        for listening in self._listening:
            listening.close()
        for connection in list(self._connections):
            connection.finish()
        until = self.now() + grace_seconds
        if self._connections:
            self._empty = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._empty], timeout=until - self.now())
        for connection in list(self._connections):
            connection.abort()
        if self._sweep is not None:
            self._sweep.cancel()

    def admit(self, connection: Connection) -> bool:
        """Whether there is room for one more."""
        if self._closing or len(self._connections) >= self.limits.connections_max:
            return False
        self._connections.add(connection)
        if self._sweep is None:
            self._arm()
        return True

    def forget(self, connection: Connection) -> None:
        """A connection has ended."""
        self._connections.discard(connection)
        if not self._connections and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(self.limits.sweep_seconds, self._look)

    def _look(self) -> None:
        # With no connection there is no timer: an idle cloud costs nothing.
        self._sweep = None
        now = self.now()
        for connection in list(self._connections):
            if connection.deadline < now:
                connection.expired()
        if self._connections:
            self._arm()


async def serve(
    handler: Handler,
    hosts: Sequence[str],
    port: int,
    *,
    tls: ssl.SSLContext | None,
    limits: Limits,
    host_seconds: Callable[[], float],
    bad_request: BadRequest,
    crashed: Crashed,
) -> Server:
    """Listen, and answer with `handler`. Port 0 takes a free one."""
    server = Server(handler, limits, host_seconds, bad_request, crashed)
    await server.listen(hosts, port, tls)
    return server
