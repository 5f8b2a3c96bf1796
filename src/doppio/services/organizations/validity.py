"""What is wrong with an effective policy: each type's own rules, once all is put together. Pure.

Policies may each be in order and not fit together: a plan whose rules a child has lost, a list that
has grown too long. Sources: the syntax pages of the types in the user guide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from doppio.services.organizations.inheritance import Effective, Path
from doppio.services.organizations.limits import (
    BACKUP_PLANS_MAX,
    BACKUP_RULES_MAX,
    BACKUP_SELECTIONS_MAX,
    TAG_VALUES_MAX,
)


class Problem(NamedTuple):
    """One thing that is wrong, in AWS's kind of words."""

    code: str
    message: str
    path: Path


def problems(kind: str, effective: Effective) -> list[Problem]:
    """All that is wrong with an effective policy of a type."""
    check = _CHECKS.get(kind)
    return [] if check is None else list(check(effective.document))


def _missing(path: Path, name: str) -> Problem:
    return Problem("KEY_REQUIRED", f"The required key {name} is missing.", (*path, name))


def _too_many(path: Path, found: int, most: int) -> Problem:
    text = f"There are {found} elements, which is more than the maximum of {most}."
    return Problem("ELEMENTS_TOO_MANY", text, path)


def _unknown(path: Path, value: Any) -> Problem:
    return Problem("VALUE_NOT_SUPPORTED", f"The value {value} is not supported.", path)


def _children(node: Any, *names: str) -> Mapping[str, Any]:
    for name in names:
        node = node.get(name, {}) if isinstance(node, dict) else {}
    return node if isinstance(node, dict) else {}


def _tags(document: Mapping[str, Any]) -> Iterator[Problem]:
    for name, tag in _children(document, "tags").items():
        path = ("tags", name)
        if "tag_key" not in tag:
            yield _missing(path, "tag_key")
        elif str(tag["tag_key"]).lower() != name.lower():
            yield _unknown((*path, "tag_key"), tag["tag_key"])
        values = tag.get("tag_value", [])
        if len(values) > TAG_VALUES_MAX:
            yield _too_many((*path, "tag_value"), len(values), TAG_VALUES_MAX)


def _opt_outs(document: Mapping[str, Any]) -> Iterator[Problem]:
    for name, service in _children(document, "services").items():
        said = service.get("opt_out_policy") if isinstance(service, dict) else None
        if said is None:
            yield _missing(("services", name), "opt_out_policy")
        elif said not in ("optIn", "optOut"):
            yield _unknown(("services", name, "opt_out_policy"), said)


def _plans(document: Mapping[str, Any]) -> Iterator[Problem]:
    plans = _children(document, "plans")
    if len(plans) > BACKUP_PLANS_MAX:
        yield _too_many(("plans",), len(plans), BACKUP_PLANS_MAX)
    for name, plan in plans.items():
        path = ("plans", name)
        for key in ("regions", "rules", "selections"):
            if not plan.get(key):
                yield _missing(path, key)
        rules = _children(plan, "rules")
        if len(rules) > BACKUP_RULES_MAX:
            yield _too_many((*path, "rules"), len(rules), BACKUP_RULES_MAX)
        for rule, said in rules.items():
            if "target_backup_vault_name" not in said:
                yield _missing((*path, "rules", rule), "target_backup_vault_name")
        chosen = _children(plan, "selections", "tags")
        if len(chosen) > BACKUP_SELECTIONS_MAX:
            yield _too_many((*path, "selections", "tags"), len(chosen), BACKUP_SELECTIONS_MAX)
        for selection, said in chosen.items():
            for key in ("iam_role_arn", "tag_key", "tag_value"):
                if key not in said:
                    yield _missing((*path, "selections", "tags", selection), key)


_CHECKS = {
    "TAG_POLICY": _tags,
    "AISERVICES_OPT_OUT_POLICY": _opt_outs,
    "BACKUP_POLICY": _plans,
}
