"""Trust policies: who may become a role.

IAM takes only what it can resolve: the users and roles that a trust policy names must exist.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from doppio.kernel.context import Reader
from doppio.services.iam import limits
from doppio.services.iam.common import checked_document, document_chars, named
from doppio.services.iam.errors import LimitExceeded, MalformedPolicyDocument
from doppio.services.iam.records import Named, Role, User

_ENTITIES: dict[str, type[Named]] = {"user": User, "role": Role}
# An account, its root user, an entity, a session or federated user, or a unique id.
_PRINCIPAL = re.compile(
    r"\*|\d{12}|arn:aws:iam::\d{12}:root|arn:aws:iam::(?P<account>\d{12}):(?P<kind>user|role)"
    r"(?P<path>/|/[\x21-\x7e]+/)(?P<name>[\w+=,.@-]+)"
    r"|arn:aws:sts::\d{12}:(assumed-role/[\w+=,.@-]+|federated-user)/[\w+=,.@-]+|[A-Z0-9]{16,128}",
    re.ASCII,
)


async def checked_trust(reader: Reader, document: str) -> str:
    """A trust policy. Raises MalformedPolicyDocument and LimitExceeded."""
    checked_document(document, principal=True)
    if document_chars(document) > limits.TRUST_POLICY_CHARS_MAX:
        raise LimitExceeded(
            f"Cannot exceed quota for ACLSizePerRole: {limits.TRUST_POLICY_CHARS_MAX}"
        )
    statements = json.loads(document)["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        if "Resource" in statement or "NotResource" in statement:
            raise MalformedPolicyDocument("Has prohibited field Resource")
        actions = _list(statement.get("Action", statement.get("NotAction")))
        if not all(action.lower().startswith("sts:") for action in actions):
            raise MalformedPolicyDocument(
                "AssumeRole policy may only specify STS AssumeRole actions."
            )
        for kind, principal in _principals(statement):
            if not await _resolves(reader, kind, principal):
                raise MalformedPolicyDocument(
                    f'Invalid principal in policy: "{kind.upper()}":"{principal}"'
                )
    return document


def _principals(statement: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    given = statement.get("Principal", statement.get("NotPrincipal"))
    if not isinstance(given, Mapping):
        if given != "*":
            raise MalformedPolicyDocument(f'Invalid principal in policy: "{given}"')
        return
    for kind, some in given.items():
        for one in _list(some):
            yield kind, one


async def _resolves(reader: Reader, kind: str, principal: Any) -> bool:
    if not isinstance(principal, str) or not principal:
        return False
    if kind == "Service":
        return "." in principal and "*" not in principal
    if kind != "AWS":
        return kind in ("Federated", "CanonicalUser")
    found = _PRINCIPAL.fullmatch(principal)
    if found is None:
        return False
    if found["name"] is None:
        return True
    entity = await named(reader, _ENTITIES[found["kind"]], found["account"], found["name"])
    return entity is not None and entity.arn == principal


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
