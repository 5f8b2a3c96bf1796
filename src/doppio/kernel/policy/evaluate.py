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

    `role` is the ARN of the role whose session the principal is, where it is known: it has a path.
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
    # The role or user whose session the principal is, where its ARN does not tell (a path).
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
    """What was decided, by which policy (`decided`), and what was looked at.

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


def evaluate(request: AccessRequest, policies: PolicySet) -> Decision:
    """Decide."""
    action = request.action.lower()
    layers = all_layers(policies)
    denied = _explicit_deny(request, action, layers)
    if denied is not None:
        return denied
    considered = tuple(_considered(layers))
    outside = request.kind in ("service", "anonymous")
    scps = () if outside else policies.scps
    for layer, levels in (("rcp", policies.rcps), ("scp", scps)):
        for group in levels:
            if _allowing(request, action, group) is None:
                return Decision(False, "implicit-deny", layer, considered=considered)
    for policy in policies.narrowed:
        if _allowing(request, action, (policy,)) is None:
            return Decision(False, "implicit-deny", "session", considered=considered)
    return _granted(request, action, policies, considered)


def _granted(
    request: AccessRequest, action: str, policies: PolicySet, considered: tuple[str, ...]
) -> Decision:
    if request.granted:
        return Decision(True, "allowed", "resource", "a grant", considered)
    same = request.account == request.resource_account
    by_resource, how = _resource_allow(request, action, policies.resource)
    if request.decisive and by_resource is None:
        return Decision(False, "implicit-deny", "resource", considered=considered)
    if by_resource is not None and (request.kind in ("service", "anonymous")):
        return Decision(True, "allowed", "resource", by_resource, considered)
    if by_resource is not None and same and how == "exact" and request.kind != "root":
        # Naming the user, or the very session, grants to it within the account, whatever its
        # boundary and its session's policies leave out. Naming a session's role does not.
        return Decision(True, "allowed", "resource", by_resource, considered)
    if request.kind == "root":
        by_identity: str | None = "the account's root user"
        boundary: str | None = "root"
        session: str | None = "root"
    else:
        by_identity = _allowing(request, action, policies.identity)
        boundary = _passes(
            request, action, None if policies.boundary is None else [policies.boundary]
        )
        session = _passes(request, action, policies.session)
    grants = by_identity or (by_resource if same and how is not None else None)
    if request.kind in ("service", "anonymous"):
        grants = None
    if grants is None:
        layer = "resource" if request.kind in ("service", "anonymous") else "identity"
        return Decision(False, "implicit-deny", layer, considered=considered)
    if boundary is None:
        return Decision(False, "implicit-deny", "boundary", considered=considered)
    if session is None:
        return Decision(False, "implicit-deny", "session", considered=considered)
    if not same and by_resource is None:
        return Decision(False, "implicit-deny", "resource", considered=considered)
    layer = "identity" if by_identity else "resource"
    return Decision(True, "allowed", layer, grants, considered)


def _passes(request: AccessRequest, action: str, group: Sequence[Policy] | None) -> str | None:
    return "none" if group is None else _allowing(request, action, group)


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


def _explicit_deny(
    request: AccessRequest, action: str, layers: Sequence[tuple[str, Policy]]
) -> Decision | None:
    outside = request.kind in ("service", "anonymous")
    for layer, policy in layers:
        if layer in ("identity", "boundary", "session", "scp") and outside:
            continue
        for statement in policy.statements:
            if statement.allows or not speaks(statement, layer, request, action):
                continue
            decided = f"{policy.name or layer}: {statement}"
            return Decision(False, "explicit-deny", layer, decided, tuple(_considered(layers)))
    return None


def _named(who: Who, request: AccessRequest) -> str | None:
    """How a policy names the caller. A service is in no account, whoever it acts for."""
    account = "" if request.kind == "service" else request.account
    return who.kind(request.principal, account, request.principal_id, request.issuer)


def speaks(statement: Statement, layer: str, request: AccessRequest, action: str) -> bool:
    """Whether a statement of a kind of policy speaks of this request; `action` is in small letters."""
    if layer == "resource" and statement.principal is not None:
        named = _named(statement.principal, request)
        if named is None:
            return False
    return statement.applies(action, request.resource, request.context)


def _allowing(request: AccessRequest, action: str, group: Iterable[Policy]) -> str | None:
    resource, context = request.resource, request.context
    for policy in group:
        for statement in policy.statements:
            if statement.allows and statement.applies(action, resource, context):
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
    for statement in policy.statements:
        if not statement.allows or statement.principal is None:
            continue
        named = _named(statement.principal, request)
        if named is None or not statement.applies(action, request.resource, request.context):
            continue
        text = f"{policy.name or 'resource policy'}: {statement}"
        if named == "account" and request.account == request.resource_account:
            best = best if best[0] else (text, None)
        elif named == "exact":
            return text, "exact"
        else:
            best = (text, named)
    return best


def _considered(layers: Iterable[tuple[str, Policy]]) -> list[str]:
    return [f"{_PHRASES[layer]} {policy.name}".rstrip() for layer, policy in layers]


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
