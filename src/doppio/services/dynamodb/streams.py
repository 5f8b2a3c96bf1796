"""A table's stream: what became of its items, in the order in which it did, kept for a day.

A stream is one log of the store, and its records lie in the commits of the changes that they tell
of: none is lost, none tells of what did not happen. It has one shard, whose sequence numbers are
the log's positions. What reads it is the service `dynamodbstreams`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from doppio.kernel.authorise import forget_resource
from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.jobs import Job
from doppio.services.dynamodb import limits
from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.records import Revision, Stream, StreamSetting, Table
from doppio.services.dynamodb.sealing import opened as opened_bytes
from doppio.services.dynamodb.sealing import sealed
from doppio.services.dynamodb.values import Item

TRIM = "dynamodb.trim"
ENTRIES_A_READ = 500


class Told(msgspec.Struct, frozen=True, array_like=True):
    """One change of an item, as its stream keeps it: the images that its view shows."""

    at: datetime
    name: str
    keys: Item
    old: Item | None
    new: Item | None
    expired: bool
    sealed: bytes = b""


class _Images(msgspec.Struct, frozen=True, array_like=True):
    """What is sealed of a change in a sealed table."""

    keys: Item
    old: Item | None
    new: Item | None


_encode = msgspec.msgpack.Encoder().encode
decode_told = msgspec.msgpack.Decoder(Told).decode
_decode_images = msgspec.msgpack.Decoder(_Images).decode


def opened_told(told: Told) -> Told:
    """A change with its images in clear; who was let in to its stream has the key."""
    images = _decode_images(opened_bytes(told.sealed))
    return replace(told, keys=images.keys, old=images.old, new=images.new, sealed=b"")


def log_name(stream_id: str) -> str:
    """The log of a stream's records."""
    return f"ddb.stream/{stream_id}"


def tell(
    tx: Tx, table: Table, old: Item | None, new: Item | None, *, expired: bool = False
) -> None:
    """Say in a change's own commit what it is. A write that changes nothing is no change."""
    stream = table.stream
    if stream is not None and stream.enabled and old != new:
        tx.raw.append(
            log_name(stream.id), entry_of(tx, table, stream.view, old, new, expired=expired)
        )


def entry_of(
    tx: Tx, table: Table, view: str, old: Item | None, new: Item | None, *, expired: bool
) -> bytes:
    """A change as logs keep it."""
    item = new if new is not None else old
    assert item is not None, "something became of it"
    told = Told(
        tx.context.now,
        "INSERT" if old is None else "REMOVE" if new is None else "MODIFY",
        {part.name: item[part.name] for part in table.key},
        old if view in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES") else None,
        new if view in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES") else None,
        expired,
    )
    if table.seal is not None:
        images = _encode(_Images(told.keys, told.old, told.new))
        hidden = sealed(tx.context, table.seal, images)
        told = replace(told, keys={}, old=None, new=None, sealed=hidden)
    return _encode(told)


def wanted(specification: Mapping[str, Any]) -> bool:
    """Whether a table is to have a stream. Raises ValidationException where it is unclear."""
    if not specification:
        return False
    on: bool = specification["StreamEnabled"]
    if on != ("StreamViewType" in specification):
        raise ValidationException(
            "One or more parameter values were invalid: StreamViewType must be specified when "
            "StreamEnabled is true"
            if on
            else "One or more parameter values were invalid: StreamViewType cannot be specified "
            "when StreamEnabled is false"
        )
    return on


async def switched(ctx: Context, tx: Tx, table: Table, specification: Mapping[str, Any]) -> Table:
    """The table with its stream switched on or off, which it must not be already."""
    on = wanted(specification)
    is_on = table.stream is not None and table.stream.enabled
    if on and is_on:
        raise ValidationException(f"Table already has an enabled stream: TableName: {table.name}")
    if not on and not is_on:
        raise ValidationException(f"Table already has a disabled stream: TableName: {table.name}")
    return await (opened(ctx, tx, table, specification) if on else closed(ctx, tx, table))


async def opened(ctx: Context, tx: Tx, table: Table, specification: Mapping[str, Any]) -> Table:
    """The table with a new stream."""
    moment = ctx.now
    while await tx.get(Stream, table.account, table.region, table.name, _label(moment)):
        moment += timedelta(milliseconds=1)
    stream = tx.put(
        Stream(
            account=table.account, region=table.region, table=table.name, label=_label(moment),
            id=ctx.new_id(), view=specification["StreamViewType"], key=table.key,
            created_at=ctx.now, seal=table.seal,
        )
    )  # fmt: skip
    await tx.schedule(ctx.now + limits.STREAM_TRIM_EVERY, TRIM, stream.arn)
    setting = StreamSetting(id=stream.id, label=stream.label, view=stream.view)
    return replace(table, stream=setting)


async def closed(ctx: Context, tx: Tx, table: Table) -> Table:
    """The table with its stream closed: nothing more comes, and what is there stays for a day."""
    assert table.stream is not None
    stream = await tx.get(Stream, table.account, table.region, table.name, table.stream.label)
    assert stream is not None, "a table's latest stream is there while it is enabled"
    tx.put(replace(stream, closed_at=ctx.now))
    return replace(table, stream=replace(table.stream, enabled=False))


def _label(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


async def find_stream(reader: Reader, arn: str) -> Stream | None:
    """The stream of an ARN."""
    parts = arn.split(":", 5)
    name = parts[5].split("/") if len(parts) == 6 else []
    if len(name) != 4 or (name[0], name[2]) != ("table", "stream"):
        return None
    stream = await reader.get(Stream, parts[4], parts[3], name[1], name[3])
    return stream if stream is not None and stream.arn == arn else None


async def trim(ctx: Context, job: Job) -> None:
    """Forget records older than a day, and a stream that was closed so long ago."""
    stream = await find_stream(ctx.read(), job.key)
    if stream is None:
        return
    horizon = ctx.now - limits.STREAM_LIFE
    log, position = log_name(stream.id), stream.trimmed
    view = ctx.read().raw
    over = False
    while not over:
        entries = await view.log(log, position, limit=ENTRIES_A_READ)
        old = [at for at, entry in entries if decode_told(entry).at <= horizon]
        position = max(old, default=position)
        over = len(old) < ENTRIES_A_READ
    gone = stream.closed_at is not None and stream.closed_at <= horizon

    async def step(tx: Tx) -> None:
        current = await find_stream(tx, job.key)
        if current is None:
            return
        if gone:
            tx.delete(current)
            revision = await tx.get(Revision, job.key)
            if revision is not None:
                tx.delete(revision)
                forget_resource(tx, job.key)
            return
        if position > current.trimmed:
            tx.put(replace(current, trimmed=position))
        await tx.schedule(ctx.now + limits.STREAM_TRIM_EVERY, TRIM, job.key)

    if position > stream.trimmed:
        await ctx.kernel.store.trim_log(log, position)
    if gone:
        await ctx.kernel.store.drop_log(log)
    await ctx.transact(step)
