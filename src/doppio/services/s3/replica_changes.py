"""What changes of a version after it was replicated: its tags, its list of access, its locks.

Changes go to all replicas. Where a rule says so (ReplicaModifications), what changes of a replica goes
back, too. Only what differs is written, and a replica that is changed so says nothing: two buckets
that replicate each other come to rest.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.services.s3 import locks
from doppio.services.s3.attributes import ENFORCED
from doppio.services.s3.lookup import bucket_id, numbered
from doppio.services.s3.records import Bucket, Current, More, Version
from doppio.services.s3.replicated import acting_for, source_of, status_of
from doppio.services.s3.replication_rules import REPLICA, chosen
from doppio.wire.errors import AccessDenied, AwsError

Change = Callable[[Bucket, Bucket, Version, Version], Version]


def _tags(source: Bucket, destination: Bucket, version: Version, replica: Version) -> Version:
    return replace(replica, tags=version.tags)


def _list(source: Bucket, destination: Bucket, version: Version, replica: Version) -> Version:
    """Lists go from bucket to bucket of one owner, where they count."""
    if ENFORCED in {source.ownership, destination.ownership}:
        return replica
    if source.account != destination.account:
        return replica
    acl = None if version.more is None else version.more.acl
    return replace(replica, more=replace(replica.more or More(), acl=acl))


def _locks(source: Bucket, destination: Bucket, version: Version, replica: Version) -> Version:
    if locks.KIND not in destination.kinds:
        return replica
    own = version.more or More()
    more = replace(replica.more or More(), held=own.held, retention=own.retention)
    return replace(replica, more=more)


# What follows by what happened, with the role's permissions on the source and on the replica.
# Source: "Setting up permissions for live replication".
CHANGES: dict[str, tuple[Change, tuple[str, ...], str]] = {
    "ObjectTagging": (_tags, ("s3:GetObjectVersionTagging",), "s3:ReplicateTags"),
    "ObjectAcl": (_list, ("s3:GetObjectVersionAcl",), "s3:ReplicateObject"),
    locks.CHANGED: (
        _locks,
        ("s3:GetObjectRetention", "s3:GetObjectLegalHold"),
        "s3:ReplicateObject",
    ),
}


async def follow_change(ctx: Context, key: tuple[str, ...], kind: str) -> None:
    """Take what has changed of a version to its replicas, where the role may."""
    found = await source_of(ctx, key)
    if found is None:
        return
    status = status_of(found.version)
    if not status:
        return
    change, reads, writes = CHANGES[kind]
    bucket, version = found.bucket, found.version
    for rule in chosen(found.document, version):
        if status == REPLICA and not rule.modifications:
            continue
        try:
            acting = await acting_for(found)
            destination = await acting.read().get(Bucket, bucket_id(acting, rule.bucket))
            if destination is None:
                continue
            for action in reads:
                await acting.authorise(action, f"{bucket.arn}/{version.key}", policy=bucket.arn)
            target = f"{destination.arn}/{version.key}"
            await acting.authorise(writes, target, policy=destination.arn)
        except AwsError as error:
            if error.status >= 500 and error.status != 501:
                raise
            continue
        await _apply(acting, bucket, destination, version, change)


async def carry_list(acting: Context, source: Bucket, there: Bucket, version: Version) -> None:
    """Give a new replica its source's list of access, where it has one and the role may see it."""
    if version.more is None or version.more.acl is None:
        return
    try:
        await acting.authorise(
            "s3:GetObjectVersionAcl", f"{source.arn}/{version.key}", policy=source.arn
        )
    except AccessDenied:
        return
    await _apply(acting, source, there, version, _list)


async def _apply(
    acting: Context, source: Bucket, destination: Bucket, version: Version, change: Change
) -> None:
    async def commit(tx: Tx) -> None:
        current = await tx.get(Current, destination.id, version.key)
        replica = await numbered(tx, destination, version.key, version.id, current)
        if replica is None:
            return
        changed = change(source, destination, version, replica)
        if changed != replica:
            tx.put(changed)

    await acting.transact(commit)
