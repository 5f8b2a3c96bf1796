"""Policy documents: read, checked and compiled once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from doppio.kernel.identity import canonical_user, role_of
from doppio.kernel.policy.conditions import Condition, UnknownOperator, compile_conditions
from doppio.kernel.policy.match import Matches, actions, arns, wildcard

VERSIONS = ("2012-10-17", "2008-10-17")
# A policy remembers of so many actions which of its statements speak of them.
ACTIONS_MAX = 256
_STATEMENT_KEYS = frozenset({
    "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource",
    "NotResource", "Condition",
})  # fmt: skip


class MalformedPolicy(ValueError):
    """A document that is no policy; the text is AWS's."""


class Statement:
    """One statement, ready to be asked."""

    __slots__ = ("action", "allows", "condition", "number", "principal", "resource", "sid")

    def __init__(self, number: int, raw: Mapping[str, Any]) -> None:
        self.number = number
        self.sid: str = raw.get("Sid", "")
        self.allows = raw["Effect"] == "Allow"
        self.action = _either(raw, "Action", actions)
        self.resource = _resource(raw)
        self.principal = _principal(raw)
        self.condition: Condition | None = compile_conditions(raw.get("Condition") or {})

    def applies(self, action: str, resource: str, context: Mapping[str, Any]) -> bool:
        """Whether the statement speaks of this (lower-case) action on this resource."""
        return self.action(action) and self.fits(resource, context)

    def fits(self, resource: str, context: Mapping[str, Any]) -> bool:
        """Whether a statement that speaks of the action does so on this resource."""
        return self.resource(resource, context) and (
            self.condition is None or self.condition(context)
        )

    def __str__(self) -> str:
        return self.sid or f"statement {self.number}"


About = tuple[tuple[Statement, ...], tuple[Statement, ...]]


class Policy:
    """A compiled document; `name` says in explanations which one it is.

    `keys` are the condition keys (in lower case) on which its answers hang; None where it has
    variables, and any may count.
    """

    __slots__ = ("_about", "document", "keys", "name", "statements")

    def __init__(self, name: str, document: Mapping[str, Any]) -> None:
        self.name = name
        self.document = document
        statements = many(document["Statement"])
        if document.get("Version") != VERSIONS[0]:
            statements = [_without_variables(statement) for statement in statements]
        self.statements = tuple(Statement(number, raw) for number, raw in enumerate(statements, 1))
        self.keys = _condition_keys(statements)
        self._about: dict[str, About] = {}

    def about(self, action: str) -> About:
        """The statements that speak of an action (in small letters): those that deny, then allow.

        Remembered, since it hangs on the action alone and most calls are of few actions.
        """
        found = self._about.get(action)
        if found is None:
            speaking = [one for one in self.statements if one.action(action)]
            found = (
                tuple(one for one in speaking if not one.allows),
                tuple(one for one in speaking if one.allows),
            )
            if len(self._about) >= ACTIONS_MAX:
                self._about.clear()
            self._about[action] = found
        return found


def _without_variables(statement: Mapping[str, Any]) -> dict[str, Any]:
    """A statement of an older version, which has no variables: `${` is just text there."""
    found = dict(statement)
    for member in ("Resource", "NotResource"):
        if member in found:
            found[member] = _plain(found[member])
    if found.get("Condition"):
        found["Condition"] = {
            operator: {key: _plain(values) for key, values in keys.items()}
            # Other operators know no variables in any version.
            if "String" in operator or "Arn" in operator
            else keys
            for operator, keys in found["Condition"].items()
        }
    return found


def _plain(values: Any) -> Any:
    return [one.replace("${", "${$}{") if isinstance(one, str) else one for one in many(values)]


def _condition_keys(statements: list[Mapping[str, Any]]) -> frozenset[str] | None:
    if "${" in json.dumps(statements, default=str):
        return None
    return frozenset(
        key.lower()
        for statement in statements
        for keys in (statement.get("Condition") or {}).values()
        for key in keys
    )


