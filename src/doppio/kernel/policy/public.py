"""Whether a policy lets the world in. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Conditions that tie a policy to known principals or places, so that it is not public. Source:
# "The meaning of public" in S3's documentation of Block Public Access.
_FIXING = frozenset(
    {
        "aws:sourcearn", "aws:sourcevpc", "aws:sourcevpce", "aws:sourceowner", "aws:sourceaccount",
        "aws:userid", "aws:principalorgid", "aws:principalarn", "aws:principalaccount",
        "s3:dataaccesspointarn", "s3:dataaccesspointaccount", "aws:sourceip",
        "aws:principalorgpaths", "aws:sourceorgid",
    }
)  # fmt: skip


def is_public(document: Mapping[str, Any]) -> bool:
    """Whether a resource's policy lets the world in, as S3 defines it ("The meaning of public")."""
    return any(_statement_is_public(statement) for statement in _listed(document.get("Statement")))


def _statement_is_public(statement: Mapping[str, Any]) -> bool:
    if statement.get("Effect") != "Allow":
        return False
    principal = statement.get("Principal")
    if "NotPrincipal" not in statement and not (
        principal == "*" or (isinstance(principal, dict) and "*" in _listed(principal.get("AWS")))
    ):
        return False
    for operator, keys in (statement.get("Condition") or {}).items():
        if operator.lower().endswith("ifexists") or "not" in operator.lower():
            continue
        for key, values in keys.items():
            if key.lower() in _FIXING and all(_is_fixed(str(value)) for value in _listed(values)):
                return False
    return True


def _is_fixed(value: str) -> bool:
    return "*" not in value and "?" not in value and "${" not in value and not value.endswith("/0")


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
