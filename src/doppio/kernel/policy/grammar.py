"""What IAM refuses when a policy is given to it, each in its own words. Pure.

It is stricter than what the engine can read (`document.check`): what has been kept once stays
readable. Source: IAM's answers, and "Grammar of the IAM JSON policy language".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from doppio.kernel.policy.conditions import UnknownOperator, compile_conditions, is_moment
from doppio.kernel.policy.document import VERSIONS, MalformedPolicy, check, many

_SYNTAX = "Syntax errors in policy."
_LEGACY = "The policy failed legacy parsing"
_VENDOR = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
_PARTITION = re.compile(r"\*|aws(-[a-z]+)*")
_VENDOR_NAME = re.compile(r"[A-Za-z0-9.-]+")
_SID = re.compile(r"[0-9A-Za-z]*")
_PATHS = (
    "user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/",
    "server-certificate/", "policy/", "sms-mfa/", "saml-provider/", "oidc-provider/", "report/",
    "access-report/",
)  # fmt: skip


def check_given(
    document: str,
    *,
    principal: bool | None = False,
    current: bool = False,
    partition: str = "",
) -> Mapping[str, Any]:
    """The document, if IAM would take it. Raises MalformedPolicy.

    `principal`: statements must (True) or must not (False) name one. `current`: it must be in the
    current version of the language, as managed policies must. `partition`: the one whose resources
    alone it may name, where that is known.
    """
    if document[:1].isspace():
        raise MalformedPolicy("JSON strings must not have leading spaces")
    raw = _read(document)
    # First what makes it no policy at all, statement by statement.
    statements = many(raw.get("Statement"))
    for statement in statements:
        if not isinstance(statement, Mapping) or not _is_whole(statement):
            raise MalformedPolicy(_SYNTAX)
    if current and raw.get("Version") != VERSIONS[0]:
        raise MalformedPolicy(f"Policy document must be version {VERSIONS[0]} or greater.")
    for statement in statements:
        if any(map(_is_broken, _resources(statement))) or not _has_moments(statement):
            raise MalformedPolicy(_LEGACY)
    for statement in statements:
        if not _SID.fullmatch(statement.get("Sid", "")):
            raise MalformedPolicy(
                "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the "
                "regular expression [0-9A-Za-z]*"
            )
    check(raw, principal=principal)
    for statement in statements:
        for resource in _resources(statement):
            _check_resource(resource, partition)
    for statement in statements:
        for action in many(statement.get("Action", statement.get("NotAction"))):
            _check_action(action)
        for keys in statement.get("Condition", {}).values():
            if any(":" not in key for key in keys):
                raise MalformedPolicy(_VENDOR)
    return raw


def _read(document: str) -> Mapping[str, Any]:
    try:
        raw = json.loads(document, parse_constant=_refuse, object_pairs_hook=_members)
    except (ValueError, RecursionError) as error:
        raise MalformedPolicy("This policy contains invalid Json") from error
    if isinstance(raw, _Twice) or not isinstance(raw, Mapping):
        raise MalformedPolicy(_SYNTAX)
    if not isinstance(raw.get("Id", ""), str):
        raise MalformedPolicy(_SYNTAX)
    return raw


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


class _Twice(dict[str, Any]):
    """An object that has a member twice: it is JSON, and no policy."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Twice(found)


def _is_whole(statement: Mapping[str, Any]) -> bool:
    """Whether what a statement's members hold is of the right kind."""
    if isinstance(statement, _Twice) or not isinstance(statement.get("Sid", ""), str):
        return False
    for member in ("Action", "NotAction", "Resource", "NotResource"):
        if not all(isinstance(one, str) for one in many(statement.get(member, []))):
            return False
    conditions = statement.get("Condition", {})
    if not isinstance(conditions, Mapping) or isinstance(conditions, _Twice):
        return False
    for keys in conditions.values():
        if not isinstance(keys, Mapping) or isinstance(keys, _Twice):
            return False
        for values in keys.values():
            if not all(isinstance(one, (str, bool, int, float)) for one in many(values)):
                return False
    try:
        compile_conditions(conditions)
    except UnknownOperator:
        return False
    return True


def _resources(statement: Mapping[str, Any]) -> Iterator[str]:
    for member in ("Resource", "NotResource"):
        yield from many(statement.get(member, []))


def _is_broken(resource: str) -> bool:
    """Whether an ARN is so far from one that IAM does not say what is wrong with it."""
    if resource == "*" or ":" not in resource:
        return False
    parts = resource.split(":")
    return len(parts) < 3 or parts[2] == "" or (len(parts) < 6 and "::" in resource)


def _has_moments(statement: Mapping[str, Any]) -> bool:
    """Whether what is compared with moments are moments."""
    return all(
        is_moment(str(value))
        for operator, keys in statement.get("Condition", {}).items()
        if operator.rpartition(":")[2].startswith("Date")
        for values in keys.values()
        for value in many(values)
    )


def _check_resource(resource: str, own: str) -> None:
    if resource == "*":
        return
    begin, colon, rest = resource.partition(":")
    if begin != "arn" or not colon:
        raise MalformedPolicy(f'Resource {resource} must be in ARN format or "*".')
    partition, colon, rest = rest.partition(":")
    if not _PARTITION.fullmatch(partition) or (own and partition not in ("*", own)):
        raise MalformedPolicy(f'Partition "{partition}" is not valid for resource "{resource}".')
    service, _, rest = rest.partition(":")
    if "*" in service and rest:
        raise MalformedPolicy("Resource vendor must be fully qualified and cannot contain regexes.")
    region, _, rest = rest.partition(":")
    if region not in ("", "*") and service == "iam":
        raise MalformedPolicy(f"IAM resource {resource} cannot contain region information.")
    # Buckets are named without account and Region; access points and jobs with both.
    if region not in ("", "*") and service == "s3" and rest.startswith(":"):
        raise MalformedPolicy(f"Resource {resource} can not contain region information.")
    if service == "iam" and not _is_path(rest.partition(":")[2]):
        raise MalformedPolicy(
            f'IAM resource path must either be "*" or start with {", ".join(_PATHS)}.'
        )


def _is_path(path: str) -> bool:
    """Whether it names something of IAM's, or by its wildcards and variables may."""
    begin, wild, _ = path.replace("$", "*").replace("?", "*").partition("*")
    if wild:
        return any(one.startswith(begin) or begin.startswith(one) for one in _PATHS)
    return path == "root" or path.startswith(_PATHS)


def _check_action(action: str) -> None:
    if action == "*":
        return
    if ":" not in action:
        raise MalformedPolicy(_VENDOR)
    vendor, _, name = action.partition(":")
    if ":" in name:
        raise MalformedPolicy("Actions/Condition can contain only one colon.")
    if not _VENDOR_NAME.fullmatch(vendor):
        raise MalformedPolicy(f"Vendor {vendor} is not valid")
