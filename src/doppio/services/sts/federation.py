"""What roles for those whom an identity provider vouches for have in common, whatever it speaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.kernel.authorise import judge
from doppio.kernel.context import Context
from doppio.kernel.identity import Caller
from doppio.kernel.policy import PolicySet
from doppio.kernel.service import Need
from doppio.services.iam.ports import Role, compile_policy
from doppio.services.sts import grants
from doppio.services.sts.errors import AccessDenied


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
    trust = compile_policy(role.trust, "trust policy")
    for one in actions:
        need = Need(one, role.arn, conditions)
        trusting = PolicySet().with_resource(trust, role.arn)
        if not (await judge(federated, need, role.account, trusting)).allowed:
            raise denied(one)


def denied(action: str) -> AccessDenied:
    """What AWS says where a role does not trust a provider, and of roles that are not there."""
    return AccessDenied(f"Not authorized to perform {action}")
