"""Annotations of versions that are replicated: their replicas bear the same.

What stands with a replica is compared with what stands with its source, name by name, so it may be
done at any time, again, and in the middle of it. Annotations that somebody put on a replica himself
are left alone. Where a destination fails for a while a timer tries again; where it refuses, the
annotations say FAILED, and the version does not.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.jobs import Job, JobHandler
from doppio.services.s3.annotations import (
    annotated_of,
    keys_of_annotation,
    put_annotation,
    take_off,
)
from doppio.services.s3.bodies import Bodies, Expected
from doppio.services.s3.encryption import keys_to_read, opaque_etag
from doppio.services.s3.limits import ANNOTATION_BYTES_MAX, ANNOTATIONS_MAX
from doppio.services.s3.lookup import bucket_id, numbered
from doppio.services.s3.records import Annotation, Bucket, Content, Current, Version
from doppio.services.s3.replicated import Source, acting_for, source_of, status_of
from doppio.services.s3.replication_rules import COMPLETED, FAILED, PENDING, REPLICA, chosen
from doppio.services.s3.sealing import DataKeys
from doppio.wire.errors import AwsError, ServiceUnavailable

KIND = "ObjectAnnotation"
AGAIN = "s3.replicate_annotations"
TRIES_MAX = 60
WAIT_MAX = timedelta(minutes=10)


class AnnotationReplicas:
    """What follows when annotations of replicated versions change."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies

    def jobs(self) -> dict[str, JobHandler]:
        """The handler by the name under which it is scheduled."""
        return {AGAIN: self._again}

    async def follow(self, ctx: Context, key: tuple[str, ...], tries: int = 0) -> None:
        """Take the annotations of a version to its replicas; `key` is a happening's."""
        source = await source_of(ctx, key)
        if source is None or status_of(source.version) in {"", REPLICA}:
            return
        for rule in chosen(source.document, source.version):
            acting: Context | None = None
            try:
                acting = await acting_for(source)
                destination = await acting.read().get(Bucket, bucket_id(acting, rule.bucket))
                if destination is not None:
                    await self.carry(acting, source.bucket, source.version, destination)
            except AwsError as error:
                if _passes(error) and tries < TRIES_MAX:
                    await _wait(source, tries)
                    return
                await failed(acting or source.home, source.version)

    async def _again(self, ctx: Context, job: Job) -> None:
        given = job.arguments
        key = (given["bucket"], given["object"], given["version"])
        await self.follow(ctx, key, given["tries"])

    async def come_along(
        self, acting: Context, bucket: Bucket, version: Version, destination: Bucket
    ) -> None:
        """The same for a replica that has just been made. Raises what passes."""
        if annotated_of(version) is None:
            return
        try:
            await self.carry(acting, bucket, version, destination)
        except AwsError as error:
            if _passes(error):
                raise
            await failed(acting, version)

    async def carry(
        self, acting: Context, bucket: Bucket, version: Version, destination: Bucket
    ) -> None:
        """Make a replica's annotations those of its source, as the role `acting`."""
        source, target = f"{bucket.arn}/{version.key}", f"{destination.arn}/{version.key}"
        await acting.authorise("s3:GetObjectVersionForReplication", source, policy=bucket.arn)
        await acting.authorise("s3:ReplicateObject", target, policy=destination.arn)
        there = acting.derive(acting.caller, region=destination.region)
        there.account = acting.account
        reader = acting.read()
        replica = await _version(reader, destination, version)
        if replica is None:
            if status_of(version) == PENDING:
                raise ServiceUnavailable("The version itself is still on its way.")
            await failed(acting, version)
            return
        wanted = {one.name: one for one in await _all(reader, version)}
        found = {one.name: one for one in await _all(reader, replica) if one.replication == REPLICA}
        new = [one for one in wanted.values() if _state(found.get(one.name)) != one.etag]
        before = after = None
        if new:
            before = await keys_to_read(acting, {}, version.more)
            after = await keys_to_read(there, {}, replica.more)
        for one in new:
            await _bring(self._bodies, there, destination, replica, one, before, after)
        await say(acting, list(wanted.values()), COMPLETED)
        for name in found.keys() - wanted.keys():
            await _drop(there, destination, version, name)


async def _wait(source: Source, tries: int) -> None:
    home, bucket, version = source.home, source.bucket, source.version
    async with home.write() as tx:
        await tx.schedule(
            home.clock.now() + min(timedelta(seconds=2**tries), WAIT_MAX), AGAIN,
            f"{bucket.id}/{version.id}/{version.key}", bucket=bucket.id, object=version.key,
            version=version.id, tries=tries + 1,
        )  # fmt: skip


def _passes(error: AwsError) -> bool:
    return error.status >= 500 and error.status != 501


async def say(acting: Context, some: list[Annotation], status: str) -> None:
    """Say of annotations how far their replication is, unless they have changed since."""

    async def commit(tx: Tx) -> None:
        for one in some:
            again = await tx.get(Annotation, one.home, one.name)
            if again is not None and again.etag == one.etag and again.replication != status:
                tx.put(msgspec.structs.replace(again, replication=status))

    await acting.transact(commit)


async def failed(acting: Context, version: Version) -> None:
    """Say of annotations that they were refused."""
    waiting = await _all(acting.read(), version)
    await say(acting, [one for one in waiting if one.replication != COMPLETED], FAILED)


def _state(replica: Annotation | None) -> str:
    """Of which state of its source an annotation is the replica."""
    return "" if replica is None else replica.source


async def _bring(
    bodies: Bodies,
    there: Context,
    destination: Bucket,
    replica: Version,
    one: Annotation,
    before: DataKeys | None,
    after: DataKeys | None,
) -> None:
    content = None if one.content is None else await there.read().get(Content, one.content)
    salt = there.new_id("hex32") if after else ""
    received = await bodies.receive(
        there,
        bodies.read(there, one, content, 0, one.size, keys_of_annotation(before, one.salt)),
        Expected(None, None, None),
        algorithm=one.checksum.algorithm,
        bytes_max=ANNOTATION_BYTES_MAX,
        keys=keys_of_annotation(after, salt),
    )
    made = Annotation(
        home="",
        name=one.name,
        modified=one.modified,
        size=received.size,
        etag=opaque_etag(there, replica.more) or received.etag,
        checksum=received.checksum,
        salt=salt,
        replication=REPLICA,
        source=one.etag,
    )

    async def commit(tx: Tx) -> None:
        again = await _version(tx, destination, replica)
        if again is not None:
            await put_annotation(tx, destination, again, made, received)

    await bodies.claim(there, received, commit)


async def _drop(there: Context, destination: Bucket, version: Version, name: str) -> None:
    """Take off a replica's annotation whose source is gone."""

    async def commit(tx: Tx) -> None:
        replica = await _version(tx, destination, version)
        home = None if replica is None else annotated_of(replica)
        found = None if home is None else await tx.get(Annotation, home.home, name)
        if replica is not None and found is not None and found.replication == REPLICA:
            await take_off(tx, destination, replica, found)

    await there.transact(commit)


async def _version(reader: Reader, bucket: Bucket, seen: Version) -> Version | None:
    current = await reader.get(Current, bucket.id, seen.key)
    return await numbered(reader, bucket, seen.key, seen.id, current)


async def _all(reader: Reader, version: Version) -> list[Annotation]:
    home = annotated_of(version)
    if home is None:
        return []
    return await reader.list(Annotation, (home.home,), limit=ANNOTATIONS_MAX)
