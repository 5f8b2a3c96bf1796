"""Simulating what policies allow, by the engine that enforces them.

A simulated call asks no service and touches nothing: it is judged with the context that it is told.
Of the caller, IAM fills in what it knows: name, id, account, tags; and of the moment, its time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from doppio.kernel.context import Context, Reader
from doppio.kernel.policy import AccessRequest, MalformedPolicy, compile_policy
from doppio.kernel.policy.match import wildcard
from doppio.kernel.policy.reference import template_for
from doppio.services.iam import limits
from doppio.services.iam.attachments import attached_to, inline_of, managed
from doppio.services.iam.aws_managed import aws_managed
from doppio.services.iam.common import named, page
from doppio.services.iam.errors import InvalidInput, missing
from doppio.services.iam.records import OF_USER, Group, Role, User
from doppio.services.iam.simulation_rules import (
    Outcome,
    Policies,
    Source,
    context_keys,
    judge,
    places,
    strictest,
)
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import iam as w

_KINDS: dict[str, type[User | Group | Role]] = {"user": User, "group": Group, "role": Role}
# As IAM answers; the model's own words for kinds are not what it says.
_KINDS_SHOWN = {"resource": "Resource Policy"}
_SINGLE = frozenset({"string", "numeric", "boolean", "ip", "binary", "date"})


class Held(NamedTuple):
    """A policy that somebody holds: a managed one by its ARN, an inline one by its holder."""

    source: Source
    arn: str | None
    holder: tuple[str, str]


class Principal(NamedTuple):
    """Whose policies are simulated: what the engine calls it, and the condition keys it brings."""

    arn: str
    account: str
    kind: str
    id: str
    keys: dict[str, Any]


class Simulation:
    """SimulatePrincipalPolicy and its like."""

    async def simulate_principal_policy(
        self, ctx: Context, req: w.SimulatePrincipalPolicyRequest
    ) -> w.SimulatePolicyResponse:
        """What somebody's own policies allow, with further ones if they are given."""
        reader = ctx.read()
        entity = await existing_entity(reader, ctx, req["PolicySourceArn"])
        held = await policies_held(reader, ctx.account, entity)
        bounded = getattr(entity, "boundary", None)
        boundary = None if bounded is None else await _managed(reader, bounded)
        for exclusion in req.get("PolicyExclusionList", ()):
            if exclusion.get("PolicyType") == "permission-boundary":
                boundary = None
            held = [one for one in held if not _excluded(exclusion, one)]
        caller = _of_entity(entity)
        if "CallerArn" in req:
            caller = await _caller(reader, req["CallerArn"])
        excluded = [one.get("PolicyType") for one in req.get("PolicyExclusionList", ())]
        levels: list[list[Source]] = []
        member = False
        if "scp" not in excluded and not (isinstance(entity, Role) and entity.linked):
            levels, member = await _organised(ctx, caller.account)
        policies = Policies(
            [one.source for one in held] + _given(req, "PolicyInputList"),
            _one(req, "PermissionsBoundaryPolicyInputList") or boundary,
            _resource_policy(req), levels, member,
        )  # fmt: skip
        return _simulated(ctx, req, policies, caller)

    async def simulate_custom_policy(
        self, ctx: Context, req: w.SimulateCustomPolicyRequest
    ) -> w.SimulatePolicyResponse:
        """What the policies of the request allow, together."""
        levels = [
            _given(level, "ServiceControlPolicyInputList")
            for level in req.get("OrderedOrganizationPolicyInputList", ())
        ]
        policies = Policies(
            _given(req, "PolicyInputList"),
            _one(req, "PermissionsBoundaryPolicyInputList"),
            _resource_policy(req),
            levels,
        )
        if "CallerArn" in req:
            caller = await _caller(ctx.read(), req["CallerArn"])
        elif policies.resource is not None:
            raise InvalidInput("CallerArn is required when a resource policy is provided.")
        else:
            caller = Principal("", ctx.account, "user", "", {})
        return _simulated(ctx, req, policies, caller)

    async def get_context_keys_for_custom_policy(
        self, ctx: Context, req: w.GetContextKeysForCustomPolicyRequest
    ) -> w.GetContextKeysForPolicyResponse:
        """The condition keys that the policies of the request speak of."""
        given = _given(req, "PolicyInputList")
        return {"ContextKeyNames": context_keys(one.policy for one in given)}

    async def get_context_keys_for_principal_policy(
        self, ctx: Context, req: w.GetContextKeysForPrincipalPolicyRequest
    ) -> w.GetContextKeysForPolicyResponse:
        """The condition keys that somebody's policies speak of, and further ones."""
        reader = ctx.read()
        entity = await existing_entity(reader, ctx, req["PolicySourceArn"])
        held = await policies_held(reader, ctx.account, entity)
        both = [one.source for one in held] + _given(req, "PolicyInputList")
        return {"ContextKeyNames": context_keys(one.policy for one in both)}


