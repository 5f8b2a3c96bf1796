"""What an object is stored with beside its bytes: headers, metadata, tags, storage class."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from doppio.services.s3 import locks
from doppio.services.s3.checksums import MEMBERS
from doppio.services.s3.directory_errors import FunctionNotImplemented
from doppio.services.s3.directory_names import is_directory
from doppio.services.s3.encryption import encryption_of
from doppio.services.s3.errors import (
    InvalidArgument,
    InvalidStorageClass,
    InvalidTag,
    MetadataTooLarge,
)
from doppio.services.s3.limits import KEY_BYTES_MAX, METADATA_BYTES_MAX, OBJECT_TAGS_MAX
from doppio.services.s3.lookup import checked_key
from doppio.services.s3.records import Bucket, More, Version
from doppio.services.s3.rules import (
    STORAGE_CLASSES,
    SYSTEM_HEADERS,
    header_tags,
    metadata_bytes,
)
from doppio.services.s3.tags import checked_tags
from doppio.services.s3.website_rules import check_redirect_location
from doppio.wire.errors import NotImplementedByDoppio

ENFORCED = "BucketOwnerEnforced"
_GRANTS = frozenset(
    {"GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP"}
)
_LOCKS = frozenset({"ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus"})
_EVENT_HOLDS = frozenset(
    {
        "ObjectLockEventHold", "ObjectLockEventHoldDurationDays",
        "ObjectLockEventHoldDurationYears",
    }
)  # fmt: skip
_SYSTEM = frozenset(SYSTEM_HEADERS)
# Everything that costs a look: the usual request has none of them.
_RARE = (
    frozenset(
        {"StorageClass", "Tagging", "WriteOffsetBytes", "ACL", "WebsiteRedirectLocation"}
    ) | _GRANTS | _LOCKS | _EVENT_HOLDS
)  # fmt: skip


class Attributes(NamedTuple):
    """What a request wants an object to be stored with."""

    headers: dict[str, str]
    expires: datetime | None
    metadata: dict[str, str]
    tags: dict[str, str]
    storage_class: str
    more: More | None = None


_NONE: dict[str, str] = {}
# Of an object of which nothing is said but where it goes and which bytes it has.
PLAIN = Attributes(_NONE, None, _NONE, _NONE, "STANDARD")
# No character has more bytes than four.
_KEY_CHARS_SURE = KEY_BYTES_MAX // 4
_PLAINLY = frozenset(
    {"Bucket", "Key", "Body", "ContentLength", "ContentMD5", "ChecksumAlgorithm",
     "ExpectedBucketOwner", *MEMBERS}
)  # fmt: skip


def new_attributes(req: Mapping[str, Any]) -> Attributes:
    """The attributes of a new object, checked.

    Where they are PLAIN, the request has no member about which anything else could be asked: no
    list of access, no encryption, no condition.
    """
    if len(req["Key"]) > _KEY_CHARS_SURE:
        checked_key(req["Key"])
    if req.keys() <= _PLAINLY:
        return PLAIN
    metadata: dict[str, str] = req.get("Metadata") or _NONE
    if metadata:
        size = metadata_bytes(metadata)
        if size > METADATA_BYTES_MAX:
            raise MetadataTooLarge(Size=str(size), MaxSizeAllowed=str(METADATA_BYTES_MAX))
        metadata = {key.lower(): value for key, value in metadata.items()}
    headers = {name: req[name] for name in _SYSTEM & req.keys()}
    if _RARE.isdisjoint(req):
        return Attributes(headers, req.get("Expires"), metadata, _NONE, "STANDARD")
    refuse_what_is_not_here(req)
    if "WebsiteRedirectLocation" in headers:
        check_redirect_location(headers["WebsiteRedirectLocation"])
    storage_class = req.get("StorageClass", "STANDARD")
    if storage_class not in STORAGE_CLASSES and not (
        storage_class == "EXPRESS_ONEZONE" and is_directory(req["Bucket"])
    ):
        raise InvalidStorageClass(StorageClassRequested=storage_class)
    tags = tags_of_header(req["Tagging"]) if "Tagging" in req else _NONE
    more = None if _LOCKS.isdisjoint(req) else locks.more_of(req, None)
    return Attributes(headers, req.get("Expires"), metadata, tags, storage_class, more)


def tags_of_header(text: str) -> dict[str, str]:
    """The tags of an x-amz-tagging header, checked."""
    tags = header_tags(text)
    if tags is None:
        raise InvalidArgument(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query "
            "parameters without tag name duplicates.",
            ArgumentName="x-amz-tagging",
            ArgumentValue=text,
        )
    if len(tags) > OBJECT_TAGS_MAX:
        raise InvalidTag("Object tags cannot be greater than 10")
    return checked_tags(tags)


def refuse_what_is_not_here(req: Mapping[str, Any]) -> None:
    """Say what AWS says of settings that cannot be, and 501 of those this cloud lacks."""
    keys = req.keys()
    if _EVENT_HOLDS & keys:
        raise NotImplementedByDoppio("Event holds exist in AWS and not yet here")
    if "WriteOffsetBytes" in keys and not is_directory(req["Bucket"]):
        raise FunctionNotImplemented


def head_of(bucket: Bucket, version: Version) -> dict[str, Any]:
    """What GET and HEAD say of a whole version, but for the checksum."""
    head: dict[str, Any] = {
        "AcceptRanges": "bytes",
        "LastModified": version.modified,
        "ETag": f'"{version.etag}"',
        "ContentLength": version.size,
        "ContentType": "binary/octet-stream",
        "ServerSideEncryption": "AES256",
        "Metadata": version.metadata,
        **version.headers,
    }
    if version.more is not None:
        _add_more(head, version.more)
    if bucket.versioning:
        head["VersionId"] = version.id
    if version.storage_class != "STANDARD":
        head["StorageClass"] = version.storage_class
    if version.tags:
        head["TagCount"] = len(version.tags)
    if version.expires is not None:
        head["Expires"] = version.expires
    return head


def _add_more(head: dict[str, Any], more: More) -> None:
    """What GET and HEAD say of the rare fields."""
    head.update(locks.shown(more))
    if more.replication:
        head["ReplicationStatus"] = more.replication
    if more.sealed is not None:
        del head["ServerSideEncryption"]
        head.update(encryption_of(more))
