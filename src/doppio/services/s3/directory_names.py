"""Names of directory buckets, which say in which zone they lie. Pure.

Source: "Directory bucket naming rules": `base--use1-az4--x-s3`. No other bucket may be called so.
"""

from __future__ import annotations

import re

SUFFIX = "--x-s3"
CHARS_MIN, CHARS_MAX = 3, 63
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?--([a-z0-9]+-[a-z0-9]+)--x-s3")


def is_directory(name: str) -> bool:
    """Whether a bucket of this name is a directory bucket."""
    return name.endswith(SUFFIX)


def zone_in(name: str) -> str | None:
    """The id of the zone that a name names; None where it cannot be a directory bucket's."""
    found = _NAME.fullmatch(name)
    return found[1] if found is not None and CHARS_MIN <= len(name) <= CHARS_MAX else None
