"""What bears on a permission and lies in records: an object's tags and list, a bucket's tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.kernel.context import Context, Reader
from doppio.kernel.identity import canonical_user
from doppio.kernel.service import Granted, Need
from doppio.services.s3 import acl_rules, points
from doppio.services.s3.attributes import ENFORCED
from doppio.services.s3.errors import InvalidArgument
from doppio.services.s3.lookup import bucket_id, numbered
from doppio.services.s3.records import Bucket, Current, Grant, More, Version

_TAG = "s3:existingobjecttag/"
_RESOURCE_TAG = "aws:resourcetag/"
_BUCKET_TAG = "s3:buckettag/"
_CREATION = "s3:objectcreationoperation"
# What puts bytes, and no object yet.
_PARTS = frozenset({"CreateMultipartUpload", "UploadPart", "UploadPartCopy"})
_KNOWN = (_TAG, _RESOURCE_TAG, _BUCKET_TAG)
# Source: "Actions, resources, and condition keys for Amazon S3" in the Service Authorization
# Reference.
_TAGGED = frozenset(
    {
        "s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectAcl", "s3:GetObjectVersionAcl",
        "s3:GetObjectTagging", "s3:GetObjectVersionTagging", "s3:GetObjectAttributes",
        "s3:GetObjectVersionAttributes", "s3:PutObjectAcl", "s3:PutObjectVersionAcl",
        "s3:PutObjectTagging", "s3:PutObjectVersionTagging", "s3:DeleteObjectTagging",
        "s3:DeleteObjectVersionTagging", "s3:RestoreObject",
    }
)  # fmt: skip
_WRITES = frozenset({"PutObject", "CopyObject", "CreateMultipartUpload"})
_LISTED = frozenset(action for actions in acl_rules.ON_OBJECT.values() for action in actions)


class Records:
    """Reads the records that a need of S3 is about."""

    def knows(self, key: str) -> bool:
        """Whether a condition key is one of tags that lie in records, or of what a put does."""
        return key.startswith(_KNOWN) or key == _CREATION

    async def conditions(self, ctx: Context, need: Need) -> Mapping[str, Any]:
        """The tags of the object, and of a bucket that lets them count."""
        reader = ctx.read()
        bucket, key = await _bucket_of(reader, need)
        if bucket is None:
            return {}
        found: dict[str, Any] = {}
        if need.action == "s3:PutObject":
            found[_CREATION] = "false" if ctx.operation in _PARTS else "true"
        if bucket.abac:
            for name, value in bucket.tags.items():
                found[f"{_RESOURCE_TAG}{name.lower()}"] = value
                found[f"{_BUCKET_TAG}{name.lower()}"] = value
        if key and need.action in _TAGGED:
            version = await _version_of(reader, bucket, key, need)
            if version is not None:
                found |= {f"{_TAG}{name.lower()}": text for name, text in version.tags.items()}
        return found

    async def grants(self, ctx: Context, need: Need) -> Granted | None:
        """What the object's list grants, where the bucket lets lists count."""
        if need.action not in _LISTED:
            return None
        reader = ctx.read()
        bucket, key = await _bucket_of(reader, need)
        if bucket is None or not key or bucket.ownership == ENFORCED:
            return None
        if need.action == "s3:PutObjectAcl" and ctx.operation in _WRITES:
            return _of_writers(ctx, bucket, need.resource)
        version = await _version_of(reader, bucket, key, need)
        more = None if version is None else version.more
        if more is None or (more.acl is None and not more.owner):
            return None
        return _granted(ctx, bucket, more)


def _of_writers(ctx: Context, bucket: Bucket, arn: str) -> Granted | None:
    """Whom the bucket's list lets write may say who reads what they write."""
    statements = acl_rules.statements(
        bucket.acl or (),
        arn,
        {"WRITE": ("s3:PutObjectAcl",)},
        public=not points.blocks(ctx, bucket, "IgnorePublicAcls"),
    )
    if not statements:
        return None
    return Granted(bucket.account, {"Version": "2012-10-17", "Statement": statements})


def _granted(ctx: Context, bucket: Bucket, more: More) -> Granted | None:
    owner = more.owner or bucket.account
    grants = more.acl
    if grants is None:
        grants = [Grant(canonical_user(owner), acl_rules.FULL)]
    statements = acl_rules.statements(
        grants, "*", acl_rules.ON_OBJECT, public=not points.blocks(ctx, bucket, "IgnorePublicAcls")
    )
    if not statements:
        return None
    return Granted(owner, {"Version": "2012-10-17", "Statement": statements})


async def _bucket_of(reader: Reader, need: Need) -> tuple[Bucket | None, str]:
    name, _, key = need.resource.partition(":::")[2].partition("/")
    return await reader.get(Bucket, bucket_id(reader.context, name)), key


async def _version_of(reader: Reader, bucket: Bucket, key: str, need: Need) -> Version | None:
    current = await reader.get(Current, bucket.id, key)
    wanted = need.context.get("s3:versionid")
    if wanted is None:
        return current
    try:
        return await numbered(reader, bucket, key, wanted, current)
    except InvalidArgument:
        return None


RECORDS = Records()
