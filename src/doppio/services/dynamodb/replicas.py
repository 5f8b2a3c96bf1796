"""Replicas of version 2019.11.21: UpdateTable makes, changes and deletes them.

A replica is a table of its own in another Region. It is filled by a job, which copies items with
their stamps, while everything that is written meanwhile comes by the way all changes come
(`shipping`); what is later stays. What all replicas have alike (indexes, billing, write capacity,
time to live) changes in all of them in one commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.jobs import Job
from doppio.kernel.quotas import quota
from doppio.kernel.regions import partition_of, region_is_up, regions
from doppio.services.dynamodb import changes, limits, sealing, streams
from doppio.services.dynamodb.access import find_table, read_item, read_sized, write_item
from doppio.services.dynamodb.backups import portions
from doppio.services.dynamodb.errors import (
    LimitExceededException,
    ResourceInUseException,
    ValidationException,
)
from doppio.services.dynamodb.provisioning import at_most
from doppio.services.dynamodb.records import Outbox, Replication, SealKey, Table, Throughput
from doppio.services.dynamodb.removal import check_at_rest, remove
from doppio.services.dynamodb.replication import (
    CURRENT,
    GRAVES,
    LEGACY,
    all_members,
    at,
    find_peer,
    followers,
    members,
    read_grave,
    send_to,
    stamp_of,
)
from doppio.services.dynamodb.schemas import BAD
from doppio.services.dynamodb.shipping import SWEEP, receive
from doppio.services.dynamodb.upkeep import EXPIRE, settled_topic
from doppio.wire.errors import NotImplementedByDoppio

FILL = "dynamodb.fill"
# What UpdateTable changes in all replicas alike.
_SHARED = (
    "AttributeDefinitions", "GlobalSecondaryIndexUpdates", "BillingMode", "ProvisionedThroughput",
    "TableClass", "OnDemandThroughput", "WarmThroughput",
)  # fmt: skip
_NOT_THERE = (
    "Replica specified in the Replica Update or Replica Delete action of the request was not found"
)


async def follow(tx: Tx, table: Table, req: Mapping[str, Any]) -> None:
    """Let the other replicas follow a change of the table."""
    if table.replication is None:
        return
    if not table.replication.strong and "StreamSpecification" in req:
        raise ValidationException(
            f"{BAD}The stream of a global table's replica cannot be changed: TableName: "
            f"{table.name}"
        )
    if "SSESpecification" in req:
        await _seal_alike(tx, table, on=bool(req["SSESpecification"].get("Enabled")))
    shared = {name: req[name] for name in _SHARED if name in req}
    if not shared.keys() - {"AttributeDefinitions"}:
        return
    for peer in await followers(tx, table):
        check_at_rest(peer)
        there = at(tx, peer.region)
        wanted = _own(peer, shared)
        there.put(await changes.changed_table(there.context, there, peer, wanted))


async def _seal_alike(tx: Tx, table: Table, *, on: bool) -> None:
    """Put the other replicas under KMS keys, too, or none; which ones, each says for itself."""
    for peer in await followers(tx, table):
        check_at_rest(peer)
        if on != (peer.seal is not None and peer.seal.kms_key is not None):
            there = at(tx, peer.region)
            there.put(await sealing.switched(there.context, there, peer, {"Enabled": on}))


def _own(peer: Table, shared: Mapping[str, Any]) -> dict[str, Any]:
    """A change as it is for one replica: without what it has of its own."""
    member = peer.replication
    assert member is not None
    wanted = dict(shared)
    bought = wanted.get("ProvisionedThroughput")
    if bought is not None and member.read is not None:
        wanted["ProvisionedThroughput"] = bought = {**bought, "ReadCapacityUnits": member.read}
    if bought is not None and not peer.on_demand:
        given = Throughput(read=bought["ReadCapacityUnits"], write=bought["WriteCapacityUnits"])
        if given.same(peer.throughput):
            del wanted["ProvisionedThroughput"]
    if "OnDemandThroughput" in wanted and member.most is not None:
        limits_wanted = {**wanted["OnDemandThroughput"], "MaxReadRequestUnits": member.most}
        wanted["OnDemandThroughput"] = limits_wanted
    if member.table_class:
        wanted.pop("TableClass", None)
    updates = []
    for one in wanted.get("GlobalSecondaryIndexUpdates", ()):
        change = one.get("Update")
        read = None if change is None else member.reads.get(change["IndexName"])
        if change is not None and read is not None:
            capacity = {**change["ProvisionedThroughput"], "ReadCapacityUnits": read}
            updates.append({"Update": {**change, "ProvisionedThroughput": capacity}})
        else:
            updates.append(one)
    if updates:
        wanted["GlobalSecondaryIndexUpdates"] = updates
    return wanted


async def changed(tx: Tx, table: Table, updates: Sequence[Mapping[str, Any]]) -> tuple[Table, bool]:
    """The table with its replicas as `ReplicaUpdates` wants; whether new ones are to be filled."""
    filling = False
    if updates and table.replication is not None and table.replication.version == LEGACY:
        raise ValidationException(
            f"{BAD}ReplicaUpdates cannot be used for a global table of version {LEGACY}: use "
            f"UpdateGlobalTable. TableName: {table.name}"
        )
    for update in updates:
        if len(update) != 1:
            raise ValidationException(
                f"{BAD}Exactly one of Create, Update or Delete must be specified per replica update"
            )
        [(verb, action)] = update.items()
        region = action["RegionName"]
        if region == table.region:
            raise ValidationException(
                f"{BAD}Cannot add, delete, or update the local region through ReplicaUpdates. Use "
                "CreateTable, DeleteTable, or UpdateTable as required."
            )
        _check_overrides(action)
        for peer in await all_members(tx, table):
            if peer.status == "CREATING" and not filling:
                raise ResourceInUseException(
                    "Attempt to change a resource which is still in use: Replica is being created: "
                    f"{peer.region}"
                )
        if verb == "Create":
            check_stream(table)
            if table.vectors:
                raise NotImplementedByDoppio(
                    "dynamodb: replicas of a table with vector indexes exist in AWS and not yet in "
                    "this cloud"
                )
            table = await added(tx, table, region, action)
            filling = True
            continue
        peer_found = await find_peer(tx, table, region)
        if peer_found is None:
            raise ValidationException(_NOT_THERE)
        check_at_rest(peer_found)
        there = at(tx, region)
        if verb == "Delete":
            await remove(there.context, there, peer_found, together=True)
        else:
            peer_found = _overridden(peer_found, action)
            if "KMSMasterKeyId" in action:
                under = {"Enabled": True, "KMSMasterKeyId": action["KMSMasterKeyId"]}
                peer_found = await sealing.switched(there.context, there, peer_found, under)
            there.put(peer_found)
    return table, filling


def _check_overrides(action: Mapping[str, Any]) -> None:
    """Raise NotImplementedByDoppio for what a replica cannot have of its own yet."""
    of_index = [one.get("OnDemandThroughputOverride") for one in _indexes(action)]
    if any(of_index):
        raise NotImplementedByDoppio(
            "dynamodb: OnDemandThroughputOverride of a replica's index exists in AWS and not yet "
            "in this cloud"
        )


def _indexes(action: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = action.get("GlobalSecondaryIndexes", ())
    return found


def check_stream(table: Table) -> None:
    """Raise where changes of a table could not be told."""
    if table.replication is not None and table.replication.strong:
        return
    stream = table.stream
    if stream is None or not stream.enabled or stream.view != "NEW_AND_OLD_IMAGES":
        raise ValidationException(
            f"{BAD}Table should have Streams enabled with StreamViewType set to "
            f"NEW_AND_OLD_IMAGES to be part of a global table: TableName: {table.name}"
        )


async def joined(tx: Tx, table: Table, *, version: str = CURRENT, strong: bool = False) -> Table:
    """The table as the first replica of a global table, if it is none yet."""
    if table.replication is not None:
        return table
    member = Replication(
        id=tx.context.new_id(), group=tx.context.new_id(), version=CURRENT, peers=(), strong=strong
    )
    table = replace(table, replication=member)
    if not strong:
        await opened(tx, table, {})
    return table


async def opened(tx: Tx, table: Table, cursors: dict[str, int]) -> None:
    """Open a replica's outbox."""
    member = table.replication
    assert member is not None
    tx.put(
        Outbox(
            id=member.id, account=table.account, region=table.region, table=table.name,
            group=member.group, cursors=cursors,
        )
    )  # fmt: skip
    due = tx.context.now + limits.SWEEP_EVERY
    await tx.schedule(due, SWEEP, table.arn, id=member.id)


