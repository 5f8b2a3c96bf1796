"""Authorisation: may this caller do this? Asked for every call, answered by the policy engine.

Here is only what the engine cannot know: whose a resource is and which policy hangs on it (what the
request's condition keys are, `kernel.condition_keys` says). Owners and resource policies are records; what is cached of them is
forgotten when their topic rings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from doppio.kernel.audit import Denial
from doppio.kernel.condition_keys import HANGING, Conditions, NotRead, Read
from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.guardrails import (
    UNBOUND,
    Bearing,
    Guardrails,
    Standing,
    rcps_for,
    scps_for,
)
from doppio.kernel.identity import ISSUER, Caller
from doppio.kernel.policy import (
    AccessRequest,
    Decision,
    Policy,
    PolicySet,
    compile_policy,
    denial_message,
    evaluate,
)
from doppio.kernel.policy.document import check, many, names_others
from doppio.kernel.policy.explain import explanation
from doppio.kernel.records import record
from doppio.kernel.regions import HOMES
from doppio.kernel.service import Need
from doppio.kernel.store import MISSED
from doppio.wire.errors import AccessDenied

CACHED_MAX = 50_000
NO_POLICIES = PolicySet()
_NONE_AT_HAND: dict[str, Standing] = {}
# Whose uses of permissions are remembered.
_TRACKED = frozenset({"user", "assumed-role"})


@record("kernel.resource", key=("arn",))
class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """Whose a resource is, where its ARN does not say so, and the policy that hangs on it.

    `under` is the resource in which it lies, where that one's policy counts for it, too.
    """

    arn: str
    account: str
    document: str | None = None
    under: str | None = None


# The condition keys that follow from the caller alone.
_OF_CALLERS = frozenset({
    "aws:principalaccount", "aws:principalarn", "aws:principalisawsservice",
    "aws:principalservicename", "aws:principalservicenameslist", "aws:principaltype", "aws:sourceaccount", "aws:sourcearn",
    "aws:userid", "aws:username", "aws:viaawsservice",
})  # fmt: skip
_WITHOUT_POLICIES = frozenset({"root", "service"})
# So many decisions are remembered of one resource.
DECISIONS_MAX = 256


class _Facts(msgspec.Struct, frozen=True):
    account: str
    policy: Policy | None
    # What was decided of services and roots, by all on which it can hang.
    decided: dict[tuple[Any, ...], Decision] = {}
    # Where the resource is, by its ARN.
    partition: str = ""
    # Whether it is in the first partition, and no policy hangs on it.
    plain: bool = False

    def is_in(self, partition: str) -> bool:
        """Whether calls in a partition can reach the resource at all."""
        return self.partition in ("", partition)

    def hangs_on(self, caller: Caller, need: Need) -> tuple[Any, ...] | None:
        """All on which a decision hangs, beside the policy; None where it may hang on more.

        A service and an account's root bring no policies. A condition key that is neither the
        caller's nor in the need, and that no call has, is never there.
        """
        policy = self.policy
        if caller.policies is not None or caller.session or caller.kind not in _WITHOUT_POLICIES:
            return None
        if policy is None or policy.keys is None or need.beyond is not None:
            return None
        for key in policy.keys:
            if key in need.context or (key in HANGING and key not in _OF_CALLERS):
                return None
        return (
            need.action, need.resource, need.decisive, need.granted, caller.kind, caller.arn,
            caller.id, caller.account, caller.source,
        )  # fmt: skip


def put_resource(
    tx: Tx, arn: str, account: str, document: str | None = None, under: str | None = None
) -> None:
    """Say whose a resource is and which policies count for it; counts from the commit on."""
    tx.put(Resource(arn=arn, account=account, document=document, under=under))
    tx.wake(f"resource/{arn}")


def forget_resource(tx: Tx, arn: str) -> None:
    """Forget owner and policy of a deleted resource."""
    tx.delete(Resource(arn=arn, account=""))
    tx.wake(f"resource/{arn}")


class InvalidPrincipal(ValueError):
    """A policy that names who cannot be named there."""


def check_policy_document(document: str, *, needs_principal: bool, partition: str = "") -> None:
    """Raise ValueError with AWS's text for a document that is no resource policy.

    Where the resource's partition is told, the policy may name its principals alone.
    """
    raw = check(document, principal=True if needs_principal else None)
    compile_policy(document)
    if partition and names_others(raw, partition):
        raise InvalidPrincipal("Invalid principal in policy")


async def resource_policy(reader: Reader, arn: str) -> str | None:
    """The policy document that hangs on a resource, as it was given."""
    resource = await reader.get(Resource, arn)
    return None if resource is None else resource.document


async def would_allow(ctx: Context, need: Need, document: str, owner: str) -> bool:
    """Whether the caller could do this if the resource had another policy: a document's.

    For services that do not let somebody lock themselves out.
    """
    policies: PolicySet = ctx.caller.policies or NO_POLICIES
    policies = policies.with_resource(compile_policy(document), need.resource)
    return (await judge(ctx, need, owner, policies)).allowed


# What is in another partition is nobody's whom a call could speak for.
_ELSEWHERE = _Facts("elsewhere", None)


def _is_own(caller: Caller, arn: str, facts: _Facts | None, partition: str) -> bool:
    """Whether an account's root asks for what is its account's alone: nothing is to be decided."""
    if caller.kind != "root" or caller.policies is not None:
        return False
    if facts is None:
        return arn == "*"
    return (
        facts.policy is None
        and facts.account in {"", caller.account}
        and (facts.partition == partition or not facts.partition)
    )


def _unlocked(caller: Caller, need: Need, facts: _Facts) -> bool:
    """Whether a resource's own policy does not count for its account's root user."""
    return need.unlocks and caller.kind == "root" and caller.account == facts.account


class Authoriser:
    """Judges needs."""

    def __init__(self, guardrails: Guardrails) -> None:
        self._guardrails = guardrails
        self._standings = guardrails.known
        self._free = guardrails.free
        self._facts: dict[str, _Facts] = {}
        # What is known of resources that lie in others, by those.
        self._within: dict[str, set[str]] = {}
        self._changes = 0

    def heard(self, topic: str) -> None:
        """A resource's owner or policy has changed."""
        # What is being read just now may be from before the change: it is not kept.
        self._changes += 1
        if topic == MISSED:
            self._forget()
        arn = topic.partition("/")[2]
        self._facts.pop(arn, None)
        for one in self._within.pop(arn, ()):
            self._facts.pop(one, None)

    def _forget(self) -> None:
        self._facts.clear()
        self._within.clear()

    def is_own(self, ctx: Context, needs: Sequence[Need]) -> bool:
        """Whether an account's root asks for what is its account's alone, and nothing bounds that:
        then there is nothing to check. Most calls are such, and this takes no coroutine."""
        caller = ctx.caller
        if caller.kind != "root" or caller.policies is not None or ctx.partition != "aws":
            return False
        account = caller.account
        if account not in self._free:
            return False
        known = self._facts
        for need in needs:
            arn = need.policy or need.resource
            facts = known.get(arn)
            if facts is None:
                if arn != "*":
                    return False
            elif not facts.plain or (facts.account != account and facts.account):
                return False
        return True

    async def check(self, ctx: Context, needs: Sequence[Need]) -> None:
        """Raise AccessDenied unless every need is granted."""
        caller = ctx.caller
        for need in needs:
            decision = await self.decide(ctx, need)
            if decision is None:
                continue
            if not decision.allowed:
                raise self._denied(ctx, need, decision)
            if caller.kind in _TRACKED:
                ctx.kernel.uses.saw(ctx, need)

    async def decide(self, ctx: Context, need: Need) -> Decision | None:
        """The engine's decision; None where there is nothing to decide (an account's own root)."""
        caller = ctx.caller
        arn = need.policy or need.resource
        facts = None
        if arn != "*":
            facts = self._facts.get(arn) or await self._load(ctx, arn)
            if not facts.is_in(ctx.partition):
                facts = _ELSEWHERE
        # What bounds an account is nearly always known.
        standings, guardrails = self._standings, self._guardrails
        if ctx.partition != "aws":
            # What the kernel has at hand is of the first partition's accounts.
            standings = _NONE_AT_HAND
        mine = standings.get(caller.account) or await guardrails.of(ctx, caller.account)
        if not mine.bound and _is_own(caller, arn, facts, ctx.partition):
            return None
        owner = facts.account if facts is not None and facts.account else caller.account
        theirs = mine
        if owner != caller.account:
            theirs = standings.get(owner) or await guardrails.of(ctx, owner)
        name = None
        if facts is not None and not (
            (mine.bound and scps_for(caller, mine))
            or (theirs.bound and rcps_for(caller, need, theirs))
        ):
            name = facts.hangs_on(caller, need)
            if name is not None and name in facts.decided:
                return facts.decided[name]
        policies: PolicySet = caller.policies or NO_POLICIES
        if facts is not None and facts.policy is not None and not _unlocked(caller, need, facts):
            policies = policies.with_resource(facts.policy, arn)
        bearing = UNBOUND
        if mine.place is not None or theirs.place is not None or caller.source is not None:
            bearing = await guardrails.bearing(ctx, need, owner)
            policies = bearing.over(policies)
        try:
            decision = evaluate(access_request(ctx, need, owner, bearing), policies)
        except NotRead:
            need = await _read(ctx, need)
            decision = evaluate(access_request(ctx, need, owner, bearing), policies)
        if name is not None and facts is not None:
            if len(facts.decided) >= DECISIONS_MAX:
                facts.decided.clear()
            facts.decided[name] = decision
        if decision.allowed or need.beyond is None or decision.reason == "explicit-deny":
            return decision
        return await _by_grants(ctx, need, policies, bearing) or decision

    async def explained(self, ctx: Context, need: Need) -> dict[str, Any]:
        """What is decided of a need and why, for who may know (`kernel.encoded_denials`)."""
        arn = need.policy or need.resource
        facts = _Facts("", None) if arn == "*" else await self._load(ctx, arn)
        if not facts.is_in(ctx.partition):
            facts = _ELSEWHERE
        owner = facts.account or ctx.caller.account
        policies: PolicySet = ctx.caller.policies or NO_POLICIES
        if facts.policy is not None:
            policies = policies.with_resource(facts.policy, arn)
        bearing = await self._guardrails.bearing(ctx, need, owner)
        policies = bearing.over(policies)
        if need.beyond is not None:
            need = await _read(ctx, need)
        request = access_request(ctx, need, owner, bearing)
        return explanation(request, evaluate(request, policies), policies, need.context)

    async def _load(self, ctx: Context, arn: str) -> _Facts:
        changes = self._changes
        resource = await ctx.read().get(Resource, arn)
        parts = arn.split(":", 5)
        partition = parts[1] if len(parts) == 6 and parts[1] in HOMES else ""
        if resource is None:
            # What is AWS's own (its managed policies) is everybody's to use.
            owner = parts[4] if len(parts) == 6 and parts[4] != "aws" else ""
            facts = _Facts(owner, None, partition=partition, plain=partition in ("", "aws"))
        else:
            document = await _whole_policy(ctx.read(), resource)
            facts = _Facts(
                resource.account,
                compile_policy(document) if document is not None else None,
                partition=partition,
                plain=document is None and partition in ("", "aws"),
            )
        if changes == self._changes:
            if len(self._facts) >= CACHED_MAX:
                self._forget()
            self._facts[arn] = facts
            if resource is not None and resource.under is not None:
                self._within.setdefault(resource.under, set()).add(arn)
        return facts

    def _denied(self, ctx: Context, need: Need, decision: Decision) -> AccessDenied:
        return AccessDenied(keep_denial(ctx, need, decision))


