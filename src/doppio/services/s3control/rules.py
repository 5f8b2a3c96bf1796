"""s3control's decisions, pure: no clock, no store, nothing awaited."""

from __future__ import annotations

import re

from doppio.services.s3control.limits import (
    ALIAS_NAME_CHARS_MAX,
    POINT_NAME_CHARS_MAX,
    POINT_NAME_CHARS_MIN,
)

_POINT_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_RESERVED = ("-s3alias", "--ol-s3", "--xa-s3")


def point_name_is_allowed(name: str) -> bool:
    """Whether an access point may be called so."""
    return (
        POINT_NAME_CHARS_MIN <= len(name) <= POINT_NAME_CHARS_MAX
        and _POINT_NAME.fullmatch(name) is not None
        and not name.startswith("xn--")
        and not name.endswith(_RESERVED)
    )


def alias_of(name: str, end: str, chance: str) -> str:
    """The alias of an access point: it may stand where a bucket's name stands, and is as short."""
    return f"{name[:ALIAS_NAME_CHARS_MAX]}-{chance}{end}"