async def added(tx: Tx, table: Table, region: str, action: Mapping[str, Any]) -> Table:
    """The table with a replica in one more Region, which is CREATING and will be filled."""
    there = at(tx, region)
    await _check_place(there, table, region)
    table = await joined(tx, table)
    assert table.replication is not None
    fresh = tuple(replace(one, id="", status="ACTIVE") for one in table.indexes)
    replica = replace(
        table, region=region, id=tx.context.new_id(), created_at=tx.context.now,
        status="CREATING", indexes=fresh, deletion_protection=False, tags={}, stream=None,
        recovery=None, holds={}, remembers_since=None, restored=None,
    )  # fmt: skip
    replica = replace(replica, seal=await _seal(there, table, action))
    if table.stream is not None and table.stream.enabled and not table.replication.strong:
        view = {"StreamViewType": table.stream.view}
        replica = await streams.opened(there.context, there, replica, view)
    table = await linked(tx, table, replica, action)
    if table.ttl_attribute is not None:
        await there.schedule(tx.context.now, EXPIRE, replica.arn)
    return table


async def _seal(there: Tx, table: Table, action: Mapping[str, Any]) -> SealKey | None:
    """The key of a new replica: one of its own Region, where its table is under a KMS key."""
    key = action.get("KMSMasterKeyId")
    if table.seal is None or table.seal.kms_key is None:
        if key is not None:
            raise ValidationException(
                f"{BAD}KMSMasterKeyId can only be specified for replicas of a table that is "
                "encrypted under a KMS key"
            )
        return None
    if key is None and not table.seal.managed:
        raise ValidationException(
            f"{BAD}KMSMasterKeyId must be specified for each replica of a table that is encrypted "
            "under a customer managed key"
        )
    under = {"Enabled": True} if key is None else {"Enabled": True, "KMSMasterKeyId": key}
    return await sealing.made_key(there.context, under, table.name)