async def existing_entity(reader: Reader, ctx: Context, arn: str) -> User | Group | Role:
    """The user, group or role of an ARN. Raises InvalidInput and NoSuchEntity."""
    account, word, name = _parts(arn)
    found = await named(reader, _KINDS[word], ctx.account, name)
    if found is None or account != ctx.account or found.arn != arn:
        raise missing(word, name)
    return found


async def policies_held(reader: Reader, account: str, entity: User | Group | Role) -> list[Held]:
    """The policies of a user, group or role, and those that a user's groups bring."""
    holders = [(type(entity).__name__, entity.name)]
    if isinstance(entity, User):
        rows = await reader.find(OF_USER, (account, entity.name), limit=limits.ROWS_MAX)
        holders += [("Group", row.group) for row in rows]
    held: list[Held] = []
    for kind, name in holders:
        for row in await inline_of(reader, account, kind, name):
            policy = compile_policy(row.document, row.name)
            source = Source(row.name, kind.lower(), row.document, policy)
            held.append(Held(source, None, (kind.lower(), name)))
        for one in await attached_to(reader, account, kind, name):
            found = await _managed(reader, one.policy)
            if found is not None:
                held.append(Held(found, one.policy, (kind.lower(), name)))
    return held


async def _organised(ctx: Context, account: str) -> tuple[list[list[Source]], bool]:
    """What an account's organisation bounds it by, level by level, and whether it has one at all."""
    standing = await ctx.kernel.guardrails.of(ctx, account)
    levels = [[Source(one.name, "scp", "", one) for one in level] for level in standing.scps]
    return levels, standing.place is not None


async def _managed(reader: Reader, arn: str) -> Source | None:
    builtin = aws_managed(reader.context.partition).get(arn)
    if builtin is not None:
        policy = compile_policy(builtin.document, arn)
        return Source(builtin.name, "aws-managed", builtin.document, policy)
    own = await managed(reader, arn)
    version = None if own is None else own.version(own.default)
    if own is None or version is None:
        return None
    policy = compile_policy(version.document, arn)
    return Source(own.name, "user-managed", version.document, policy)


def _given(req: Mapping[str, Any], member: str) -> list[Source]:
    """Policies that come with a request, known by their place in it."""
    texts = req.get(member, ())
    return [_source(f"{member}.{number}", "none", text) for number, text in enumerate(texts, 1)]


def _source(name: str, kind: str, text: str) -> Source:
    try:
        return Source(name, kind, text, compile_policy(text, name))
    except MalformedPolicy as error:
        raise InvalidInput(str(error)) from error


def _one(req: Mapping[str, Any], member: str) -> Source | None:
    given = _given(req, member)
    if len(given) > 1:
        raise InvalidInput("Only one permissions boundary policy can be simulated.")
    return given[0] if given else None


def _resource_policy(req: Mapping[str, Any]) -> Source | None:
    text = req.get("ResourcePolicy")
    return None if text is None else _source("ResourcePolicy", "resource", text)


def _excluded(exclusion: Mapping[str, Any], held: Held) -> bool:
    """Whether a policy is one of those that an identifier leaves out."""
    if len(exclusion) != 1:
        raise InvalidInput("A policy identifier must have exactly one of its members.")
    if "PolicyType" in exclusion:
        kind = "inline" if held.arn is None else held.source.kind
        return bool(exclusion["PolicyType"] == kind)
    if "PolicyArn" in exclusion:
        pattern = exclusion["PolicyArn"]
        if not pattern.startswith("arn:") or pattern.count("*") > 1:
            raise InvalidInput(f"Invalid policy ARN: {pattern}")
        return held.arn is not None and wildcard(pattern)(held.arn)
    inline = exclusion["InlinePolicyIdentifier"]
    kind, name = held.holder
    return (
        held.arn is None
        and inline["PolicyName"] == held.source.id
        and inline["AttachmentType"] == kind
        and inline["AttachmentName"] == name
    )


def _of_entity(entity: User | Group | Role) -> Principal:
    keys: dict[str, Any] = {
        f"aws:principaltag/{key.lower()}": value
        for key, value in getattr(entity, "tags", {}).items()
    }
    kind = "assumed-role" if isinstance(entity, Role) else "user"
    if isinstance(entity, User):
        keys["aws:username"] = entity.name
        keys["aws:userid"] = entity.id
    return Principal(entity.arn, entity.account, kind, entity.id, keys)


async def _caller(reader: Reader, arn: str) -> Principal:
    """Who is to be taken for the caller; it need not be there."""
    account, word, name = _parts(arn)
    found = await named(reader, _KINDS[word], account, name)
    if found is not None and found.arn == arn:
        return _of_entity(found)
    kind = "assumed-role" if word == "role" else "user"
    return Principal(arn, account, kind, "", {"aws:username": name} if word == "user" else {})


def _parts(arn: str) -> tuple[str, str, str]:
    """Account, word and name of a user's, group's or role's ARN. Raises InvalidInput."""
    parts = arn.split(":", 5)
    word, _, path = parts[-1].partition("/")
    if len(parts) != 6 or parts[0] != "arn" or parts[2] != "iam" or word not in _KINDS or not path:
        raise InvalidInput(
            f"Invalid Entity Arn: {arn} does not clearly define entity type and name."
        )
    return parts[4], word, path.rpartition("/")[2]


