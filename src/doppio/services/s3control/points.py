"""What access points have in common: those of buckets, of Object Lambda, and of many Regions."""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace

from doppio.kernel.authorise import forget_resource
from doppio.kernel.context import Context, Reader, Tx
from doppio.services.s3.ports import (
    AccessPoint,
    LambdaPoint,
    MultiRegionPoint,
    PointsHeld,
    checked_policy,
    point_is_public,
    tell_point,
)
from doppio.services.s3control.errors import (
    AccessDenied,
    AccessPointAlreadyOwnedByYou,
    InvalidRequest,
    NoSuchAccessPoint,
    NoSuchAccessPointPolicy,
)
from doppio.services.s3control.rules import point_name_is_allowed

P = TypeVar("P", AccessPoint, LambdaPoint)


async def existing(reader: Reader, kind: type[P], name: str) -> P:
    """The account's access point of a name. Raises NoSuchAccessPoint."""
    ctx = reader.context
    point = await reader.get(kind, ctx.account, ctx.region, name)
    if point is None:
        raise NoSuchAccessPoint(AccessPointName=name)
    return point


def check_name(name: str) -> None:
    """Raises InvalidRequest for what cannot be an access point's name."""
    if not point_name_is_allowed(name):
        raise InvalidRequest("The access point name is not valid", AccessPointName=name)


async def check_free(tx: Tx, kind: type[P], name: str) -> None:
    """Raises AccessPointAlreadyOwnedByYou where there is such an access point."""
    if await tx.get(kind, tx.context.account, tx.context.region, name) is not None:
        raise AccessPointAlreadyOwnedByYou(AccessPointName=name)


async def points_held(tx: Tx) -> PointsHeld:
    """How many access points the account has in this Region."""
    ctx = tx.context
    found = await tx.get(PointsHeld, ctx.account, ctx.region)
    return found or PointsHeld(account=ctx.account, region=ctx.region)


def close(tx: Tx, point: AccessPoint | LambdaPoint) -> None:
    """Close a way; what it leads to stays."""
    tx.delete(point)
    forget_resource(tx, point.arn)


def check_policy(
    ctx: Context, point: AccessPoint | LambdaPoint | MultiRegionPoint, text: str, operation: str
) -> None:
    """Whether a policy may hang there: not one that lets the world in where that is blocked.

    Raises MalformedPolicy and AccessDenied.
    """
    document = checked_policy(point.arn, text)
    if point.blocks("BlockPublicPolicy") and point_is_public(point, document):
        raise AccessDenied(
            f"User: {ctx.caller.arn} is not authorized to perform: s3:{operation} "
            f'on resource: "{point.arn}" because public policies are prevented by the '
            "BlockPublicPolicy setting in S3 Block Public Access."
        )


async def put_policy(tx: Tx, kind: type[P], name: str, text: str, operation: str) -> None:
    """Hang a policy on an access point, which counts for the next request."""
    point = await existing(tx, kind, name)
    check_policy(tx.context, point, text, operation)
    tell_point(tx, replace(point, policy=text))


async def policy_of(reader: Reader, kind: type[P], name: str) -> str:
    """An access point's policy, as it was put. Raises NoSuchAccessPointPolicy."""
    return _policy(await existing(reader, kind, name))


async def is_public(reader: Reader, kind: type[P], name: str) -> bool:
    """Whether an access point's policy lets the world in. Raises NoSuchAccessPointPolicy."""
    point = await existing(reader, kind, name)
    return point_is_public(point, checked_policy(point.arn, _policy(point)))


async def drop_policy(tx: Tx, kind: type[P], name: str) -> None:
    """Take an access point's policy off; no policy is no error."""
    tell_point(tx, replace(await existing(tx, kind, name), policy=None))


def _policy(point: AccessPoint | LambdaPoint) -> str:
    if point.policy is None:
        raise NoSuchAccessPointPolicy(AccessPointName=point.name)
    return point.policy
