"""The files of an inventory's reports: CSV under gzip, or Parquet or ORC as pyarrow writes them.

Columns and their types are S3's: "Amazon S3 Inventory list" in the user guide shows both schemas.
"""

from __future__ import annotations

import asyncio
import importlib.util
import io
import sys
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from doppio.wire.errors import NotImplementedByDoppio

CSV, ORC, PARQUET = "CSV", "ORC", "Parquet"
FORMATS = frozenset({CSV, ORC, PARQUET})
SUFFIXES = {CSV: "csv.gz", ORC: "orc", PARQUET: "parquet"}
_WRITERS = {ORC: "pyarrow.orc", PARQUET: "pyarrow.parquet"}
_GZIP = 31


class Column(NamedTuple):
    """A column in files that have types."""

    name: str
    kind: str = "string"


COLUMNS = {
    "Bucket": Column("bucket"),
    "Key": Column("key"),
    "VersionId": Column("version_id"),
    "IsLatest": Column("is_latest", "boolean"),
    "IsDeleteMarker": Column("is_delete_marker", "boolean"),
    "Size": Column("size", "bigint"),
    "LastModifiedDate": Column("last_modified_date", "timestamp"),
    "ETag": Column("e_tag"),
    "StorageClass": Column("storage_class"),
    "IsMultipartUploaded": Column("is_multipart_uploaded", "boolean"),
    "ReplicationStatus": Column("replication_status"),
    "EncryptionStatus": Column("encryption_status"),
    "ObjectLockRetainUntilDate": Column("object_lock_retain_until_date", "timestamp"),
    "ObjectLockMode": Column("object_lock_mode"),
    "ObjectLockLegalHoldStatus": Column("object_lock_legal_hold_status"),
    "IntelligentTieringAccessTier": Column("intelligent_tiering_access_tier"),
    "BucketKeyStatus": Column("bucket_key_status"),
    "ChecksumAlgorithm": Column("checksum_algorithm"),
    "ObjectAccessControlList": Column("object_access_control_list"),
    "ObjectOwner": Column("object_owner"),
    "LifecycleExpirationDate": Column("lifecycle_expiration_date", "timestamp"),
}
_REQUIRED = frozenset({"bucket", "key"})
_IN_PARQUET = {
    "string": "binary {} (UTF8)",
    "boolean": "boolean {}",
    "bigint": "int64 {}",
    "timestamp": "int64 {} (TIMESTAMP_MILLIS)",
}


class ReportFile(Protocol):
    """A file on its way. `rows` are how many it has, `size` is how large it is by now."""

    rows: int

    @property
    def size(self) -> int: ...

    def add(self, rows: Sequence[Sequence[str]]) -> None:
        """Add rows: cells as texts, empty where there is nothing. A few milliseconds."""
        ...

    def finish(self) -> bytes:
        """All of it."""
        ...


def check_format(name: str) -> None:
    """Raise 501 where what writes a format is not installed."""
    if name != CSV and importlib.util.find_spec("pyarrow") is None:
        raise NotImplementedByDoppio(
            f"Inventories as {name} need pyarrow: pip install 'doppio-cloud[inventory]'; CSV does not"
        )


async def load_writer(name: str) -> None:
    """Import what writes a format, which takes half a second, where nobody waits for it."""
    module = _WRITERS.get(name)
    if module is not None and module not in sys.modules:
        await asyncio.get_running_loop().run_in_executor(None, importlib.import_module, module)


def new_file(name: str, fields: Sequence[str]) -> ReportFile:
    """A file of a format with these columns."""
    return _Csv() if name == CSV else _Columns(name, [COLUMNS[field] for field in fields])


def schema_text(name: str, fields: Sequence[str]) -> str:
    """How a manifest writes the columns of a format's files."""
    if name == CSV:
        return ", ".join(fields)
    columns = [COLUMNS[field] for field in fields]
    if name == ORC:
        return f"struct<{','.join(f'{one.name}:{one.kind}' for one in columns)}>"
    members = [
        f"{'required' if one.name in _REQUIRED else 'optional'} "
        f"{_IN_PARQUET[one.kind].format(one.name)};"
        for one in columns
    ]
    return f"message s3.inventory {{ {'  '.join(members)}}}"


def csv_line(cells: Sequence[str]) -> bytes:
    """A row as S3 writes it: each cell quoted."""
    return (",".join('"' + cell.replace('"', '""') + '"' for cell in cells) + "\n").encode()


class _Csv:
    def __init__(self) -> None:
        self._gzip = zlib.compressobj(wbits=_GZIP)
        self._held = bytearray()
        self.rows = 0

    @property
    def size(self) -> int:
        return len(self._held)

    def add(self, rows: Sequence[Sequence[str]]) -> None:
        self._held += self._gzip.compress(b"".join(map(csv_line, rows)))
        self.rows += len(rows)

    def finish(self) -> bytes:
        return bytes(self._held + self._gzip.flush())


class _Columns:
    """Parquet or ORC."""

    def __init__(self, name: str, columns: Sequence[Column]) -> None:
        import pyarrow as pa

        kinds = {
            "string": pa.string(), "boolean": pa.bool_(), "bigint": pa.int64(),
            "timestamp": pa.timestamp("ms", tz="UTC") if name == PARQUET else pa.timestamp("ms"),
        }  # fmt: skip
        self._columns = columns
        self._schema = pa.schema(
            [
                pa.field(one.name, kinds[one.kind], nullable=one.name not in _REQUIRED)
                for one in columns
            ]
        )
        self._batch: Callable[..., Any] = pa.record_batch
        self._sink = io.BytesIO()
        self._writer: Any
        if name == PARQUET:
            from pyarrow import parquet

            self._writer = parquet.ParquetWriter(self._sink, self._schema, compression="snappy")
        else:
            from pyarrow import orc

            self._writer = orc.ORCWriter(self._sink, compression="zlib")
            # A file of no rows has columns, too.
            self._writer.write(self._schema.empty_table())
        self._table: Callable[..., Any] = pa.Table.from_batches
        self._parquet = name == PARQUET
        self.rows = 0

    @property
    def size(self) -> int:
        return self._sink.tell()

    def add(self, rows: Sequence[Sequence[str]]) -> None:
        if not rows:
            return
        values = [
            [_READERS[column.kind](cell) if cell else None for cell in cells]
            for column, cells in zip(self._columns, zip(*rows, strict=True), strict=True)
        ]
        batch = self._batch(values, schema=self._schema)
        self._writer.write_batch(batch) if self._parquet else self._writer.write(
            self._table([batch])
        )
        self.rows += len(rows)

    def finish(self) -> bytes:
        self._writer.close()
        return self._sink.getvalue()


def _moment(cell: str) -> datetime:
    return datetime.fromisoformat(cell).astimezone(UTC)


_READERS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "boolean": "true".__eq__,
    "bigint": int,
    "timestamp": _moment,
}
