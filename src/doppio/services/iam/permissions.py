"""What permission an operation takes.

The path of a user, group or role is part of its ARN, and policies speak of paths and tags: so the
entity is looked up before the question is asked. Who asks for one that is not there is judged by
the ARN that it would have, and learns that it is missing only if allowed to look.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.identity import SIGNED_IN
from doppio.kernel.policy import PolicySet
from doppio.kernel.service import Need, Operation
from doppio.services.iam.attachments import managed
from doppio.services.iam.common import named, whole_seconds
from doppio.services.iam.delegation_work import DELEGATED
from doppio.services.iam.delegations import request_of
from doppio.services.iam.errors import InvalidClientTokenId
from doppio.services.iam.linked_roles import linked_arn, task_arn
from doppio.services.iam.mfa_devices import device_of
from doppio.services.iam.oidc_providers import provider_arn, provider_of
from doppio.services.iam.password_policy import own_password_policy, policy_of
from doppio.services.iam.provider_records import OidcProvider, SamlProvider
from doppio.services.iam.records import (
    AccessKey,
    Group,
    InstanceProfile,
    ManagedPolicy,
    MfaDevice,
    Named,
    Role,
    ServerCertificate,
    User,
    arn_of,
)
from doppio.services.iam.root_access import ROOT_TASK
from doppio.services.iam.saml_providers import saml_provider_arn, saml_provider_of

# Where a request names several things, it acts on the first of these.
_ACTS_ON: dict[str, type[Named]] = {
    "GroupName": Group, "InstanceProfileName": InstanceProfile, "RoleName": Role,
    "ServerCertificateName": ServerCertificate, "UserName": User,
}  # fmt: skip
_MAKES: dict[str, tuple[str, type[Named]]] = {
    "CreateGroup": ("GroupName", Group),
    "CreateInstanceProfile": ("InstanceProfileName", InstanceProfile),
    "CreatePolicy": ("PolicyName", ManagedPolicy),
    "CreateRole": ("RoleName", Role),
    "CreateUser": ("UserName", User),
    "UploadServerCertificate": ("ServerCertificateName", ServerCertificate),
    "CreateVirtualMFADevice": ("VirtualMFADeviceName", MfaDevice),
}
_LISTS: dict[str, type[Named]] = {
    "ListGroups": Group, "ListInstanceProfiles": InstanceProfile, "ListRoles": Role,
    "ListServerCertificates": ServerCertificate, "ListUsers": User, "ListVirtualMFADevices": MfaDevice,
}  # fmt: skip
# What the request says all of.
_NAMED_SO: dict[str, Callable[[str, str, Mapping[str, Any]], str]] = {
    "CreateOpenIDConnectProvider": lambda partition, account, req: provider_arn(
        partition, account, req["Url"]
    ),
    "CreateSAMLProvider": lambda partition, account, req: saml_provider_arn(
        partition, account, req["Name"]
    ),
    "CreateServiceLinkedRole": lambda partition, account, req: linked_arn(
        partition, account, req["AWSServiceName"], req.get("CustomSuffix")
    ),
    "GenerateOrganizationsAccessReport": lambda partition, account, req: (
        f"arn:{partition}:iam::{account}:access-report/{req['EntityPath']}"
    ),
    "GetServiceLinkedRoleDeletionStatus": lambda partition, account, req: task_arn(
        partition, account, req["DeletionTaskId"]
    ),
}
# Without a user name these act on the caller.
_OWN = frozenset({
    "GetUser", "ChangePassword",
    "CreateAccessKey", "ListAccessKeys", "UpdateAccessKey", "DeleteAccessKey",
    "GetMFADevice", "ListMFADevices", "DeactivateMFADevice",
    "CreateLoginProfile", "GetLoginProfile", "DeleteLoginProfile", "ListSSHPublicKeys",
    "UploadSigningCertificate", "ListSigningCertificates", "UpdateSigningCertificate",
    "DeleteSigningCertificate", "ListServiceSpecificCredentials",
    "UpdateServiceSpecificCredential", "ResetServiceSpecificCredential",
    "DeleteServiceSpecificCredential",
})  # fmt: skip
_PASSWORD_OWN = frozenset({"ChangePassword", "GetAccountPasswordPolicy"})
# In the sessions of those who may use IAM though they come with temporary credentials.
_FREE = frozenset({DELEGATED, ROOT_TASK, SIGNED_IN})
# What the owner of a delegation request may do with it by default.
_OWNERS = frozenset({
    "GetDelegationRequest", "GetHumanReadableSummary", "UpdateDelegationRequest",
})  # fmt: skip
_RENAMES = {
    "UpdateUser": "NewUserName", "UpdateGroup": "NewGroupName",
    "UpdateServerCertificate": "NewServerCertificateName",
}  # fmt: skip


def guarded(operation: Operation) -> Operation:
    """The operation, behind the question whether the caller may."""

    async def run(ctx: Context, req: Mapping[str, Any]) -> Mapping[str, Any] | None:
        _check_session(ctx)
        asking = await _asking(ctx) if ctx.operation in _PASSWORD_OWN else ctx
        for need in await needs(ctx, req):
            await asking.authorise(need.action, need.resource, need.context, granted=need.granted)
        answer: Mapping[str, Any] | None = whole_seconds(await operation(ctx, req))
        return answer

    return run


async def _asking(ctx: Context) -> Context:
    """The caller, with what the account's password policy lets each of its users do."""
    caller = ctx.caller
    if caller.kind != "user":
        return ctx
    policy = await policy_of(ctx.read(), ctx.account)
    if policy is None or not policy.users_may_change:
        return ctx
    policies: PolicySet = caller.policies
    allowed = (*policies.identity, own_password_policy(caller.arn))
    with_own = dataclasses.replace(policies, identity=allowed)
    asking = ctx.derive(dataclasses.replace(caller, policies=with_own))
    asking.operation = ctx.operation
    return asking


