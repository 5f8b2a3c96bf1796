"""Finding buckets and versions, and saying as S3 does when they are not there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context, Reader
from doppio.kernel.identity import canonical_user
from doppio.kernel.keys import pack
from doppio.kernel.records import table_of
from doppio.kernel.service import Need
from doppio.services.s3 import acl_rules, points
from doppio.services.s3.directory_names import is_directory
from doppio.services.s3.errors import (
    AccessDenied,
    InvalidArgument,
    InvalidBucketName,
    KeyTooLong,
    MethodNotAllowed,
    NoSuchBucket,
    NoSuchKey,
    NoSuchVersion,
    PermanentRedirect,
)
from doppio.services.s3.limits import KEY_BYTES_MAX
from doppio.services.s3.payers import settle
from doppio.services.s3.records import (
    NULLS,
    SEQUENCE_MAX,
    Bucket,
    Content,
    Current,
    More,
    Older,
    Version,
)
from doppio.services.s3.rules import name_is_allowed
from doppio.services.s3.zones import ONE_ZONE, check_zone
from doppio.wire.errors import Throttled
from doppio.wire.timestamps import format_rfc822

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

_buckets = table_of(Bucket)
_currents = table_of(Current)
current_of = _currents.decode
NULL = "null"
HOME = "us-east-1"
VERSION_ID_CHARS = 32
READ_TRIES_MAX = 32


def owner_of(account: str) -> w.Owner:
    """An account as `Owner` on the wire."""
    return {"ID": canonical_user(account)}


def bucket_id(ctx: Context, name: str) -> str:
    """The key of a bucket's record: names are unique within a partition."""
    return id_in(ctx.partition, name)


def id_in(partition: str, name: str) -> str:
    """As `bucket_id`, of a partition."""
    return name if partition == "aws" else f"{partition}:{name}"


@lru_cache(maxsize=2_048)
def _places_of(partition: str, name: str) -> tuple[bytes, bytes]:
    """Of a bucket the key of its record, and what the keys of its current versions begin with."""
    home = id_in(partition, name)
    return _buckets.key_of((home,)), _currents.key_of((home,))


async def existing_bucket(reader: Reader, req: Mapping[str, Any]) -> Bucket:
    """The bucket that a request names."""
    ctx = reader.context
    name: str = req["Bucket"]
    bucket = await reader.get(Bucket, bucket_id(ctx, name))
    return checked_bucket(ctx, bucket, name, req)


def checked_bucket(
    ctx: Context, bucket: Bucket | None, name: str, req: Mapping[str, Any]
) -> Bucket:
    """The bucket, if it is there, in this Region, and whose the caller thinks it is.

    Who comes from another account than the owner's is the owner's guest, or pays for himself.
    """
    if bucket is None:
        if not name_is_allowed(name) and not is_directory(name):
            raise InvalidBucketName(BucketName=name)
        raise NoSuchBucket(BucketName=name)
    owner = req.get("ExpectedBucketOwner")
    if owner is not None and owner != bucket.account:
        raise AccessDenied
    if bucket.region != ctx.region:
        raise elsewhere(bucket)
    if bucket.account != ctx.account:
        settle(ctx, bucket, req)
    elif ctx.payer is not None:
        ctx.payer = None
    return bucket


def check_region(ctx: Context) -> None:
    """Raise PermanentRedirect for what is no Region, as which old clients sign (`US`)."""
    if not ctx.region.islower() or "-" not in ctx.region:
        raise PermanentRedirect(
            headers={"x-amz-bucket-region": HOME}, Endpoint="s3.amazonaws.com", Bucket=""
        )


def elsewhere(bucket: Bucket) -> PermanentRedirect:
    """The answer to a request that came to another Region than the bucket's."""
    return PermanentRedirect(
        headers={"x-amz-bucket-region": bucket.region},
        Endpoint=f"{bucket.name}.s3.{bucket.region}.amazonaws.com",
        Bucket=bucket.name,
    )


async def bucket_and_current(
    reader: Reader, req: Mapping[str, Any]
) -> tuple[Bucket, Current | None]:
    """The bucket and what the key stands for, in one read: most requests need both."""
    bucket, row, _ = await bucket_and_row(reader, req)
    return bucket, None if row is None else current_of(row)


async def bucket_and_row(
    reader: Reader, req: Mapping[str, Any]
) -> tuple[Bucket, bytes | None, bytes]:
    """The same as it lies there (`current_of`), and under which key it does or would."""
    ctx = reader.context
    name: str = req["Bucket"]
    bucket_key, keys_in = _places_of(ctx.partition, name)
    key = keys_in + pack(req["Key"])
    found, row = await reader.raw.get_many([bucket_key, key])
    bucket = checked_bucket(ctx, None if found is None else _buckets.decode_known(found), name, req)
    return bucket, row, key


