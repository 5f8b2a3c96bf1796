"""Replicas of a table: what a write leaves for them, and which of two writes is the later one.

With eventual consistency each change of an item bears a stamp: its time in microseconds on the cloud's
clock, and the Region in which it was made. The stamp lies beside the item, and the change in the log
of the replica that was written to, in one commit with the change itself. What arrives of another
replica is taken if its stamp is later than that of the item there, and has no stamp of its own: so
nothing goes in circles, and all replicas end at the same item, whatever comes when.

A later change of an item has a later stamp than what it found, also where the clock was set back. A
deleted item leaves its stamp (a grave), lest an older change bring it to life again; graves are
cleared away, in all replicas at once, when no older change is under way any more (`shipping`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from doppio.kernel.context import Reader, Tx
from doppio.kernel.keys import pack
from doppio.kernel.records import table_of
from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.records import GlobalTable, Outbox, Replication, Table
from doppio.services.dynamodb.sealing import entry_encoder
from doppio.services.dynamodb.values import Item, size_of

CURRENT, LEGACY = "2019.11.21", "2017.11.29"
SHIP = "dynamodb.ship"
REPLICATED = "ReplicatedWriteRequestUnits"
STAMPS = pack("ddb.stamp")
GRAVES = pack("ddb.grave")
DELETING, UPDATED_AT, UPDATED_IN = (
    "aws:rep:deleting", "aws:rep:updatetime", "aws:rep:updateregion",
)  # fmt: skip
_MICROS_BYTES = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_TABLES = table_of(Table)


class Stamp(NamedTuple):
    """When and where an item was written last; the later one wins, and of two at once the Region
    whose name is later."""

    micros: int
    region: str


class Shipped(msgspec.Struct, frozen=True, array_like=True):
    """A change as it goes to other replicas: the item's key and the item as they stand in rows,
    sealed where those are; empty where it is gone."""

    micros: int
    region: str
    key: bytes
    raw: bytes

    @property
    def stamp(self) -> Stamp:
        """When and where it was made."""
        return Stamp(self.micros, self.region)


_encode = msgspec.msgpack.Encoder().encode
decode_shipped = msgspec.msgpack.Decoder(Shipped).decode


def log_of(member: str) -> str:
    """The log of a replica's changes that others are to hear of."""
    return f"ddb.replica/{member}"


async def announced(
    tx: Tx, table: Table, row: bytes, new: Item | None, size: int
) -> tuple[Item | None, int]:
    """Stamp a change and lay it out for the other replicas; the item as it is to be stored, and its
    size."""
    member = table.replication
    assert member is not None
    key = row[len(table.prefix) :]
    known = await stamp_of(tx, member, key)
    micros = (tx.context.now - _EPOCH) // _TICK
    if known is not None:
        micros = max(micros, known.micros + 1)
    stamp = Stamp(micros, table.region)
    if new is not None and member.version == LEGACY:
        new = _marked(new, stamp)
        size = size_of(new)
    put_stamp(tx, member, key, known, stamp, dead=new is None)
    raw = b"" if new is None else entry_encoder(tx.context, table)(new)
    tx.raw.append(log_of(member.id), _encode(Shipped(micros, table.region, key, raw)))
    tx.wake(f"{SHIP}/{member.id}")
    return new, size


def _marked(item: Item, stamp: Stamp) -> Item:
    """An item with the attributes by which version 2017.11.29 knows who wrote last."""
    seconds, micros = divmod(stamp.micros, 1_000_000)
    text = f"{seconds}.{micros:06d}".rstrip("0").rstrip(".")
    return {
        **item,
        DELETING: {"BOOL": False},
        UPDATED_AT: {"N": text},
        UPDATED_IN: {"S": stamp.region},
    }


async def stamp_of(reader: Reader, member: Replication, key: bytes) -> Stamp | None:
    """The stamp of an item, or of one that was deleted; None where it was never replicated."""
    raw = await reader.raw.get(STAMPS + member.id.encode() + key)
    if raw is None:
        return None
    return Stamp(int.from_bytes(raw[:_MICROS_BYTES], "big"), raw[_MICROS_BYTES:].decode())


def put_stamp(
    tx: Tx, member: Replication, key: bytes, known: Stamp | None, stamp: Stamp, *, dead: bool
) -> None:
    """Keep the stamp of an item that is there, or `dead`, in place of the one that is known."""
    prefix = member.id.encode()
    tx.raw.put(
        STAMPS + prefix + key, stamp.micros.to_bytes(_MICROS_BYTES, "big") + stamp.region.encode()
    )
    if known is not None:
        tx.raw.delete(_grave(member, known, key))
    if dead:
        tx.raw.put(_grave(member, stamp, key), b"")