async def needs(ctx: Context, req: Mapping[str, Any]) -> list[Need]:
    """The action on what the operation touches, with IAM's condition keys."""
    operation = ctx.operation
    action = f"iam:{operation}"
    if "Delegation" in operation or operation == "GetHumanReadableSummary":
        return [await _delegation_need(ctx, operation, req)]
    arn, entity = await _target(ctx, operation, req)
    keys = _request_keys(operation, req)
    boundary = req.get("PermissionsBoundary") or getattr(entity, "boundary", None)
    if boundary is not None:
        keys["iam:permissionsboundary"] = boundary
    keys.update(_tag_keys(entity))
    found = [Need(action, arn, keys)]
    if operation in _RENAMES and isinstance(entity, User | Group | ServerCertificate):
        # Moving takes the permission at both ends.
        path, name = req.get("NewPath", entity.path), req.get(_RENAMES[operation], entity.name)
        found.append(
            Need(action, arn_of(ctx.partition, ctx.account, entity.TYPE, path, name), keys)
        )
    if operation == "AddRoleToInstanceProfile":
        role = await named(ctx.read(), Role, ctx.account, req["RoleName"])
        passed = {"iam:passedtoservice": "ec2.amazonaws.com", **_tag_keys(role)}
        role_arn = (
            role.arn
            if role
            else arn_of(ctx.partition, ctx.account, Role.TYPE, "/", req["RoleName"])
        )
        found.append(Need("iam:PassRole", role_arn, passed))
    return found


async def _delegation_need(ctx: Context, operation: str, req: Mapping[str, Any]) -> Need:
    """A request is of the account that it is made to; its owner may look at it and pass it on."""
    action, arn = f"iam:{operation}", f"arn:{ctx.partition}:iam::{ctx.account}:delegation-request/"
    if operation == "CreateDelegationRequest":
        keys = {
            "iam:delegationduration": str(req["SessionDuration"]),
            "iam:notificationchannel": req["NotificationChannel"],
            "iam:templatearn": req["Permissions"].get("PolicyTemplateArn"),
        }
        return Need(action, f"{arn}*", keys)
    if operation == "ListDelegationRequests":
        return Need(action)
    wanted = req.get("DelegationRequestId") or req["EntityArn"].rpartition("/")[2]
    found = await request_of(ctx.read(), wanted)
    if found is None or not found.owner_account:
        return Need(action, f"{arn}{wanted}")
    by_default = operation in _OWNERS and found.owner == ctx.caller.arn
    return Need(action, found.arn, granted=by_default)


