"""What the documents of policies may say, by their type. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from doppio.kernel.guardrails import BOUND
from doppio.kernel.policy import MalformedPolicy, compile_policy
from doppio.kernel.policy.document import check
from doppio.services.organizations.errors import MalformedPolicyDocument, violation
from doppio.services.organizations.inheritance import CONTROL, problem_of
from doppio.services.organizations.policy_types import RCP, SCP, TYPES

_TAG_MEMBERS = {"tag_key", "tag_value", "enforced_for", "report_required_tag_for"}
_VERSION = "2012-10-17"


def check_content(kind: str, content: str) -> None:
    """Raise MalformedPolicyDocument, or ConstraintViolation where it is too long."""
    if len(content) > TYPES[kind].chars_max:
        raise violation(
            "POLICY_CONTENT_LIMIT_EXCEEDED", "You have exceeded the maximum policy document size."
        )
    document = _read(content)
    if kind == SCP:
        _check_authorization(document, principal=False)
    elif kind == RCP:
        _check_authorization(document, principal=True)
        for statement in _list(document["Statement"]):
            _check_rcp(statement)
    else:
        _check_management(kind, document)


def _read(content: str) -> Mapping[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise MalformedPolicyDocument() from error
    if not isinstance(document, dict):
        raise MalformedPolicyDocument()
    return document


def _check_authorization(document: Mapping[str, Any], *, principal: bool) -> None:
    try:
        check(document, principal=principal)
        compile_policy(document)
    except MalformedPolicy as error:
        raise MalformedPolicyDocument() from error
    if document.get("Version") != _VERSION:
        raise MalformedPolicyDocument()


def _check_rcp(statement: Mapping[str, Any]) -> None:
    """A customer's RCP denies, to all principals, named actions of services that take part."""
    if statement["Effect"] != "Deny" or statement.get("Principal") != "*":
        raise MalformedPolicyDocument()
    if "Resource" not in statement and "NotResource" not in statement:
        raise MalformedPolicyDocument()
    for action in _list(statement.get("Action", ())):
        if action.partition(":")[0].lower() not in BOUND:
            raise MalformedPolicyDocument()
    if "NotAction" in statement:
        raise MalformedPolicyDocument()


def _check_management(kind: str, document: Mapping[str, Any]) -> None:
    member = TYPES[kind].member
    wrong = not document or (member is not None and set(document) != {member})
    if wrong or not all(isinstance(value, dict) for value in document.values()):
        raise MalformedPolicyDocument()
    if problem_of(document) is not None:
        raise MalformedPolicyDocument()
    if kind == "S3_POLICY":
        _check_s3(document["s3_attributes"])
    if kind == "TAG_POLICY":
        _check_tags(document["tags"])


def _check_tags(keys: Mapping[str, Any]) -> None:
    """A tag policy says keys, values and where they are enforced, and nothing else."""
    for name, said in keys.items():
        if name.startswith("@@"):
            continue
        if set(said) - _TAG_MEMBERS - {CONTROL}:
            raise MalformedPolicyDocument()


def _check_s3(attributes: Mapping[str, Any]) -> None:
    """An S3 policy blocks all public access or leaves it to the accounts."""
    block = attributes.get("public_access_block_configuration", {})
    if set(attributes) - {"public_access_block_configuration", CONTROL}:
        raise MalformedPolicyDocument()
    if block.get("@@assign", "all") not in ("all", "none"):
        raise MalformedPolicyDocument()


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
