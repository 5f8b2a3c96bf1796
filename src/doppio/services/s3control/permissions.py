"""What each operation needs, and that it is about the caller's own account.

Source: "Actions, resources, and condition keys for Amazon S3" in the Service Authorization
Reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Granted, Need
from doppio.services.s3.ports import RECORDS, point_named
from doppio.services.s3control.errors import AccessDenied
from doppio.services.s3control.job_permissions import job_needs

# Operation -> action, where the name differs.
_ACTIONS = {
    "GetPublicAccessBlock": "GetAccountPublicAccessBlock",
    "PutPublicAccessBlock": "PutAccountPublicAccessBlock",
    "DeletePublicAccessBlock": "PutAccountPublicAccessBlock",
}
_ON_POINT = frozenset(
    {
        "CreateAccessPoint", "GetAccessPoint", "DeleteAccessPoint", "PutAccessPointPolicy",
        "GetAccessPointPolicy", "GetAccessPointPolicyStatus", "DeleteAccessPointPolicy",
    }
)  # fmt: skip

_ON_LAMBDA_POINT = frozenset(
    {
        "CreateAccessPointForObjectLambda", "GetAccessPointForObjectLambda",
        "DeleteAccessPointForObjectLambda", "PutAccessPointConfigurationForObjectLambda",
        "GetAccessPointConfigurationForObjectLambda", "PutAccessPointPolicyForObjectLambda",
        "GetAccessPointPolicyForObjectLambda", "GetAccessPointPolicyStatusForObjectLambda",
        "DeleteAccessPointPolicyForObjectLambda",
    }
)  # fmt: skip


class _OfPoints:
    """Reads the tags of the access point that a need is about, where a policy asks for them."""

    def knows(self, key: str) -> bool:
        """Whether a condition key is one of an access point's tags."""
        return key.startswith(_TAGS)

    async def conditions(self, ctx: Context, need: Need) -> Mapping[str, Any]:
        """The tags, by both of their names."""
        point = await point_named(ctx, need.resource)
        tags = {} if point is None else point.tags
        return {f"{name}{key.lower()}": text for key, text in tags.items() for name in _TAGS}

    async def grants(self, ctx: Context, need: Need) -> Granted | None:
        """Access points have no lists of access."""
        return None


_TAGS = ("aws:resourcetag/", "s3:accesspointtag/")
_OF_POINTS = _OfPoints()


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """The permissions that a call takes. Raises AccessDenied for another account's settings."""
    if req.get("AccountId", ctx.account) != ctx.account:
        raise AccessDenied
    if "Job" in operation:
        return job_needs(ctx, operation, req)
    if "StorageLensConfiguration" in operation:
        return (_lens_need(ctx, operation, req),)
    if "StorageLensGroup" in operation:
        return _on_group(ctx, operation, req)
    action = f"s3:{_ACTIONS.get(operation, operation)}"
    if operation in _ON_LAMBDA_POINT:
        place = f"arn:{ctx.partition}:s3-object-lambda:{ctx.region}:{ctx.account}"
        return (Need(action, f"{place}:accesspoint/{req['Name']}"),)
    if operation in _ON_POINT:
        return _on_point(ctx, action, req)
    if operation == "CreateMultiRegionAccessPoint":
        # It has no alias yet by which policies could name it.
        name = req["Details"]["Name"]
        return (Need(action, f"arn:{ctx.partition}:s3::{ctx.account}:accesspoint/{name}"),)
    if operation == "DescribeMultiRegionAccessPointOperation":
        return (Need(action, req["RequestTokenARN"]),)
    if "MultiRegionAccessPoint" in operation and operation != "ListMultiRegionAccessPoints":
        # Its ARN is known only when it has been found: there it is asked for.
        return ()
    if "ResourceArn" in req:
        arn = req["ResourceArn"]
        beyond = RECORDS if ":s3:::" in arn else _OF_POINTS
        return (Need(action, arn, _of_tags(req), beyond=beyond),)
    return (Need(action),)


def _on_point(ctx: Context, action: str, req: Mapping[str, Any]) -> Sequence[Need]:
    arn = f"arn:{ctx.partition}:s3:{ctx.region}:{ctx.account}:accesspoint/{req['Name']}"
    context: dict[str, Any] = {
        "s3:dataaccesspointarn": arn,
        "s3:dataaccesspointaccount": ctx.account,
        **_of_tags(req),
    }
    if action == "s3:CreateAccessPoint":
        context["s3:accesspointnetworkorigin"] = "VPC" if "VpcConfiguration" in req else "Internet"
    needs = [Need(action, arn, context, beyond=_OF_POINTS)]
    if req.get("Tags"):
        needs.append(Need("s3:TagResource", arn, context))
    return needs


def _of_tags(req: Mapping[str, Any]) -> dict[str, Any]:
    tags = {tag["Key"]: tag["Value"] for tag in req.get("Tags") or []}
    keys = [*tags, *(req.get("TagKeys") or [])]
    if not keys:
        return {}
    return {f"aws:requesttag/{key.lower()}": text for key, text in tags.items()} | {
        "aws:tagkeys": keys
    }


def _on_group(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    if operation == "ListStorageLensGroups":
        return (Need("s3:ListStorageLensGroups"),)
    name = req.get("Name") or req["StorageLensGroup"]["Name"]
    arn = f"arn:{ctx.partition}:s3:{ctx.region}:{ctx.account}:storage-lens-group/{name}"
    keys = _of_tags(req)
    if operation != "CreateStorageLensGroup":
        return (Need(f"s3:{operation}", arn, keys),)
    made = Need("s3:CreateStorageLensGroup", "*", keys)
    return (made, Need("s3:TagResource", arn, keys)) if req.get("Tags") else (made,)


def _lens_need(ctx: Context, operation: str, req: Mapping[str, Any]) -> Need:
    """A configuration of Storage Lens has an ARN once it is there."""
    keys = _of_tags(req)
    if operation in {"PutStorageLensConfiguration", "ListStorageLensConfigurations"}:
        return Need(f"s3:{operation}", "*", keys)
    base = f"arn:{ctx.partition}:s3:{ctx.region}:{ctx.account}:storage-lens"
    return Need(f"s3:{operation}", f"{base}/{req['ConfigId']}", keys)
