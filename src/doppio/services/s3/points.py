"""Access points: other ways to a bucket, each with a policy of its own.

A request that comes through one names it in the place of the bucket, by ARN or alias. It is led to
the bucket before it is judged, and its caller bears a `Way` from then on: each permission is then
asked for twice, of the access point and of the bucket, and both must grant it. Source: "Configuring
IAM policies for using access points". Who names a bucket pays a look at the name.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote

from doppio.kernel.context import Context
from doppio.kernel.regions import region_is_up
from doppio.kernel.service import Beyond, Granted, Need
from doppio.services.s3.acl_rules import IGNORED
from doppio.services.s3.errors import (
    AccessDenied,
    InvalidRequest,
    MethodNotAllowed,
    NoSuchAccessPoint,
    NoSuchBucket,
    NoSuchMultiRegionAccessPoint,
)
from doppio.services.s3.fronts import OPERATIONS, Front, before, front_named, is_front
from doppio.services.s3.lambda_points import LAMBDA_END
from doppio.services.s3.places import distance
from doppio.services.s3.point_records import (
    MULTI_REGION_ALIASES,
    POINT_ALIASES,
    AccessPoint,
    MultiRegionPoint,
)
from doppio.services.s3.records import Bucket
from doppio.services.s3.rules import copy_source
from doppio.wire.errors import ServiceUnavailable

ALIAS_END = "-s3alias"
MULTI_REGION_END = ".mrap"
_ENDS = (ALIAS_END, MULTI_REGION_END, LAMBDA_END)
# What callers bear, beside the condition keys of their session.
_WAY, _SOURCE_WAY = "doppio:way", "doppio:source-way"
_POINT_ARN, _POINT_ACCOUNT = "s3:dataaccesspointarn", "s3:dataaccesspointaccount"
_POINT_ORIGIN = "s3:accesspointnetworkorigin"
_DIRECT = {_POINT_ARN: None, _POINT_ACCOUNT: None, _POINT_ORIGIN: None, IGNORED: None}
_RESOURCE_TAG, _POINT_TAG = "aws:resourcetag/", "s3:accesspointtag/"
_ARN = re.compile(r"arn:[^:/]+:s3:([^:/]+):(\d{12}):accesspoint[:/]([^:/]+)")
_WIDE_ARN = re.compile(r"arn:[^:/]+:s3::(\d{12}):accesspoint[:/]([a-z0-9]+\.mrap)")
_SHORT = re.compile(r"([a-z0-9-]{3,50})-(\d{12})")
# Source: "Access point compatibility" in the S3 user guide.
_OPERATIONS = frozenset(
    {
        "AbortMultipartUpload", "CompleteMultipartUpload", "CopyObject", "CreateMultipartUpload",
        "DeleteObject", "DeleteObjectTagging", "DeleteObjects", "GetBucketAcl", "GetBucketCors",
        "GetBucketLocation", "GetBucketNotificationConfiguration", "GetBucketPolicy", "GetObject",
        "GetObjectAcl", "GetObjectAttributes", "GetObjectLegalHold", "GetObjectLockConfiguration",
        "GetObjectRetention", "GetObjectTagging", "HeadBucket", "HeadObject",
        "ListMultipartUploads", "ListObjectVersions", "ListObjects", "ListObjectsV2", "ListParts",
        "PutObject", "PutObjectAcl", "PutObjectLegalHold", "PutObjectRetention",
        "PutObjectTagging", "RestoreObject", "UpdateObjectEncryption", "UploadPart",
        "UploadPartCopy",
    }
)  # fmt: skip


# Source: "Using Multi-Region Access Points with supported API operations".
_WIDE_OPERATIONS = frozenset(
    {
        "AbortMultipartUpload", "CompleteMultipartUpload", "CopyObject", "CreateMultipartUpload",
        "DeleteObject", "DeleteObjectTagging", "GetObject", "GetObjectAcl", "GetObjectLegalHold",
        "GetObjectRetention", "GetObjectTagging", "HeadObject", "ListMultipartUploads",
        "ListObjectsV2", "ListParts", "PutObject", "PutObjectAcl", "PutObjectLegalHold",
        "PutObjectRetention", "PutObjectTagging", "RestoreObject", "UploadPart", "UploadPartCopy",
    }
)  # fmt: skip
READY = "READY"


class Way(NamedTuple):
    """How a request comes to its bucket: through which access point. `bucket` is an ARN.

    `front` is the Object Lambda access point by which it comes to that, if any.
    """

    point: AccessPoint | MultiRegionPoint
    bucket: str
    bucket_name: str
    front: Front | None = None

    def there(self, resource: str) -> str | None:
        """A bucket or an object in it, as the access point names it; None where it is elsewhere."""
        if resource == self.bucket:
            return self.point.arn
        if resource.startswith(f"{self.bucket}/"):
            return f"{self.point.arn}/object/{resource[len(self.bucket) + 1 :]}"
        return None

    def keys(self) -> dict[str, Any]:
        """The condition keys that tell policies of it."""
        point = self.point
        return {
            _POINT_ARN: point.arn,
            _POINT_ACCOUNT: point.account,
            _POINT_ORIGIN: point.origin,
            IGNORED: "true" if point.blocks("IgnorePublicAcls") else None,
        }


def way_of(ctx: Context) -> Way | None:
    """The way of this call; None where it has named its bucket."""
    return ctx.caller.session.get(_WAY)


def blocks(ctx: Context, bucket: Bucket, setting: str) -> bool:
    """Whether public access is blocked by bucket, account, or the access point of the call."""
    if bucket.blocks(setting):
        return True
    way = way_of(ctx)
    return way is not None and way.point.blocks(setting)


@lru_cache(maxsize=2_048)
def is_point(name: str) -> bool:
    """Whether what stands in the place of a bucket leads to one through an access point."""
    return name.startswith("arn:") or name.endswith(_ENDS)


def is_like_point(name: str) -> bool:
    """Whether a name is of the form `POINT-ACCOUNT`, as buckets may be called, too."""
    return _SHORT.fullmatch(name) is not None


def readdress(
    ctx: Context, operation: str, req: Mapping[str, Any]
) -> Awaitable[Mapping[str, Any]] | None:
    """The request as it is meant, where bucket or source are named by an access point."""
    name = req.get("Bucket")
    if name is None:
        return None
    if is_point(name):
        return _followed(ctx, operation, req)
    if "CopySource" in req:
        source = copy_source(req["CopySource"])
        if source is not None and is_point(source[0]):
            return _followed(ctx, operation, req)
    return None


async def _followed(ctx: Context, operation: str, req: Mapping[str, Any]) -> Mapping[str, Any]:
    meant = dict(req)
    borne: dict[str, Any] = {}
    if is_front(req["Bucket"]):
        way = await _found_front(ctx, operation, req["Bucket"])
        assert way.front is not None
        # What a function answers never comes to the bucket.
        meant["Bucket"] = way.front.point.alias if way.front.function else way.bucket_name
        borne = {_WAY: way, **way.keys()}
    elif is_point(req["Bucket"]):
        wide = req["Bucket"].endswith(MULTI_REGION_END)
        if operation not in (_WIDE_OPERATIONS if wide else _OPERATIONS):
            raise MethodNotAllowed(Method=operation, ResourceType="ACCESSPOINT")
        way = await (_found_wide if wide else _found)(ctx, req["Bucket"])
        meant["Bucket"] = way.bucket_name
        borne = {_WAY: way, **way.keys()}
    source = copy_source(req["CopySource"]) if "CopySource" in req else None
    if source is not None and is_point(source[0]):
        name, key, version = source
        if name.endswith(MULTI_REGION_END):
            raise InvalidRequest("A Multi-Region Access Point cannot be the source of a copy")
        borne[_SOURCE_WAY] = way = await _found(ctx, name)
        end = "" if version is None else f"?versionId={version}"
        meant["CopySource"] = f"{way.bucket_name}/{quote(key)}{end}"
    ctx.caller = replace(ctx.caller, session={**ctx.caller.session, **borne})
    return meant


async def _found(ctx: Context, name: str) -> Way:
    """The access point of an ARN or alias. One that is for a VPC is closed: there is none here."""
    point = await point_named(ctx, name)
    if point is None:
        if name.startswith("arn:"):
            if _ARN.fullmatch(name) is None:
                raise InvalidRequest("Invalid ARN", ARN=name)
            raise NoSuchAccessPoint(AccessPoint=name)
        raise NoSuchBucket(BucketName=name)
    if point.vpc:
        raise AccessDenied
    return Way(point, f"arn:{point.partition}:s3:::{point.bucket_name}", point.bucket_name)


async def _found_front(ctx: Context, operation: str, name: str) -> Way:
    """The access point behind an Object Lambda access point. Nobody comes there unsigned."""
    if operation not in OPERATIONS:
        raise MethodNotAllowed(Method=operation, ResourceType="ACCESSPOINT")
    point = await front_named(ctx, name)
    if point is None:
        if name.startswith("arn:"):
            raise NoSuchAccessPoint(AccessPoint=name)
        raise NoSuchBucket(BucketName=name)
    if ctx.caller.kind == "anonymous":
        raise AccessDenied
    if point.region != ctx.region:
        raise InvalidRequest("The Object Lambda access point is in another Region")
    way = await _found(ctx, point.configuration["SupportingAccessPoint"])
    return way._replace(front=before(ctx, point))


async def _found_wide(ctx: Context, name: str) -> Way:
    """The Multi-Region Access Point of an ARN or alias, and the bucket that is nearest.

    From then on the call is one in the bucket's Region. A Region that is down, or was made passive,
    gets no requests.
    """
    point = await wide_point_named(ctx, name)
    if point is None or point.status != READY:
        raise NoSuchMultiRegionAccessPoint(MultiRegionAccessPoint=name)
    reader = ctx.read()
    for route in sorted(point.routes, key=lambda one: distance(ctx.region, one.region)):
        if route.dial and await region_is_up(reader, route.region):
            ctx.region = route.region
            arn = f"arn:{point.partition}:s3:::{route.bucket_name}"
            return Way(point, arn, route.bucket_name)
    raise ServiceUnavailable("No Region of this Multi-Region Access Point can be reached.")


async def wide_point_named(ctx: Context, name: str) -> MultiRegionPoint | None:
    """The Multi-Region Access Point with an ARN or alias; None where there is none."""
    account, alias = "", name
    if name.startswith("arn:"):
        parts = _WIDE_ARN.fullmatch(name)
        if parts is None:
            return None
        account, alias = parts.groups()
    found = await ctx.read().find(MULTI_REGION_ALIASES, (alias,), limit=1)
    return found[0] if found and account in {"", found[0].account} else None


async def point_named(ctx: Context, name: str) -> AccessPoint | None:
    """The access point with an ARN or alias; None where there is none."""
    reader = ctx.read()
    if not name.startswith("arn:"):
        found = await reader.find(POINT_ALIASES, (name,), limit=1)
        return found[0] if found else None
    parts = _ARN.fullmatch(name)
    return None if parts is None else await reader.get(AccessPoint, parts[2], parts[1], parts[3])


async def bucket_meant(ctx: Context, name: str) -> str:
    """The bucket that a name leads to: itself, or an access point's."""
    name = await meant_by_host(ctx, name)
    point = await point_named(ctx, name) if is_point(name) else None
    return name if point is None else point.bucket_name