async def linked(tx: Tx, table: Table, replica: Table, action: Mapping[str, Any]) -> Table:
    """Make a table one more replica of another's group: all know of it in this commit, and what is
    under way between the others comes to it, too."""
    member = table.replication
    assert member is not None
    region = replica.region
    everybody = (table.region, *member.peers)
    own = replace(
        member, id=tx.context.new_id(), peers=everybody, source_at=None, read=None, reads={}, most=None,
        table_class=False, protected=True,
    )  # fmt: skip
    replica = _overridden(replace(replica, replication=own), action)
    there = at(tx, region)
    there.put(replica)
    if not member.strong:
        await opened(there, replica, dict.fromkeys(everybody, 0))
    for one in (table, *await all_members(tx, table)):
        assert one.replication is not None
        await send_to(tx, one, region)
        if one.region != table.region:
            peers = (*one.replication.peers, region)
            tx.put(replace(one, replication=replace(one.replication, peers=peers)))
    await tx.schedule(tx.context.now, FILL, replica.arn, id=replica.id, source=table.arn)
    mine = replace(member, peers=(*member.peers, region), source_at=tx.context.now)
    return replace(table, replication=mine)


async def _check_place(there: Tx, table: Table, region: str) -> None:
    """Raise where a Region cannot take a replica."""
    if region not in regions() or partition_of(region) != partition_of(table.region):
        raise ValidationException(f"{BAD}Region {region} is not a valid AWS Region for replicas")
    if await there.get(Table, table.account, region, table.name) is not None:
        raise ValidationException(
            f"Failed to create a the new replica of table with name: '{table.name}' because one or "
            "more replicas already existed as tables."
        )
    most = await quota(there, limits.TABLES)
    if len(await there.list(Table, (table.account, region), limit=most)) >= most:
        raise LimitExceededException(
            f"Subscriber limit exceeded: There is a limit of {most} tables per subscriber"
        )


