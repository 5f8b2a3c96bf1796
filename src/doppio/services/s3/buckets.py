"""Buckets: create, head, list, delete, and where they are.

A name belongs to one bucket of the whole partition, whatever its Region and account. A bucket's
owner and policy are also told to the authoriser, in the same commit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from doppio.kernel.authorise import forget_resource
from doppio.kernel.context import Context, Tx
from doppio.kernel.paging import page_token
from doppio.kernel.quotas import quota
from doppio.kernel.regions import regions
from doppio.services.s3 import (
    access_logs,
    acl_rules,
    analyses,
    directory_buckets,
    locks,
    metadata,
    points,
    request_metrics,
    stock,
)
from doppio.services.s3.account_blocks import account_block
from doppio.services.s3.attributes import ENFORCED
from doppio.services.s3.directory_names import is_directory
from doppio.services.s3.errors import (
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    BucketHasAccessPointsAttached,
    BucketNotEmpty,
    BucketNotEmptyOfVersions,
    IllegalLocationConstraint,
    InvalidArgument,
    InvalidBucketAclWithBlockPublicAccess,
    InvalidBucketAclWithObjectOwnership,
    InvalidBucketName,
    InvalidLocationConstraint,
    NoSuchBucket,
    TooManyBuckets,
)
from doppio.services.s3.lifecycle import RUN
from doppio.services.s3.limits import BUCKET_TAGS_MAX, BUCKETS, LISTED_BUCKETS_MAX
from doppio.services.s3.lookup import (
    HOME,
    bucket_id,
    check_region,
    checked_bucket,
    existing_bucket,
    owner_of,
)
from doppio.services.s3.point_records import POINTS_OF
from doppio.services.s3.policies import tell_policy
from doppio.services.s3.reclaim import discard_upload, keep_sweeping
from doppio.services.s3.records import OWNED, Bucket, Current, Grant, Holdings, Older, Upload
from doppio.services.s3.rules import name_is_allowed
from doppio.services.s3.settings import drop_settings
from doppio.services.s3.tags import tags_of_set
from doppio.services.s3.tokens import name_of

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

# The one Region that LocationConstraint also knows by an old name.
_OLD_NAMES = {"EU": "eu-west-1"}
_OWNERSHIPS = frozenset({"BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"})
_ALL_BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
UPLOADS_A_STEP = 100


class Buckets:
    """The operations on buckets themselves."""

    async def create_bucket(self, ctx: Context, req: w.CreateBucketRequest) -> w.CreateBucketOutput:
        """Take a name. Having it already is an error, but in us-east-1, as AWS has it."""
        check_region(ctx)
        name = req["Bucket"]
        if is_directory(name):
            return await directory_buckets.create(ctx, req)
        if not name_is_allowed(name):
            raise InvalidBucketName(BucketName=name)
        region = _region_of(ctx, req.get("CreateBucketConfiguration") or {})
        ownership = _ownership_of(req)
        acl = _acl_of(ctx, req, ownership)
        tags = (req.get("CreateBucketConfiguration") or {}).get("Tags") or []
        async with ctx.write() as tx:
            old = await tx.get(Bucket, bucket_id(ctx, name))
            if old is None:
                bucket = Bucket(
                    id=bucket_id(ctx, name),
                    name=name,
                    partition=ctx.partition,
                    account=ctx.account,
                    region=region,
                    created_at=ctx.now.replace(microsecond=0),
                    ownership=ownership,
                    public_access_block=_ALL_BLOCKED,
                    account_block=await account_block(tx, ctx.account),
                    acl=acl,
                    tags=tags_of_set(tags, BUCKET_TAGS_MAX, "Bucket"),
                    extracts=True,
                )
                await _count(tx, 1)
                tx.put(bucket)
                if req.get("ObjectLockEnabledForBucket"):
                    bucket = locks.enable(tx, bucket)
                tell_policy(tx, bucket)
                await keep_sweeping(tx)
                await stock.keep_measuring(tx, bucket)
            elif old.account != ctx.account:
                raise BucketAlreadyExists(BucketName=name)
            elif not old.region == region == ctx.region == HOME:
                raise BucketAlreadyOwnedByYou(BucketName=name)
            tx.meter("Requests-Tier1")
        arn = f"arn:{ctx.partition}:s3:::{name}"
        here = f"/{name}" if ctx.region == HOME else f"http://{name}.s3.amazonaws.com/"
        return {"Location": here, "BucketArn": arn}

    async def head_bucket(self, ctx: Context, req: w.HeadBucketRequest) -> w.HeadBucketOutput:
        """Whether the bucket is there, and where."""
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        reader.meter("Requests-Tier2")
        result: w.HeadBucketOutput = {
            "BucketRegion": bucket.region,
            "BucketArn": bucket.arn,
            "AccessPointAlias": points.way_of(ctx) is not None,
        }
        if bucket.zone:
            result["BucketLocationType"] = "AvailabilityZone"
            result["BucketLocationName"] = bucket.zone
        return result

    async def get_bucket_location(
        self, ctx: Context, req: w.GetBucketLocationRequest
    ) -> w.GetBucketLocationOutput:
        """The bucket's Region, which us-east-1 knows of every bucket; its own has no name here."""
        reader = ctx.read()
        if ctx.region == HOME:
            bucket = await reader.get(Bucket, bucket_id(ctx, req["Bucket"]))
            if bucket is None:
                raise NoSuchBucket(BucketName=req["Bucket"])
            at_home = msgspec.structs.replace(bucket, region=HOME)
            checked_bucket(ctx, at_home, bucket.name, req)
        else:
            bucket = await existing_bucket(reader, req)
        reader.meter("Requests-Tier2")
        return {} if bucket.region == HOME else {"LocationConstraint": bucket.region}

    async def list_buckets(self, ctx: Context, req: w.ListBucketsRequest) -> w.ListBucketsOutput:
        """The account's buckets in the order of their names, of all Regions or one."""
        check_region(ctx)
        prefix = req.get("Prefix", "")
        at_most = req.get("MaxBuckets", LISTED_BUCKETS_MAX)
        if not 1 <= at_most <= LISTED_BUCKETS_MAX:
            raise InvalidArgument(
                "Argument maxBuckets must be an integer between 1 and 10000",
                ArgumentName="max-buckets",
                ArgumentValue=str(at_most),
            )
        reader = ctx.read()
        region = req.get("BucketRegion")
        since = max(prefix, name_of(req.get("ContinuationToken") or None, ctx.account))
        found: list[Bucket] = []
        while len(found) <= at_most:
            rows = await reader.find(OWNED, (ctx.account,), since=since or None, limit=at_most + 1)
            matching = [bucket for bucket in rows if bucket.name.startswith(prefix)]
            found += [
                bucket
                for bucket in matching
                if bucket.partition == ctx.partition
                and region in {None, bucket.region}
                and not bucket.zone
                and not bucket.table
            ]
            if len(rows) <= at_most or len(matching) < len(rows):
                break
            since = rows[-1].name + "\0"
        reader.meter("Requests-Tier1")
        result: w.ListBucketsOutput = {
            "Owner": owner_of(ctx.account),
            "Buckets": [
                _listed(bucket, everything="MaxBuckets" in req) for bucket in found[:at_most]
            ],
        }
        if len(found) > at_most:
            result["ContinuationToken"] = page_token(found[at_most].name.encode(), ctx.account)
        if "Prefix" in req:
            result["Prefix"] = prefix
        return result

    async def delete_bucket(self, ctx: Context, req: w.DeleteBucketRequest) -> None:
        """Give the name back; only an empty bucket can go. Unfinished uploads go with it."""
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            if await tx.list(Current, (bucket.id,), limit=1):
                if bucket.versioning:
                    raise BucketNotEmptyOfVersions(BucketName=bucket.name)
                raise BucketNotEmpty(BucketName=bucket.name)
            if await tx.list(Older, (bucket.id,), limit=1):
                raise BucketNotEmptyOfVersions(BucketName=bucket.name)
            if bucket.zone and await tx.list(Upload, (bucket.id,), limit=1):
                raise BucketNotEmpty(BucketName=bucket.name)
            while uploads := await tx.list(Upload, (bucket.id,), limit=UPLOADS_A_STEP):
                for upload in uploads:
                    tx.delete(upload)
                    await discard_upload(tx, upload.id, None)
            if await tx.find(POINTS_OF, (bucket.id,), limit=1):
                raise BucketHasAccessPointsAttached(BucketName=bucket.name)
            for cause in (access_logs.WATCHED, request_metrics.WATCHED, analyses.WATCHED):
                cause.forget(tx, bucket)
            await metadata.forget(tx, bucket)
            await drop_settings(tx, bucket)
            await tx.unschedule(RUN, bucket.id)
            await tx.unschedule(stock.MEASURE, bucket.id)
            await stock.measure(tx, bucket)
            await (directory_buckets.count(tx, -1) if bucket.zone else _count(tx, -1))
            tx.delete(bucket)
            forget_resource(tx, bucket.arn)