def compile_policy(document: str | Mapping[str, Any], name: str = "") -> Policy:
    """A policy from its document. Raises MalformedPolicy with AWS's text."""
    raw = check(document)
    try:
        return Policy(name, raw)
    except UnknownOperator as error:
        raise MalformedPolicy("Syntax errors in policy.") from error


def check(document: str | Mapping[str, Any], *, principal: bool | None = None) -> Mapping[str, Any]:
    """The document as a mapping, if it is in IAM's grammar.

    `principal`: statements must (True) or must not (False) name one. Raises MalformedPolicy.
    """
    raw = document
    if isinstance(document, str):
        try:
            raw = json.loads(document)
        except (ValueError, RecursionError) as error:
            raise MalformedPolicy("This policy contains invalid Json") from error
    if not isinstance(raw, Mapping):
        raise MalformedPolicy("Syntax errors in policy.")
    if not set(raw) <= {"Version", "Id", "Statement"}:
        raise MalformedPolicy("Syntax errors in policy.")
    if raw.get("Version", VERSIONS[1]) not in VERSIONS:
        raise MalformedPolicy("Syntax errors in policy.")
    statements = raw.get("Statement")
    if isinstance(statements, Mapping):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise MalformedPolicy("Syntax errors in policy.")
    for statement in statements:
        _check_statement(statement, principal)
    sids = [statement["Sid"] for statement in statements if statement.get("Sid")]
    if len(set(sids)) < len(sids):
        raise MalformedPolicy("Statement IDs (SID) in a single policy must be unique.")
    return raw


def _check_statement(statement: Any, principal: bool | None) -> None:
    if not isinstance(statement, Mapping) or not set(statement) <= _STATEMENT_KEYS:
        raise MalformedPolicy("Syntax errors in policy.")
    if not isinstance(statement.get("Sid", ""), str):
        raise MalformedPolicy("Syntax errors in policy.")
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise MalformedPolicy("Syntax errors in policy.")
    named = "Principal" in statement or "NotPrincipal" in statement
    if principal is True and not named:
        raise MalformedPolicy("Missing required field Principal")
    if principal is False and named:
        raise MalformedPolicy("Policy document should not specify a principal.")
    if ("Action" in statement) == ("NotAction" in statement):
        raise MalformedPolicy("Policy statement must contain actions.")
    actions_given = many(statement.get("Action", statement.get("NotAction")))
    if not actions_given:
        raise MalformedPolicy("Policy statement must contain actions.")
    for action in actions_given:
        if not isinstance(action, str) or (action != "*" and ":" not in action):
            raise MalformedPolicy(
                "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
            )
    if "Resource" in statement and "NotResource" in statement:
        raise MalformedPolicy("Syntax errors in policy.")
    resources = many(statement.get("Resource", statement.get("NotResource", [])))
    if not resources and not named:
        raise MalformedPolicy("Policy statement must contain resources.")
    for resource in resources:
        if not isinstance(resource, str):
            raise MalformedPolicy("Syntax errors in policy.")
        if resource != "*" and not resource.startswith(("arn:", "*", "${")):
            raise MalformedPolicy(f'Resource {resource} must be in ARN format or "*".')
    condition = statement.get("Condition", {})
    if not isinstance(condition, Mapping) or not all(
        isinstance(keys, Mapping) for keys in condition.values()
    ):
        raise MalformedPolicy("Syntax errors in policy.")


def many(value: Any) -> list[Any]:
    """A list of one where there is no list."""
    return value if isinstance(value, list) else [value]


def _either(
    raw: Mapping[str, Any], name: str, make: Callable[[list[str]], Callable[[str], bool]]
) -> Callable[[str], bool]:
    if name in raw:
        return make(many(raw[name]))
    test = make(many(raw[f"Not{name}"]))
    return lambda text: not test(text)


