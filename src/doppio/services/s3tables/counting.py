"""How many namespaces and tables a bucket has: counters, since it may be ten thousand of each."""

from __future__ import annotations

from doppio.kernel.context import Reader, Tx
from doppio.kernel.keys import pack
from doppio.services.s3tables import limits
from doppio.services.s3tables.errors import BadRequest

NAMESPACES, TABLES = "namespaces", "tables"
_MOST = {NAMESPACES: "NAMESPACES_MAX", TABLES: "TABLES_MAX"}


def count(tx: Tx, kind: str, bucket: str, by: int) -> None:
    """Count what comes or goes in a bucket (by its id), in the commit in which it does."""
    tx.raw.add(_key(kind, bucket), by)


async def check_room(reader: Reader, kind: str, bucket: str) -> None:
    """Raise BadRequestException where as many are there as may be."""
    key = _key(kind, bucket)
    found = await reader.raw.counters(key, key + b"\x00", limit=1)
    if found and found[0][1] >= getattr(limits, _MOST[kind]):
        raise BadRequest(f"The table bucket has the maximum number of {kind}.")


def _key(kind: str, bucket: str) -> bytes:
    return pack(f"s3tables.{kind}", bucket)
