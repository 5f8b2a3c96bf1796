"""PutLogEvents: what is taken, what is left out, and how it is laid down.

Ten thousand lines of a minute are one row and one commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from msgspec.structs import replace

from doppio.kernel.context import Context
from doppio.kernel.events import Event
from doppio.services.logs import limits
from doppio.services.logs.errors import InvalidParameter
from doppio.services.logs.lookup import existing, existing_stream, milliseconds
from doppio.services.logs.records import Batch, Line, packed, stored_key
from doppio.services.logs.streams import sequence_token

if TYPE_CHECKING:
    from doppio._stubs import logs as w

_GIGABYTE = 1 << 30


class Arrived(Event, frozen=True, kw_only=True):
    """Lines have come to a group that has filters; the key is that of their row."""


class Intake:
    """The operation that takes lines."""

    async def put_log_events(
        self, ctx: Context, req: w.PutLogEventsRequest
    ) -> w.PutLogEventsResponse:
        """Keep lines. What is too old or too new is left out, and told; the rest is kept."""
        events = req["logEvents"]
        size = check_batch(events)
        async with ctx.write() as tx:
            group = await existing(tx, req["logGroupName"])
            stream = await existing_stream(tx, group, req["logStreamName"])
            now = milliseconds(ctx.now)
            window = window_of(events, now, group.retention_days)
            lines = [
                Line(event["timestamp"], place, event["message"])
                for place, event in enumerate(events[window.first : window.end])
            ]
            _check_span(lines)
            if lines:
                stream = replace(
                    stream,
                    batches=stream.batches + 1,
                    first_event=min(lines[0].at, stream.first_event or lines[0].at),
                    last_event=max(lines[-1].at, stream.last_event or 0),
                    last_ingestion=now,
                )
                tx.put(stream)
                stored = 0
                for slot, some in groupby(lines, lambda line: line.at // limits.SLOT_MILLISECONDS):
                    part = list(some)
                    raw, zipped = packed(part)
                    weight = sum(
                        len(line.text.encode()) + limits.EVENT_OVERHEAD_BYTES for line in part
                    )
                    batch = Batch(
                        group=group.id, slot=slot, stream=stream.id, number=stream.batches,
                        stream_name=stream.name, ingested_at=now, size=weight, packed=raw,
                        zipped=zipped,
                    )  # fmt: skip
                    tx.add(batch)
                    stored += weight
                    if group.filters or group.subscriptions:
                        tx.emit(
                            Arrived(
                                key=(group.name, group.id, str(slot), stream.id, str(batch.number))
                            )
                        )
                tx.raw.add(stored_key(group.id), stored)
            tx.meter("DataProcessing-Bytes", size / _GIGABYTE)
        told: dict[str, Any] = {"nextSequenceToken": sequence_token(stream)}
        rejected = window.told(len(events))
        if rejected:
            told["rejectedLogEventsInfo"] = rejected
        return cast("w.PutLogEventsResponse", told)


def check_batch(events: Sequence[Any]) -> int:
    """The bytes of a batch as AWS counts them. Raises InvalidParameter."""
    size, before = 0, -1
    for event in events:
        weight = len(event["message"].encode()) + limits.EVENT_OVERHEAD_BYTES
        if weight > limits.EVENT_BYTES_MAX:
            raise InvalidParameter(
                f"Log event too large: {weight} bytes exceeds limit of {limits.EVENT_BYTES_MAX}"
            )
        size += weight
        if event["timestamp"] < before:
            raise InvalidParameter(
                "Log events in a single PutLogEvents request must be in chronological order."
            )
        before = event["timestamp"]
    if size > limits.BATCH_BYTES_MAX:
        raise InvalidParameter(
            f"Upload too large: {size} bytes exceeds limit of {limits.BATCH_BYTES_MAX}"
        )
    return size


class Window(NamedTuple):
    """Which events of a batch are taken: `first` to `end`. What is before them, is too old."""

    first: int
    end: int
    too_old: int
    expired: int

    def told(self, count: int) -> dict[str, int]:
        """AWS's `rejectedLogEventsInfo`; the ends are exclusive."""
        told = {}
        if self.too_old:
            told["tooOldLogEventEndIndex"] = self.too_old
        if self.expired:
            told["expiredLogEventEndIndex"] = self.expired
        if self.end < count:
            told["tooNewLogEventStartIndex"] = self.end
        return told


def window_of(events: Sequence[Any], now: int, retention_days: int | None) -> Window:
    """What of a batch in order of time may come in."""
    count = len(events)
    oldest = now - limits.OLDEST // timedelta(milliseconds=1)
    kept = 0 if retention_days is None else now - retention_days * 86_400_000
    newest = now + limits.NEWEST // timedelta(milliseconds=1)
    too_old = sum(event["timestamp"] < oldest for event in events)
    expired = sum(event["timestamp"] < kept for event in events)
    end = count - sum(event["timestamp"] > newest for event in events)
    # An event that is too old anyway is not told as expired too, where the former goes further.
    if expired <= too_old:
        expired = 0
    else:
        too_old = 0
    return Window(max(too_old, expired), end, too_old, expired)


def _check_span(lines: Sequence[Line]) -> None:
    if lines and lines[-1].at - lines[0].at > limits.BATCH_SPAN // timedelta(milliseconds=1):
        raise InvalidParameter(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 "
            "hours."
        )
