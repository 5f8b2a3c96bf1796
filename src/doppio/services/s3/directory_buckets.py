"""Directory buckets themselves: to make one in a zone, to list them, and sessions with one.

A session is credentials for five minutes of the cloud's clock, bound to a bucket, a mode and an
encryption. They are sealed as those of STS are, and belong to whoever asked for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from doppio.kernel.context import Context, Tx
from doppio.kernel.identity import EXPRESS, TOKEN
from doppio.kernel.paging import page_token
from doppio.kernel.quotas import quota
from doppio.kernel.regions import zone_of_id
from doppio.services.s3 import stock
from doppio.services.s3.directory import (
    READ_ONLY,
    READ_WRITE,
    born,
    check_zone,
    conditions,
    only_here,
)
from doppio.services.s3.directory_names import zone_in
from doppio.services.s3.directory_rules import KMS, check_context, encryption_of
from doppio.services.s3.errors import (
    AccessDenied,
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    InvalidArgument,
    InvalidBucketName,
    InvalidRequest,
    MalformedXML,
    TooManyBuckets,
)
from doppio.services.s3.limits import (
    BUCKET_TAGS_MAX,
    DIRECTORY_BUCKETS,
    DIRECTORY_BUCKETS_LISTED_MAX,
    EXPRESS_SESSION,
)
from doppio.services.s3.lookup import bucket_id, existing_bucket
from doppio.services.s3.policies import tell_policy
from doppio.services.s3.reclaim import keep_sweeping
from doppio.services.s3.records import OWNED, Bucket, Holdings
from doppio.services.s3.tags import tags_of_set
from doppio.services.s3.tokens import name_of
from doppio.wire.errors import AccessDenied as AccessDeniedByPolicy
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

_ALL_BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
_MODES = (READ_WRITE, READ_ONLY)


class DirectoryBuckets:
    """What there is of directory buckets beside their objects."""

    async def list_directory_buckets(
        self, ctx: Context, req: w.ListDirectoryBucketsRequest
    ) -> w.ListDirectoryBucketsOutput:
        """The account's directory buckets in this Region."""
        room = req.get("MaxDirectoryBuckets", DIRECTORY_BUCKETS_LISTED_MAX)
        reader = ctx.read()
        since = name_of(req.get("ContinuationToken") or None, _scope(ctx)) or None
        found: list[Bucket] = []
        while len(found) <= room:
            rows = await reader.find(
                OWNED, (ctx.account,), since=since, limit=DIRECTORY_BUCKETS_LISTED_MAX
            )
            found += [row for row in rows if row.zone and row.region == ctx.region]
            if len(rows) < DIRECTORY_BUCKETS_LISTED_MAX:
                break
            since = rows[-1].name + "\0"
        reader.meter("Requests-Tier1")
        result: w.ListDirectoryBucketsOutput = {
            "Buckets": [
                {"Name": one.name, "CreationDate": one.created_at, "BucketArn": one.arn}
                for one in found[:room]
            ]
        }
        if len(found) > room:
            result["ContinuationToken"] = page_token(found[room].name.encode(), _scope(ctx))
        return result

    async def create_session(
        self, ctx: Context, req: w.CreateSessionRequest
    ) -> w.CreateSessionOutput:
        """Credentials for requests to one bucket, of the widest mode that is allowed."""
        only_here(ctx.operation, req["Bucket"])
        if EXPRESS in ctx.caller.session:
            raise AccessDenied
        bucket, is_there = await _session_bucket(ctx, req)
        await check_zone(ctx, bucket)
        kind, key = _encryption(bucket, req)
        mode = await _mode(ctx, bucket, req)
        bound = {
            "bucket": bucket.name,
            "account": bucket.account,
            "born": born(bucket) if is_there else "",
            "mode": mode,
            "sse": kind,
            "key": key,
        }
        from doppio.services.iam import ports

        access_key = ctx.caller.access_key
        if access_key is None:
            raise AccessDenied
        session = ports.Session(
            kind="express",
            account=ctx.caller.account,
            name=bucket.name,
            issued_at=ctx.now,
            expires_at=ctx.now + EXPRESS_SESSION,
            parent=(access_key, ctx.caller.session.get(TOKEN, "")),
            express=bound,
        )
        result: dict[str, Any] = {
            "Credentials": await ports.credentials(ctx, session),
            "ServerSideEncryption": kind,
        }
        if kind == KMS:
            result["SSEKMSKeyId"] = key
            result["BucketKeyEnabled"] = True
        ctx.read().meter(stock.request_type(2, "EXPRESS_ONEZONE"))
        return cast("w.CreateSessionOutput", result)


async def create(ctx: Context, req: w.CreateBucketRequest) -> w.CreateBucketOutput:
    """Make a directory bucket in the zone that its name and its configuration name."""
    name = req["Bucket"]
    zone = _zone_of(ctx, name, req.get("CreateBucketConfiguration") or {})
    arn = _arn(ctx, name)
    await ctx.authorise(
        "s3express:CreateBucket",
        arn,
        {"s3express:locationname": zone, "s3express:resourceaccount": ctx.account},
        policy="*",
    )
    tags = (req.get("CreateBucketConfiguration") or {}).get("Tags") or []
    async with ctx.write() as tx:
        old = await tx.get(Bucket, bucket_id(ctx, name))
        if old is not None:
            if old.account != ctx.account:
                raise BucketAlreadyExists(BucketName=name)
            raise BucketAlreadyOwnedByYou(BucketName=name)
        bucket = Bucket(
            id=bucket_id(ctx, name),
            name=name,
            partition=ctx.partition,
            account=ctx.account,
            region=ctx.region,
            created_at=ctx.now.replace(microsecond=0),
            public_access_block=_ALL_BLOCKED,
            tags=tags_of_set(tags, BUCKET_TAGS_MAX, "Bucket"),
            zone=zone,
            extracts=True,
        )
        await count(tx, 1)
        tell_policy(tx, bucket)
        await keep_sweeping(tx)
        await stock.keep_measuring(tx, bucket)
        tx.meter("Requests-Tier1")
    host = f"{name}.s3express-{zone}.{ctx.region}.amazonaws.com"
    return {"Location": f"https://{host}/", "BucketArn": arn}


