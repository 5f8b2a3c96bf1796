"""What an organisation's resource policy may say. Pure.

Source: "Delegated administrator for AWS Organizations" in the user guide, and its lists of actions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from doppio.kernel.policy import MalformedPolicy, compile_policy
from doppio.kernel.policy.document import check
from doppio.kernel.policy.match import wildcard
from doppio.services.organizations.errors import invalid
from doppio.services.organizations.policy_types import TYPES
from doppio.services.organizations.records import Organization
from doppio.services.organizations.who import DELEGATED

_PRINCIPAL = re.compile(
    r"\d{12}|arn:(?P<iam>[a-z-]+):iam::\d{12}:(root|(user|role)/[\x21-\x7e]+)"
    r"|arn:(?P<sts>[a-z-]+):sts::\d{12}:assumed-role/[\x21-\x7e]+",
    re.ASCII,
)


def check_document(content: str, organization: Organization) -> None:
    """Raise InvalidInput, with the reason, for a document that cannot be."""
    try:
        document = check(json.loads(content), principal=True)
        compile_policy(document)
    except (ValueError, MalformedPolicy, RecursionError) as error:
        raise invalid(
            "INVALID_RESOURCE_POLICY_JSON", "You provided an invalid resource policy document."
        ) from error
    for statement in _list(document["Statement"]):
        _check_statement(statement, organization)


def _can_be(named: Any, partition: str) -> bool:
    """Whether this can name a principal in a partition."""
    found = _PRINCIPAL.fullmatch(named) if isinstance(named, str) else None
    return found is not None and (found["iam"] or found["sts"]) in (None, partition)


def _check_statement(statement: Mapping[str, Any], organization: Organization) -> None:
    principal = statement.get("Principal")
    named = _list(principal.get("AWS", [])) if isinstance(principal, Mapping) else []
    if "NotPrincipal" in statement or not named or set(principal or {}) != {"AWS"}:
        raise invalid(
            "INVALID_PRINCIPAL", "You specified an invalid principal element in the policy."
        )
    if not all(_can_be(one, organization.partition) for one in named):
        raise invalid(
            "INVALID_PRINCIPAL", "You specified an invalid principal element in the policy."
        )
    for action in _list(statement.get("Action", "*")):
        prefix, _, name = action.partition(":")
        if prefix.lower() != "organizations" or not any(map(wildcard(name), DELEGATED)):
            raise invalid(
                "UNSUPPORTED_ACTION_IN_RESOURCE_POLICY",
                "You specified an action that is not supported in a resource policy.",
            )
    for resource in _list(statement.get("Resource", "*")):
        begin = f"arn:{organization.partition}:organizations::"
        owned = (f"{begin}{organization.master}:", f"{begin}aws:")
        if resource != "*" and not resource.startswith(owned):
            raise invalid(
                "UNSUPPORTED_RESOURCE_IN_RESOURCE_POLICY",
                "You specified a resource that is not supported in a resource policy.",
            )
    for keys in (statement.get("Condition") or {}).values():
        for key, values in keys.items():
            types = {one for one in _list(values) if "*" not in str(one)}
            if key.lower() == "organizations:policytype" and types - set(TYPES):
                raise invalid(
                    "UNSUPPORTED_POLICY_TYPE_IN_RESOURCE_POLICY",
                    "You specified a policy type that is not supported in a resource policy.",
                )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