async def meant_by_host(ctx: Context, name: str) -> str:
    """What a host `NAME.localhost` means: a bucket of this name, else `POINT-ACCOUNT`.

    Clients write access points so before an endpoint's host.
    """
    parts = _SHORT.fullmatch(name)
    if parts is None:
        return name
    reader = ctx.read()
    if await reader.get(Bucket, name if ctx.partition == "aws" else f"{ctx.partition}:{name}"):
        return name
    point = await reader.get(AccessPoint, parts[2], ctx.region, parts[1])
    return name if point is None else point.arn


def through(ctx: Context, needs: Sequence[Need], sources: int = 0) -> Sequence[Need]:
    """The needs of a call that comes through an access point: of each, also the access point's.

    The first `sources` are about what is copied, and go their own way.
    """
    session = ctx.caller.session
    way, source_way = session.get(_WAY), session.get(_SOURCE_WAY)
    if way is None and source_way is None:
        return needs
    found: list[Need] = []
    for number, need in enumerate(needs):
        if number >= sources:
            found += _both(need, way)
        else:
            keys = _DIRECT if source_way is None else source_way.keys()
            found += _both(need._replace(context={**need.context, **keys}), source_way)
    return found


def _both(need: Need, way: Way | None) -> Sequence[Need]:
    if way is None:
        return (need,)
    front = way.front
    if front is not None:
        asked = front.need(need, _DIRECT)
        if front.function:
            return (asked,)
        behind = _both(front.behind(need), way._replace(front=None))
        return (asked, *behind)
    resource = way.there(need.resource)
    if resource is None:
        return (need,)
    beyond = _Through(way, need.beyond)
    return (need._replace(resource=resource, policy=way.point.arn, beyond=beyond), need)


