"""A denial as `sts:DecodeAuthorizationMessage` tells it. Pure.

It names what the request was, all of its condition keys, and the statements that forbade it. AWS
does not tell which policy a statement stands in, and neither is it told here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from doppio.kernel.policy.document import Policy
from doppio.kernel.policy.evaluate import (
    AccessRequest,
    Decision,
    PolicySet,
    all_layers,
    speaks,
)
from doppio.kernel.policy.reference import known_action

_ARN_PARTS = 6


def explanation(
    request: AccessRequest, decision: Decision, policies: PolicySet, told: Mapping[str, Any]
) -> dict[str, Any]:
    """What AWS's JSON says. `told` are the condition keys that the service has given."""
    explicit = decision.reason == "explicit-deny"
    return {
        "allowed": decision.allowed,
        "explicitDeny": explicit,
        "matchedStatements": _items(_matched(request, policies) if explicit else ()),
        "failures": _items(()),
        "context": {
            "principal": {"id": request.principal_id, "arn": request.principal},
            "action": request.action,
            "resource": request.resource,
            "conditions": _items(_conditions(request, told)),
        },
    }


def _matched(request: AccessRequest, policies: PolicySet) -> Iterable[dict[str, Any]]:
    action = request.action.lower()
    for layer, policy in all_layers(policies):
        for statement in policy.statements:
            if not statement.allows and speaks(statement, layer, request, action):
                yield _statement(request, policy, statement.number)


def _statement(request: AccessRequest, policy: Policy, number: int) -> dict[str, Any]:
    statements = policy.document["Statement"]
    raw: Mapping[str, Any] = (statements if isinstance(statements, list) else [statements])[
        number - 1
    ]
    conditions = raw.get("Condition") or {}
    return {
        "statementId": raw.get("Sid", ""),
        "effect": "DENY",
        "principals": _values(request.principal_id.partition(":")[0]),
        "principalGroups": _items(()),
        "actions": _values(raw.get("Action", raw.get("NotAction", ()))),
        "resources": _values(raw.get("Resource", raw.get("NotResource", "*"))),
        "conditions": _items(
            {"key": key, "values": _values(wanted)}
            for keys in conditions.values()
            for key, wanted in keys.items()
        ),
    }


def _conditions(request: AccessRequest, told: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """The keys of the request, in AWS's spelling, and what the resource's ARN says."""
    known = known_action(request.action)
    # Of `aws:ResourceTag/${TagKey}` the family counts, which is before the slash.
    spelled = {
        key.partition("/")[0].lower(): key.partition("/")[0]
        for key in (known.keys if known else ())
    }
    for key, value in told.items():
        if value is not None:
            yield {"key": _spelling(key, spelled), "values": _values(value)}
    parts = request.resource.split(":", _ARN_PARTS - 1)
    if len(parts) != _ARN_PARTS:
        return
    _, _, service, region, account, resource = parts
    kind, slash, name = resource.partition("/")
    for key, value in (
        ("aws:Resource", resource), ("aws:Account", account), ("aws:Region", region),
        ("aws:Service", service), ("aws:Type", kind if slash else ""), ("aws:ID", name),
        ("aws:ARN", request.resource),
    ):  # fmt: skip
        if value:
            yield {"key": key, "values": _values(value)}


def _spelling(key: str, spelled: Mapping[str, str]) -> str:
    """The key as AWS writes it; a tag's own name is kept as it is."""
    family, slash, name = key.partition("/")
    return spelled.get(family, family) + slash + name


def _values(value: Any) -> dict[str, Any]:
    many = value if isinstance(value, list | tuple | set | frozenset) else [value]
    return _items({"value": str(one)} for one in many)


def _items(items: Iterable[Any]) -> dict[str, Any]:
    return {"items": list(items)}
