"""What S3 stores.

Where a version stands says what it is:

- `Current`, under (bucket, key): what a GET without a version answers. Never a delete marker.
- `Older`, under (bucket, key, newest first): every other version, and all delete markers, also
  the one that hides a key. Only buckets that are or were versioned have them.

The newest of a key is its `Current` if it has one, else its first `Older`. Sequence numbers rise
with each version of a key; a version id holds its number, so that it leads straight to its row.

The bytes of a version lie in its record, or in a `Content` that copies share by counting. A file
is claimed by a `Blob` in the same commit as what refers to it: a file without one is rubbish.

Rows that there are many of are stored as arrays: a new field goes to the end, with a default. The
garbage collector is not told of them (`gc=False`), for they can hold no cycle: that takes two fifths
off the time of reading one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from doppio.kernel.records import Index, record
from doppio.services.s3.extracts import extract_of

OWNED: Index[Bucket] = Index("owned", ("account", "name"))
NULLS: Index[Older] = Index("nulls", ("bucket", "null_key"))

# Sequence numbers are microseconds since 1970; what sorts newest first is counted down from here.
SEQUENCE_MAX = 2**63 - 1


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """A line of an access control list; `grantee` is a canonical user's id or a group's URI."""

    grantee: str
    permission: str


@record("s3.bucket", key=("id",), indexes=(OWNED,))
class Bucket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A bucket and what it is set to.

    `versioning` and `mfa_delete` are as on the wire, and empty while they were never set. `encryption` and the others
    are the documents as they were put; None means that there is none. `kinds` names the further
    settings that the bucket has (`Setting`), so that a request reads none of them in vain. `acl` is
    its list of access once one was put, and `abac` lets its tags count in policies. `account_block`
    is a copy of what its account blocks (`AccountBlock`), so that a request reads it nowhere else.
    `zone` is the id of the one zone in which a directory bucket lies, `kms_key` the only key of KMS
    that such a bucket has ever had. `table` is the ARN of the table of S3 Tables whose warehouse the
    bucket is. `extracts`: all that is in it has an extract, which very old buckets cannot say.
    """

    id: str
    name: str
    partition: str
    account: str
    region: str
    created_at: datetime
    versioning: str = ""
    ownership: str | None = "BucketOwnerEnforced"
    public_access_block: dict[str, bool] | None = None
    encryption: dict[str, Any] | None = None
    cors: list[dict[str, Any]] | None = None
    policy: str | None = None
    tags: dict[str, str] = {}
    kinds: list[str] = []
    acl: list[Grant] | None = None
    abac: bool = False
    account_block: dict[str, bool] | None = None
    requester_pays: bool = False
    mfa_delete: str = ""
    zone: str = ""
    kms_key: str = ""
    table: str = ""
    extracts: bool = False

    @property
    def arn(self) -> str:
        if self.zone:
            place = f"arn:{self.partition}:s3express:{self.region}:{self.account}"
            return f"{place}:bucket/{self.name}"
        return f"arn:{self.partition}:s3:::{self.name}"

    @property
    def told(self) -> str:
        """What KMS is told of in encryption contexts: the bucket, or the table whose it is."""
        return self.table or self.arn

    def blocks(self, setting: str) -> bool:
        """Whether the bucket or its account blocks public access in this way: either is enough."""
        block, account_block = self.public_access_block, self.account_block
        return (block is not None and block.get(setting, False)) or (
            account_block is not None and account_block.get(setting, False)
        )


@record("s3.account_block", key=("account",))
class AccountBlock(msgspec.Struct, frozen=True, kw_only=True):
    """What an account blocks of public access, in all its buckets.

    `held`: its organisation says so, and `own` is what counts again when it does no more.
    """

    account: str
    settings: dict[str, bool]
    held: bool = False
    own: dict[str, bool] | None = None


@record("s3.setting", key=("bucket", "kind", "id"))
class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What a bucket is set to beside its record; `id` where it may have several of a kind."""

    bucket: str
    kind: str
    id: str = ""
    document: dict[str, Any]


@record("s3.holdings", key=("account",))
class Holdings(msgspec.Struct, frozen=True, kw_only=True):
    """How many buckets an account has, and how many directory buckets by Region."""

    account: str
    buckets: int = 0
    directories: dict[str, int] = {}


@record("s3.measured", key=("bucket",))
class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """The byte-hours of a bucket that have been metered, by usage type, since it was made."""

    bucket: str
    totals: dict[str, float]


class Checksum(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A checksum beside the ETag: `value` is base64, and `-N` behind it where composite."""

    algorithm: str
    value: str
    kind: str = "FULL_OBJECT"


class Sealed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a version's bytes are encrypted.

    `kind` is as on the wire, or `customer`. `keys` are wrapped data keys, or the salt of a
    customer's key, of which `md5` and `proof` tell whether a request brings the same.
    """

    kind: str
    keys: list[bytes]
    key_id: str = ""
    context: dict[str, str] = {}
    given_context: str = ""
    bucket_key: bool = False
    md5: str = ""
    proof: bytes = b""


@record("s3.master_key", key=("name",))
class MasterKey(msgspec.Struct, frozen=True, kw_only=True):
    """S3's own key, under which it keeps data keys."""

    name: str
    key: bytes


