"""What roles for those whom an identity provider vouches for have in common, whatever it speaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from doppio.kernel.authorise import judge, keep_denial
from doppio.kernel.context import Context
from doppio.kernel.identity import Caller
from doppio.kernel.policy import PolicySet
from doppio.kernel.service import Need
from doppio.services.iam.ports import (
    OidcProvider,
    Role,
    SamlProvider,
    propagated,
    trusted_policy,
)
from doppio.services.sts import grants
from doppio.services.sts.errors import AccessDenied, InvalidIdentityToken


async def check_trust(
    ctx: Context,
    action: str,
    role: Role,
    provider: str,
    keys: Mapping[str, Any],
    asked: Mapping[str, Any],
) -> None:
    """Raise AccessDenied unless the role trusts the provider with what its word asks for."""
    federated = ctx.derive(
        Caller(account="", arn=provider, id="", kind="service", policies=PolicySet())
    )
    conditions: dict[str, Any] = {
        **keys,
        "aws:federatedprovider": provider,
        "sts:rolesessionname": asked["RoleSessionName"],
        **grants.tag_conditions(asked),
    }
    if asked.get("TransitiveTagKeys"):
        conditions["sts:transitivetagkeys"] = list(asked["TransitiveTagKeys"])
    actions = [action]
    if asked.get("Tags"):
        actions.append("sts:TagSession")
    if asked.get("SourceIdentity"):
        actions.append("sts:SetSourceIdentity")
        conditions["sts:sourceidentity"] = asked["SourceIdentity"]
    trust = trusted_policy(role)
    for one in actions:
        need = Need(one, role.arn, conditions)
        trusting = PolicySet().with_resource(trust, role.arn)
        decision = await judge(federated, need, role.account, trusting)
        if not decision.allowed:
            keep_denial(federated, need, decision)
            raise denied(one)


def context_of(
    provider: OidcProvider | SamlProvider, issuer: str, claim: Callable[[str], str | None]
) -> dict[str, str]:
    """The trusted context that a provider gives to a session. Raises InvalidIdentityToken."""
    try:
        return propagated(provider.context, provider.arn, issuer, claim)
    except LookupError as error:
        raise InvalidIdentityToken(f"Missing a required claim: {error.args[0]}") from error


def claims_of(provider: str, keys: Mapping[str, str], context: Mapping[str, str]) -> dict[str, str]:
    """All that a session brings as condition keys, in small letters."""
    folded = {key.lower(): value for key, value in context.items()}
    return {**keys, **folded, "aws:federatedprovider": provider}


def denied(action: str) -> AccessDenied:
    """What AWS says where a role does not trust a provider, and of roles that are not there."""
    return AccessDenied(f"Not authorized to perform {action}")
