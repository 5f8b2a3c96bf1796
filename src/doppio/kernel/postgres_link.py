"""Connections to PostgreSQL: the schema, lost connections, and errors in the store's words.

asyncpg is an optional dependency and is imported here alone, when the first store is opened.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from doppio.kernel import postgres_sql as sql
from doppio.kernel.store import StoreClosed, StoreCorrupt, StoreError, StoreFull

T = TypeVar("T")
# asyncpg has no types.
Connection = Any

CONNECTIONS_MAX = 6
# A lost connection is made anew after these pauses; then the caller hears of it.
RETRY_SECONDS = (0.0, 0.1, 0.5, 2.0)
COMMAND_SECONDS_MAX = 60.0
SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,40}")


class Link:
    """A bounded set of connections to one schema."""

    def __init__(self, url: str) -> None:
        try:
            asyncpg = import_module("asyncpg")
        except ImportError:
            raise StoreError(
                "a store on PostgreSQL needs asyncpg: pip install 'doppio-cloud[postgres]'"
            ) from None
        self._connect: Callable[..., Awaitable[Connection]] = asyncpg.connect
        self._errors: Any = asyncpg.exceptions
        self._url, self.schema = _split(url)
        # One lock and one channel a schema, named so that no other program's collide with them.
        digest = hashlib.sha256(f"doppio/{self.schema}".encode()).digest()
        self.lock = int.from_bytes(digest[:8], "big", signed=True)
        self.channel = f"doppio_{self.schema}"
        self._slots = asyncio.Semaphore(CONNECTIONS_MAX)
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        # The server's processes behind them, by which our own notifications are known.
        self.pids: set[int] = set()
        self._ready = False
        self._making = asyncio.Lock()
        self.closed = False

    async def run(self, body: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `body` on a connection, again on another where that was lost.

        So it must do no harm when it is run twice. Raises StoreError.
        """
        for pause in RETRY_SECONDS:
            await asyncio.sleep(pause)
            try:
                async with self._slots:
                    return await self._once(body)
            except StoreError:
                raise
            except Exception as problem:
                if self.closed or not self.is_lost(problem):
                    raise self.translate(problem) from problem
                last = problem
                # What cut one has most likely cut them all.
                self._drop_idle()
        raise self.translate(last) from last

    async def _once(self, body: Callable[[Connection], Awaitable[T]]) -> T:
        connection = await self._take()
        try:
            result = await body(connection)
        except Exception as problem:
            if self.is_lost(problem):
                connection.terminate()
            raise
        finally:
            if not connection.is_closed():
                self._idle.append(connection)
        return result

    async def roll_back(self, connection: Connection) -> None:
        """End a transaction that failed, or the connection with it."""
        errors = self._errors
        try:
            await connection.execute("ROLLBACK")
        except (
            OSError,
            errors.PostgresError,
            errors.InterfaceError,
            errors.InternalClientError,
        ):
            connection.terminate()

    async def connect(self) -> Connection:
        """A connection of one's own, to be closed by whoever asked."""
        if self.closed:
            raise StoreClosed("the store is closed")
        connection = await self._connect(
            self._url,
            server_settings={**sql.SETTINGS, "search_path": self.schema},
            command_timeout=COMMAND_SECONDS_MAX,
        )
        self._all.add(connection)
        pid = connection.get_server_pid()
        self.pids.add(pid)

        def gone(_: Connection) -> None:
            self._all.discard(connection)
            self.pids.discard(pid)

        connection.add_termination_listener(gone)
        return connection

    async def close(self) -> None:
        """Close every connection."""
        self.closed = True
        for connection in list(self._all):
            await connection.close(timeout=5)
        self._idle.clear()

    def is_lost(self, problem: BaseException) -> bool:
        """Whether it was the connection that failed, and not what was asked."""
        errors = self._errors
        lost = (
            OSError,
            errors.PostgresConnectionError,
            errors.InterfaceError,
            errors.InternalClientError,
            errors.CannotConnectNowError,
            errors.AdminShutdownError,
            errors.CrashShutdownError,
            errors.TooManyConnectionsError,
        )
        # A question that took too long would again.
        return isinstance(problem, lost) and not isinstance(problem, TimeoutError)

    def translate(self, problem: BaseException) -> StoreError:
        """An error of PostgreSQL in the store's words."""
        if isinstance(problem, StoreError):
            return problem
        if isinstance(problem, self._errors.DiskFullError):
            return StoreFull(f"PostgreSQL's disk is full: {problem}")
        return StoreClosed(f"PostgreSQL: {type(problem).__name__}: {problem}")

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        connection = await self.connect()
        if not self._ready:
            async with self._making:
                if not self._ready:
                    await self._make_schema(connection)
                    self._ready = True
        return connection

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().terminate()

    async def _make_schema(self, connection: Connection) -> None:
        async with connection.transaction():
            # Two processes may start on an empty database at once.
            await connection.execute(f"SELECT pg_advisory_xact_lock({self.lock})")
            tables = await connection.fetch(
                "SELECT tablename FROM pg_tables WHERE schemaname = $1", self.schema
            )
            if not tables:
                await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self.schema}")
                await connection.execute(sql.CREATE)
                await connection.execute("INSERT INTO format VALUES ($1)", sql.FORMAT)
                return
            if "format" not in {row["tablename"] for row in tables}:
                raise StoreCorrupt(
                    f"the schema {self.schema} holds tables of another program: it is left as it "
                    "is; name another one with doppio_schema= in the URL"
                )
            number = await connection.fetchval("SELECT number FROM format")
            if number != sql.FORMAT:
                raise StoreCorrupt(
                    f"the schema {self.schema} has format {number}, this version knows {sql.FORMAT}: "
                    "upgrade, or name another schema with doppio_schema= in the URL"
                )


def _split(url: str) -> tuple[str, str]:
    """The URL as asyncpg takes it, and our own parameter `doppio_schema`."""
    parts = urlsplit(url)
    parameters: list[tuple[str, str]] = []
    schema = "doppio"
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name == "doppio_schema":
            schema = value
        else:
            parameters.append((name, value))
    if not SCHEMA_NAME.fullmatch(schema):
        raise StoreError(
            f"{schema!r} cannot be a schema: use a lower-case letter, then letters, digits and _"
        )
    return urlunsplit(parts._replace(query=urlencode(parameters))), schema
