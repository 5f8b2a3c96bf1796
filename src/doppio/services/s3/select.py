"""SelectObjectContent: what a query finds in one object, as a stream of events.

The object's bytes go through a pipe to the engine, record by record as they lie there; what it finds
goes out as it is found. Nothing is written to disk, and of an object only what is on its way is in
memory. A client that goes away ends all of it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from doppio.kernel.context import Context
from doppio.services.s3.archives import check_readable
from doppio.services.s3.bodies import Bodies
from doppio.services.s3.encryption import is_plain, keys_to_read
from doppio.services.s3.limits import KIB, MIB
from doppio.services.s3.lookup import version_and_content
from doppio.services.s3.records import Content, Version
from doppio.services.s3.sealing import DataKeys
from doppio.services.s3.select_engine import SPARE_COLUMNS, Engine, check_installed
from doppio.services.s3.select_errors import SelectRefused
from doppio.services.s3.select_forms import Input, Output, input_of, output_of
from doppio.services.s3.select_plan import CSV, JSON, PARQUET, Plan, Table, plan
from doppio.services.s3.select_records import (
    RECORD_BYTES_MAX,
    Records,
    fields_of,
    first_record,
    inflater,
)
from doppio.services.s3.select_rows import Rows
from doppio.services.s3.select_sql import Query, parsed
from doppio.services.s3.tiering import accessed
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

T = TypeVar("T")
# So many queries run side by side; each may have two threads and the engine's memory.
QUERIES_MAX = 4
SECONDS_MAX = 600.0
# So often a query that finds nothing says that it still runs.
PULSE_SECONDS = 2.0
# Parquet is read from its end; so much of it is held in memory meanwhile.
PARQUET_BYTES_MAX = 256 * MIB
_ROWS = 500
_EVENT_BYTES = 128 * KIB


class _Source(NamedTuple):
    """The object that is queried."""

    ctx: Context
    bodies: Bodies
    version: Version
    content: Content | None
    keys: DataKeys | None

    def read(self, offset: int, length: int) -> AsyncIterator[bytes]:
        """Its bytes."""
        stream = self.bodies.read(self.ctx, self.version, self.content, offset, length, self.keys)
        return aiter(stream)


class Select:
    """Queries of objects."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._running = 0
        self._threads: ThreadPoolExecutor | None = None

    async def select_object_content(
        self, ctx: Context, req: w.SelectObjectContentRequest
    ) -> w.SelectObjectContentOutput:
        """The records of an object that a query wants. What is wrong with the query, or with how
        the object is said to be written, is refused before the stream begins."""
        check_installed()
        query, form, output = parsed(req["Expression"]), input_of(req), output_of(req)
        reader = ctx.read()
        bucket, version, content = await version_and_content(reader, req)
        if version.storage_class == "REDUCED_REDUNDANCY":
            raise SelectRefused("UnsupportedStorageClass")
        check_readable(version, ctx.now)
        await accessed(ctx, bucket, version)
        plain = is_plain(req, version.more)
        keys = None if plain else await keys_to_read(ctx, req, version.more)
        if self._running >= QUERIES_MAX:
            raise SelectRefused("Busy")
        if self._threads is None:
            self._threads = ThreadPoolExecutor(2 * QUERIES_MAX, "s3-select")
        run = _Run(
            _Source(ctx, self._bodies, version, content, keys), self._threads, query, form, output
        )
        await run.prepare()
        reader.meter("Requests-Tier2")
        progress = bool((req.get("RequestProgress") or {}).get("Enabled"))
        return cast("w.SelectObjectContentOutput", {"Payload": self._counted(run, progress)})

    async def _counted(self, run: _Run, progress: bool) -> AsyncIterator[dict[str, Any]]:
        if self._running >= QUERIES_MAX:
            raise SelectRefused("Busy")
        self._running += 1
        events = run.events(progress=progress)
        try:
            async for event in events:
                yield event
        finally:
            self._running -= 1
            await events.aclose()