def _region_of(ctx: Context, configuration: Mapping[str, Any]) -> str:
    """The Region a new bucket goes to."""
    if configuration.get("Location") or configuration.get("Bucket"):
        # The name of a directory bucket says so.
        raise InvalidBucketName
    constraint = configuration.get("LocationConstraint")
    if constraint is None:
        if ctx.region == HOME or ctx.caller.kind == "service":
            return ctx.region
        raise IllegalLocationConstraint(
            "The unspecified location constraint is incompatible for the region specific endpoint "
            "this request was sent to."
        )
    region: str = _OLD_NAMES.get(constraint, constraint)
    if region == HOME or region not in regions():
        raise InvalidLocationConstraint(LocationConstraint=constraint)
    if ctx.region not in {HOME, region}:
        raise IllegalLocationConstraint(
            f"The {constraint} location constraint is incompatible for the region specific "
            "endpoint this request was sent to."
        )
    return region


def _ownership_of(req: Mapping[str, Any]) -> str:
    ownership: str = req.get("ObjectOwnership", ENFORCED)
    if ownership not in _OWNERSHIPS:
        raise InvalidArgument(
            "Invalid x-amz-object-ownership header",
            ArgumentName="x-amz-object-ownership",
            ArgumentValue=ownership,
        )
    return ownership


