"""The account itself: its alias, and how much of everything it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context, Reader
from doppio.services.iam import limits
from doppio.services.iam.errors import EntityAlreadyExists, missing
from doppio.services.iam.provider_records import OidcProvider, SamlProvider
from doppio.services.iam.records import (
    BY_USER,
    AccountAlias,
    Alias,
    Belonging,
    Group,
    InstanceProfile,
    ManagedPolicy,
    MfaDevice,
    Role,
    ServerCertificate,
    TokenPreference,
    User,
)

if TYPE_CHECKING:
    from doppio._stubs import iam as w


class Account:
    """The account operations."""

    async def create_account_alias(self, ctx: Context, req: w.CreateAccountAliasRequest) -> None:
        """Give the account a name of its own, unique in the partition."""
        alias = req["AccountAlias"]
        async with ctx.write() as tx:
            taken = await tx.get(Alias, alias)
            if taken is not None and taken.account != ctx.account:
                raise EntityAlreadyExists(f"The account alias {alias} already exists.")
            old = await tx.get(AccountAlias, ctx.account)
            if old is not None:
                tx.delete(Alias(alias=old.alias, account=ctx.account))
            tx.put(Alias(alias=alias, account=ctx.account))
            tx.put(AccountAlias(account=ctx.account, alias=alias))

    async def delete_account_alias(self, ctx: Context, req: w.DeleteAccountAliasRequest) -> None:
        """Take the account's alias away."""
        async with ctx.write() as tx:
            old = await tx.get(AccountAlias, ctx.account)
            if old is None or old.alias != req["AccountAlias"]:
                raise missing("account alias", req["AccountAlias"])
            tx.delete(Alias(alias=old.alias, account=ctx.account))
            tx.delete(old)

    async def list_account_aliases(
        self, ctx: Context, req: w.ListAccountAliasesRequest
    ) -> w.ListAccountAliasesResponse:
        """The account's alias, if it has one."""
        found = await ctx.read().get(AccountAlias, ctx.account)
        return {"AccountAliases": [found.alias] if found else [], "IsTruncated": False}

    async def set_security_token_service_preferences(
        self, ctx: Context, req: w.SetSecurityTokenServicePreferencesRequest
    ) -> None:
        """Say whether tokens of STS's global endpoint count in all Regions (version 2)."""
        version = 2 if req["GlobalEndpointTokenVersion"] == "v2Token" else 1
        async with ctx.write() as tx:
            tx.put(TokenPreference(account=ctx.account, version=version))

    async def get_account_summary(
        self, ctx: Context, req: Mapping[str, Any]
    ) -> w.GetAccountSummaryResponse:
        """How many of everything the account has, and may have."""
        reader, where, most = ctx.read(), (ctx.account,), limits.ROWS_MAX
        counts = dict(_QUOTAS)
        for name, kind in _COUNTED.items():
            counts[name] = len(await reader.list(kind, where, limit=most))
        devices = await reader.list(MfaDevice, where, limit=most)
        counts["MFADevicesInUse"] = sum(device.user is not None for device in devices)
        counts["AccountMFAEnabled"] = int(any(device.user == "" for device in devices))
        policies = await reader.list(ManagedPolicy, where, limit=most)
        counts["PolicyVersionsInUse"] = sum(len(policy.versions) for policy in policies)
        providers = [
            await reader.list(kind, where, limit=most) for kind in (OidcProvider, SamlProvider)
        ]
        counts["Providers"] = sum(len(rows) for rows in providers)
        root = (ctx.account, "")
        keys = await reader.find(BY_USER, root, limit=1)
        certificates = await reader.list(Belonging, (*root, "certificate"), limit=1)
        counts["AccountAccessKeysPresent"] = len(keys)
        counts["AccountSigningCertificatesPresent"] = len(certificates)
        counts["AccountPasswordPresent"] = 0
        counts["GlobalEndpointTokenVersion"] = await token_version(reader, ctx.account)
        return {"SummaryMap": counts}


async def token_version(reader: Reader, account: str) -> int:
    """Which tokens STS's global endpoint gives to an account."""
    found = await reader.get(TokenPreference, account)
    return 1 if found is None else found.version


_COUNTED: dict[str, type] = {
    "Users": User, "Groups": Group, "Roles": Role, "Policies": ManagedPolicy,
    "InstanceProfiles": InstanceProfile, "ServerCertificates": ServerCertificate,
    "MFADevices": MfaDevice,
}  # fmt: skip
_QUOTAS = {
    "UsersQuota": limits.USERS_MAX,
    "GroupsQuota": limits.GROUPS_MAX,
    "RolesQuota": limits.ROLES_MAX,
    "PoliciesQuota": limits.POLICIES_MAX,
    "InstanceProfilesQuota": limits.INSTANCE_PROFILES_MAX,
    "ServerCertificatesQuota": limits.SERVER_CERTIFICATES_MAX,
    "AccessKeysPerUserQuota": limits.ACCESS_KEYS_A_USER_MAX,
    "SigningCertificatesPerUserQuota": limits.CERTIFICATES_A_USER_MAX,
    "GroupsPerUserQuota": limits.GROUPS_A_USER_MAX,
    "VersionsPerPolicyQuota": limits.VERSIONS_A_POLICY_MAX,
    "PolicyVersionsInUseQuota": limits.VERSIONS_IN_USE_MAX,
    "PolicySizeQuota": limits.MANAGED_POLICY_CHARS_MAX,
    "UserPolicySizeQuota": limits.INLINE_USER_CHARS_MAX,
    "GroupPolicySizeQuota": limits.INLINE_GROUP_CHARS_MAX,
    "RolePolicySizeQuota": limits.INLINE_ROLE_CHARS_MAX,
    "AssumeRolePolicySizeQuota": limits.TRUST_POLICY_CHARS_MAX,
    "AttachedPoliciesPerUserQuota": limits.MANAGED_POLICIES_MAX,
    "AttachedPoliciesPerGroupQuota": limits.MANAGED_POLICIES_MAX,
    "AttachedPoliciesPerRoleQuota": limits.MANAGED_POLICIES_MAX,
}
