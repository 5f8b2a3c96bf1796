"""STS operations: identity, and temporary credentials."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context
from doppio.services.iam.ports import AccessKey, Session, account_of, role_of
from doppio.services.sts import grants
from doppio.services.sts.errors import ValidationError
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import sts as w

_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\x21-\x7e]+", re.ASCII)


class Sessions:
    """The STS operations."""

    async def get_caller_identity(
        self, ctx: Context, req: Mapping[str, Any]
    ) -> w.GetCallerIdentityResponse:
        """Who the caller is; nobody can be denied this."""
        caller = ctx.caller
        return {"UserId": caller.id, "Account": caller.account, "Arn": caller.arn}

    async def get_access_key_info(
        self, ctx: Context, req: w.GetAccessKeyInfoRequest
    ) -> w.GetAccessKeyInfoResponse:
        """The account that an access key belongs to, or did; a session's key, too."""
        key = await ctx.read().get(AccessKey, req["AccessKeyId"])
        account = account_of(req["AccessKeyId"]) if key is None else key.account
        if account is None:
            raise ValidationError(f"Invalid Access Key ID: {req['AccessKeyId']}")
        return {"Account": account}

    async def assume_role(self, ctx: Context, req: w.AssumeRoleRequest) -> w.AssumeRoleResponse:
        """Become a role that trusts the caller, for a while."""
        arn, name = req["RoleArn"], req["RoleSessionName"]
        if req.get("ProvidedContexts"):
            raise NotImplementedByDoppio(
                "sts:AssumeRole with ProvidedContexts exists in AWS and not yet in this cloud"
            )
        if not _ROLE_ARN.fullmatch(arn):
            raise ValidationError(f"{arn} is invalid")
        grants.check_not_root(ctx)
        role = await role_of(ctx.read(), arn)
        # Whether a role is missing or does not trust the caller, AWS says the same.
        if role is None or ctx.caller.kind == "federated-user":
            raise grants.refused(ctx, arn)
        mfa = await grants.checked_mfa(ctx, req)
        await grants.check_trust(ctx, role, req, mfa=mfa)
        tags, transitive = grants.session_tags(ctx, req)
        packed = grants.packed_percent(req)
        session = Session(
            kind="role", account=role.account, role=role.name, owner=role.id, name=name,
            issued_at=ctx.now, expires_at=ctx.now + grants.role_duration(ctx, req, role),
            policies=grants.session_policies(ctx, req),
            policy_arns=await grants.session_policy_arns(ctx, req, role.account),
            tags=tags, transitive=transitive, source_identity=grants.source_identity(ctx, req), mfa=mfa,
        )  # fmt: skip
        user_arn = f"arn:{ctx.partition}:sts::{role.account}:assumed-role/{role.name}/{name}"
        shown: dict[str, Any] = {
            **await grants.given(ctx, req, session),
            "AssumedRoleUser": {"AssumedRoleId": f"{role.id}:{name}", "Arn": user_arn},
        }
        if packed:
            shown["PackedPolicySize"] = packed
        if session.source_identity:
            shown["SourceIdentity"] = session.source_identity
        return shown  # type: ignore[return-value]

    async def get_session_token(
        self, ctx: Context, req: w.GetSessionTokenRequest
    ) -> w.GetSessionTokenResponse:
        """Temporary credentials for the caller itself."""
        grants.check_long_term(ctx, "GetSessionToken")
        mfa = await grants.checked_mfa(ctx, req)
        user, owner = _user(ctx)
        session = Session(
            kind="user", account=ctx.caller.account, name=user, user=user, owner=owner,
            issued_at=ctx.now, expires_at=ctx.now + grants.own_duration(ctx, req),
            mfa=mfa,
        )  # fmt: skip
        return await grants.given(ctx, req, session)  # type: ignore[return-value]

    async def get_federation_token(
        self, ctx: Context, req: w.GetFederationTokenRequest
    ) -> w.GetFederationTokenResponse:
        """Temporary credentials for somebody whom the caller vouches for."""
        grants.check_long_term(ctx, "GetFederationToken")
        user, owner = _user(ctx)
        tags, _ = grants.session_tags(ctx, req)
        packed = grants.packed_percent(req)
        session = Session(
            kind="federated", account=ctx.caller.account, name=req["Name"], user=user,
            owner=owner, issued_at=ctx.now, expires_at=ctx.now + grants.own_duration(ctx, req),
            policies=grants.session_policies(ctx, req),
            policy_arns=await grants.session_policy_arns(ctx, req, ctx.caller.account), tags=tags,
        )  # fmt: skip
        shown: dict[str, Any] = {
            **await grants.given(ctx, req, session),
            "FederatedUser": {
                "FederatedUserId": f"{session.account}:{session.name}",
                "Arn": f"arn:{ctx.partition}:sts::{session.account}:federated-user/{session.name}",
            },
        }
        if packed:
            shown["PackedPolicySize"] = packed
        return shown  # type: ignore[return-value]


def _user(ctx: Context) -> tuple[str, str]:
    """Name and unique id of the user that calls; the root user's are empty."""
    if ctx.caller.kind == "root":
        return "", ""
    return ctx.caller.arn.rpartition("/")[2], ctx.caller.id