async def authorise(ctx: Context, need: Need, *, source: bool = False) -> None:
    """An extra check, of the access point too where the call comes through one.

    `source`: it is about what is copied, which may have come through another one.
    """
    session = ctx.caller.session
    way = session.get(_SOURCE_WAY if source else _WAY)
    if source or (way is not None and way.there(need.resource) is None):
        keys = _DIRECT if way is None or not source else way.keys()
        need = need._replace(context={**need.context, **keys})
    for one in _both(need, way):
        await ctx.kernel.authorise(ctx, one)


class _Through:
    """What bears on a need of an access point: its tags, and what bears on the bucket's need."""

    def __init__(self, way: Way, beyond: Beyond | None) -> None:
        self._way = way
        self._beyond = beyond

    def knows(self, key: str) -> bool:
        """Whether `conditions` may have a condition key."""
        if key.startswith((_RESOURCE_TAG, _POINT_TAG)):
            return True
        return self._beyond is not None and self._beyond.knows(key)

    async def conditions(self, ctx: Context, need: Need) -> Mapping[str, Any]:
        """The tags of the object and of the access point."""
        way = self._way
        found: dict[str, Any] = {}
        if self._beyond is not None:
            resource = (
                f"{way.bucket}{need.resource[len(way.point.arn) :].replace('/object', '', 1)}"
            )
            there = await self._beyond.conditions(ctx, need._replace(resource=resource))
            found = {key: one for key, one in there.items() if not key.startswith(_RESOURCE_TAG)}
        for name, text in way.point.tags.items():
            found[f"{_RESOURCE_TAG}{name.lower()}"] = text
            found[f"{_POINT_TAG}{name.lower()}"] = text
        return found

    async def grants(self, ctx: Context, need: Need) -> Granted | None:
        """An access point has no list of access."""
        return None