class Restored(msgspec.Struct, frozen=True, array_like=True):
    """A readable copy of an archived version: from when, and until when."""

    ready_at: datetime
    ends_at: datetime


class Retention(msgspec.Struct, frozen=True, array_like=True):
    """Until when a version may not go, and whether that may be bypassed."""

    mode: str
    until: datetime


class Annotated(msgspec.Struct, frozen=True, array_like=True):
    """That a version has annotations: under which `home`, how many, and how large they are.

    `changes` counts how often they changed, so that a copy knows whether it has them all as they
    were at one moment.
    """

    home: str
    count: int = 0
    size: int = 0
    changes: int = 0


class More(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What few versions have, so that the others do not pay for it.

    `annotated`: its annotations. `owner`: the account, where it is not the bucket's. `acl`: its list of access, where that is more
    than its owner.
    `held`: ON or OFF, once a legal hold was put. `replication`: how far that is, as on the wire.
    `moved`: when it came to its storage class, if not at once. `retention`: its lock.
    `tier` and `accessed`: where Intelligent-Tiering keeps it (IA, AIA, AA, DAA; empty is the tier for
    what is accessed frequently), and when it was last accessed, if not at its coming.
    `restored`: the copy of an archived one. `sealed`: how the bytes are
    encrypted, where they are.
    """

    accessed: datetime | None = None
    acl: list[Grant] | None = None
    annotated: Annotated | None = None
    held: str = ""
    owner: str = ""
    moved: datetime | None = None
    replication: str = ""
    restored: Restored | None = None
    retention: Retention | None = None
    sealed: Sealed | None = None
    tier: str = ""


class Version(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One version of an object, or a delete marker.

    `headers` are the system headers under their member names, `etag` is without quotes. `body`
    holds small bodies, `content` leads to the others; an empty body is neither.
    """

    bucket: str
    key: str
    sequence: int
    id: str
    modified: datetime
    marker: bool = False
    size: int = 0
    etag: str = ""
    checksum: Checksum | None = None
    body: bytes | None = None
    content: str | None = None
    parts_count: int = 0
    storage_class: str = "STANDARD"
    headers: dict[str, str] = {}
    expires: datetime | None = None
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    more: More | None = None


@record("s3.current", key=("bucket", "key"), extract=extract_of)
class Current(Version, frozen=True, kw_only=True, array_like=True, gc=False):
    """The version that a key stands for."""


@record("s3.older", key=("bucket", "key", "newest_first"), indexes=(NULLS,))
class Older(Version, frozen=True, kw_only=True, array_like=True, gc=False):
    """A version that another one, or a delete marker, has hidden; or a delete marker."""

    @property
    def newest_first(self) -> int:
        return SEQUENCE_MAX - self.sequence

    @property
    def null_key(self) -> str | None:
        return self.key if self.id == "null" else None


class Piece(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The bytes of one part: a whole file, or no file where there are none."""

    number: int
    size: int
    blob: str
    checksum: str = ""


@record("s3.content", key=("id",))
class Content(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """The bytes of one or more versions that share them; `refs` counts those.

    `pieces` are files, one after the other; `body` is all of it where it is small. Without refs
    it is about to be reclaimed.
    """

    id: str
    refs: int = 1
    body: bytes | None = None
    pieces: list[Piece] = []


@record("s3.blob", key=("id",))
class Blob(msgspec.Struct, frozen=True, array_like=True):
    """A file that something refers to."""

    id: str


@record("s3.annotation", key=("home", "name"))
class Annotation(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A text that hangs on a version. Its bytes lie as those of a small version do.

    `home` is that of the version's `Annotated`. Where the version is encrypted, `salt` leads from
    its data keys to those of this text. `replication` is how far that is, as on the wire; a replica
    names the ETag of its `source`.
    """

    home: str
    name: str
    modified: datetime
    size: int
    etag: str
    checksum: Checksum
    salt: str = ""
    body: bytes | None = None
    content: str | None = None
    replication: str = ""
    source: str = ""


@record("s3.upload", key=("bucket", "key", "id"))
class Upload(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A multipart upload under way. Ids sort by the time of their beginning."""

    bucket: str
    key: str
    id: str
    started_at: datetime
    initiator: str
    account: str
    algorithm: str
    checksum_kind: str
    said_algorithm: bool = False
    storage_class: str = "STANDARD"
    headers: dict[str, str] = {}
    expires: datetime | None = None
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    more: More | None = None


@record("s3.completed", key=("bucket", "key", "id"))
class Completed(msgspec.Struct, frozen=True, kw_only=True):
    """An upload that was completed lately: a client that missed the answer may ask again.

    `parts` are what was asked for; `answer` is what it was told.
    """

    bucket: str
    key: str
    id: str
    parts: list[tuple[int, str]]
    answer: dict[str, Any]


@record("s3.part", key=("upload", "number"))
class Part(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """An uploaded part; `blob` is None where it is empty."""

    upload: str
    number: int
    size: int
    etag: str
    modified: datetime
    blob: str | None
    checksum: Checksum | None = None
