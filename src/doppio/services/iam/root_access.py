"""Centralised root access: an organisation's management account does what takes a member's root user.

It may be a delegated administrator that does it. What is enabled is told here; the sessions are STS's
(AssumeRoot), and each is held to one task by a policy of AWS's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context, Reader
from doppio.kernel.guardrails import Place, place_of
from doppio.kernel.identity import root_of
from doppio.services.iam.errors import (
    AccountNotManagementOrDelegatedAdministrator,
    CallerIsNotManagementAccount,
    OrganizationNotFound,
    OrganizationNotInAllFeaturesMode,
    ServiceAccessNotEnabled,
)
from doppio.services.iam.organizations import listed
from doppio.services.iam.records import RootFeatures

if TYPE_CHECKING:
    from doppio._stubs import iam as w

PRINCIPAL = "iam.amazonaws.com"
CREDENTIALS, SESSIONS = "RootCredentialsManagement", "RootSessions"
# In a session's claims: the task for which a member's root user was assumed. No condition key of
# AWS's has this name.
ROOT_TASK = "doppio:roottask"
# What each task takes.
TASKS = {
    "IAMAuditRootUserCredentials": CREDENTIALS,
    "IAMCreateRootUserPassword": CREDENTIALS,
    "IAMDeleteRootUserCredentials": CREDENTIALS,
    "S3UnlockBucketPolicy": SESSIONS,
    "SQSUnlockQueuePolicy": SESSIONS,
}


class RootAccess:
    """The operations on centralised root access."""

    async def enable_organizations_root_credentials_management(
        self, ctx: Context, req: Any
    ) -> w.EnableOrganizationsRootCredentialsManagementResponse:
        """Let the root credentials of members be managed."""
        return await _set(ctx, CREDENTIALS, on=True)  # type: ignore[return-value]

    async def enable_organizations_root_sessions(
        self, ctx: Context, req: Any
    ) -> w.EnableOrganizationsRootSessionsResponse:
        """Let tasks be done that take a member's root user."""
        return await _set(ctx, SESSIONS, on=True)  # type: ignore[return-value]

    async def disable_organizations_root_credentials_management(
        self, ctx: Context, req: Any
    ) -> w.DisableOrganizationsRootCredentialsManagementResponse:
        """Leave the root credentials of members to themselves."""
        return await _set(ctx, CREDENTIALS, on=False)  # type: ignore[return-value]

    async def disable_organizations_root_sessions(
        self, ctx: Context, req: Any
    ) -> w.DisableOrganizationsRootSessionsResponse:
        """Let no task be done any more; sessions that there are end in minutes."""
        return await _set(ctx, SESSIONS, on=False)  # type: ignore[return-value]

    async def list_organizations_features(
        self, ctx: Context, req: Any
    ) -> w.ListOrganizationsFeaturesResponse:
        """What is enabled."""
        place = await _checked(ctx, changing=False)
        enabled = await _enabled(ctx.read(), place)
        return _to_wire(place, enabled)  # type: ignore[return-value]


def is_task(task: str, partition: str) -> bool:
    """Whether an ARN is that of a task's policy."""
    head, _, name = task.rpartition("/")
    return head == f"arn:{partition}:iam::aws:policy/root-task" and name in TASKS


async def may_assume_root(ctx: Context, target: str, task: str) -> bool:
    """Whether the caller's account may have this task done in another, by what is enabled."""
    reader = ctx.read()
    mine, theirs = await place_of(reader, ctx.account), await place_of(reader, target)
    if mine is None or theirs is None or theirs.management:
        return False
    if mine.organization != theirs.organization:
        return False
    if TASKS[task.rpartition("/")[2]] not in await _enabled(reader, mine):
        return False
    return mine.management or await _is_administrator(ctx, mine)


async def _set(ctx: Context, feature: str, *, on: bool) -> dict[str, Any]:
    """Enable or disable a feature; one that is so already is no error."""
    place = await _checked(ctx, changing=on)
    async with ctx.write() as tx:
        enabled = await _enabled(tx, place)
        rest = tuple(one for one in enabled if one != feature)
        now = tuple(sorted((*rest, feature))) if on else rest
        tx.put(RootFeatures(organization=place.organization, enabled=now))
    return _to_wire(place, now)


async def _checked(ctx: Context, *, changing: bool) -> Place:
    """Where the caller's account stands, if it may ask. Raises what IAM says of each that may not."""
    place = await place_of(ctx.read(), ctx.account)
    if place is None:
        raise OrganizationNotFound()
    asking = _as_management(ctx, place)
    about = await asking.call("organizations", "describe_organization", {})
    if about["Organization"]["FeatureSet"] != "ALL":
        raise OrganizationNotInAllFeaturesMode()
    if not place.management:
        if not await _is_administrator(ctx, place):
            raise AccountNotManagementOrDelegatedAdministrator()
        if changing:
            raise CallerIsNotManagementAccount()
    trusted = await listed(
        asking, "list_aws_service_access_for_organization", {}, "EnabledServicePrincipals"
    )
    if PRINCIPAL not in [one["ServicePrincipal"] for one in trusted]:
        raise ServiceAccessNotEnabled()
    return place


async def _is_administrator(ctx: Context, place: Place) -> bool:
    """Whether the management account has handed IAM's business to this account."""
    found = await listed(
        _as_management(ctx, place), "list_delegated_administrators",
        {"ServicePrincipal": PRINCIPAL}, "DelegatedAdministrators",
    )  # fmt: skip
    return place.account in [one["Id"] for one in found]


def _as_management(ctx: Context, place: Place) -> Context:
    """The management account, which may know all of its organisation."""
    asking = ctx.derive(root_of(place.master, partition=ctx.partition))
    asking.account = place.master
    return asking


async def _enabled(reader: Reader, place: Place) -> tuple[str, ...]:
    found = await reader.get(RootFeatures, place.organization)
    return () if found is None else found.enabled


def _to_wire(place: Place, enabled: tuple[str, ...]) -> dict[str, Any]:
    return {"OrganizationId": place.organization, "EnabledFeatures": list(enabled)}
