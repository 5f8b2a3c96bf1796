"""Iceberg tables as S3 Metadata writes them: by PyIceberg in a thread, and by the cloud's door.

PyIceberg reads and writes files, and moves the pointer to its metadata; here it does so by S3's and
S3 Tables' public operations, as the service, so that policies, keys and meters count. Each such
step is handed to the event loop, which never waits for PyIceberg. Times are the cloud's.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from msgspec import Struct

from doppio.kernel.context import Context

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import Table

    from doppio.services.s3tables.file_io import Warehouse

T = TypeVar("T")
_SETTINGS = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    "commit.retry.num-retries": "0",
    "commit.manifest-merge.enabled": "true",
    "write.metadata.previous-versions-max": "20",
}


class Home(NamedTuple):
    """Where a table is."""

    table_bucket: str
    namespace: str
    name: str

    @property
    def asked(self) -> dict[str, str]:
        """The members by which requests name it."""
        bucket, namespace, name = self
        return {"tableBucketARN": bucket, "namespace": namespace, "name": name}


async def furnish(
    ctx: Context, home: Home, schema: Mapping[str, Any], properties: Mapping[str, str]
) -> None:
    """Give a new table its first metadata: a schema and no rows. One that has some keeps it."""
    from doppio.services.s3tables import ports

    there = await ctx.call("s3tables", "get_table_metadata_location", home.asked)
    if "metadataLocation" in there:
        return
    warehouse = there["warehouseLocation"]
    text = await ports.beside(
        ports.new_metadata,
        {"schema": schema, "properties": {**_SETTINGS, **properties}},
        warehouse,
        ctx.new_id(),
        _millis(ctx),
    )
    location = f"{warehouse}/metadata/00000-{ctx.new_id()}.metadata.json"
    await ctx.call("s3", "put_object", {**_place(location), "Body": text})
    moved = {"versionToken": there["versionToken"], "metadataLocation": location}
    await ctx.call("s3tables", "update_table_metadata_location", {**home.asked, **moved})


async def work(ctx: Context, home: Home, do: Callable[[Table], T]) -> T:
    """Do something with a table as it is now, in a thread; what it commits counts at once.

    Raises ConflictException where somebody else has changed the table meanwhile.
    """
    from doppio.services.s3tables import ports

    located = await ctx.call("s3tables", "get_table_metadata_location", home.asked)
    # PyIceberg takes its time to be imported, too.
    await ports.beside(importlib.import_module, "pyiceberg.io.pyarrow")
    files = ports.warehouse(ctx, located["warehouseLocation"].removeprefix("s3://"))
    # It waits for calls: in threads that others wait for, too, they would wait for each other.
    pool = ThreadPoolExecutor(1, thread_name_prefix="s3.metadata")
    try:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, _in_thread, ctx, files, home, located, do)
    finally:
        # PyIceberg has threads of its own, which may outlive its failure.
        files.stop()
        pool.shutdown(wait=False)


def _in_thread(
    ctx: Context, files: Warehouse, home: Home, located: Mapping[str, str], do: Callable[[Table], T]
) -> T:
    from pyiceberg.serializers import FromInputFile
    from pyiceberg.table import Table

    location = located["metadataLocation"]
    metadata = FromInputFile.table_metadata(files.new_input(location))
    catalog: Any = Pointer(ctx, files, home, located["versionToken"])
    return do(Table((home.namespace, home.name), metadata, location, files, catalog))


class Pointer:
    """What PyIceberg takes for the catalog: all that it does with it is to commit."""

    def __init__(self, ctx: Context, files: Warehouse, home: Home, token: str) -> None:
        self._ctx = ctx
        self._files = files
        self._home = home
        self._token = token

    def commit_table(
        self, table: Table, requirements: Sequence[Any], updates: Sequence[Any]
    ) -> Any:
        """Write the metadata that the updates make, and let it count."""
        from pyiceberg.serializers import ToOutputFile
        from pyiceberg.table import CommitTableResponse
        from pyiceberg.table.update import update_table_metadata

        for one in requirements:
            one.validate(table.metadata)
        ctx = self._ctx
        now = max(_millis(ctx), table.metadata.last_updated_ms)
        made = update_table_metadata(
            table.metadata,
            tuple(_at(one, now) for one in updates),
            metadata_location=table.metadata_location,
        ).model_copy(update={"last_updated_ms": now})
        number = _number(table.metadata_location) + 1
        name = f"metadata/{number:05d}-{ctx.new_id()}.metadata.json"
        location = f"{table.metadata.location}/{name}"
        ToOutputFile.table_metadata(made, table.io.new_output(location))
        moved = {"versionToken": self._token, "metadataLocation": location}
        answer = self._files.wait(
            ctx.call("s3tables", "update_table_metadata_location", {**self._home.asked, **moved})
        )
        self._token = answer["versionToken"]
        return CommitTableResponse.model_construct(metadata=made, metadata_location=location)

    def supports_server_side_planning(self) -> bool:
        """No: PyIceberg reads manifests itself."""
        return False

    def _delete_old_metadata(self, files: Any, base: Any, made: Any) -> None:
        """Nothing: the table's maintenance removes what no metadata names any more."""


def _at(update: Any, now: int) -> Any:
    """An update as of the cloud's time, where PyIceberg has taken the machine's."""
    if update.action != "add-snapshot":
        return update
    snapshot = update.snapshot.model_copy(update={"timestamp_ms": now})
    return update.model_copy(update={"snapshot": snapshot})


class Change(Struct):
    """What is to be done to a table in one commit."""

    properties: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    # The keys of which all rows go first.
    keys: list[str] = []


def change(table: Table, wanted: Change) -> None:
    """Take rows away, add others and note how far the table is, all in one commit."""
    import pyarrow as pa

    with table.transaction() as tx:
        if wanted.keys:
            named = _of_keys(wanted.keys)
            if list(table.scan(row_filter=named).plan_files()):
                tx.delete(named)
        if wanted.rows:
            tx.append(pa.Table.from_pylist(wanted.rows, schema=table.schema().as_arrow()))
        if wanted.properties:
            tx.set_properties(wanted.properties)


def numbers(table: Table, keys: Sequence[str]) -> dict[tuple[str, str | None], str]:
    """The sequence numbers of the rows of some keys, by key and version."""
    found = table.scan(
        row_filter=_of_keys(keys), selected_fields=("key", "version_id", "sequence_number")
    ).to_arrow()
    return {(one["key"], one["version_id"]): one["sequence_number"] for one in found.to_pylist()}


def forget_before(table: Table, moment: str) -> None:
    """Take away all records from before a moment, as ISO writes it."""
    from pyiceberg.expressions import LessThan, Reference
    from pyiceberg.expressions.literals import literal

    old = LessThan(term=Reference("record_timestamp"), value=literal(moment))
    if list(table.scan(row_filter=old).plan_files()):
        table.delete(old)


def _of_keys(keys: Sequence[str]) -> BooleanExpression:
    from pyiceberg.expressions import In, Reference
    from pyiceberg.expressions.literals import literal

    return In(term=Reference("key"), values={literal(one) for one in keys})


def _number(location: str) -> int:
    """Which version of its table metadata is, as its name says; other clients name it otherwise."""
    number = location.rpartition("/")[2].partition("-")[0]
    return int(number) if number.isdecimal() else 0


def _place(location: str) -> dict[str, str]:
    bucket, _, key = location.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": key}


def _millis(ctx: Context) -> int:
    return int(ctx.clock.now().timestamp() * 1000)
