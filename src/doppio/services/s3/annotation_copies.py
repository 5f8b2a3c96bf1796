"""Annotations that go along with a copy of their version, or with its new encryption.

Plain ones share their bytes as versions do. Where either side is encrypted, each is sealed anew,
under the data keys of the version that it comes to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.service import Need
from doppio.services.s3 import points
from doppio.services.s3.annotations import annotated_of, keys_of_annotation
from doppio.services.s3.beyond import RECORDS
from doppio.services.s3.bodies import Bodies, Expected, Received
from doppio.services.s3.directory_errors import FunctionNotImplemented
from doppio.services.s3.encryption import opaque_etag
from doppio.services.s3.errors import InvalidArgument, SlowDown
from doppio.services.s3.limits import (
    ANNOTATION_BYTES_MAX,
    ANNOTATIONS_MAX,
    BODY_IN_RECORD_BYTES_MAX,
)
from doppio.services.s3.objects import keep_body
from doppio.services.s3.reclaim import share
from doppio.services.s3.records import Annotated, Annotation, Bucket, Content, More, Version
from doppio.services.s3.sealing import DataKeys
from doppio.services.s3.stock import annotated

COPY = "COPY"


class Carried(NamedTuple):
    """An annotation as it is to stand with another version, and its bytes sealed for there."""

    annotation: Annotation
    received: Received


async def to_copy(
    ctx: Context, req: Mapping[str, Any], source: Bucket, version: Version, bucket: Bucket
) -> Annotated | None:
    """The annotations that a copy takes along, if any; who copies must be allowed to."""
    directive = req.get("AnnotationDirective", COPY)
    if directive not in {COPY, "EXCLUDE"}:
        raise InvalidArgument(
            "Unknown annotation directive.",
            ArgumentName="x-amz-object-annotation-directive",
            ArgumentValue=directive,
        )
    found = annotated_of(version)
    if found is None or directive != COPY:
        return None
    if bucket.zone:
        # Directory buckets have no annotations: who copies there says EXCLUDE.
        raise FunctionNotImplemented
    target = f"{bucket.arn}/{req['Key']}"
    origin = f"{source.arn}/{version.key}"
    await points.authorise(
        ctx,
        Need("s3:GetObjectAnnotation", origin, policy=source.arn, beyond=RECORDS),
        source=True,
    )
    await points.authorise(
        ctx, Need("s3:PutObjectAnnotation", target, policy=bucket.arn, beyond=RECORDS)
    )
    return found


def check_unchanged(version: Version, seen: Annotated | None) -> None:
    """Raise what may be tried again where annotations changed while they were copied."""
    if seen is not None and annotated_of(version) != seen:
        raise SlowDown("The annotations of the source object changed; please try again.")


async def resealed(
    ctx: Context,
    bodies: Bodies,
    seen: Annotated,
    before: DataKeys | None,
    after: DataKeys | None,
    more: More | None,
) -> list[Carried]:
    """All annotations of a version, opened and sealed for one with `after` as its data keys.

    Only the smallest stay in memory. `more` is that of the version to which they come.
    """
    reader = ctx.read()
    carried = []
    for one in await _all(reader, seen):
        content = None if one.content is None else await reader.get(Content, one.content)
        salt = ctx.new_id("hex32") if after else ""
        received = await bodies.receive(
            ctx,
            bodies.read(ctx, one, content, 0, one.size, keys_of_annotation(before, one.salt)),
            Expected(None, None, None),
            algorithm=one.checksum.algorithm,
            bytes_max=ANNOTATION_BYTES_MAX,
            file=one.size > BODY_IN_RECORD_BYTES_MAX,
            keys=keys_of_annotation(after, salt),
        )
        etag = opaque_etag(ctx, more) or received.etag
        carried.append(Carried(msgspec.structs.replace(one, salt=salt, etag=etag), received))
    return carried


async def shared(tx: Tx, bucket: Bucket, seen: Annotated) -> Annotated:
    """The same plain annotations for one version more."""
    home = tx.context.new_id("hex32")
    for one in await _all(tx, seen):
        if one.content is not None:
            await share(tx, one.content)
        tx.add(_anew(tx, one, home=home))
        tx.meter("Requests-Tier1")
    annotated(tx, bucket.id, seen.size)
    return Annotated(home, seen.count, seen.size)


def kept(tx: Tx, bucket: Bucket, seen: Annotated, carried: list[Carried]) -> Annotated:
    """Annotations that were sealed anew, for the version that they come to."""
    home = tx.context.new_id("hex32")
    for one, received in carried:
        body, content = keep_body(tx, received)
        tx.add(_anew(tx, one, home=home, body=body, content=content))
        tx.meter("Requests-Tier1")
    annotated(tx, bucket.id, seen.size)
    return Annotated(home, seen.count, seen.size)


def with_annotations(more: More | None, found: Annotated | None) -> More | None:
    """The rare fields of a version that has these annotations."""
    return more if found is None else msgspec.structs.replace(more or More(), annotated=found)


async def _all(reader: Reader, seen: Annotated) -> list[Annotation]:
    return await reader.list(Annotation, (seen.home,), limit=ANNOTATIONS_MAX)


def _anew(tx: Tx, one: Annotation, **changes: Any) -> Annotation:
    """The same annotation of another version, or with other bytes."""
    now = tx.context.now.replace(microsecond=0)
    return msgspec.structs.replace(one, modified=now, replication="", source="", **changes)
