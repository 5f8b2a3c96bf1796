"""The files of Storage Lens's exports: CSV, or Parquet as pyarrow writes it.

Source: "Understanding the Amazon S3 Storage Lens export schema", and "What is an S3 Storage Lens
export manifest?" in the user guide.
"""

from __future__ import annotations

import asyncio
import importlib.util
import io
from collections.abc import Sequence
from datetime import date

from doppio.services.s3control.lens_rules import SCHEMA, Row, cells, header, lines
from doppio.wire.errors import NotImplementedByDoppio

CSV, PARQUET = "CSV", "Parquet"
SUFFIXES = {CSV: "csv", PARQUET: "par"}
# How many rows of Parquet are held: about as large as a file of CSV.
_ROWS_MAX = 50_000
_LONG = "metric_value"


def check_format(name: str) -> None:
    """Raise 501 where what writes a format is not installed."""
    if name == PARQUET and importlib.util.find_spec("pyarrow") is None:
        raise NotImplementedByDoppio(
            "Exports as Parquet need pyarrow: install doppio with its extra `inventory`; CSV does not"
        )


def schema_text(name: str) -> str:
    """How a manifest writes the columns."""
    if name == CSV:
        return ",".join(SCHEMA)
    members = (f"required {'long' if one == _LONG else 'string'} {one};" for one in SCHEMA)
    return f"message s3.storage.lens {{ {' '.join(members)} }}"


class LensFile:
    """A file on its way, for one configuration's day."""

    def __init__(self, name: str, lens: str, account: str, day: date) -> None:
        self._name = name
        self._of = (lens, account, day)
        self._text = bytearray(header())
        self._rows: list[list[str | int]] = []
        self.rows = 0

    @property
    def size(self) -> int:
        return len(self._text)

    @property
    def is_full(self) -> bool:
        """Whether as many rows are held as of Parquet there should be."""
        return len(self._rows) >= _ROWS_MAX

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        self.rows += len(rows)
        if self._name == CSV:
            self._text += lines(*self._of, rows)
        else:
            self._rows += (cells(*self._of, row) for row in rows)

    async def finish(self) -> bytes:
        """All of it; Parquet is written in a thread."""
        if self._name == CSV:
            return bytes(self._text)
        return await asyncio.get_running_loop().run_in_executor(None, _parquet, self._rows)


def _parquet(rows: Sequence[Sequence[str | int]]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    fields = [
        pa.field(one, pa.int64() if one == _LONG else pa.string(), nullable=False) for one in SCHEMA
    ]
    columns = zip(*rows, strict=True) if rows else ([] for _ in SCHEMA)
    table = pa.table([list(one) for one in columns], schema=pa.schema(fields))
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    return sink.getvalue()