def _acl_of(ctx: Context, req: Mapping[str, Any], ownership: str) -> list[Grant] | None:
    """The list that a bucket is to begin with; every bucket begins with public ones blocked."""
    if not acl_rules.is_named(req):
        return None
    grants = acl_rules.wanted(req, ctx.account)
    if not acl_rules.lets_others(grants, ctx.account):
        return None
    if ownership == ENFORCED:
        raise InvalidBucketAclWithObjectOwnership
    if acl_rules.is_public(grants):
        raise InvalidBucketAclWithBlockPublicAccess
    return grants


async def _count(tx: Tx, by: int) -> None:
    account = tx.context.account
    holdings = await tx.get(Holdings, account) or Holdings(account=account)
    count = holdings.buckets + by
    if by > 0 and count > await quota(tx, BUCKETS):
        raise TooManyBuckets
    tx.put(msgspec.structs.replace(holdings, buckets=count))


def _listed(bucket: Bucket, *, everything: bool) -> w.Bucket:
    listed: w.Bucket = {
        "Name": bucket.name,
        "CreationDate": bucket.created_at.replace(microsecond=0),
    }
    if everything:
        # Source: ListBuckets' documentation: the Region comes in paged answers alone.
        listed["BucketRegion"] = bucket.region
        listed["BucketArn"] = bucket.arn
    return listed