def _simulated(
    ctx: Context, req: Mapping[str, Any], policies: Policies, caller: Principal
) -> w.SimulatePolicyResponse:
    if "ResourceHandlingOption" in req:
        raise NotImplementedByDoppio("ResourceHandlingOption exists in AWS and not yet here")
    resources = req.get("ResourceArns") or ["*"]
    context = _context(ctx, req, caller)

    def judged(action: str, resource: str) -> Outcome:
        owner = _owner(req, resource, caller.account)
        request = AccessRequest(
            caller.arn, caller.account, caller.kind, action, resource, owner, context, caller.id
        )
        return judge(request, policies)

    def show(action: str) -> dict[str, Any]:
        return _result(action, [(resource, judged(action, resource)) for resource in resources])

    actions = [_checked_action(action) for action in req["ActionNames"]]
    for resource in resources:
        if resource != "*" and not resource.startswith("arn:"):
            raise InvalidInput(f"Invalid Entity Arn: {resource}")
    return page(req, actions, "EvaluationResults", show, "simulation")  # type: ignore[return-value]


def _checked_action(action: str) -> str:
    prefix, colon, name = action.partition(":")
    if not (prefix and colon and name) or "*" in action or "?" in action:
        raise InvalidInput(f"Invalid Action: {action}")
    return action


def _owner(req: Mapping[str, Any], resource: str, default: str) -> str:
    """Whose a resource is: as its ARN says, else as the request does, else the caller's."""
    parts = resource.split(":", 5)
    if len(parts) == 6 and parts[4].isdigit():
        return parts[4]
    owner: str = req.get("ResourceOwner", default)
    return owner.split(":")[4] if owner.startswith("arn:") else owner


def _context(ctx: Context, req: Mapping[str, Any], caller: Principal) -> dict[str, Any]:
    context: dict[str, Any] = {
        "aws:currenttime": ctx.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:epochtime": str(int(ctx.now.timestamp())),
        "aws:principalaccount": caller.account,
        **({"aws:principalarn": caller.arn} if caller.arn else {}),
        **caller.keys,
    }
    for entry in req.get("ContextEntries", ()):
        name, values = entry.get("ContextKeyName"), entry.get("ContextKeyValues", [])
        if not name:
            raise InvalidInput("A context entry must have a name.")
        if entry.get("ContextKeyType", "string") in _SINGLE and len(values) > 1:
            raise InvalidInput(f"The context key {name} takes a single value.")
        context[name.lower()] = values
    return context


def _result(action: str, outcomes: Sequence[tuple[str, Outcome]]) -> dict[str, Any]:
    """The outcomes of one action, and what they come to together."""
    decision = strictest(outcome.decision for _, outcome in outcomes)
    matched: list[dict[str, Any]] = []
    for _, outcome in outcomes:
        if outcome.decision == decision:
            matched += [one for one in _statements(outcome) if one not in matched]
    first_arn, first = outcomes[0]
    everything = first_arn == "*"
    result: dict[str, Any] = {
        "EvalActionName": action,
        "EvalResourceName": "*" if everything else template_for(action, first_arn),
        "EvalDecision": decision,
        "MatchedStatements": matched,
        "MissingContextValues": first.missing if everything else [],
    }
    details = [outcome.details for _, outcome in outcomes if outcome.details is not None]
    if details:
        result["EvalDecisionDetails"] = {
            kind: strictest(one[kind] for one in details if kind in one)
            for kind in {kind for one in details for kind in one}
        }
    if first.organised is not None:
        organised = all(outcome.organised for _, outcome in outcomes)
        result["OrganizationsDecisionDetail"] = {"AllowedByOrganizations": organised}
    if first.bounded is not None:
        bounded = all(outcome.bounded for _, outcome in outcomes)
        result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": bounded}
    if not everything:
        result["ResourceSpecificResults"] = [_specific(arn, one) for arn, one in outcomes]
    return result


def _specific(arn: str, outcome: Outcome) -> dict[str, Any]:
    result: dict[str, Any] = {
        "EvalResourceName": arn,
        "EvalResourceDecision": outcome.decision,
        "MatchedStatements": _statements(outcome),
        "MissingContextValues": outcome.missing,
    }
    if outcome.details is not None:
        result["EvalDecisionDetails"] = outcome.details
    if outcome.bounded is not None:
        detail = {"AllowedByPermissionsBoundary": outcome.bounded}
        result["PermissionsBoundaryDecisionDetail"] = detail
    return result


def _statements(outcome: Outcome) -> list[dict[str, Any]]:
    found = []
    for source, at in outcome.matched:
        start, end = places(source.text)[at]
        found.append(
            {
                "SourcePolicyId": source.id,
                "SourcePolicyType": _KINDS_SHOWN.get(source.kind, "IAM Policy"),
                "StartPosition": start,
                "EndPosition": end,
            }
        )
    return found
