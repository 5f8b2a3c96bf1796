"""The decision: IAM's policy evaluation logic.

Source: "Policy evaluation logic" in the IAM user guide. An explicit deny anywhere decides. Then
each kind of policy that is there must allow: organisation policies, boundary, session. What grants
is an identity policy or, in the same account, the resource's; across accounts it takes both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from doppio.kernel.policy.document import Policy, Statement, Who


# Structs where one is made for each decision: a frozen dataclass takes five times as long.
class AccessRequest(msgspec.Struct, frozen=True):
    """Who wants to do what to what. `context` holds condition keys in lower case.

    `issuer` is the ARN of the role or user whose session the principal is, where it is known: it has
    the path, which a session's ARN has not.
    """

    principal: str
    account: str
    kind: str
    action: str
    resource: str
    resource_account: str
    context: Mapping[str, Any] = {}
    principal_id: str = ""
    decisive: bool = False
    granted: bool = False
    issuer: str = ""


@dataclass(slots=True, frozen=True)
class PolicySet:
    """The policies that bear on a principal and a resource.

    `boundary` and `session` are None where there is none; an empty sequence allows nothing.
    `scps` and `rcps` are the levels from the organisation's root down to the account, and each
    level must allow. So must each of `narrowed`: by these a session has given up what it could do.
    """

    identity: Sequence[Policy] = ()
    resource: Policy | None = None
    boundary: Policy | None = None
    session: Sequence[Policy] | None = None
    scps: Sequence[Sequence[Policy]] = ()
    rcps: Sequence[Sequence[Policy]] = ()
    resource_arn: str = ""
    narrowed: Sequence[Policy] = ()

    def with_resource(self, policy: Policy, arn: str) -> PolicySet:
        """The same with the policy that hangs on a resource."""
        return PolicySet(
            self.identity, policy, self.boundary, self.session, self.scps, self.rcps, arn,
            self.narrowed,
        )  # fmt: skip


class Decision(msgspec.Struct, frozen=True):
    """What was decided, by which policy (`decided`), and in a denial what was looked at.

    `reason` is `allowed`, `explicit-deny` or `implicit-deny`; `layer` names the kind of policy.
    """

    allowed: bool
    reason: str
    layer: str
    decided: str = ""
    considered: tuple[str, ...] = ()


_PHRASES = {
    "identity": "identity-based policy",
    "resource": "resource-based policy",
    "boundary": "permissions boundary",
    "session": "session policy",
    "scp": "service control policy",
    "rcp": "resource control policy",
}


_OUTSIDE = frozenset({"service", "anonymous"})
# Kinds of policy that services and the anonymous do not have, being in no account.
_OF_ACCOUNTS = frozenset({"identity", "boundary", "session", "scp"})


def evaluate(request: AccessRequest, policies: PolicySet) -> Decision:
    """Decide."""
    action = request.action.lower()
    outside = request.kind in _OUTSIDE
    layers = all_layers(policies)
    for layer, policy in layers:
        denials = policy.about(action)[0]
        if denials and not (outside and layer in _OF_ACCOUNTS):
            for statement in denials:
                if _speaks_here(statement, layer, request):
                    return _explicit(layers, layer, policy, statement)
    if policies.rcps or policies.scps or policies.narrowed:
        levels = [("rcp", level) for level in policies.rcps]
        if not outside:
            levels += [("scp", level) for level in policies.scps]
            levels += [("session", (policy,)) for policy in policies.narrowed]
        for layer, level in levels:
            if _allowing(request, action, level) is None:
                return _implicit(layers, layer, level)
    return _granted(request, action, policies) or _implicit(
        layers, _missing(request, action, policies)
    )


def _granted(request: AccessRequest, action: str, policies: PolicySet) -> Decision | None:
    """The decision that allows, if what may grant does and nothing bounds it."""
    if request.granted:
        return Decision(True, "allowed", "resource", "a grant")
    by_resource, how = _resource_allow(request, action, policies.resource)
    if by_resource is None and request.decisive:
        return None
    if request.kind in _OUTSIDE:
        return None if by_resource is None else Decision(True, "allowed", "resource", by_resource)
    same = request.account == request.resource_account
    if request.kind == "root":
        if not same and by_resource is None:
            return None
        return Decision(True, "allowed", "identity", "the account's root user")
    if by_resource is not None and same and how == "exact":
        # Naming the user, or the very session, grants to it within the account, whatever its
        # boundary and its session's policies leave out. Naming a session's role does not.
        return Decision(True, "allowed", "resource", by_resource)
    by_identity = _allowing(request, action, policies.identity)
    grants = by_identity or (by_resource if same and how is not None else None)
    if grants is None or not (same or by_resource is not None):
        return None
    if _bound(request, action, policies) is not None:
        return None
    return Decision(True, "allowed", "identity" if by_identity else "resource", grants)


def _bound(request: AccessRequest, action: str, policies: PolicySet) -> str | None:
    """Which bound of the caller's own leaves the action out."""
    boundary, session = policies.boundary, policies.session
    if boundary is not None and _allowing(request, action, (boundary,)) is None:
        return "boundary"
    if session is not None and _allowing(request, action, session) is None:
        return "session"
    return None


