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
from typing import Any

import msgspec

from doppio.kernel.context import Context, Tx
from doppio.kernel.events import Event, Subscription
from doppio.kernel.jobs import Job, JobHandler
from doppio.services.s3 import locks, tiering_rules
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
from doppio.services.s3.replication_rules import (
    COMPLETED,
    FAILED,
    KIND,
    REPLICA,
    Rule,
    chosen,
    is_sealed_by_customer,
)
from doppio.services.s3.settings import setting
from doppio.services.s3.stock import request_type, stored
from doppio.services.s3.tiering import watch
from doppio.services.s3.versions import ENABLED
from doppio.services.s3.zones import check_zone
from doppio.wire.errors import AwsError, ServiceUnavailable

REPLICATE = "s3.replicate"
SESSION = "s3-replication"
TRIES_MAX = 60
WAIT_MAX = timedelta(minutes=10)
_MARKED = "ObjectRemoved:DeleteMarkerCreated"


class Replicas:
    """The work of replication."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies

    def subscription(self) -> Subscription:
        """What follows the facts."""
        return Subscription("s3.replicas", (Happening,), self.follow)

    def jobs(self) -> dict[str, JobHandler]:
        """The handlers by the names under which they are scheduled."""
        return {REPLICATE: self.again}

    async def follow(self, ctx: Context, event: Event) -> None:
        """Replicate what happened; an event may come twice."""
        assert isinstance(event, Happening)
        kind = event.name.partition(":")[0]
        if kind == "ObjectCreated" or event.name == _MARKED:
            await self._replicate(ctx, event.key, 0, event.at)
        elif kind == "ObjectTagging":
            await self._retag(ctx, event.key)

    async def again(self, ctx: Context, job: Job) -> None:
        """Try once more what could not be replicated."""
        given = job.arguments
        since = datetime.fromisoformat(given["since"])
        key = (given["bucket"], given["object"], given["version"])
        await self._replicate(ctx, key, given["tries"], since)

    async def _replicate(
        self, ctx: Context, key: tuple[str, ...], tries: int, since: datetime
    ) -> None:
        found = await self._found(ctx, key)
        if found is None:
            return
        home, bucket, version, document = found
        if _status(version) == REPLICA:
            return
        rules = chosen(document, version)
        reason, passing = await self._try(home, bucket, version, document, rules)
        waits = bool(passing) and tries < TRIES_MAX
        reason = reason or passing
        late = [rule for rule in rules if rule.minutes and _is_late(ctx, since, rule.minutes)]
        if waits:
            await _wait(home, bucket, version, tries, since, late)
        elif rules:
            await _settle(home, bucket, version, reason, late)

    async def existing(self, ctx: Context, bucket: Bucket, key: str, version: str) -> None:
        """Replicate what is there already, a replica too. Raises Unreplicated with S3's reason."""
        found = await self._found(ctx, (bucket.id, key, version))
        if found is None:
            raise Unreplicated("ReplicationConfigurationOrVersionNotFound")
        home, bucket, seen, document = found
        rules = chosen(document, seen)
        if not rules:
            raise Unreplicated("ObjectNotEligible")
        reason, passing = await self._try(home, bucket, seen, document, rules)
        if passing:
            raise ServiceUnavailable
        await _settle(home, bucket, seen, reason, [])
        if reason:
            raise Unreplicated(reason.rpartition("/")[2])

    async def _try(
        self,
        home: Context,
        bucket: Bucket,
        version: Version,
        document: dict[str, Any],
        rules: list[Rule],
    ) -> tuple[str, str]:
        """Replicate by all rules: what was refused, and what failed for a while, if anything."""
        reason = passing = ""
        for rule in rules:
            try:
                with _or("AssumeRoleNotPermitted"):
                    acting = await _acting(home, bucket, document)
                await self._copy(acting, bucket, version, rule)
            except _Refused as refused:
                reason = f"{rule.id}/{rule.bucket}/{refused}"
            except AwsError as error:
                passing = f"{rule.id}/{rule.bucket}/{error.code}"
        return reason, passing

    async def _found(
        self, ctx: Context, key: tuple[str, ...]
    ) -> tuple[Context, Bucket, Version, dict[str, Any]] | None:
        """The bucket and the version, if they are still there and replicated at all."""
        reader = ctx.read()
        bucket = await reader.get(Bucket, key[0])
        document = None if bucket is None else await setting(reader, bucket, KIND)
        if bucket is None or document is None:
            return None
        current = await reader.get(Current, bucket.id, key[1])
        version = await numbered(reader, bucket, key[1], key[2], current)
        if version is None:
            return None
        home = ctx.derive(ctx.caller, region=bucket.region)
        home.account = bucket.account
        return home, bucket, version, document

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
        if await _has(there, destination, version):
            return
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

    async def _retag(self, ctx: Context, key: tuple[str, ...]) -> None:
        """Take changed tags to the replicas of a version."""
        found = await self._found(ctx, key)
        if found is None:
            return
        home, bucket, version, document = found
        status = _status(version)
        if not status:
            return
        for rule in chosen(document, version):
            if status == REPLICA and not rule.modifications:
                continue
            try:
                acting = await _acting(home, bucket, document)
                destination = await acting.read().get(Bucket, bucket_id(acting, rule.bucket))
                if destination is None:
                    continue
                target = f"{destination.arn}/{version.key}"
                await acting.authorise("s3:ReplicateTags", target, policy=destination.arn)
            except AwsError:
                continue
            await _tag(acting, destination, version)


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


