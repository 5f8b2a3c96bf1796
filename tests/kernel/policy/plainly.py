"""A second evaluator: slow and plain, straight from AWS's documents, and independent of the engine.

It takes policies as they are written, compiles nothing and remembers nothing. What it says is what
the engine must say. Sources: the IAM user guide's "Policy evaluation logic", "Grammar of the IAM JSON
policy language", "Condition operators", "Multivalued context keys" and "Variables and tags".
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

Document = dict[str, Any]


class Asked(NamedTuple):
    """A request: who, in which account, wants to do what to what, whose that is, and how."""

    principal: str = "arn:aws:iam::111111111111:user/anna"
    account: str = "111111111111"
    kind: str = "user"
    action: str = "s3:GetObject"
    resource: str = "arn:aws:s3:::cafe/menu"
    owner: str = "111111111111"
    context: Mapping[str, Any] = {}
    id: str = "AIDAANNA"
    issuer: str = ""
    decisive: bool = False
    granted: bool = False


class Given(NamedTuple):
    """The policies that are there. None: there is none of the kind; a list may be empty."""

    identity: tuple[Document, ...] = ()
    resource: Document | None = None
    boundary: Document | None = None
    session: tuple[Document, ...] | None = None
    scps: tuple[tuple[Document, ...], ...] = ()
    rcps: tuple[tuple[Document, ...], ...] = ()
    # What a session has given up: each of these must allow too.
    narrowed: tuple[Document, ...] = ()


def decide(asked: Asked, given: Given) -> str:
    """`allow`, or `explicit LAYER` or `implicit LAYER` for a denial."""
    outside = asked.kind in ("service", "anonymous")
    # Services and the anonymous have no policies of their own, and are in no organisation.
    identity = () if outside else given.identity
    boundary = None if outside else given.boundary
    session = None if outside else given.session
    scps = () if outside else given.scps
    narrowed = () if outside else given.narrowed
    resource = [] if given.resource is None else [given.resource]

    # 1. An explicit deny in any policy decides.
    for layer, policies in (
        ("rcp", [one for level in given.rcps for one in level]),
        ("scp", [one for level in scps for one in level]),
        ("resource", resource),
        ("identity", identity),
        ("boundary", [] if boundary is None else [boundary]),
        ("session", [*(session or ()), *narrowed]),
    ):
        if says(asked, policies, "Deny", named=layer == "resource"):
            return f"explicit {layer}"

    # 2. and 3. Each level of the organisation must allow.
    for level in given.rcps:
        if not says(asked, level, "Allow"):
            return "implicit rcp"
    for level in scps:
        if not says(asked, level, "Allow"):
            return "implicit scp"
    for one in narrowed:
        if not says(asked, [one], "Allow"):
            return "implicit session"
    if asked.granted:
        return "allow"

    # 4. The resource's policy.
    within = asked.account == asked.owner
    hows = {how for how in says(asked, resource, "Allow", named=True) if how}
    if asked.decisive and not hows:
        return "implicit resource"
    if outside:
        return "allow" if hows else "implicit resource"
    if asked.kind != "root" and within and "self" in hows:
        return "allow"

    # 5. to 7. What grants, and what bounds it.
    granting = hows & {"self", "issuer", "anyone"} if within else set()
    own = asked.kind == "root" or bool(says(asked, identity, "Allow"))
    if not own and not granting:
        return "implicit identity"
    if asked.kind != "root" and boundary is not None and not says(asked, [boundary], "Allow"):
        return "implicit boundary"
    if asked.kind != "root" and session is not None and not says(asked, session, "Allow"):
        return "implicit session"
    # Across accounts the resource's account must consent too.
    return "allow" if within or hows else "implicit resource"


def says(asked: Asked, policies: Any, effect: str, *, named: bool = False) -> list[str]:
    """How each statement of this effect that speaks of the request names the caller."""
    found = []
    for policy in policies:
        for statement in many(policy["Statement"]):
            how = names(statement, asked) if named else "unnamed"
            if statement["Effect"] == effect and how and speaks(policy, statement, asked):
                found.append(how)
    return found


def speaks(policy: Document, statement: Document, asked: Asked) -> bool:
    """Whether action, resource and conditions of a statement fit the request."""
    variables = policy.get("Version") == "2012-10-17"
    context = {key.lower(): value for key, value in asked.context.items()}

    def action_in(patterns: Any) -> bool:
        return any(
            fits(pattern.lower(), asked.action.lower(), {}, False) for pattern in many(patterns)
        )

    def resource_in(patterns: Any) -> bool:
        return any(fits(one, asked.resource, context, variables) for one in many(patterns))

    if "Action" in statement and not action_in(statement["Action"]):
        return False
    if "NotAction" in statement and action_in(statement["NotAction"]):
        return False
    if "Resource" in statement and not resource_in(statement["Resource"]):
        return False
    if "NotResource" in statement and resource_in(statement["NotResource"]):
        return False
    return all(
        holds(operator, many(wanted), context.get(key.lower()), context, variables)
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    )


def names(statement: Document, asked: Asked) -> str:
    """How a statement names the caller: self, issuer, account, anyone; empty where it does not."""
    if "NotPrincipal" in statement:
        return "" if named_in(statement["NotPrincipal"], asked) else "anyone"
    return named_in(statement["Principal"], asked) if "Principal" in statement else ""


def named_in(principals: Any, asked: Asked) -> str:
    if principals == "*":
        principals = {"AWS": "*"}
    listed = many(principals.get("AWS", []))
    if asked.principal in [*listed, *many(principals.get("Service", []))]:
        return "self"
    if asked.id in listed or asked.principal in many(principals.get("Federated", [])):
        return "self"
    if (asked.issuer or role_of(asked.principal)) in listed:
        return "issuer"
    # A service is in no account, whoever it acts for.
    if asked.kind != "service":
        if asked.account in listed or f"arn:aws:iam::{asked.account}:root" in listed:
            return "account"
        canonical = hashlib.sha256(f"canonical-user/{asked.account}".encode()).hexdigest()
        if canonical in many(principals.get("CanonicalUser", [])):
            return "account"
    return "anyone" if "*" in listed else ""


def role_of(arn: str) -> str:
    """arn:aws:sts::1:assumed-role/NAME/SESSION is a session of arn:aws:iam::1:role/NAME."""
    parts = arn.split(":")
    if len(parts) != 6 or not parts[5].startswith("assumed-role/"):
        return arn
    return f"{parts[0]}:{parts[1]}:iam:{parts[3]}:{parts[4]}:role/{parts[5].split('/')[1]}"


# Conditions.


def holds(operator: str, wanted: list[Any], value: Any, context: Any, variables: bool) -> bool:
    """Whether one condition holds of a key's value; None where the request has no such key."""
    qualifier, _, plain = operator.rpartition(":")
    if_exists = plain.endswith("IfExists")
    plain = plain.removesuffix("IfExists")
    values = None if value is None else [text(one) for one in many(value)]
    if plain == "Null":
        return any((text(one).lower() == "true") is (not values) for one in wanted)

    def one(value: str) -> bool:
        hit = any(
            compare(plain.replace("Not", ""), value, text(want), context, variables)
            for want in wanted
        )
        return not hit if "Not" in plain else hit

    if qualifier == "ForAllValues":
        return all(one(value) for value in values or [])
    if not values:
        if qualifier == "ForAnyValue":
            return if_exists
        return if_exists or "Not" in plain
    if qualifier == "ForAnyValue":
        return any(one(value) for value in values)
    return all(one(value) for value in values) if "Not" in plain else any(map(one, values))


