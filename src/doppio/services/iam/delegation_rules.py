"""What a delegation request asks for: its template filled in, in words, and against a caller's policies.

Sources: "Temporary delegation" and "Understanding the request lifecycle" in the IAM user guide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from doppio.kernel.policy import AccessRequest, Policy, PolicySet, evaluate
from doppio.kernel.policy.match import wildcard
from doppio.kernel.policy.reference import prefixes
from doppio.services.iam import limits
from doppio.services.iam.errors import InvalidInput

_PARAMETER = re.compile(r"@\{([^}]*)\}")
_MAKES_ROLES = ("iam:createrole", "iam:putrolepermissionsboundary")
_BOUNDARY = "iam:permissionsboundary"
# So many actions are looked at for each statement.
ACTIONS_MAX = 2_000

UNASSIGNED, ASSIGNED, PENDING = "UNASSIGNED", "ASSIGNED", "PENDING_APPROVAL"
ACCEPTED, REJECTED, FINALIZED, EXPIRED = "ACCEPTED", "REJECTED", "FINALIZED", "EXPIRED"


def filled(template: str, parameters: Iterable[Mapping[str, Any]]) -> str:
    """A policy of a template with `@{name}` in it. Raises InvalidInput where a value is missing."""
    values: dict[str, list[str]] = {}
    for one in parameters:
        given = list(one.get("Values", ()))
        if one.get("Type", "string") == "string" and len(given) != 1:
            raise InvalidInput(f"The parameter {one.get('Name')} must have exactly one value.")
        values[one.get("Name", "")] = given
    known = set(_PARAMETER.findall(template))
    for name in sorted(known ^ values.keys()):
        if name in known:
            raise InvalidInput(f"The policy template needs a value for the parameter {name}.")
        raise InvalidInput(f"The policy template has no parameter {name}.")
    made = json.dumps(_with(json.loads(template), values), separators=(",", ":"))
    if len(made) > limits.DELEGATION_POLICY_CHARS_MAX:
        raise InvalidInput("The policy of the template with these values is too large.")
    return made


def _with(value: Any, values: Mapping[str, list[str]]) -> Any:
    if isinstance(value, Mapping):
        return {key: _with(one, values) for key, one in value.items()}
    if isinstance(value, list):
        return [made for one in value for made in _several(one, values)]
    if isinstance(value, str):
        made = _several(value, values)
        return made[0] if len(made) == 1 else made
    return value


def _several(value: Any, values: Mapping[str, list[str]]) -> list[Any]:
    """A text as often as its parameters have values."""
    if not isinstance(value, str):
        return [_with(value, values)]
    found = _PARAMETER.search(value)
    if found is None:
        return [value]
    before, after = value[: found.start()], value[found.end() :]
    return [f"{before}{one}{rest}" for one in values[found[1]] for rest in _several(after, values)]


def statements(policy: str) -> Iterator[Mapping[str, Any]]:
    """The statements of a document."""
    yield from _list(json.loads(policy)["Statement"])


def role_boundaries(policy: str) -> list[str]:
    """The boundaries that roles must have which the policy lets one make."""
    found: list[str] = []
    for statement in statements(policy):
        actions = [wildcard(one.lower()) for one in _list(statement.get("Action", []))]
        if not any(matches(name) for matches in actions for name in _MAKES_ROLES):
            continue
        for keys in statement.get("Condition", {}).values():
            for key, value in keys.items():
                if key.lower() == _BOUNDARY:
                    found += [arn for arn in _list(value) if arn not in found]
    return found


def covered(policy: str, who: AccessRequest, policies: PolicySet) -> str:
    """Whether a caller may do all that a policy allows: ALLOWED, DENIED, or UNSURE."""
    unsure = False
    for statement in statements(policy):
        if statement["Effect"] != "Allow":
            continue
        unsure = unsure or bool(statement.get("Condition"))
        for action in _actions(statement):
            for resource in _list(statement.get("Resource", "*")):
                request = AccessRequest(
                    principal=who.principal, account=who.account, kind=who.kind, action=action,
                    resource=resource, resource_account=who.account, context=who.context,
                    principal_id=who.principal_id,
                )  # fmt: skip
                if evaluate(request, policies).allowed:
                    continue
                if not _has_conditions(policies):
                    return "DENIED"
                unsure = True
    return "UNSURE" if unsure else "ALLOWED"


def _has_conditions(policies: PolicySet) -> bool:
    held: list[Policy] = [*policies.identity, *(policies.session or ()), *policies.narrowed]
    if policies.boundary is not None:
        held.append(policies.boundary)
    return any('"Condition"' in json.dumps(dict(one.document)) for one in held)


def _actions(statement: Mapping[str, Any]) -> list[str]:
    """The actions of a statement, by their whole names."""
    if "Action" not in statement:
        return ["*"]
    found: list[str] = []
    for pattern in _list(statement["Action"]):
        if "*" not in pattern and "?" not in pattern:
            found.append(pattern)
            continue
        matches = wildcard(pattern.lower())
        found += [name for name in _all_actions() if matches(name.lower())]
    return found[:ACTIONS_MAX]


def _all_actions() -> Iterator[str]:
    for prefix, service in prefixes().items():
        for name in service.actions:
            yield f"{prefix}:{name}"


def summary(policy: str, requestor: str, seconds: int) -> str:
    """A request in words, made from its policy and nothing else."""
    asks = f"Account {requestor} asks to act in your account for {_span(seconds)}"
    lines = [f"{asks}, with these permissions:"]
    lines += [f"- {_sentence(statement)}" for statement in statements(policy)]
    return "\n".join(lines)[: limits.SUMMARY_CHARS_MAX]


def _sentence(statement: Mapping[str, Any]) -> str:
    verb = "Allow" if statement["Effect"] == "Allow" else "Never allow"
    actions = _words(statement, "Action", "everything")
    resources = _words(statement, "Resource", "all resources")
    text = f"{verb} {actions} on {resources}"
    if statement.get("Condition"):
        text += f", where {_condition(statement['Condition'])}"
    return f"{text}."


def _words(statement: Mapping[str, Any], member: str, everything: str) -> str:
    negated = f"Not{member}"
    if negated in statement:
        return f"{everything} but {', '.join(_list(statement[negated]))}"
    given = _list(statement.get(member, "*"))
    return everything if "*" in given else ", ".join(given)


def _condition(condition: Mapping[str, Any]) -> str:
    return " and ".join(
        f"{key} {operator} {', '.join(str(one) for one in _list(value))}"
        for operator, keys in condition.items()
        for key, value in keys.items()
    )


def _span(seconds: int) -> str:
    hours, minutes = seconds // 3_600, seconds % 3_600 // 60
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes)
    return " ".join(parts) or f"{seconds} s"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