async def _acting(home: Context, bucket: Bucket, document: dict[str, Any]) -> Context:
    return await home.as_role(document["Role"], "s3", source=bucket.arn, session=SESSION)


def _status(version: Version) -> str:
    return "" if version.more is None else version.more.replication


def _is_late(ctx: Context, since: datetime, minutes: int) -> bool:
    return ctx.clock.now() - since > timedelta(minutes=minutes)


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


async def _tag(acting: Context, destination: Bucket, version: Version) -> None:
    async def commit(tx: Tx) -> None:
        current = await tx.get(Current, destination.id, version.key)
        replica = await numbered(tx, destination, version.key, version.id, current)
        if replica is not None and replica.tags != version.tags:
            tx.put(msgspec.structs.replace(replica, tags=version.tags))

    await acting.transact(commit)


async def _wait(
    home: Context,
    bucket: Bucket,
    version: Version,
    tries: int,
    since: datetime,
    late: list[Rule],
) -> None:
    wait = min(timedelta(seconds=2**tries), WAIT_MAX)
    async with home.write() as tx:
        if late and not tries % 10:
            _tell(tx, bucket, version, late[0], "Replication:OperationMissedThreshold")
        await tx.schedule(
            home.clock.now() + wait, REPLICATE, f"{bucket.id}/{version.id}/{version.key}",
            bucket=bucket.id, object=version.key, version=version.id, tries=tries + 1,
            since=since.isoformat(),
        )  # fmt: skip


async def _settle(
    home: Context, bucket: Bucket, seen: Version, reason: str, late: list[Rule]
) -> None:
    """Say of a version how its replication has ended."""

    async def commit(tx: Tx) -> None:
        current = await tx.get(Current, bucket.id, seen.key)
        version = await numbered(tx, bucket, seen.key, seen.id, current)
        if version is None:
            return
        if not version.marker and _status(version) != REPLICA:
            more = version.more or More()
            more = msgspec.structs.replace(more, replication=FAILED if reason else COMPLETED)
            tx.put(msgspec.structs.replace(version, more=more))
        if reason:
            rule, name, code = reason.split("/", 2)
            detail = _detail(rule, name, version) | {"failureReason": code}
            happened(tx, bucket, version, "Replication:OperationFailedReplication", detail)
        elif late:
            name = "Replication:OperationReplicatedAfterThreshold"
            _tell(tx, bucket, version, late[0], name)

    await home.transact(commit)


def _tell(tx: Tx, bucket: Bucket, version: Version, rule: Rule, name: str) -> None:
    detail = _detail(rule.id, rule.bucket, version) | {"threshold": str(rule.minutes)}
    happened(tx, bucket, version, name, detail)


def _detail(rule: str, bucket: str, version: Version) -> dict[str, str]:
    """What S3's message says beside the version. Source: "Event message structure"."""
    return {
        "replicationRuleId": rule,
        "destinationBucket": f"arn:aws:s3:::{bucket}",
        "s3Operation": "OBJECT_DELETE_MARKER" if version.marker else "OBJECT_PUT",
        "requestTime": version.modified.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    }
