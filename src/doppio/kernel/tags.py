"""Tags: the rules that all services share, and the two shapes in which they cross the wire.

Limits are those of AWS's "Tag naming limits and requirements".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from doppio.kernel.context import Context, Reader
    from doppio.kernel.service import Granted, Need

_RESOURCE_TAG = "aws:resourcetag/"
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


class ResourceTags:
    """A resource's own tags, as `aws:ResourceTag/…`: read only where a policy asks for one.

    `find` reads them by the resource's ARN; None where there is no such resource.
    """

    def __init__(self, find: Callable[[Reader, str], Awaitable[Mapping[str, str] | None]]) -> None:
        self._find = find

    def knows(self, key: str) -> bool:
        """Whether a condition key is one of these."""
        return key.startswith(_RESOURCE_TAG)

    async def conditions(self, ctx: Context, need: Need) -> Mapping[str, Any]:
        """The tags as condition keys."""
        found = await self._find(ctx.read(), need.resource) or {}
        return {f"{_RESOURCE_TAG}{name.lower()}": value for name, value in found.items()}

    async def grants(self, ctx: Context, need: Need) -> Granted | None:
        """Tags grant nothing by themselves."""
        return None
