"""Lines in the order of their time, read minute by minute, forwards or backwards.

A line is known by its place: time, number of the batch within its stream, place in the batch. As one
number, of 56 digits, that is AWS's event id, and what the tokens of GetLogEvents hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import NamedTuple

from doppio.kernel.context import Reader
from doppio.kernel.paging import every
from doppio.services.logs import limits
from doppio.services.logs.records import OF_STREAM, Batch, lines_of

_TIME_BITS, _BATCH_BITS, _PLACE_BITS = 144, 80, 48


class Event(NamedTuple):
    """A line with all that is told of it."""

    id: int
    at: int
    text: str
    stream: str
    ingested_at: int


def first_id(at: int) -> int:
    """No event of this time or later has a smaller id."""
    return at << _TIME_BITS


def events_of(batch: Batch) -> list[Event]:
    """The events of a row."""
    which = int.from_bytes(hashlib.blake2b(batch.stream.encode(), digest_size=6).digest(), "big")
    base = (batch.number << _BATCH_BITS) + which
    return [
        Event(
            (line.at << _TIME_BITS) + base + (line.place << _PLACE_BITS),
            line.at, line.text, batch.stream_name, batch.ingested_at,
        )
        for line in lines_of(batch)
    ]  # fmt: skip


async def minutes(
    reader: Reader, group: str, stream: str | None, since: int, until: int, *, reverse: bool
) -> AsyncIterator[list[Event]]:
    """The events of one minute after the other, between two times (both inclusive), sorted.

    Of one stream, or of all of the group. Times lie within the minutes: the caller cuts what it
    does not want.
    """
    lo, hi = since // limits.SLOT_MILLISECONDS, until // limits.SLOT_MILLISECONDS
    minute: list[Event] = []
    slot: int | None = None
    of, place = (Batch, group) if stream is None else (OF_STREAM, stream)
    batches = every(
        reader, of, (place,), step=limits.ROWS_A_READ, since=lo, until=hi, reverse=reverse
    )
    async for row in batches:
        if slot is not None and row.slot != slot:
            yield sorted(minute, reverse=reverse)
            minute = []
        slot = row.slot
        minute += events_of(row)
    if minute:
        yield sorted(minute, reverse=reverse)