def _overridden(replica: Table, action: Mapping[str, Any]) -> Table:
    """A replica with settings of its own."""
    member = replica.replication
    assert member is not None
    read = (action.get("ProvisionedThroughputOverride") or {}).get("ReadCapacityUnits")
    most = (action.get("OnDemandThroughputOverride") or {}).get("MaxReadRequestUnits")
    reads = {}
    for one in _indexes(action):
        index = replica.index(one["IndexName"])
        if index is None or not index.is_global:
            raise ValidationException(
                f"{BAD}The table does not have the specified index: {one['IndexName']}"
            )
        override = (one.get("ProvisionedThroughputOverride") or {}).get("ReadCapacityUnits")
        if override:
            reads[index.name] = override
    if (read or reads) and replica.on_demand:
        raise ValidationException(
            f"{BAD}ProvisionedThroughputOverride cannot be specified when BillingMode is "
            "PAY_PER_REQUEST"
        )
    limit = None if most is None else {"MaxReadRequestUnits": most}
    indexes = tuple(
        replace(one, throughput=replace(one.throughput, read=reads[one.name]))
        if one.name in reads
        else one
        for one in replica.indexes
    )
    own_class = action.get("TableClassOverride")
    return replace(
        replica,
        indexes=indexes,
        throughput=replica.throughput if read is None else replace(replica.throughput, read=read),
        at_most=at_most(limit, replica.at_most, on_demand=replica.on_demand),
        table_class=own_class or replica.table_class,
        replication=replace(
            member,
            read=read or member.read,
            reads={**member.reads, **reads},
            most=most or member.most,
            table_class=member.table_class or own_class is not None,
        ),
    )


async def fill(ctx: Context, job: Job) -> None:
    """Copy a table's items and graves to a new replica, then let that be used."""
    source, replica = await _pair(ctx.read(), ctx, job)
    if source is None or replica is None:
        return
    if not all([await region_is_up(ctx.read(), one.region) for one in (source, replica)]):

        async def later(tx: Tx) -> None:
            due = ctx.clock.now() + limits.REGION_RETRY
            await tx.schedule(due, FILL, job.key, **job.arguments)

        await ctx.transact(later)
        return
    assert source.replication is not None
    await sealing.admit_work(ctx, source)
    await sealing.admit_work(ctx.derive(ctx.caller, region=replica.region), replica)
    if not source.replication.strong:
        prefix = source.prefix
        async for rows in _pages(ctx, prefix):
            await _copy(ctx, job, [(row[len(prefix) :], raw) for row, raw in rows])
        async for rows in _pages(ctx, GRAVES + source.replication.id.encode()):
            await _copy(
                ctx, job, [(read_grave(source.replication, row)[1], b"") for row, _ in rows]
            )
    await ctx.transact(lambda tx: _finish(tx, ctx, job))


async def _pages(ctx: Context, prefix: bytes) -> Any:
    """Rows of a prefix, page by page."""
    lo: bytes | None = prefix
    while lo is not None:
        rows = await ctx.read().raw.scan(lo, prefix + b"\xff", limit=limits.ROWS_A_READ)
        if rows:
            yield rows
        lo = rows[-1][0] + b"\0" if len(rows) == limits.ROWS_A_READ else None