async def _target(
    ctx: Context, operation: str, req: Mapping[str, Any]
) -> tuple[str, Named | OidcProvider | SamlProvider | None]:
    if operation in _MAKES:
        member, cls = _MAKES[operation]
        return arn_of(ctx.partition, ctx.account, cls.TYPE, req.get("Path", "/"), req[member]), None
    if ctx.caller.kind == "root" and "UserName" not in req and await _is_roots(ctx, operation, req):
        return f"arn:{ctx.partition}:iam::{ctx.account}:root", None
    if operation in _NAMED_SO:
        return _NAMED_SO[operation](ctx.partition, ctx.account, req), None
    for member, cls in _ACTS_ON.items():
        if member in req:
            entity = await named(ctx.read(), cls, ctx.account, req[member])
            missing = arn_of(ctx.partition, ctx.account, cls.TYPE, "/", req[member])
            return (missing if entity is None else entity.arn), entity
    if "PolicyArn" in req:
        return req["PolicyArn"], await managed(ctx.read(), req["PolicyArn"])
    if "PolicySourceArn" in req or "Arn" in req:
        return req.get("PolicySourceArn") or req["Arn"], None
    if "AccessKeyId" in req:
        key = await ctx.read().get(AccessKey, req["AccessKeyId"])
        user = None if key is None else await named(ctx.read(), User, ctx.account, key.user)
        return ("*" if user is None else user.arn), user
    if operation in _LISTS:
        return arn_of(
            ctx.partition, ctx.account, _LISTS[operation].TYPE, req.get("PathPrefix", "/"), ""
        ), None
    if operation == "ListPolicies":
        return f"policy path {req.get('PathPrefix', '/')}", None
    if operation in _OWN:
        if ctx.caller.kind != "user":
            return "*", None
        name = ctx.caller.arn.rpartition("/")[2]
        return ctx.caller.arn, await named(ctx.read(), User, ctx.account, name)
    return await _trusted(ctx, req)


async def _trusted(
    ctx: Context, req: Mapping[str, Any]
) -> tuple[str, Named | OidcProvider | SamlProvider | None]:
    """What proves who somebody is: providers and MFA devices."""
    reader = ctx.read()
    if "OpenIDConnectProviderArn" in req:
        arn = req["OpenIDConnectProviderArn"]
        return arn, await provider_of(reader, ctx.account, arn)
    if "SAMLProviderArn" in req:
        return req["SAMLProviderArn"], await saml_provider_of(reader, req["SAMLProviderArn"])
    if "SerialNumber" in req:
        return req["SerialNumber"], await device_of(reader, ctx.account, req["SerialNumber"])
    return "*", None


async def _is_roots(ctx: Context, operation: str, req: Mapping[str, Any]) -> bool:
    """Whether what root touches is its own: the policies of its tasks ask for that."""
    if operation == "GetAccessKeyLastUsed":
        key = await ctx.read().get(AccessKey, req["AccessKeyId"])
        return key is not None and key.account == ctx.account and not key.user
    if operation == "DeleteVirtualMFADevice":
        device = await device_of(ctx.read(), ctx.account, req["SerialNumber"])
        return device is not None and not device.user
    return operation in _OWN


def _request_keys(operation: str, req: Mapping[str, Any]) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    if operation.startswith(("Attach", "Detach")):
        keys["iam:policyarn"] = req["PolicyArn"]
    if operation == "CreateOpenIDConnectProvider":
        keys["iam:requestidentityproviderissuers"] = req["Url"].partition("://")[2] or req["Url"]
    if "OpenIDConnectProviderArn" in req:
        url = req["OpenIDConnectProviderArn"].partition(":oidc-provider/")[2]
        keys["iam:resourceidentityproviderissuers"] = url
    if "OrganizationsPolicyId" in req:
        keys["iam:organizationspolicyid"] = req["OrganizationsPolicyId"]
    if "AWSServiceName" in req:
        keys["iam:awsservicename"] = req["AWSServiceName"]
    if operation.endswith(("SAMLProvider", "OpenIDConnectProvider")) and operation.startswith(
        ("Create", "Update")
    ):
        keys["iam:enableidentitypropagation"] = str("ContextProvider" in req).lower()
    given = req.get("Tags", ())
    keys.update({f"aws:requesttag/{tag['Key'].lower()}": tag["Value"] for tag in given})
    names = [tag["Key"] for tag in given] or list(req.get("TagKeys", ()))
    if names:
        keys["aws:tagkeys"] = names
    return keys


def _tag_keys(entity: object) -> dict[str, str]:
    tags: dict[str, str] = getattr(entity, "tags", {})
    return {
        f"{service}:resourcetag/{key.lower()}": value
        for key, value in tags.items()
        for service in ("aws", "iam")
    }


def _check_session(ctx: Context) -> None:
    """A user's own temporary credentials may use IAM only after MFA, a federated user's never.

    What has been delegated may: to make roles is what it is often for. So may root on a task, and
    the console's sessions.
    """
    caller = ctx.caller
    temporary = (caller.access_key or "").startswith("ASIA") and _FREE.isdisjoint(caller.session)
    with_mfa = caller.session.get("aws:multifactorauthpresent") == "true"
    if caller.kind == "federated-user" or (
        temporary and caller.kind in ("root", "user") and not with_mfa
    ):
        raise InvalidClientTokenId()