def compare(operator: str, value: str, want: str, context: Any, variables: bool) -> bool:
    """The operators without their negations."""
    if operator in ("StringEquals", "StringEqualsIgnoreCase"):
        written = letters(want, context, variables)
        if written is None:
            return False
        whole = "".join(letter for letter, _ in written)
        return value == whole if operator == "StringEquals" else value.lower() == whole.lower()
    if operator == "StringLike":
        return fits(want, value, context, variables)
    if operator in ("ArnEquals", "ArnLike"):
        if want == "*":
            return True
        # Each of the six parts for itself: no wildcard reaches over a colon.
        have, parts = value.split(":", 5), in_parts(letters(want, context, variables) or [])
        return len(have) == len(parts) == 6 and all(map(spells, parts, have))
    if operator == "Bool":
        return value.lower() == want.lower()
    if operator == "IpAddress":
        try:
            return ipaddress.ip_address(value) in ipaddress.ip_network(want, strict=False)
        except ValueError:
            return False
    if operator == "BinaryEquals":
        try:
            return base64.b64decode(value) == base64.b64decode(want)
        except ValueError:
            return False
    kind = "Numeric" if operator.startswith("Numeric") else "Date"
    a, b = (number(value), number(want)) if kind == "Numeric" else (date(value), date(want))
    if a is None or b is None:
        return False
    return {
        "Equals": a == b,
        "LessThan": a < b,
        "LessThanEquals": a <= b,
        "GreaterThan": a > b,
        "GreaterThanEquals": a >= b,
    }[operator.removeprefix(kind)]


