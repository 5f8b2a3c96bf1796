"""Jobs in the order in which they come due, and what a broken disk has made of that order.

An index row and its record are committed together. A disk that has kept only one of them shows a job as
due that is done, or that comes later, or as coming later though it is due: such a row is taken away,
and the record's own is put in its place.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from doppio.kernel.keys import pack
from doppio.kernel.records import Index, record, table_of

if TYPE_CHECKING:
    from doppio.kernel.context import Context, Tx
    from doppio.kernel.store import View

_log = logging.getLogger("doppio.jobs")

DUE: Index[Job] = Index("due", ("at",))


@record("kernel.job", key=("name", "key"), indexes=(DUE,))
class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One timer."""

    name: str
    key: str
    at: datetime
    service: str
    account: str
    region: str
    arguments: dict[str, Any] = {}
    failures: int = 0


class Row(NamedTuple):
    """A row of the index, and the key of its record."""

    place: bytes
    record: bytes


class Rows(NamedTuple):
    """Jobs in order, rows that are not as their records are, and where to go on, if anywhere."""

    jobs: list[Job]
    wrong: list[Row]
    after: bytes | None


async def until(view: View, at: datetime, limit: int, after: bytes | None = None) -> Rows:
    """Jobs that are due at a time."""
    lo = DUE.prefix if after is None else after + b"\0"
    return await _between(view, lo, DUE.prefix + pack(at) + b"\xff", limit)


async def next_after(view: View, at: datetime) -> Rows:
    """The first job that comes due after a time."""
    return await _between(view, DUE.prefix + pack(at) + b"\xff", DUE.prefix + b"\xff", 1)


async def _between(view: View, lo: bytes, hi: bytes, limit: int) -> Rows:
    rows = [Row(*one) for one in await view.scan(lo, hi, limit=limit)]
    values = await view.get_many([row.record for row in rows])
    jobs: list[Job] = []
    wrong: list[Row] = []
    decode = table_of(Job).decode
    for row, value in zip(rows, values, strict=True):
        job = None if value is None else decode(value)
        if job is None or DUE.row_key(job, row.record) != row.place:
            wrong.append(row)
        else:
            jobs.append(job)
    return Rows(jobs, wrong, rows[-1].place if len(rows) == limit else None)


async def mend(context: Context, wrong: Sequence[Row]) -> None:
    """Make the index as its records are, where it is not only that something has changed just now."""

    async def put_right(tx: Tx) -> int:
        mended = 0
        for row in wrong:
            there = await tx.raw.get(row.place)
            value = await tx.raw.get(row.record)
            right = None if value is None else DUE.row_key(table_of(Job).decode(value), row.record)
            if there is None or right == row.place:
                continue
            tx.raw.delete(row.place)
            if right is not None:
                tx.raw.put(right, row.record)
            mended += 1
        return mended

    mended = await context.transact(put_right)
    if mended:
        _log.warning("%d jobs were not due when the store's index said: it is mended", mended)
