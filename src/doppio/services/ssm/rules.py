"""Parameter Store's decisions, pure: no clock, no store, nothing awaited."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from doppio.services.ssm.errors import (
    HierarchyLevelLimitExceeded,
    InvalidFilterKey,
    InvalidFilterOption,
    InvalidFilterValue,
    Validation,
)
from doppio.services.ssm.limits import LEVELS_MAX, NAME_CHARS_MAX
from doppio.services.ssm.records import Parameter, Version

_NAME = re.compile(r"[a-zA-Z0-9_.\-/]+")
_LABEL = re.compile(r"[a-zA-Z_.\-][a-zA-Z0-9_.\-]{0,99}")
_OPTIONS = {
    "Name": {"Equals", "BeginsWith", "Contains"},
    "Path": {"Recursive", "OneLevel"},
    "Type": {"Equals", "BeginsWith"},
    "KeyId": {"Equals", "BeginsWith"},
    "Tier": {"Equals"},
    "DataType": {"Equals", "BeginsWith"},
    "Label": {"Equals", "BeginsWith", "Contains"},
}
_TYPES = frozenset({"String", "StringList", "SecureString"})


def check_name(name: str) -> None:
    """Raise Validation or HierarchyLevelLimitExceeded for what is no parameter's name."""
    if "/" in name and not name.startswith("/"):
        raise Validation("Parameter name must be a fully qualified name.")
    bare = name.removeprefix("/").lower()
    if (
        _NAME.fullmatch(name) is None
        or bare.startswith("ssm")
        or "//" in name
        or name.endswith("/")
    ):
        raise Validation(
            'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If formed as a path, '
            "it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a "
            "mix of letters, numbers and the following 3 symbols .-_"
        )
    if len(name) > NAME_CHARS_MAX:
        raise Validation(f"Parameter name must not be longer than {NAME_CHARS_MAX} characters.")
    if name.count("/") > LEVELS_MAX:
        raise HierarchyLevelLimitExceeded


def is_reserved(name: str) -> bool:
    """Whether a name belongs to AWS."""
    return name.removeprefix("/").lower().startswith("aws")


def split_selector(name: str) -> tuple[str, str]:
    """A name and what follows its colon: a version's number, a label, or nothing."""
    if name.startswith("arn:"):
        parts = name.split(":", 6)
        bare = parts[5].removeprefix("parameter/")
        # An ARN does not say whether the name begins with a slash; one with levels does.
        bare = f"/{bare}" if "/" in bare else bare
        return bare, parts[6] if len(parts) == 7 else ""
    bare, _, selector = name.partition(":")
    return bare, selector


def label_is_allowed(label: str) -> bool:
    """Whether a label may be put on a version."""
    return _LABEL.fullmatch(label) is not None and not label.lower().startswith(("aws", "ssm"))


def check_filter(one: Mapping[str, Any], *, by_path: bool) -> None:
    """Raise where a filter means nothing."""
    key = one["Key"]
    name = "tag" if key.startswith("tag:") else key
    allowed = {"Type", "KeyId", "Label"} if by_path else {*_OPTIONS, "tag"} - {"Label"}
    if name not in allowed:
        raise InvalidFilterKey(
            f"The following filter key is not valid: {key}. Valid filter keys include: "
            f"[{', '.join(sorted(allowed))}]."
        )
    default = "OneLevel" if key == "Path" else "Equals"
    options = _OPTIONS.get(name, {"Equals"})
    option = one.get("Option", default)
    if option not in options:
        raise InvalidFilterOption(
            f"The following filter option is not valid: {option}. Valid options include: "
            f"[{', '.join(sorted(options))}]."
        )
    values = one.get("Values") or []
    if not values and name != "tag":
        raise InvalidFilterValue(
            f"The following filter values are missing : null for filter key {key}"
        )
    if key == "Type" and not set(values) <= _TYPES:
        raise InvalidFilterValue(f"The following filter value is not valid: {values}")
    for value in values if key == "Path" else []:
        if not value.startswith("/"):
            raise Validation(
                "The parameter doesn't meet the parameter name requirements. The parameter name "
                'must begin with a forward slash "/".'
            )


def passes(parameter: Parameter, version: Version, one: Mapping[str, Any]) -> bool:
    """Whether a parameter passes a filter: by any of its values."""
    key, values = one["Key"], one.get("Values") or []
    if key.startswith("tag:"):
        tag = parameter.tags.get(key[4:])
        return tag is not None and (not values or tag in values)
    if key == "Path":
        recursive = one.get("Option") == "Recursive"
        return any(is_below(parameter.name, value, recursive=recursive) for value in values)
    texts = {
        "Name": [parameter.name],
        "Type": [parameter.kind],
        "KeyId": [version.key] if version.key else [],
        "Tier": [parameter.tier],
        "DataType": [version.data_type],
        "Label": [label for label, at in parameter.labels.items() if at == version.number],
    }[key]
    option = one.get("Option", "Equals")
    return any(_fits(text, value, option) for text in texts for value in values)


def is_below(name: str, path: str, *, recursive: bool) -> bool:
    """Whether a name stands in a level of the hierarchy, or anywhere below it."""
    base = path if path.endswith("/") else f"{path}/"
    if base == "/" and "/" not in name:
        return True
    if not name.startswith(base):
        return False
    return recursive or "/" not in name[len(base) :]


def _fits(text: str, value: str, option: str) -> bool:
    if option == "BeginsWith":
        # A name in a hierarchy may be asked for without the slash.
        return text.startswith((value, f"/{value}"))
    return value in text if option == "Contains" else text == value
