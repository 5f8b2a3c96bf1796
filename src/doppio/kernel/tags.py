"""Tags: the rules that all services share, and the two shapes in which they cross the wire.

Limits are those of AWS's "Tag naming limits and requirements".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

TAGS_MAX = 50
KEY_CHARS_MAX = 128
VALUE_CHARS_MAX = 256


class BadTags(Exception):
    """Tags that AWS refuses; the text says why, and each service has its own code for it."""


def checked(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags, if each is allowed. Raises BadTags."""
    for key, value in tags.items():
        if not 1 <= len(key) <= KEY_CHARS_MAX:
            raise BadTags(f"Tag key must be between 1 and {KEY_CHARS_MAX} characters long: {key!r}")
        if len(value) > VALUE_CHARS_MAX:
            raise BadTags(f"Tag value must be at most {VALUE_CHARS_MAX} characters long: {key!r}")
        if key.lower().startswith("aws:"):
            raise BadTags("Tag keys that start with aws: are reserved for system use")
    return dict(tags)


def merged(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Old tags with new ones put over them. Raises BadTags, also when there are too many."""
    both = {**old, **checked(new)}
    if len(both) > TAGS_MAX:
        raise BadTags(f"A resource can have at most {TAGS_MAX} tags")
    return both


def without(old: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """Old tags less some keys; a key that is not there is no error."""
    gone = set(keys)
    return {key: value for key, value in old.items() if key not in gone}


def from_list(
    tags: Iterable[Mapping[str, Any]], key: str = "Key", value: str = "Value"
) -> dict[str, str]:
    """`[{"Key": k, "Value": v}]` as a dict. Raises BadTags for a key given twice."""
    found: dict[str, str] = {}
    for tag in tags:
        name = tag[key]
        if name in found:
            raise BadTags(f"Duplicate tag key: {name}")
        found[name] = tag.get(value, "")
    return found


def to_list(
    tags: Mapping[str, str], key: str = "Key", value: str = "Value"
) -> list[dict[str, str]]:
    """A dict as `[{"Key": k, "Value": v}]`, in the order given."""
    return [{key: name, value: content} for name, content in tags.items()]