async def version_of(reader: Reader, req: Mapping[str, Any]) -> tuple[Bucket, Version]:
    """The version that a read asks for: of `VersionId`, else the current one."""
    bucket, row, _ = await bucket_and_row(reader, req)
    current = None if row is None else current_of(row)
    wanted = req.get("VersionId")
    if wanted is None:
        if current is None:
            raise await no_such_key(reader, bucket, req["Key"])
        if current.more is not None and current.more.owner:
            check_foreign(reader.context, bucket, current.more)
        if current.storage_class == ONE_ZONE:
            await check_zone(reader, bucket, ONE_ZONE)
        return bucket, current
    version = await numbered(reader, bucket, req["Key"], wanted, current)
    if version is None:
        raise NoSuchVersion(Key=req["Key"], VersionId=wanted)
    if version.marker:
        raise MethodNotAllowed(
            headers={
                "x-amz-delete-marker": "true",
                "x-amz-version-id": version.id,
                "allow": "DELETE",
                "last-modified": format_rfc822(version.modified),
            },
            Method="GET",
            ResourceType="DeleteMarker",
        )
    if version.more is not None and version.more.owner:
        check_foreign(reader.context, bucket, version.more)
    await check_zone(reader, bucket, version.storage_class)
    return bucket, version


# What the list of an object that is another account's must grant. S3 judges the rest (deleting,
# archiving, locking) by the bucket alone.
_OF_OWNER = {
    "GetObject": "s3:GetObject", "HeadObject": "s3:GetObject", "CopyObject": "s3:GetObject",
    "UploadPartCopy": "s3:GetObject", "GetObjectAttributes": "s3:GetObject",
    "GetObjectAcl": "s3:GetObjectAcl", "PutObjectAcl": "s3:PutObjectAcl",
}  # fmt: skip


def check_foreign(ctx: Context, bucket: Bucket, more: More) -> None:
    """Raise AccessDenied where an object is another account's, and its list does not let in.

    The bucket's owner and its policies have no say over such an object, but where lists are
    switched off: then the bucket's owner owns all that is in it.
    """
    caller = ctx.caller
    action = _OF_OWNER.get(ctx.operation)
    if bucket.ownership == "BucketOwnerEnforced" or action is None or caller.kind == "service":
        return
    public = not points.blocks(ctx, bucket, "IgnorePublicAcls")
    if caller.account != more.owner and not acl_rules.lets_in(
        more.acl or (), caller.account, action, public=public
    ):
        raise AccessDenied


async def version_and_content(
    reader: Reader, req: Mapping[str, Any]
) -> tuple[Bucket, Version, Content | None]:
    """The version that a read asks for, with where its bytes are."""
    bucket, version = await version_of(reader, req)
    if version.content is None:
        return bucket, version, None
    return await with_content(reader, req, bucket, version)


async def with_content(
    reader: Reader, req: Mapping[str, Any], bucket: Bucket, version: Version
) -> tuple[Bucket, Version, Content | None]:
    """The same of a version that has been read already.

    These are two reads. A version that goes between them may take its content along: then it is
    the next one's turn.
    """
    for _ in range(READ_TRIES_MAX):
        if version.content is None:
            return bucket, version, None
        content = await reader.get(Content, version.content)
        if content is not None:
            return bucket, version, content
        bucket, version = await version_of(reader, req)
    raise Throttled("The object changes too quickly to be read; please try again.")


async def version_content(reader: Reader, version: Version) -> Content | None:
    """Where the bytes of a version are, if not in its record."""
    return None if version.content is None else await reader.get(Content, version.content)


async def numbered(
    reader: Reader, bucket: Bucket, key: str, wanted: str, current: Current | None
) -> Version | None:
    """The version of a key with this id, if there is one. Raises InvalidArgument."""
    if current is not None and current.id == wanted:
        return current
    if wanted == NULL:
        nulls = await reader.find(NULLS, (bucket.id, key), limit=1)
        return nulls[0] if nulls else None
    sequence = sequence_of(wanted)
    if sequence is None:
        raise InvalidArgument(
            "Invalid version id specified", ArgumentName="versionId", ArgumentValue=wanted
        )
    older = await reader.get(Older, bucket.id, key, SEQUENCE_MAX - sequence)
    return older if older is not None and older.id == wanted else None


async def newest_older(reader: Reader, bucket: Bucket, key: str) -> Older | None:
    """The newest version or delete marker below the current one."""
    found = await reader.list(Older, (bucket.id, key), limit=1)
    return found[0] if found else None


async def no_such_key(reader: Reader, bucket: Bucket, key: str) -> NoSuchKey:
    """What a caller hears of a key that stands for nothing.

    Who may not list the bucket may not learn that either: this raises AccessDenied then.
    """
    if not bucket.zone and not bucket.table:
        await points.authorise(reader.context, Need("s3:ListBucket", bucket.arn))
    headers = {}
    if bucket.versioning:
        marker = await newest_older(reader, bucket, key)
        if marker is not None:
            headers = {"x-amz-delete-marker": "true", "x-amz-version-id": marker.id}
    return NoSuchKey(headers=headers, Key=key)


def checked_key(key: str) -> str:
    """The key of a new object, if it is one. Raises KeyTooLong."""
    size = len(key) if key.isascii() else len(key.encode())
    if size > KEY_BYTES_MAX:
        raise KeyTooLong(Size=str(size), MaxSizeAllowed=str(KEY_BYTES_MAX))
    return key


def version_id(ctx: Context, sequence: int) -> str:
    """A new version id: the sequence number, and 64 bits that cannot be guessed."""
    return f"{sequence:016x}{ctx.new_id()[-17:].replace('-', '')}"


def sequence_of(version: str) -> int | None:
    """The sequence number in a version id, None where it is none of ours."""
    if len(version) != VERSION_ID_CHARS:
        return None
    try:
        return int(version[:16], 16)
    except ValueError:
        return None
