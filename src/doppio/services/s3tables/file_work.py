"""PyIceberg at work on a table's files, in a thread of its own: it waits for calls of S3 there.

Threads that others wait for, too, would wait for each other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from doppio.kernel.context import Context
from doppio.kernel.store import StoreClosed
from doppio.services.s3tables import iceberg
from doppio.services.s3tables.lookup import warehouse_of
from doppio.services.s3tables.records import Table
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio.services.s3tables.file_io import Warehouse

_log = logging.getLogger("doppio.s3tables")
T = TypeVar("T")
MESSAGE_CHARS_MAX = 500


class Disabled(Exception):
    """The table itself says that something is not to be done."""


class Unreadable(Exception):
    """A table's files are not as its metadata says, or of a kind that is not known; the text says which."""


async def on_files(ctx: Context, table: Table, work: Callable[[Warehouse], T]) -> T:
    """Let PyIceberg work on a table's files, which it reads and writes as the caller. Raises Unreadable."""
    loop = asyncio.get_running_loop()

    def begin() -> T:
        from doppio.services.s3tables.file_io import Warehouse

        return work(Warehouse(ctx, warehouse_of(table), loop))

    return await in_thread(table, begin)


async def in_thread(table: Table, work: Callable[[], T]) -> T:
    """The same, where the work finds its files itself."""
    iceberg.check_library()
    pool = ThreadPoolExecutor(1, thread_name_prefix="s3tables")
    working = asyncio.get_running_loop().run_in_executor(pool, work)
    try:
        await asyncio.wait([working])
    finally:
        pool.shutdown(wait=False)
    error = working.exception()
    if error is None or isinstance(error, AwsError | Disabled | Unreadable | StoreClosed):
        return working.result()
    # Clients write these files: what is raised where they are none is not for us to know.
    _log.info("files of %s cannot be read", table.arn, exc_info=error)
    said = " ".join(str(error).split())[:MESSAGE_CHARS_MAX]
    raise Unreadable(f"The table's files cannot be read: {said or type(error).__name__}")