async def _whole_policy(reader: Reader, resource: Resource) -> str | Mapping[str, Any] | None:
    """What counts for a resource: its own policy, and that of the resource in which it lies."""
    above = None if resource.under is None else await reader.get(Resource, resource.under)
    if above is None or above.document is None:
        return resource.document
    if resource.document is None:
        return above.document
    own, other = (json.loads(document) for document in (resource.document, above.document))
    # A document's version says how variables are read: of two, the newer one reads both.
    version = max(own.get("Version", ""), other.get("Version", ""))
    statements = [*many(own["Statement"]), *many(other["Statement"])]
    return {**({"Version": version} if version else {}), "Statement": statements}


async def _read(ctx: Context, need: Need) -> Need:
    """The need with the condition keys that had to be read."""
    assert need.beyond is not None
    found = await need.beyond.conditions(ctx, need)
    return need._replace(context=Read({**found, **need.context}))


async def _by_grants(
    ctx: Context, need: Need, policies: PolicySet, bearing: Bearing
) -> Decision | None:
    """The decision where a list of access lets the caller in; None where it does not.

    It counts as a policy of the resource's beside the one that is there: all others still count.
    """
    assert need.beyond is not None
    granted = await need.beyond.grants(ctx, need)
    if granted is None:
        return None
    policy = compile_policy(granted.document, "access control list")
    if not isinstance(need.context, Read):
        need = await _read(ctx, need)
    request = access_request(ctx, need, granted.owner, bearing)
    if evaluate(request, policies).reason == "explicit-deny":
        return None
    decision = evaluate(request, policies.with_resource(policy, need.resource))
    return decision if decision.allowed else None


