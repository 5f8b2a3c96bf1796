"""Trust policies: who may become a role.

IAM takes only what it can resolve: the users and roles that a trust policy names must exist. It is these
that are trusted, by their unique ids, and not who comes after them under the same name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from doppio.kernel.context import Reader
from doppio.kernel.policy import Policy, compile_policy
from doppio.services.iam import limits
from doppio.services.iam.common import checked_document, document_chars, named, own_part
from doppio.services.iam.errors import LimitExceeded, MalformedPolicyDocument
from doppio.services.iam.records import Named, Role, User

_ENTITIES: dict[str, type[Named]] = {"user": User, "role": Role}
# An account, its root user, an entity, a session or federated user, or a unique id.
_PRINCIPAL = re.compile(
    r"\*|\d{12}|arn:(?P<of_root>[a-z-]+):iam::\d{12}:root|arn:(?P<of_entity>[a-z-]+):iam::(?P<account>\d{12}):(?P<kind>user|role)"
    r"(?P<path>/|/[\x21-\x7e]+/)(?P<name>[\w+=,.@-]+)"
    r"|arn:(?P<of_session>[a-z-]+):sts::\d{12}:(assumed-role/[\w+=,.@-]+|federated-user)/[\w+=,.@-]+|[A-Z0-9]{16,128}",
    re.ASCII,
)


async def checked_trust(reader: Reader, document: str) -> tuple[str, dict[str, str]]:
    """A trust policy, and the unique ids of those whom it names by ARN.

    Raises MalformedPolicyDocument and LimitExceeded.
    """
    checked_document(reader.context, document, principal=True)
    if document_chars(document) > limits.TRUST_POLICY_CHARS_MAX:
        raise LimitExceeded(
            f"Cannot exceed quota for ACLSizePerRole: {limits.TRUST_POLICY_CHARS_MAX}"
        )
    statements = json.loads(document)["Statement"]
    bound: dict[str, str] = {}
    for statement in statements if isinstance(statements, list) else [statements]:
        if "Resource" in statement or "NotResource" in statement:
            raise MalformedPolicyDocument("Has prohibited field Resource")
        actions = _list(statement.get("Action", statement.get("NotAction")))
        if not all(action.lower().startswith("sts:") for action in actions):
            raise MalformedPolicyDocument(
                "AssumeRole policy may only specify STS AssumeRole actions."
            )
        for kind, principal in _principals(statement):
            found = await _resolved(reader, kind, principal)
            if found is None:
                raise MalformedPolicyDocument(
                    f'Invalid principal in policy: "{kind.upper()}":"{principal}"'
                )
            if found:
                bound[principal] = found
    return document, bound


def trusted_policy(role: Role) -> Policy:
    """A role's trust policy as it counts: by the unique ids of those who were named."""
    return compile_policy(_renamed(role.trust, role.bound), "trust policy")


async def shown_trust(reader: Reader, role: Role) -> str:
    """A role's trust policy as IAM shows it: who is gone stands there by his unique id."""
    gone: dict[str, str] = {}
    for arn, wanted in role.bound.items():
        account, _, rest = own_part(reader, arn, "iam").partition(":")
        kind, _, path = rest.partition("/")
        entity = await named(reader, _ENTITIES[kind], account, path.rpartition("/")[2])
        if entity is None or entity.id != wanted or entity.arn != arn:
            gone[arn] = wanted
    return _renamed(role.trust, gone)


def _renamed(document: str, names: Mapping[str, str]) -> str:
    """A document with other names for some of its principals."""
    if not names:
        return document
    raw = json.loads(document)
    for statement in _list(raw["Statement"]):
        given = statement.get("Principal", statement.get("NotPrincipal"))
        if not isinstance(given, Mapping) or "AWS" not in given:
            continue
        some = given["AWS"]
        renamed = [names.get(one, one) for one in _list(some)]
        member = "Principal" if "Principal" in statement else "NotPrincipal"
        statement[member] = {**given, "AWS": renamed if isinstance(some, list) else renamed[0]}
    return json.dumps(raw)


def _principals(statement: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    given = statement.get("Principal", statement.get("NotPrincipal"))
    if not isinstance(given, Mapping):
        if given != "*":
            raise MalformedPolicyDocument(f'Invalid principal in policy: "{given}"')
        return
    for kind, some in given.items():
        for one in _list(some):
            yield kind, one


async def _resolved(reader: Reader, kind: str, principal: Any) -> str | None:
    """The unique id of a principal, empty where it has none of its own; None where there is none."""
    if not isinstance(principal, str) or not principal:
        return None
    if kind == "Service":
        return "" if "." in principal and "*" not in principal else None
    if kind != "AWS":
        return "" if kind in ("Federated", "CanonicalUser") else None
    found = _PRINCIPAL.fullmatch(principal)
    if found is None:
        return None
    of = found["of_root"] or found["of_entity"] or found["of_session"]
    if of not in (None, reader.context.partition):
        # The principals of one partition mean nothing in another.
        return None
    if found["name"] is None:
        return ""
    entity = await named(reader, _ENTITIES[found["kind"]], found["account"], found["name"])
    return entity.id if entity is not None and entity.arn == principal else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