def number(text: str) -> Any:
    """A number, or None."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return None if found.is_nan() else found


def date(text: str) -> Any:
    """A moment, written as ISO 8601 has it or as seconds since 1970, or None."""
    try:
        if text.lstrip("-").isdigit():
            return datetime.fromtimestamp(int(text), UTC)
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


# Texts.


def letters(pattern: str, context: Any, variables: bool) -> list[tuple[str, bool]] | None:
    """The letters of a pattern, each with whether it is a wildcard; None where a variable fails."""
    found: list[tuple[str, bool]] = []
    at = 0
    while at < len(pattern):
        end = pattern.find("}", at)
        if variables and pattern.startswith("${", at) and end >= 0:
            value = variable(pattern[at + 2 : end], context)
            if value is None:
                return None
            found += [(letter, False) for letter in value]
            at = end + 1
        else:
            found.append((pattern[at], pattern[at] in "*?"))
            at += 1
    return found


def variable(written: str, context: Any) -> str | None:
    """What stands for `${written}`."""
    if written in ("*", "?", "$"):
        return written
    key, comma, default = written.partition(",")
    value = context.get(key.strip().lower())
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    if value is not None:
        return str(value)
    default = default.strip()
    if comma and len(default) >= 2 and default[0] == default[-1] == "'":
        return default[1:-1]
    return None


def fits(pattern: str, text: str, context: Any, variables: bool) -> bool:
    """Whether a text fits a pattern: `*` is any text, `?` any letter."""
    found = letters(pattern, context, variables)
    return found is not None and spells(found, text)


def in_parts(found: list[tuple[str, bool]]) -> list[list[tuple[str, bool]]]:
    """The six parts of an ARN; the last one may have colons itself."""
    parts: list[list[tuple[str, bool]]] = [[]]
    for letter in found:
        if letter[0] == ":" and len(parts) < 6:
            parts.append([])
        else:
            parts[-1].append(letter)
    return parts


def spells(found: list[tuple[str, bool]], text: str) -> bool:
    """Whether letters, some of them wildcards, spell a text."""
    # reached[n]: the pattern so far fits the first n letters.
    reached = [True] + [False] * len(text)
    for letter, wild in found:
        if wild and letter == "*":
            reached = [any(reached[: n + 1]) for n in range(len(text) + 1)]
        else:
            reached = [False] + [
                reached[n] and (wild or text[n] == letter) for n in range(len(text))
            ]
    return reached[len(text)]


def text(value: Any) -> str:
    """A value as policies write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def many(value: Any) -> list[Any]:
    """A list of one where there is no list."""
    return value if isinstance(value, list) else [value]
