"""Replicas: versions that are kept in other buckets, too, with their ids, metadata and bytes.

A durable subscription follows what happens in a bucket. S3 does it as the role of the bucket's
configuration, so the role's policies and the destination's decide. A replica stands among the
versions of its key where its number puts it: whatever comes twice, or late, changes nothing. Where
a destination fails for a while, a timer tries it again; where it refuses, the version says FAILED.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from doppio.kernel.context import Context, Tx
from doppio.kernel.events import Event, Subscription
from doppio.kernel.jobs import Job, JobHandler
from doppio.services.s3 import annotation_replicas, locks, tiering_rules
from doppio.services.s3 import replication_waits as waits
from doppio.services.s3.annotation_replicas import AnnotationReplicas
from doppio.services.s3.bodies import Bodies, Expected, Received
from doppio.services.s3.encryption import Sealing, keys_to_read, sealing_of
from doppio.services.s3.happenings import Happening, happened
from doppio.services.s3.limits import OBJECT_BYTES_MAX
from doppio.services.s3.lookup import bucket_id, newest_older, numbered, version_content
from doppio.services.s3.objects import keep_body
from doppio.services.s3.reclaim import discard_file, share
from doppio.services.s3.records import (
    SEQUENCE_MAX,
    Bucket,
    Current,
    More,
    Older,
    Version,
)
from doppio.services.s3.replica_changes import CHANGES, carry_list, follow_change
from doppio.services.s3.replicated import Source, acting_for, source_of, status_of
from doppio.services.s3.replication_rules import (
    COMPLETED,
    FAILED,
    REPLICA,
    Rule,
    chosen,
    is_sealed_by_customer,
)
from doppio.services.s3.stock import request_type, stored
from doppio.services.s3.tiering import watch
from doppio.services.s3.versions import ENABLED
from doppio.services.s3.zones import check_zone
from doppio.wire.errors import AwsError, ServiceUnavailable

REPLICATE = "s3.replicate"
TRIES_MAX = 60
WAIT_MAX = timedelta(minutes=10)
_MARKED = "ObjectRemoved:DeleteMarkerCreated"


class Replicas:
    """The work of replication."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._annotations = AnnotationReplicas(bodies)

    def subscription(self) -> Subscription:
        """What follows the facts."""
        return Subscription("s3.replicas", (Happening,), self.follow)

    def jobs(self) -> dict[str, JobHandler]:
        """The handlers by the names under which they are scheduled."""
        return {REPLICATE: self.again, **waits.jobs(), **self._annotations.jobs()}

    async def follow(self, ctx: Context, event: Event) -> None:
        """Replicate what happened; an event may come twice."""
        assert isinstance(event, Happening)
        kind = event.name.partition(":")[0]
        if kind == "ObjectCreated" or event.name == _MARKED:
            await self._replicate(ctx, event.key, 0, event.at)
        elif kind in CHANGES:
            await follow_change(ctx, event.key, kind)
        elif kind == annotation_replicas.KIND:
            await self._annotations.follow(ctx, event.key)

    async def again(self, ctx: Context, job: Job) -> None:
        """Try once more what could not be replicated."""
        given = job.arguments
        since = datetime.fromisoformat(given["since"])
        key = (given["bucket"], given["object"], given["version"])
        await self._replicate(ctx, key, given["tries"], since)

    async def _replicate(
        self, ctx: Context, key: tuple[str, ...], tries: int, since: datetime
    ) -> None:
        source = await source_of(ctx, key)
        rules = [] if source is None else chosen(source.document, source.version)
        if source is None or not rules:
            if tries:
                await _drop(ctx, key)
            return
        if status_of(source.version) == REPLICA:
            return
        tried = await self._try(source, rules)
        if tried.passing and tries < TRIES_MAX:
            await _wait(source, tries, since, list(tried.passing))
        else:
            await _settle(source, rules, {**tried.passing, **tried.refused}, since)

    async def existing(self, ctx: Context, bucket: Bucket, key: str, version: str) -> None:
        """Replicate what is there already, a replica too. Raises Unreplicated with S3's reason."""
        source = await source_of(ctx, (bucket.id, key, version))
        if source is None:
            raise Unreplicated("ReplicationConfigurationOrVersionNotFound")
        rules = chosen(source.document, source.version)
        if not rules:
            raise Unreplicated("ObjectNotEligible")
        tried = await self._try(source, rules)
        if tried.passing:
            raise ServiceUnavailable
        await _settle(source, rules, tried.refused, ctx.now)
        if tried.refused:
            raise Unreplicated(next(iter(tried.refused.values())))

    async def _try(self, source: Source, rules: list[Rule]) -> _Tried:
        """Replicate by all rules: what was refused, and what failed for a while, if anything."""
        tried = _Tried({}, {})
        for rule in rules:
            try:
                with _or("AssumeRoleNotPermitted"):
                    acting = await acting_for(source)
                await self._copy(acting, source.bucket, source.version, rule)
            except _Refused as refused:
                tried.refused[rule.id] = str(refused)
            except AwsError as error:
                tried.passing[rule.id] = error.code
        return tried

    async def _copy(self, acting: Context, bucket: Bucket, version: Version, rule: Rule) -> None:
        destination = await acting.read().get(Bucket, bucket_id(acting, rule.bucket))
        if destination is None or rule.account not in {None, destination.account}:
            raise _Refused("DstBucketNotFound")
        if destination.versioning != ENABLED:
            raise _Refused("DstBucketUnversioned")
        there = acting.derive(acting.caller, region=destination.region)
        there.account = acting.account
        target = f"{destination.arn}/{version.key}"
        if version.marker:
            with _or("DstDelObjNotPermitted"):
                await acting.authorise("s3:ReplicateDelete", target, policy=destination.arn)
            await there.transact(lambda tx: _place(tx, destination, _replica(version, rule, None)))
            return
        source = f"{bucket.arn}/{version.key}"
        with _or("SrcGetObjectNotPermitted"):
            await acting.authorise("s3:GetObjectVersionForReplication", source, policy=bucket.arn)
            if version.tags:
                await acting.authorise("s3:GetObjectVersionTagging", source, policy=bucket.arn)
        with _or("DstPutObjectNotPermitted"):
            await acting.authorise("s3:ReplicateObject", target, policy=destination.arn)
            if version.tags:
                await acting.authorise("s3:ReplicateTags", target, policy=destination.arn)
        if not await _has(there, destination, version):
            await self._make(acting, there, bucket, destination, version, rule)
        await carry_list(acting, bucket, destination, version)
        await self._annotations.come_along(acting, bucket, version, destination)

    async def _make(
        self,
        acting: Context,
        there: Context,
        bucket: Bucket,
        destination: Bucket,
        version: Version,
        rule: Rule,
    ) -> None:
        """Put the replica's bytes and its record in their place."""
        await check_zone(acting.read(), bucket, version.storage_class)
        await check_zone(acting.read(), destination, rule.storage_class or version.storage_class)
        if is_sealed_by_customer(version):
            await self._shared(there, bucket, destination, version, rule)
            return
        with _or("DstKmsKeyInvalidState"):
            sealing = await sealing_of(there, destination, _asked(version, rule), version.key)
        with _or("SrcKmsKeyInvalidState"):
            keys = await keys_to_read(acting, {}, version.more)
        if sealing is None and keys is None:
            await self._shared(there, bucket, destination, version, rule)
            return
        content = await version_content(acting.read(), version)
        received = await self._bodies.receive(
            there,
            self._bodies.read(there, version, content, 0, version.size, keys),
            Expected(None, None, None),
            algorithm=version.checksum.algorithm if version.checksum else "CRC64NVME",
            bytes_max=OBJECT_BYTES_MAX,
            keys=None if sealing is None else sealing.keys,
        )
        await self._kept(there, destination, version, rule, received, sealing)

    async def _shared(
        self, there: Context, bucket: Bucket, destination: Bucket, seen: Version, rule: Rule
    ) -> None:
        """Both versions have the same bytes on disk."""

        async def commit(tx: Tx) -> None:
            current = await tx.get(Current, bucket.id, seen.key)
            version = await numbered(tx, bucket, seen.key, seen.id, current)
            if version is None:
                return
            sealed = version.more.sealed if version.more is not None else None
            made = _replica(version, rule, More(sealed=sealed), destination)
            if await _place(tx, destination, made) and version.content is not None:
                await share(tx, version.content)

        await there.transact(commit)

    async def _kept(
        self,
        there: Context,
        destination: Bucket,
        version: Version,
        rule: Rule,
        received: Received,
        sealing: Sealing | None,
    ) -> None:
        """The replica has bytes of its own, under a key of its own."""

        async def commit(tx: Tx) -> None:
            sealed = None if sealing is None else sealing.sealed
            made = _replica(version, rule, More(sealed=sealed), destination)
            placed = await _place(tx, destination, made, received)
            if not placed and received.blob is not None:
                # Somebody else has done it meanwhile.
                await discard_file(tx, received.blob)

        await self._bodies.claim(there, received, commit)


