"""IAM: the table of contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need, Service
from doppio.services.iam.access_keys import AccessKeys, Account
from doppio.services.iam.groups import Groups
from doppio.services.iam.identities import Identities
from doppio.services.iam.instance_profiles import InstanceProfiles
from doppio.services.iam.policies import Policies
from doppio.services.iam.roles import Roles
from doppio.services.iam.users import Users

_KINDS = {
    "UserName": "user", "GroupName": "group", "RoleName": "role",
    "InstanceProfileName": "instance-profile", "PolicyName": "policy",
}  # fmt: skip


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """The action and the user, group, role or policy that an operation touches."""
    action = f"iam:{operation}"
    extra: dict[str, Any] = {}
    if "PolicyArn" in req:
        extra["iam:policyarn"] = req["PolicyArn"]
    if "PermissionsBoundary" in req:
        extra["iam:permissionsboundary"] = req["PermissionsBoundary"]
    for member, kind in _KINDS.items():
        if member in req:
            path = req.get("Path", "/")
            arn = f"arn:aws:iam::{ctx.account}:{kind}{path}{req[member]}"
            return (Need(action, arn, extra),)
    if "PolicyArn" in req:
        return (Need(action, req["PolicyArn"], extra),)
    if operation in _OWN and ctx.caller.kind == "user":
        return (Need(action, ctx.caller.arn, extra),)
    return (Need(action, "*", extra),)


# Without a user name these act on the caller.
_OWN = frozenset(
    {"GetUser", "CreateAccessKey", "ListAccessKeys", "UpdateAccessKey", "DeleteAccessKey"}
)

SERVICE = Service(
    "iam",
    groups=[
        Users(), Groups(), Roles(), Policies(), AccessKeys(), Account(), InstanceProfiles(),
    ],
    needs=needs,
    identities=Identities,
)  # fmt: skip
