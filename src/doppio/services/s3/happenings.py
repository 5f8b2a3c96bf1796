"""What happens to objects, said in the commit in which it happens.

Notifications, replication and other consequences follow these facts; buckets that ask for none of
them say nothing, and pay nothing.
"""

from __future__ import annotations

from datetime import datetime

from doppio.kernel.context import Tx
from doppio.kernel.events import Event
from doppio.services.s3 import metadata_records
from doppio.services.s3.records import Bucket, Version

# The kinds of settings that follow what happens in a bucket.
FOLLOWING = frozenset({"notification", "replication"})


class Happening(Event, frozen=True, kw_only=True):
    """Something happened to a version; `key` is (bucket id, object key, version id).

    `name` is S3's name of it without the `s3:` in front, such as `ObjectCreated:Put`. Size and ETag
    are told as they were then: the version may be gone when the message is written. `detail` is what
    there is to say beside that: of replication, classes of storage, restored copies.
    """

    name: str
    at: datetime
    request_id: str
    sequence: int
    size: int
    etag: str
    principal: str
    source_ip: str
    detail: dict[str, str] | None = None


def happened(
    tx: Tx, bucket: Bucket, version: Version, name: str, detail: dict[str, str] | None = None
) -> None:
    """Say that something happened to a version, where the bucket's settings follow it."""
    kinds = bucket.kinds
    if not kinds:
        return
    if metadata_records.KIND in kinds:
        metadata_records.note(tx, bucket, version, name)
    if FOLLOWING.isdisjoint(kinds):
        return
    context = tx.context
    tx.emit(
        Happening(
            key=(bucket.id, version.key, version.id),
            name=name,
            at=context.now,
            request_id=context.request_id,
            sequence=version.sequence,
            size=version.size,
            etag=version.etag,
            principal=context.caller.id,
            source_ip=context.source_ip,
            detail=detail,
        )
    )