class _Tried(NamedTuple):
    """What did not go, by the rules' ids: reasons that stay, and errors that pass."""

    refused: dict[str, str]
    passing: dict[str, str]


class Unreplicated(AwsError):
    """A version that Batch Operations could not have replicated; the text is S3's reason."""

    code = "ReplicationFailed"


class _Refused(Exception):
    """What will not be better the next time, in S3's word for it.

    Source: "Amazon S3 replication failure reasons" in the user guide.
    """


@contextmanager
def _or(reason: str) -> Iterator[None]:
    """What is refused here has this reason; what fails for a while is tried again."""
    try:
        yield
    except AwsError as error:
        if error.status >= 500 and error.status != 501:
            raise
        raise _Refused(reason) from error


def _asked(version: Version, rule: Rule) -> dict[str, Any]:
    """What a request would say that wants the replica encrypted as its source is."""
    sealed = None if version.more is None else version.more.sealed
    if sealed is None:
        return {}
    if sealed.key_id:
        return {"ServerSideEncryption": sealed.kind, "SSEKMSKeyId": rule.key}
    return {"ServerSideEncryption": sealed.kind}


def _replica(
    version: Version, rule: Rule, more: More | None, destination: Bucket | None = None
) -> Version:
    """A version as it stands in the destination, but for its bucket."""
    if more is not None:
        own = version.more or More()
        more = msgspec.structs.replace(more, replication=REPLICA)
        if destination is not None and locks.KIND in destination.kinds:
            more = msgspec.structs.replace(more, held=own.held, retention=own.retention)
    return msgspec.structs.replace(
        version, more=more, storage_class=rule.storage_class or version.storage_class
    )


