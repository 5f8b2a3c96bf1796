"""Which actions AWS has, on what they act and under which condition keys: data of AWS's own.

Source: the Service Authorization Reference, in `data/authorization.json`, which
`tools/import_authorization.py` writes. Read when somebody asks; no decision depends on it.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import msgspec

from doppio.kernel.policy.match import wildcard

_PLACE = re.compile(r"\$\{[^}]*\}")


class Action(msgspec.Struct, frozen=True, array_like=True):
    """One action: its access level, the types of resource it acts on, the keys it knows."""

    access_level: str
    types: tuple[str, ...]
    keys: tuple[str, ...]


class Prefix(msgspec.Struct, frozen=True):
    """A service's name, its actions, and its types of resource with their ARNs' templates."""

    name: str
    types: dict[str, str]
    actions: dict[str, Action]


class _File(msgspec.Struct):
    source: str
    services: dict[str, Prefix]


@cache
def prefixes() -> dict[str, Prefix]:
    """All that we know, by the prefix of the actions."""
    raw = (files("doppio.data") / "authorization.json").read_bytes()
    return msgspec.json.decode(raw, type=_File).services


def known_action(name: str) -> Action | None:
    """The action `prefix:Name`, however its letters are written; None where none is known."""
    prefix, _, word = name.partition(":")
    service = prefixes().get(prefix.lower())
    if service is None:
        return None
    found = service.actions.get(word)
    if found is not None:
        return found
    return {one.lower(): action for one, action in service.actions.items()}.get(word.lower())


def template_for(action: str, arn: str) -> str:
    """The ARN's template of the type of resource that an action has there; `*` where it has none."""
    known = known_action(action)
    if known is None or not known.types:
        return "*"
    types = prefixes()[action.partition(":")[0].lower()].types
    templates = [types[name] for name in known.types if name in types]
    for template in templates:
        if wildcard(_PLACE.sub("*", template))(arn):
            return template
    return templates[0] if templates else "*"
