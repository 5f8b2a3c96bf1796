"""What S3 Metadata keeps: a bucket's configuration, and what happened that no table tells of yet.

What happened is a log of the bucket's own, to which the commits add in which it happens. A log's
positions rise with the commits, so they are what the journal is ordered by, and each table says in
its own metadata up to which of them it tells: nothing is told twice, or not at all.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from doppio.kernel.context import Tx
from doppio.kernel.identity import Caller
from doppio.kernel.records import record
from doppio.services.s3.records import Bucket, Version

KIND = "metadata"
CREATE, UPDATE, DELETE = "CREATE", "UPDATE_METADATA", "DELETE"
# Of annotations the journal does not tell, and their table does.
ANNOTATED = ""


class TableState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One table: how far it is (`status` is as on the wire), and S3's code where it has failed.

    `told` is up to where it is known to tell; its own metadata may be further. `refreshed_at` is when
    a table that follows what lies there was last brought up to date.
    """

    name: str
    status: str
    arn: str = ""
    encryption: dict[str, Any] | None = None
    enabled: bool = True
    error: str = ""
    told: int = 0
    refreshed_at: datetime | None = None


@record("s3.metadata", key=("bucket",))
class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket's configuration of S3 Metadata.

    `version` is of the configuration: 1 has a journal alone, in a table bucket of the customer's.
    `since` is the end of the log when it was made. `role` is as whom annotations are read.
    """

    bucket: str
    id: str
    version: int
    table_bucket: str
    namespace: str
    created_at: datetime
    since: int
    journal: TableState
    inventory: TableState | None = None
    expiration_days: int | None = None
    expired_at: datetime | None = None
    annotation: TableState | None = None
    role: str = ""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What happened to a version, and the version as it was then, without its bytes."""

    type: str
    at: datetime
    version: Version
    requester: str
    source_ip: str
    request_id: str


_encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Entry).decode


def log_of(bucket: str) -> str:
    """The log of what happens in a bucket."""
    return f"s3.metadata/{bucket}"


def note(tx: Tx, bucket: Bucket, version: Version, name: str) -> None:
    """Add to what happened in a bucket, if a table tells of such things."""
    kind = record_type(name)
    if kind is None:
        return
    context = tx.context
    by_s3 = context.caller.kind == "service"
    entry = Entry(
        kind,
        context.now,
        msgspec.structs.replace(version, body=None, content=None),
        requester_of(context.caller),
        "" if by_s3 else context.source_ip,
        "" if by_s3 else context.request_id,
    )
    tx.raw.append(log_of(bucket.id), _encode(entry))


def record_type(name: str) -> str | None:
    """What the journal calls what happened; None where no table tells of it."""
    kind = name.partition(":")[0]
    if kind == "ObjectCreated":
        return CREATE
    if kind in {"ObjectRemoved", "LifecycleExpiration"}:
        return DELETE
    if kind == "ObjectAnnotation":
        return ANNOTATED
    return UPDATE if kind in {"ObjectTagging", "LifecycleTransition", "ObjectEncryption"} else None


def requester_of(caller: Caller) -> str:
    """Who the journal says has done it: an account, or S3 for what it does of itself."""
    if caller.kind != "service":
        return caller.account
    return "s3.amazonaws.com" if caller.id == "doppio.amazonaws.com" else caller.id
