"""What a simulated request comes to, by the engine that judges real ones. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from json import JSONDecoder
from typing import Any, NamedTuple

from msgspec.structs import replace

from doppio.kernel.policy import AccessRequest, Policy, PolicySet, evaluate
from doppio.kernel.policy.evaluate import speaks

ALLOWED, EXPLICIT, IMPLICIT = "allowed", "explicitDeny", "implicitDeny"
# From the most restrictive on.
_STRICTEST = (EXPLICIT, IMPLICIT, ALLOWED)
_WORDS = {"allowed": ALLOWED, "explicit-deny": EXPLICIT, "implicit-deny": IMPLICIT}
_VARIABLE = re.compile(r"\$\{([^},]+)[^}]*\}")
_LITERAL = frozenset({"*", "?", "$"})
_WHITE = re.compile(r"[ \t\n\r]*")
_decode = JSONDecoder().raw_decode

Position = dict[str, int]


class Source(NamedTuple):
    """A policy that takes part: its name and kind as IAM tells them, its text, and compiled."""

    id: str
    kind: str
    text: str
    policy: Policy


class Policies(NamedTuple):
    """All that take part. `boundary` is None where there is none; `scps` go from the root down.

    `member`: the caller's account is in an organisation, also one that bounds it by nothing.
    """

    identity: Sequence[Source]
    boundary: Source | None = None
    resource: Source | None = None
    scps: Sequence[Sequence[Source]] = ()
    member: bool = False

    def told(self) -> Iterable[Source]:
        """Those of which a simulation tells more than what they come to: not the organisation's."""
        yield from self.identity
        for one in (self.boundary, self.resource):
            if one is not None:
                yield one


class Outcome(NamedTuple):
    """What one action on one resource comes to; `matched` are sources with places in them."""

    decision: str
    matched: list[tuple[Source, int]]
    missing: list[str]
    bounded: bool | None
    organised: bool | None
    details: dict[str, str] | None


def judge(request: AccessRequest, policies: Policies) -> Outcome:
    """Decide one action on one resource, and say why."""
    resource = policies.resource
    organised = _organised(request, policies)
    decision = IMPLICIT if organised is False else _decided(request, policies)
    if organised is False and evaluate(request, _set(policies)).reason == "explicit-deny":
        decision = EXPLICIT
    across = request.account != request.resource_account
    details: dict[str, str] | None = None if request.resource == "*" else {}
    if across and resource is not None and organised is not False:
        details = {
            "IAM Policy": _decided(request, policies._replace(resource=None), own=True),
            "Resource Policy": _of_resource(request, resource),
        }
    return Outcome(
        decision,
        _matched(request, policies, decision),
        missing_keys(request, policies.told()),
        _allows(request, policies.boundary) if policies.boundary is not None else None,
        organised,
        details,
    )


def strictest(decisions: Iterable[str]) -> str:
    """The decision that says no the loudest."""
    return min(decisions, key=_STRICTEST.index)


def _set(policies: Policies) -> PolicySet:
    return PolicySet(
        identity=[one.policy for one in policies.identity],
        boundary=None if policies.boundary is None else policies.boundary.policy,
        resource=None if policies.resource is None else policies.resource.policy,
        scps=[[one.policy for one in level] for level in policies.scps],
    )


def _decided(request: AccessRequest, policies: Policies, *, own: bool = False) -> str:
    """`own`: as though the resource were the caller's account's."""
    if own:
        request = replace(request, resource_account=request.account)
    return _WORDS[evaluate(request, _set(policies)).reason]


def _of_resource(request: AccessRequest, resource: Source) -> str:
    action = request.action.lower()
    said = [
        statement.allows
        for statement in resource.policy.statements
        if speaks(statement, "resource", request, action)
    ]
    return IMPLICIT if not said else ALLOWED if all(said) else EXPLICIT


def _organised(request: AccessRequest, policies: Policies) -> bool | None:
    if not policies.scps:
        return True if policies.member else None
    return all(
        any(_allows(request, one) for one in level)
        and not any(_denies(request, one) for one in level)
        for level in policies.scps
    )