class _Run:
    """One query under way."""

    def __init__(
        self,
        source: _Source,
        threads: ThreadPoolExecutor,
        query: Query,
        form: Input,
        output: Output,
    ) -> None:
        self._source = source
        self._threads = threads
        self._query = query
        self._form = form
        self._output = output
        self._table = Table(JSON)
        self._file: IO[bytes] | None = None
        self._plan: Plan | None = None
        self._records: Records | None = None
        self._failure: SelectRefused | None = None
        self._scanned = 0
        self._returned = 0

    async def prepare(self) -> None:
        """Look at the columns, and see that the query fits them."""
        if self._form.format == PARQUET:
            self._file = await self._whole()
            self._table = await self._work(self._look_at_parquet)
        elif self._form.format == CSV:
            fields = await self._first_fields()
            used = self._form.csv.header == "USE"
            self._table = Table(CSV, tuple(fields), headers=used)
        self._plan = plan(self._query, self._table, self._source.ctx.now)

    def _look_at_parquet(self) -> Table:
        assert self._file is not None
        engine = Engine(f"/dev/fd/{self._file.fileno()}")
        try:
            return engine.parquet_table()
        finally:
            engine.close()

    async def _first_fields(self) -> list[str]:
        """The fields of a CSV's first record, from its beginning."""
        size = self._source.version.size
        stream = self._source.read(0, min(size, 2 * RECORD_BYTES_MAX))
        inflates = inflater(self._form.compression)
        held = b""
        try:
            async for chunk in stream:
                for piece in inflates.feed(bytes(chunk)):
                    held += piece
                    found = first_record(held, self._form.csv)
                    if found is not None:
                        return found
                    if len(held) > RECORD_BYTES_MAX:
                        raise SelectRefused("OverMaxRecordSize")
        finally:
            await _close(stream)
        return fields_of(held, self._form.csv)

    async def _whole(self) -> IO[bytes]:
        """A Parquet file, in memory: its end says where everything is."""
        size = self._source.version.size
        if size > PARQUET_BYTES_MAX:
            raise NotImplementedByDoppio(
                "s3: SelectObjectContent reads Parquet objects of up to 256 MiB here"
            )
        if not hasattr(os, "memfd_create"):
            raise NotImplementedByDoppio("s3: SelectObjectContent reads Parquet on Linux only")
        file = os.fdopen(os.memfd_create("select"), "w+b")
        async for chunk in self._source.read(0, size):
            file.write(chunk)
            self._scanned += len(chunk)
        file.flush()
        return file

    async def events(self, *, progress: bool) -> AsyncGenerator[dict[str, Any]]:
        """Records as they are found, signs of life meanwhile, and what it came to."""
        loop = asyncio.get_running_loop()
        ends: tuple[int, int] = (-1, -1) if self._file is not None else os.pipe()
        path = f"/dev/fd/{ends[0] if self._file is None else self._file.fileno()}"
        pump: asyncio.Task[None] | None = None
        engine: Engine | None = None
        work: asyncio.Future[bytes | None] | None = None
        cancel: Callable[[], None] = _nothing
        try:
            engine = await self._work(lambda: Engine(path))
            cancel = self._source.ctx.clock.host.call_later(SECONDS_MAX, engine.stop)
            if self._file is None:
                pump = loop.create_task(self._pump(ends[1]))
            rows = self._rows()
            begun = False
            while True:
                step = _step(engine, self, rows, begun)
                work = loop.run_in_executor(self._threads, step)
                begun = True
                while not (await asyncio.wait([work], timeout=PULSE_SECONDS))[0]:
                    yield {"Progress": {"Details": self._stats()}} if progress else {"Cont": {}}
                found = await work
                if self._failure is not None:
                    raise self._failure
                if found is None:
                    break
                if found:
                    for at in range(0, len(found), MIB):
                        piece = found[at : at + MIB]
                        self._returned += len(piece)
                        yield {"Records": {"Payload": piece}}
            if progress:
                yield {"Progress": {"Details": self._stats()}}
            yield {"Stats": {"Details": self._stats()}}
            yield {"End": {}}
        except SelectRefused as error:
            raise self._failure or error from error
        finally:
            cancel()
            self._meter()
            await self._end(engine, pump, work, ends)

    async def _end(
        self,
        engine: Engine | None,
        pump: asyncio.Task[None] | None,
        work: asyncio.Future[bytes | None] | None,
        ends: tuple[int, int],
    ) -> None:
        """Let go of everything, in an order in which no thread uses what another has closed."""
        if engine is not None:
            engine.stop()
        if ends[0] >= 0:
            os.close(ends[0])
        if pump is not None:
            pump.cancel()
            with suppress(asyncio.CancelledError):
                await pump
        elif ends[1] >= 0:
            os.close(ends[1])
        if work is not None and not work.done():
            await asyncio.wait([work])
        if work is not None and not work.cancelled():
            work.exception()
        if engine is not None:
            await self._work(engine.close)
        if self._file is not None:
            self._file.close()

    def _rows(self) -> Rows:
        assert self._plan is not None, "prepared before"
        names = self._table.names if self._table.headers else ()
        swapped = self._form.csv.record not in {"\n", "\r\n"} and self._form.format == CSV
        return Rows(self._output, self._plan.outputs, names, swapped=swapped)

    def next_rows(self, engine: Engine, rows: Rows, begun: bool) -> bytes | None:
        """Some more of the result, written; None at its end. In a worker thread."""
        assert self._plan is not None, "prepared before"
        if not begun:
            columns = 1
            if self._form.format == CSV:
                columns = max(len(self._table.names) + SPARE_COLUMNS, self._plan.positions)
            engine.begin(self._plan.sql, self._form, columns)
        found: list[bytes] = []
        size = 0
        while size < _EVENT_BYTES:
            some = engine.rows(_ROWS, self._form)
            if not some:
                return b"".join(found) if found else None
            found.append(rows.write(some))
            size += len(found[-1])
        return b"".join(found)

    async def _pump(self, fd: int) -> None:
        """Bring the object's records to the engine, as fast as it takes them."""
        form, size = self._form, self._source.version.size
        start, stop = form.start or 0, size
        if form.start is None and form.end is not None:
            # Only an end: that many bytes at the end.
            start = max(size - form.end, 0)
        first = max(start - len(form.csv.record if form.format == CSV else "\n"), 0)
        header = form.format == CSV and form.csv.header != "NONE"
        records = Records(form, skips=header and start == 0, begins=start)
        self._records = records
        stream = self._source.read(first, max(stop - first, 0))
        writing: asyncio.Future[bool] | None = None
        loop = asyncio.get_running_loop()
        try:
            async for chunk in _and_end(stream):
                pieces = records.finish() if chunk is None else records.feed(chunk)
                self._scanned += len(chunk or b"")
                going = True
                while going:
                    writing = loop.run_in_executor(self._threads, _write_next, fd, pieces)
                    going = await asyncio.shield(writing)
                if records.is_over:
                    break
        except SelectRefused as error:
            self._failure = error
        except BrokenPipeError:
            # The engine has all that it wants.
            pass
        finally:
            if writing is None or writing.done():
                os.close(fd)
            else:
                writing.add_done_callback(_closes(fd))
            await _close(stream)

    def _stats(self) -> dict[str, int]:
        processed = self._scanned if self._records is None else self._records.processed
        return {
            "BytesScanned": self._scanned,
            "BytesProcessed": processed,
            "BytesReturned": self._returned,
        }

    def _meter(self) -> None:
        reader = self._source.ctx.read()
        reader.meter("Select-Scanned-Bytes", self._scanned)
        reader.meter("Select-Returned-Bytes", self._returned)

    async def _work(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _step(engine: Engine, run: _Run, rows: Rows, begun: bool) -> Callable[[], bytes | None]:
    return lambda: run.next_rows(engine, rows, begun)


async def _and_end(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes | None]:
    """Chunks, and None behind the last."""
    async for chunk in stream:
        yield bytes(chunk)
    yield None


def _write_next(fd: int, pieces: Iterator[bytes]) -> bool:
    """Make the next piece and write it; False where there is none. In a worker thread."""
    data = next(pieces, None)
    if data is None:
        return False
    with memoryview(data) as rest:
        done = 0
        while done < len(rest):
            done += os.write(fd, rest[done:])
    return True


def _closes(fd: int) -> Callable[[asyncio.Future[bool]], None]:
    def close(done: asyncio.Future[bool]) -> None:
        if not done.cancelled():
            done.exception()
        os.close(fd)

    return close


def _nothing() -> None:
    return


async def _close(stream: AsyncIterator[bytes]) -> None:
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()