async def count(tx: Tx, by: int) -> None:
    """One directory bucket more, or less. Raises TooManyBuckets."""
    account = tx.context.account
    holdings = await tx.get(Holdings, account) or Holdings(account=account)
    there = holdings.directories.get(tx.context.region, 0) + by
    if by > 0 and there > await quota(tx, DIRECTORY_BUCKETS):
        raise TooManyBuckets
    directories = {**holdings.directories, tx.context.region: there}
    tx.put(Holdings(account=account, buckets=holdings.buckets, directories=directories))


def _zone_of(ctx: Context, name: str, configuration: Mapping[str, Any]) -> str:
    location, kind = configuration.get("Location"), configuration.get("Bucket")
    if not location or not kind:
        raise InvalidBucketName(BucketName=name)
    if location.get("Type") == "LocalZone" or kind.get("DataRedundancy") == "SingleLocalZone":
        raise NotImplementedByDoppio("Local Zones exist in AWS and not here")
    if configuration.get("LocationConstraint"):
        raise MalformedXML
    if location.get("Type") != "AvailabilityZone" or kind.get("Type") != "Directory":
        raise MalformedXML
    if kind.get("DataRedundancy", "SingleAvailabilityZone") != "SingleAvailabilityZone":
        raise MalformedXML
    zone: str = location.get("Name", "")
    if zone_of_id(ctx.region, zone) is None:
        raise InvalidRequest(
            f"The location {zone} is not an Availability Zone of the Region {ctx.region}."
        )
    if zone_in(name) != zone:
        raise InvalidBucketName(BucketName=name)
    return zone


def _arn(ctx: Context, name: str) -> str:
    return f"arn:{ctx.partition}:s3express:{ctx.region}:{ctx.account}:bucket/{name}"


async def _session_bucket(ctx: Context, req: Mapping[str, Any]) -> tuple[Bucket, bool]:
    """The bucket of a session, and whether it is there.

    Where a client has one endpoint for everything, it asks for a session even before it makes the
    bucket. So one that is not there yet gets one, of no use for anything else; but not at AWS's own
    names of hosts, where making a bucket has a host of its own.
    """
    name: str = req["Bucket"]
    zone = zone_in(name)
    found = await ctx.read().get(Bucket, bucket_id(ctx, name))
    host: str = req.get("Host", "")
    at_aws = ".amazonaws.com" in host
    if found is None and not at_aws and zone is not None and zone_of_id(ctx.region, zone):
        made = Bucket(
            id=bucket_id(ctx, name),
            name=name,
            partition=ctx.partition,
            account=ctx.account,
            region=ctx.region,
            created_at=ctx.now,
            zone=zone,
        )
        return made, False
    return await existing_bucket(ctx.read(), req), True


async def _mode(ctx: Context, bucket: Bucket, req: Mapping[str, Any]) -> str:
    asked = req.get("SessionMode")
    if asked is not None and asked not in _MODES:
        raise InvalidArgument(
            "Invalid session mode", ArgumentName="x-amz-create-session-mode", ArgumentValue=asked
        )
    more = {}
    if "ServerSideEncryption" in req:
        more["x-amz-server-side-encryption"] = req["ServerSideEncryption"]
    if "SSEKMSKeyId" in req:
        more["x-amz-server-side-encryption-aws-kms-key-id"] = req["SSEKMSKeyId"]
    for mode in _MODES if asked is None else (asked,):
        try:
            await ctx.authorise(
                "s3express:CreateSession",
                bucket.arn,
                conditions(bucket, {"sessionmode": mode, **more}),
                policy=bucket.arn,
            )
        except AccessDeniedByPolicy:
            if asked is not None or mode == READ_ONLY:
                raise
        else:
            return mode
    raise AssertionError("unreachable")


def _encryption(bucket: Bucket, req: Mapping[str, Any]) -> tuple[str, str]:
    """What the session's new objects are encrypted with."""
    check_context(bucket, req)
    kind = req.get("ServerSideEncryption")
    default, default_key = encryption_of(bucket, {})
    if kind is None:
        return default, default_key
    if kind == "AES256":
        return kind, ""
    if kind != KMS:
        raise InvalidArgument(
            "The encryption method specified is not supported",
            ArgumentName="x-amz-server-side-encryption",
            ArgumentValue=kind,
        )
    key: str = req.get("SSEKMSKeyId", "")
    if not key:
        raise InvalidRequest(
            "x-amz-server-side-encryption-aws-kms-key-id is required where "
            "x-amz-server-side-encryption is aws:kms."
        )
    if bucket.kms_key and key not in {bucket.kms_key, bucket.kms_key.rpartition("/")[2]}:
        raise InvalidRequest(
            "A directory bucket supports one customer managed key during its lifetime."
        )
    return kind, bucket.kms_key or key


def _scope(ctx: Context) -> str:
    return f"{ctx.account}/{ctx.region}/directory"
