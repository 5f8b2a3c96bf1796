"""STS: the table of contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need, Service
from doppio.services.iam.ports import ISSUERS_PAGE
from doppio.services.sts.assume_root import AssumingRoot, root_needs
from doppio.services.sts.delegated import Delegated
from doppio.services.sts.grants import tag_conditions
from doppio.services.sts.messages import Messages
from doppio.services.sts.saml import SamlIdentities
from doppio.services.sts.scoping import Scoping
from doppio.services.sts.sessions import Sessions
from doppio.services.sts.token_keys import issuer_page
from doppio.services.sts.web_identity import WebIdentities
from doppio.services.sts.web_tokens import WebTokens, token_needs

_BY_NAME = frozenset({
    "DecodeAuthorizationMessage", "GetAccessKeyInfo", "GetDelegatedAccessToken",
    "GetScopedCredentials",
})  # fmt: skip


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """Most of STS needs no permission; roles' trust policies are asked by the operations."""
    if operation in _BY_NAME:
        return (Need(f"sts:{operation}"),)
    if operation == "GetFederationToken":
        arn = f"arn:{ctx.partition}:sts::{ctx.account}:federated-user/{req['Name']}"
        keys = tag_conditions(req)
        need = Need("sts:GetFederationToken", arn, keys)
        return (need, Need("sts:TagSession", arn, keys)) if keys else (need,)
    if operation == "AssumeRoot":
        return root_needs(ctx, req)
    if operation == "GetWebIdentityToken":
        return token_needs(req)
    return ()


SERVICE = Service(
    "sts",
    groups=[
        Sessions(), WebIdentities(), SamlIdentities(), WebTokens(), Scoping(), Messages(),
        Delegated(), AssumingRoot(),
    ],
    needs=needs,
    anonymous=["AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"],
    pages={ISSUERS_PAGE: issuer_page},
)  # fmt: skip
