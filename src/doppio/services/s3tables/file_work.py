"""PyIceberg at work on a table's files, in a thread of its own: it waits for calls of S3 there.

Threads that others wait for, too, would wait for each other.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from doppio.kernel.context import Context
from doppio.kernel.store import StoreClosed
from doppio.services.s3tables import iceberg
from doppio.services.s3tables.lookup import warehouse_of
from doppio.services.s3tables.records import Table
from doppio.wire.errors import AwsError

_log = logging.getLogger("doppio.s3tables")
T = TypeVar("T")
MESSAGE_CHARS_MAX = 500


class Disabled(Exception):
    """The table itself says that something is not to be done."""


class Unreadable(Exception):
    """A table's files are not as its metadata says, or of a kind that is not known; the text says which."""


async def on_files(
    table: Table, homes: Sequence[tuple[Context, Table]], work: Callable[..., T]
) -> T:
    """Let PyIceberg work on the files of tables, of each as the context that is named with it.

    `table` is whose work it is. Raises Unreadable. Who is cancelled waits for the thread, which ends at
    its next call: none is left that waits for a loop which is gone.
    """
    await iceberg.beside(importlib.import_module, "doppio.services.s3tables.file_io")
    from doppio.services.s3tables.file_io import Warehouse

    loop = asyncio.get_running_loop()
    files = [Warehouse(ctx, warehouse_of(home), loop) for ctx, home in homes]
    pool = ThreadPoolExecutor(1, thread_name_prefix="s3tables")
    working = loop.run_in_executor(pool, work, *files)
    try:
        await asyncio.wait([working])
    finally:
        for one in files:
            one.stop()
        await asyncio.wait([working])
        error = working.exception()
        pool.shutdown(wait=False)
    if error is None or isinstance(error, AwsError | Disabled | Unreadable | StoreClosed):
        return working.result()
    # Clients write these files: what is raised where they are none is not for us to know.
    _log.info("files of %s cannot be read", table.arn, exc_info=error)
    said = " ".join(str(error).split())[:MESSAGE_CHARS_MAX]
    raise Unreadable(f"The table's files cannot be read: {said or type(error).__name__}")