async def _copy(ctx: Context, job: Job, rows: list[tuple[bytes, bytes]]) -> None:
    """Copy items as they are now, by their keys."""
    for portion in portions(rows):
        keys = [key for key, _ in portion]
        await ctx.transact(lambda tx, keys=keys: _take(tx, ctx, job, keys))  # type: ignore[misc]


async def _take(tx: Tx, ctx: Context, job: Job, keys: list[bytes]) -> None:
    source, replica = await _pair(tx, ctx, job)
    if source is None or replica is None:
        return
    assert source.replication is not None
    assert replica.replication is not None
    for key in keys:
        size, item = await read_sized(tx, source.prefix + key)
        stamp = await stamp_of(tx, source.replication, key)
        if stamp is not None:
            await receive(tx, replica, key, stamp, item)
        elif item is not None and await stamp_of(tx, replica.replication, key) is None:
            row = replica.prefix + key
            if await read_item(tx, row) is None:  # Else it came before a crash.
                await write_item(tx, replica, row, None, item, 0, size, arriving=True)


async def _finish(tx: Tx, ctx: Context, job: Job) -> None:
    source, replica = await _pair(tx, ctx, job)
    if source is None or replica is None:
        return
    there = at(tx, replica.region)
    there.put(replace(replica, status="ACTIVE"))
    tx.wake(settled_topic(ctx, replica.arn))
    others = await members(tx, source)
    if source.status == "UPDATING" and all(one.status != "CREATING" for one in others):
        tx.put(replace(source, status="ACTIVE"))
    tx.wake(settled_topic(ctx, source.arn))


async def _pair(reader: Reader, ctx: Context, job: Job) -> tuple[Table | None, Table | None]:
    """The table and the replica that is made of it, while it is."""
    source = await find_table(reader, ctx, job.arguments["source"])
    if source is None or source.replication is None:
        return None, None
    replica = await find_peer(reader, source, job.key.split(":")[3])
    if replica is None or replica.id != job.arguments["id"] or replica.status != "CREATING":
        return None, None
    return source, replica


async def shown(reader: Reader, table: Table) -> dict[str, Any]:
    """What DescribeTable shows of a table's replicas: those in other Regions."""
    member = table.replication
    if member is None:
        return {}
    if member.version == LEGACY:
        return {"GlobalTableVersion": LEGACY}
    found: dict[str, Any] = {
        "GlobalTableVersion": CURRENT,
        "Replicas": [_replica(one) for one in await all_members(reader, table)],
        "MultiRegionConsistency": "STRONG" if member.strong else "EVENTUAL",
        "GlobalTableSettingsReplicationMode": "ENABLED_WITH_OVERRIDES",
    }
    if not member.strong:
        found["DisassociationProtectionEnabled"] = member.protected
    if member.witness is not None:
        found["GlobalTableWitnesses"] = [{"RegionName": member.witness, "WitnessStatus": "ACTIVE"}]
    return found


def _replica(replica: Table) -> dict[str, Any]:
    member = replica.replication
    assert member is not None
    found: dict[str, Any] = {
        "RegionName": replica.region,
        "ReplicaStatus": replica.status,
        "ReplicaArn": replica.arn,
        "GlobalTableSettingsReplicationMode": "ENABLED_WITH_OVERRIDES",
    }
    if replica.seal is not None and replica.seal.kms_key is not None:
        found["KMSMasterKeyId"] = replica.seal.kms_key
        if replica.seal.inaccessible_at is not None:
            found["ReplicaInaccessibleDateTime"] = replica.seal.inaccessible_at
    if member.read is not None:
        found["ProvisionedThroughputOverride"] = {"ReadCapacityUnits": member.read}
    if member.most is not None:
        found["OnDemandThroughputOverride"] = {"MaxReadRequestUnits": member.most}
    if member.reads:
        found["GlobalSecondaryIndexes"] = [
            {"IndexName": name, "ProvisionedThroughputOverride": {"ReadCapacityUnits": read}}
            for name, read in member.reads.items()
        ]
    if replica.table_class is not None:
        found["ReplicaTableClassSummary"] = {"TableClass": replica.table_class}
    return found