async def judge(ctx: Context, need: Need, owner: str, policies: PolicySet) -> Decision:
    """The decision by policies that a service has found itself, and by what organisations say."""
    bearing = await ctx.kernel.guardrails.bearing(ctx, need, owner)
    return evaluate(access_request(ctx, need, owner, bearing), bearing.over(policies))


def keep_denial(ctx: Context, need: Need, decision: Decision) -> str:
    """Keep why a call is denied, for `doppio why`; the sentence that says it in full.

    A service that judges by policies that it has found itself keeps its denials by this, too, also
    where AWS's answer tells the caller less.
    """
    message = denial_message(access_request(ctx, need, ctx.caller.account), decision)
    ctx.kernel.audit.denied(
        Denial(
            request_id=ctx.request_id, at=ctx.now, account=ctx.account, caller=ctx.caller.arn,
            action=need.action, resource=need.resource, message=message,
            reason=str(decision.reason), considered=[str(line) for line in decision.considered],
        )
    )  # fmt: skip
    return message


def access_request(
    ctx: Context, need: Need, owner: str, bearing: Bearing = UNBOUND
) -> AccessRequest:
    """What the engine judges."""
    caller = ctx.caller
    return AccessRequest(
        principal=caller.arn,
        account=caller.account,
        kind=caller.kind,
        action=need.action,
        resource=need.resource,
        resource_account=owner,
        context=Conditions(ctx, need.context, need.beyond, owner, bearing),
        principal_id=caller.id,
        issuer=caller.session.get(ISSUER, ""),
        decisive=need.decisive,
        granted=need.granted,
    )