async def _has(ctx: Context, destination: Bucket, version: Version) -> bool:
    reader = ctx.read()
    current = await reader.get(Current, destination.id, version.key)
    return await numbered(reader, destination, version.key, version.id, current) is not None


async def _place(
    tx: Tx, bucket: Bucket, replica: Version, received: Received | None = None
) -> bool:
    """Put a replica among the versions of its key, by its number; False if it is there."""
    key = replica.key
    current = await tx.get(Current, bucket.id, key)
    newest = current or await newest_older(tx, bucket, key)
    on_top = newest is None or newest.sequence < replica.sequence
    if not on_top:
        place = SEQUENCE_MAX - replica.sequence
        taken = newest is not None and newest.sequence == replica.sequence
        if taken or await tx.get(Older, bucket.id, key, place) is not None:
            return False
    if replica.storage_class == tiering_rules.CLASS:
        await watch(tx, bucket)
    fields = {**msgspec.structs.asdict(replica), "bucket": bucket.id}
    if received is not None:
        fields["body"], fields["content"] = keep_body(tx, received)
    if on_top and current is not None:
        tx.add(Older(**msgspec.structs.asdict(current)))
        if replica.marker:
            tx.delete(current)
    leads = on_top and not replica.marker
    made: Version = tx.put(Current(**fields)) if leads else tx.add(Older(**fields))
    stored(tx, made)
    happened(tx, bucket, made, _MARKED if made.marker else "ObjectCreated:Put")
    tx.meter(request_type(1, made.storage_class))
    tx.meter("Replication-Bytes", made.size)
    return True


async def _wait(source: Source, tries: int, since: datetime, rules: list[str]) -> None:
    """Try later, and look when somebody is to be told that it takes too long."""
    home, bucket, version = source.home, source.bucket, source.version
    late = [rule for rule in chosen(source.document, version) if rule.id in rules]
    async with home.write() as tx:
        at = home.clock.now() + min(timedelta(seconds=2**tries), WAIT_MAX)
        threshold = await waits.wait(tx, bucket, version, late, since)
        await tx.schedule(
            at if threshold is None else min(at, threshold), REPLICATE,
            f"{bucket.id}/{version.id}/{version.key}", bucket=bucket.id, object=version.key,
            version=version.id, tries=tries + 1, since=since.isoformat(),
        )  # fmt: skip


async def _drop(ctx: Context, key: tuple[str, ...]) -> None:
    bucket = await ctx.read().get(Bucket, key[0])
    if bucket is not None:
        await waits.drop(ctx, bucket, key[1], key[2])


async def _settle(
    source: Source, rules: list[Rule], failed: dict[str, str], since: datetime
) -> None:
    """Say of a version how its replication has ended; by the rules' ids, why it failed."""
    home, bucket, seen = source.home, source.bucket, source.version
    come = [rule for rule in rules if rule.id not in failed]

    async def commit(tx: Tx) -> None:
        await waits.settle(tx, bucket, seen, come, since)
        current = await tx.get(Current, bucket.id, seen.key)
        version = await numbered(tx, bucket, seen.key, seen.id, current)
        if version is None:
            return
        if not version.marker and status_of(version) != REPLICA:
            more = version.more or More()
            more = msgspec.structs.replace(more, replication=FAILED if failed else COMPLETED)
            tx.put(msgspec.structs.replace(version, more=more))
        for rule in rules:
            if rule.id in failed:
                waits.tell_failed(tx, bucket, version, rule, failed[rule.id])

    await home.transact(commit)
    for rule in rules:
        waits.measure(home, bucket, rule, since, failed=rule.id in failed)