def forget_grave(tx: Tx, member: Replication, key: bytes, stamp: Stamp) -> None:
    """Forget the stamp of a deleted item."""
    tx.raw.delete(STAMPS + member.id.encode() + key)
    tx.raw.delete(_grave(member, stamp, key))


def _grave(member: Replication, stamp: Stamp, key: bytes) -> bytes:
    return GRAVES + member.id.encode() + stamp.micros.to_bytes(_MICROS_BYTES, "big") + key


def read_grave(member: Replication, row: bytes) -> tuple[int, bytes]:
    """The time and the item's key of a grave's row."""
    rest = row[len(GRAVES) + len(member.id.encode()) :]
    return int.from_bytes(rest[:_MICROS_BYTES], "big"), rest[_MICROS_BYTES:]


def moment_of(micros: int) -> datetime:
    """The time of a stamp."""
    return _EPOCH + micros * _TICK


def traces(member_id: str) -> list[bytes]:
    """What the rows begin with that a membership leaves."""
    return [STAMPS + member_id.encode(), GRAVES + member_id.encode()]


def at(tx: Tx, region: str) -> Tx:
    """The same transaction in another Region."""
    ctx = tx.context
    return tx if region == ctx.region else Tx(tx.raw, ctx.derive(ctx.caller, region=region))


async def find_peer(reader: Reader, table: Table, region: str) -> Table | None:
    """The replica of a table in another Region."""
    raw = await reader.raw.get(_TABLES.prefix + pack(table.account, region, table.name))
    peer = None if raw is None else _TABLES.decode_known(raw)
    if peer is None or peer.replication is None or table.replication is None:
        return None
    return peer if peer.replication.group == table.replication.group else None


async def members(reader: Reader, table: Table) -> list[Table]:
    """The other replicas of a table, without those that are being deleted."""
    return [one for one in await all_members(reader, table) if one.status != "DELETING"]


async def followers(reader: Reader, table: Table) -> list[Table]:
    """The other replicas that share the table's settings: those of the first version do not."""
    if table.replication is None or table.replication.version == LEGACY:
        return []
    return await members(reader, table)


async def all_members(reader: Reader, table: Table) -> list[Table]:
    """The other replicas of a table."""
    if table.replication is None:
        return []
    found = [await find_peer(reader, table, region) for region in table.replication.peers]
    return [one for one in found if one is not None]


async def send_to(tx: Tx, table: Table, region: str) -> None:
    """Let a replica's changes go to one more Region, from the oldest that is still there."""
    assert table.replication is not None
    outbox = await tx.get(Outbox, table.replication.id)
    if outbox is not None:
        tx.put(replace(outbox, cursors={**outbox.cursors, region: outbox.trimmed}))
        tx.wake(f"{SHIP}/{outbox.id}")


async def close_outbox(tx: Tx, table: Table, emptying: dict[str, Any]) -> bool:
    """Let a replica that goes tell its last changes, then clear its rows away by a job with these
    arguments; without any, the table stays. False where it tells none: the job may run now."""
    assert table.replication is not None
    for peer in await all_members(tx, table):
        assert peer.replication is not None
        outbox = await tx.get(Outbox, peer.replication.id)
        if outbox is not None:
            cursors = {one: at for one, at in outbox.cursors.items() if one != table.region}
            tx.put(replace(outbox, cursors=cursors))
    outbox = await tx.get(Outbox, table.replication.id)
    if outbox is None:
        return False
    tx.put(replace(outbox, emptying=emptying))
    tx.wake(f"{SHIP}/{outbox.id}")
    return True


async def depart(tx: Tx, table: Table) -> list[str]:
    """Take a replica that is gone out of its peers' lists; a table that is alone is none any more.

    Gives the memberships of which nothing is left but their traces.
    """
    assert table.replication is not None
    over = []
    if table.replication.version == LEGACY:
        found = await tx.get(GlobalTable, table.account, table.name)
        if found is not None:
            kept = tuple(one for one in found.regions if one != table.region)
            if kept:
                tx.put(replace(found, regions=kept))
            else:
                tx.delete(found)
    for peer in await all_members(tx, table):
        assert peer.replication is not None
        left = tuple(one for one in peer.replication.peers if one != table.region)
        if left or peer.replication.version == LEGACY:
            tx.put(replace(peer, replication=replace(peer.replication, peers=left)))
            continue
        tx.put(replace(peer, replication=None))
        over.append(peer.replication.id)
        outbox = await tx.get(Outbox, peer.replication.id)
        if outbox is not None:
            tx.delete(outbox)
    return over


def refuse_strong(tables: Iterable[Table]) -> None:
    """Raise where a transaction names a table of multi-Region strong consistency."""
    for table in tables:
        if table.replication is not None and table.replication.strong:
            raise ValidationException(
                "Transactions are not supported on global tables with multi-Region strong "
                f"consistency: TableName: {table.name}"
            )