def _allows(request: AccessRequest, source: Source) -> bool:
    """Whether a policy lets the request through, for its own part."""
    return _says(request, source, allows=True) and not _denies(request, source)


def _denies(request: AccessRequest, source: Source) -> bool:
    return _says(request, source, allows=False)


def _says(request: AccessRequest, source: Source, *, allows: bool) -> bool:
    action = request.action.lower()
    return any(
        statement.allows is allows and statement.applies(action, request.resource, request.context)
        for statement in source.policy.statements
    )


def _matched(request: AccessRequest, policies: Policies, decision: str) -> list[tuple[Source, int]]:
    """The statements that made the decision: those that deny, or else those that allow."""
    if decision == IMPLICIT:
        return []
    action = request.action.lower()
    layers = [("identity", one) for one in policies.identity]
    if policies.resource is not None:
        layers.append(("resource", policies.resource))
    return [
        (source, at)
        for layer, source in layers
        for at, statement in enumerate(source.policy.statements)
        if statement.allows is (decision == ALLOWED) and speaks(statement, layer, request, action)
    ]


def missing_keys(request: AccessRequest, sources: Iterable[Source]) -> list[str]:
    """The condition keys that the policies ask for, of this action, and that nobody has told."""
    action = request.action.lower()
    found: dict[str, str] = {}
    for source in sources:
        for statement, raw in zip(source.policy.statements, _raw(source.policy), strict=True):
            if statement.action(action):
                found.update((key.lower(), key) for key in _keys_of(raw))
    return [key for small, key in found.items() if small not in request.context]


def context_keys(policies: Iterable[Policy]) -> list[str]:
    """The condition keys that policies speak of, as they write them, each once."""
    found: dict[str, str] = {}
    for policy in policies:
        for raw in _raw(policy):
            for key in _keys_of(raw):
                found.setdefault(key.lower(), key)
    return list(found.values())


def _raw(policy: Policy) -> list[Mapping[str, Any]]:
    statements = policy.document["Statement"]
    return statements if isinstance(statements, list) else [statements]


def _keys_of(statement: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for member in ("Resource", "NotResource"):
        found += _variables(statement.get(member, []))
    for keys in statement.get("Condition", {}).values():
        for key, values in keys.items():
            found.append(key)
            found += _variables(values)
    return found


def _variables(values: Any) -> list[str]:
    texts = values if isinstance(values, list) else [values]
    return [
        name.strip()
        for text in texts
        for name in _VARIABLE.findall(str(text))
        if name not in _LITERAL
    ]


def places(text: str) -> list[tuple[Position, Position]]:
    """Where each statement stands in a policy's text: lines and columns, from 1.

    As IAM counts: a statement begins behind what was read before it (the bracket of the list, or
    the statement before; its own brace where it stands alone) and ends behind its last brace.
    """
    at = _member(text, "Statement")
    if text[at] == "{":
        return [(_place(text, at + 1), _place(text, _decode(text, at)[1]))]
    found: list[tuple[Position, Position]] = []
    begins = at = at + 1
    while text[at := _space(text, at)] != "]":
        end = _decode(text, at)[1]
        found.append((_place(text, begins), _place(text, end)))
        begins = end
        at = _space(text, end)
        if text[at] == ",":
            at += 1
    return found


def _member(text: str, name: str) -> int:
    """Where the value of a member begins in an object's text; the last one of its name counts."""
    found = -1
    at = _space(text, _space(text, 0) + 1)
    while text[at] != "}":
        key, at = _decode(text, at)
        at = _space(text, _space(text, at) + 1)
        if key == name:
            found = at
        at = _space(text, _decode(text, at)[1])
        if text[at] == ",":
            at = _space(text, at + 1)
    return found


def _space(text: str, at: int) -> int:
    found = _WHITE.match(text, at)
    assert found is not None, "no space is space enough"
    return found.end()


def _place(text: str, at: int) -> Position:
    return {"Line": text.count("\n", 0, at) + 1, "Column": at - text.rfind("\n", 0, at)}