def _missing(request: AccessRequest, action: str, policies: PolicySet) -> str:
    """Which kind of policy would have had to allow, where nothing granted."""
    by_resource, how = _resource_allow(request, action, policies.resource)
    if request.kind in _OUTSIDE or request.kind == "root":
        return "resource"
    if request.decisive and by_resource is None:
        return "resource"
    same = request.account == request.resource_account
    if _allowing(request, action, policies.identity) is None and not (same and how is not None):
        return "identity"
    return _bound(request, action, policies) or "resource"


def all_layers(policies: PolicySet) -> list[tuple[str, Policy]]:
    """All policies that bear, each with its kind."""
    layers = [("rcp", policy) for level in policies.rcps for policy in level]
    layers += [("scp", policy) for level in policies.scps for policy in level]
    if policies.resource is not None:
        layers.append(("resource", policies.resource))
    layers += [("identity", policy) for policy in policies.identity]
    if policies.boundary is not None:
        layers.append(("boundary", policies.boundary))
    layers += [("session", policy) for policy in (*(policies.session or ()), *policies.narrowed)]
    return layers


def _named(who: Who, request: AccessRequest) -> str | None:
    """How a policy names the caller. A service is in no account, whoever it acts for."""
    account = "" if request.kind == "service" else request.account
    return who.kind(request.principal, account, request.principal_id, request.issuer)


def speaks(statement: Statement, layer: str, request: AccessRequest, action: str) -> bool:
    """Whether a statement of a kind of policy speaks of this request; `action` is in small letters."""
    return statement.action(action) and _speaks_here(statement, layer, request)


def _speaks_here(statement: Statement, layer: str, request: AccessRequest) -> bool:
    """The same of a statement that speaks of the action."""
    if layer == "resource" and statement.principal is not None:
        named = _named(statement.principal, request)
        if named is None:
            return False
    return statement.fits(request.resource, request.context)


def _allowing(request: AccessRequest, action: str, group: Iterable[Policy]) -> str | None:
    resource, context = request.resource, request.context
    for policy in group:
        for statement in policy.about(action)[1]:
            if statement.fits(resource, context):
                return f"{policy.name}: {statement}"
    return None


def _resource_allow(
    request: AccessRequest, action: str, policy: Policy | None
) -> tuple[str | None, str | None]:
    """What in the resource's policy grants, and how it names the principal.

    To name an account is to leave it to that account's own policies: in the same account it
    grants nothing by itself, across accounts it is the resource's half of the consent.
    """
    if policy is None:
        return None, None
    best: tuple[str | None, str | None] = (None, None)
    for statement in policy.about(action)[1]:
        if statement.principal is None:
            continue
        named = _named(statement.principal, request)
        if named is None or not statement.fits(request.resource, request.context):
            continue
        text = f"{policy.name or 'resource policy'}: {statement}"
        if named == "account" and request.account == request.resource_account:
            best = best if best[0] else (text, None)
        elif named == "exact":
            return text, "exact"
        else:
            best = (text, named)
    return best


def _explicit(
    layers: Sequence[tuple[str, Policy]], layer: str, policy: Policy, statement: Statement
) -> Decision:
    considered = _considered(layers, (policy,), f"denies by {statement}")
    decided = f"{policy.name or layer}: {statement}"
    return Decision(False, "explicit-deny", layer, decided, considered)


def _implicit(
    layers: Sequence[tuple[str, Policy]], layer: str, level: Sequence[Policy] = ()
) -> Decision:
    considered = _considered(layers, level, "does not allow it")
    return Decision(False, "implicit-deny", layer, considered=considered)


def _considered(
    layers: Iterable[tuple[str, Policy]], deciding: Sequence[Policy], how: str
) -> tuple[str, ...]:
    """Each policy, in a denial, and how it decided, where one did."""
    return tuple(
        f"{_PHRASES[layer]} {policy.name}".rstrip()
        + (f": {how}" if any(one is policy for one in deciding) else "")
        for layer, policy in layers
    )


def denial_message(request: AccessRequest, decision: Decision) -> str:
    """What AWS says of a denial. S3 quotes the resource, and SQS writes actions small."""
    action, resource = request.action, request.resource
    if action.startswith("s3:"):
        resource = f'"{resource}"'
    elif action.startswith("sqs:"):
        action = action.lower()
    who = f"User: {request.principal}" if request.kind != "anonymous" else "User: anonymous"
    said = f"{who} is not authorized to perform: {action}"
    if request.resource != "*":
        said += f" on resource: {resource}"
    phrase = _PHRASES[decision.layer]
    article = "an" if phrase[0] in "aeiou" else "a"
    if decision.reason == "explicit-deny":
        return f"{said} with an explicit deny in {article} {phrase}"
    return f"{said} because no {phrase} allows the {action} action"
