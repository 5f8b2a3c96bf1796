"""Access control lists: of buckets and of objects, where a bucket's ownership lets them count.

A bucket's list is told to the authoriser as part of its policy. An object's is read by it when no
policy lets a caller in (`beyond`), so that who needs no list pays for none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from doppio.kernel.context import Context
from doppio.kernel.identity import canonical_user
from doppio.services.s3 import acl_rules, points
from doppio.services.s3.attributes import ENFORCED, Attributes
from doppio.services.s3.errors import AccessControlListNotSupported, AccessDenied
from doppio.services.s3.happenings import happened
from doppio.services.s3.lookup import existing_bucket, version_of
from doppio.services.s3.policies import tell_policy
from doppio.services.s3.records import Bucket, Grant, More

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

_PREFERRED = "BucketOwnerPreferred"
_FULL_CONTROL = "bucket-owner-full-control"


class Acls:
    """The lists, as they are put and read."""

    async def get_bucket_acl(
        self, ctx: Context, req: w.GetBucketAclRequest
    ) -> w.GetBucketAclOutput:
        """The bucket's list; its owner alone where lists are switched off."""
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        reader.meter("Requests-Tier2")
        return cast("w.GetBucketAclOutput", acl_rules.shown(_of_bucket(bucket), bucket.account))

    async def put_bucket_acl(self, ctx: Context, req: w.PutBucketAclRequest) -> None:
        """Replace the bucket's list; it counts for the next request."""
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            _check_counts(bucket, req)
            grants = acl_rules.of_request(req, bucket.account, None)
            check_block(ctx, bucket, grants, "s3:PutBucketAcl", bucket.arn)
            tell_policy(tx, msgspec.structs.replace(bucket, acl=grants))
            tx.meter("Requests-Tier1")

    async def get_object_acl(
        self, ctx: Context, req: w.GetObjectAclRequest
    ) -> w.GetObjectAclOutput:
        """A version's list."""
        reader = ctx.read()
        bucket, version = await version_of(reader, req)
        reader.meter("Requests-Tier2")
        more = version.more or More()
        owner = more.owner or bucket.account
        if bucket.ownership == ENFORCED:
            owner = bucket.account
            grants = [Grant(canonical_user(owner), acl_rules.FULL)]
        else:
            grants = of_object(more, bucket)
        return cast("w.GetObjectAclOutput", acl_rules.shown(grants, owner))

    async def put_object_acl(
        self, ctx: Context, req: w.PutObjectAclRequest
    ) -> w.PutObjectAclOutput:
        """Replace a version's list."""
        async with ctx.write() as tx:
            bucket, version = await version_of(tx, req)
            _check_counts(bucket, req)
            more = version.more or More()
            owner = more.owner or bucket.account
            if req.get("ACL") == _FULL_CONTROL and bucket.ownership == ENFORCED:
                return {}
            grants = acl_rules.of_request(req, owner, bucket.account)
            arn = f"{bucket.arn}/{version.key}"
            check_block(ctx, bucket, grants, "s3:PutObjectAcl", arn)
            tx.put(msgspec.structs.replace(version, more=msgspec.structs.replace(more, acl=grants)))
            happened(tx, bucket, version, "ObjectAcl:Put")
            tx.meter("Requests-Tier1")
        return {}


def with_acl(
    ctx: Context, bucket: Bucket, req: Mapping[str, Any], attributes: Attributes
) -> Attributes:
    """The attributes with owner and list of a new object.

    The bucket's owner owns it where lists are switched off, and where BucketOwnerPreferred meets a
    writer that grants full control. Else the writer's account does.
    """
    named = acl_rules.is_named(req)
    if bucket.ownership == ENFORCED:
        if named and req.get("ACL") != _FULL_CONTROL:
            # What would be said if lists counted comes first.
            acl_rules.wanted(req, bucket.account, bucket.account)
            raise AccessControlListNotSupported
        return attributes
    account = bucket.account if ctx.caller.kind == "service" else ctx.caller.account
    if account == bucket.account and not named:
        return attributes
    owner = account
    if bucket.ownership == _PREFERRED and req.get("ACL") == _FULL_CONTROL:
        owner = bucket.account
    grants = acl_rules.wanted(req, owner, bucket.account)
    arn = f"{bucket.arn}/{req['Key']}"
    check_block(ctx, bucket, grants, "s3:PutObject", arn)
    more = msgspec.structs.replace(
        attributes.more or More(),
        owner="" if owner == bucket.account else owner,
        acl=None if grants == [Grant(canonical_user(owner), acl_rules.FULL)] else grants,
    )
    return attributes._replace(more=more)


def _of_bucket(bucket: Bucket) -> list[Grant]:
    own = [Grant(canonical_user(bucket.account), acl_rules.FULL)]
    return own if bucket.acl is None or bucket.ownership == ENFORCED else bucket.acl


def of_object(more: More, bucket: Bucket) -> list[Grant]:
    """The list of an object; its owner alone where it has none of its own."""
    if more.acl is not None:
        return more.acl
    return [Grant(canonical_user(more.owner or bucket.account), acl_rules.FULL)]


def _check_counts(bucket: Bucket, req: Mapping[str, Any]) -> None:
    if bucket.ownership == ENFORCED and req.get("ACL") != _FULL_CONTROL:
        raise AccessControlListNotSupported


def check_block(
    ctx: Context, bucket: Bucket, grants: list[Grant], action: str, resource: str
) -> None:
    """Raise AccessDenied for a public list that BlockPublicAcls keeps out."""
    if points.blocks(ctx, bucket, "BlockPublicAcls") and acl_rules.is_public(grants):
        raise AccessDenied(
            f"User: {ctx.caller.arn} is not authorized to perform: {action} on resource: "
            f'"{resource}" because public access control lists (ACLs) are prevented by the '
            "BlockPublicAcls setting in S3 Block Public Access."
        )
