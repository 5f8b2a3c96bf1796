"""What became of a table's items, on its way to Kinesis streams.

A change is laid into the log of each feed in its own commit, and goes out behind it, in order. A record
may come twice after a crash, as AWS's may, and none is lost that its stream takes within a day.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.controller import Again, Controller, Key
from doppio.services.dynamodb import limits
from doppio.services.dynamodb.item_lines import line_of
from doppio.services.dynamodb.records import FEEDS, Feed, Table
from doppio.services.dynamodb.streams import Told, decode_told, entry_of, opened_told
from doppio.services.dynamodb.values import Item, size_of
from doppio.services.iam.ports import linked_arn
from doppio.wire.errors import AwsError

FEED = "dynamodb.feed"
_PRINCIPAL = "kinesisreplication.dynamodb"
LINKED = f"{_PRINCIPAL}.amazonaws.com"
_SESSION = "DynamoDB"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def log_of(feed_id: str) -> str:
    """The log of what is on its way to a stream."""
    return f"ddb.feed/{feed_id}"


def feed(tx: Tx, table: Table, old: Item | None, new: Item | None, *, expired: bool) -> None:
    """Lay a change out for the table's streams, in its own commit."""
    entry = entry_of(tx, table, "NEW_AND_OLD_IMAGES", old, new, expired=expired)
    for one in table.feeds:
        tx.raw.append(log_of(one), entry)
        tx.wake(f"{FEED}/{one}")


async def stopped(tx: Tx, table: Table) -> Table:
    """The table without feeds: what is on its way still goes out."""
    for one in table.feeds:
        found = await tx.get(Feed, one)
        assert found is not None, "a table's feeds are there while it feeds them"
        tx.put(replace(found, status="DISABLING"))
        tx.wake(f"{FEED}/{one}")
    return replace(table, feeds=())


class Feeding(Controller[Feed]):
    """Takes what lies in each log to its stream."""

    record = Feed
    family: ClassVar[str] = FEED

    async def reconcile(self, ctx: Context, key: Key) -> Again | None:
        """Take what there is; what its stream does not take is tried again."""
        try:
            while await _batch(ctx, key[0]):
                pass
        except AwsError:
            await _age(ctx, key[0])
            return Again(ctx.clock.now() + limits.FEED_RETRY)
        await _settle(ctx, key[0])
        return None


async def _batch(ctx: Context, feed_id: str) -> bool:
    """Send some changes; whether there may be more."""
    found = await ctx.read().get(Feed, feed_id)
    if found is None:
        return False
    entries = await ctx.read().raw.log(log_of(feed_id), found.sent, limit=limits.FED_A_CALL)
    records: list[dict[str, Any]] = []
    size, position = 0, found.sent
    for at, entry in entries:
        one = _record(found, at, opened(decode_told(entry)))
        size += len(one["Data"])
        if records and size > limits.FED_BYTES_MAX:
            break
        records.append(one)
        position = at
    if not records:
        return False
    role = linked_arn(ctx.partition, found.account, LINKED, None)
    acting = await ctx.as_role(role, _PRINCIPAL, source=found.stream, session=_SESSION)
    await acting.call("kinesis", "put_records", {"StreamARN": found.stream, "Records": records})
    await _sent(ctx, feed_id, position)
    return True


async def _sent(ctx: Context, feed_id: str, position: int) -> None:
    async def step(tx: Tx) -> None:
        current = await tx.get(Feed, feed_id)
        if current is not None and current.sent < position:
            tx.put(replace(current, sent=position))

    await ctx.transact(step)
    await ctx.kernel.store.trim_log(log_of(feed_id), position)


async def _age(ctx: Context, feed_id: str) -> None:
    """Give up what has waited for a day."""
    found = await ctx.read().get(Feed, feed_id)
    horizon = ctx.clock.now() - limits.FEED_LIFE
    while found is not None:
        entries = await ctx.read().raw.log(log_of(feed_id), found.sent, limit=limits.FED_A_CALL)
        old = [at for at, entry in entries if decode_told(entry).at <= horizon]
        if not old:
            return
        await _sent(ctx, feed_id, old[-1])
        found = await ctx.read().get(Feed, feed_id)


async def _settle(ctx: Context, feed_id: str) -> None:
    """A feed that was begun is ACTIVE, and one that was stopped is over once all has gone out."""
    found = await ctx.read().get(Feed, feed_id)
    if found is not None and found.status in ("ENABLING", "UPDATING", "DISABLING"):

        async def step(tx: Tx) -> bool:
            current = await tx.get(Feed, feed_id)
            if current is None or current.status == "ACTIVE":
                return False
            if current.status != "DISABLING":
                tx.put(replace(current, status="ACTIVE"))
                return False
            if await tx.raw.log(log_of(feed_id), current.sent, limit=1):
                tx.wake(f"{FEED}/{feed_id}")
                return False
            table = await tx.get(Table, current.account, current.region, current.table)
            if table is None or table.id != current.table_id or table.status == "DELETING":
                tx.delete(current)
            else:
                tx.put(replace(current, status="DISABLED"))
            return True

        if await ctx.transact(step):
            await ctx.kernel.store.drop_log(log_of(feed_id))


async def feeds_of(reader: Any, table: Table) -> list[Feed]:
    """The feeds of a table, also those that are disabled; the oldest first."""
    rows = await reader.find(
        FEEDS, (table.account, table.region, table.name), limit=limits.FEEDS_KEPT_MAX
    )
    return [one for one in rows if one.table_id == table.id]


def opened(told: Told) -> Told:
    """A change in clear."""
    return opened_told(told) if told.sealed else told


def _record(found: Feed, at: int, told: Told) -> dict[str, Any]:
    keys = line_of(told.keys)
    micros = (told.at - _EPOCH) // timedelta(microseconds=1)
    change: dict[str, Any] = {
        "ApproximateCreationDateTime": (
            micros if found.precision == "MICROSECOND" else micros // 1_000
        ),
        "Keys": told.keys,
    }
    size = size_of(told.keys)
    for member, image in (("NewImage", told.new), ("OldImage", told.old)):
        if image is not None:
            change[member] = image
            size += size_of(image)
    change["SizeBytes"] = size
    change["ApproximateCreationDateTimePrecision"] = found.precision
    record = {
        "awsRegion": found.region,
        "eventID": hashlib.blake2b(f"{found.id}/{at}".encode(), digest_size=16).hexdigest(),
        "eventName": told.name,
        "userIdentity": (
            {"type": "Service", "principalId": "dynamodb.amazonaws.com"} if told.expired else None
        ),
        "recordFormat": "application/json",
        "tableName": found.table,
        "dynamodb": change,
        "eventSource": "aws:dynamodb",
    }
    # An item's changes stay in one shard, and so in order.
    key = hashlib.blake2b(keys, digest_size=16).hexdigest().upper()
    return {"PartitionKey": key, "Data": line_of(record).rstrip()}