def _resource(raw: Mapping[str, Any]) -> Matches:
    if "Resource" in raw:
        return arns(many(raw["Resource"]))
    if "NotResource" in raw:
        test = arns(many(raw["NotResource"]))
        return lambda arn, context: not test(arn, context)
    # A trust policy names no resource: it hangs on the one that it speaks of.
    return lambda arn, context: True


class Who:
    """The principals a statement of a resource policy names."""

    __slots__ = (
        "_accounts",
        "_anyone",
        "_arns",
        "_canonical",
        "_federated",
        "_ids",
        "_negated",
        "_patterns",
        "_services",
    )

    def __init__(self, named: Any, *, negated: bool) -> None:
        self._negated = negated
        self._anyone = named == "*"
        groups = named if isinstance(named, Mapping) else {}
        aws = [str(one) for one in many(groups.get("AWS", []))]
        self._anyone = self._anyone or "*" in aws
        # Of which partitions; a bare number is of any, since only what is of one asks.
        self._accounts: dict[str, set[str]] = {}
        for one in aws:
            if account := _account_of(one):
                partition = one.split(":")[1] if ":" in one else ""
                self._accounts.setdefault(account, set()).add(partition)
        self._arns = {one for one in aws if not _account_of(one) and "*" not in one}
        # Of users and roles: sessions are told by their role's.
        self._ids = {one for one in self._arns if ":" not in one}
        self._patterns = [wildcard(one) for one in aws if "*" in one and one != "*"]
        self._services = {str(one) for one in many(groups.get("Service", []))}
        self._canonical = {str(one) for one in many(groups.get("CanonicalUser", []))}
        self._federated = {str(one) for one in many(groups.get("Federated", []))}

    def kind(self, arn: str, account: str, user_id: str, issuer: str = "") -> str | None:
        """How a principal is named: `exact`, `issuer`, `account`, `anyone`, or not at all (None).

        `issuer` is the role or user whose session it is, where the ARN does not tell.
        """
        hit = self._hit(arn, account, user_id, issuer or role_of(arn))
        if self._negated:
            return None if hit else "anyone"
        return hit

    def _hit(self, arn: str, account: str, user_id: str, issuer: str) -> str | None:
        if arn in self._arns or user_id in self._arns:
            return "exact"
        if self._ids and user_id.partition(":")[0] in self._ids:
            return "exact"
        if arn in self._services or arn in self._federated:
            return "exact"
        if self._ids and user_id.partition(":")[0] in self._ids:
            return "issuer"
        if issuer in self._arns or any(test(arn) or test(issuer) for test in self._patterns):
            return "issuer"
        # A service acts for an account, and is not of it.
        if account in self._accounts and not arn.endswith(".amazonaws.com"):
            of = self._accounts[account]
            if "" in of or arn.partition(":")[2].partition(":")[0] in of:
                return "account"
        if self._canonical and canonical_user(account) in self._canonical:
            return "account"
        return "anyone" if self._anyone else None


def _principal(raw: Mapping[str, Any]) -> Who | None:
    if "Principal" in raw:
        return Who(raw["Principal"], negated=False)
    if "NotPrincipal" in raw:
        return Who(raw["NotPrincipal"], negated=True)
    return None


def names_others(document: Mapping[str, Any], partition: str) -> bool:
    """Whether a document names a principal of another partition, who means nothing in this one."""
    for statement in many(document.get("Statement", [])):
        given = statement.get("Principal", statement.get("NotPrincipal"))
        for one in many(given.get("AWS", [])) if isinstance(given, Mapping) else ():
            parts = str(one).split(":", 2)
            if len(parts) == 3 and parts[0] == "arn" and parts[1] not in ("*", partition):
                return True
    return False


def _account_of(named: str) -> str:
    """The account of `123456789012` or `arn:aws:iam::123456789012:root`; empty for others."""
    if len(named) == 12 and named.isdigit():
        return named
    parts = named.split(":")
    return parts[4] if len(parts) == 6 and parts[5] == "root" and parts[2] == "iam" else ""
