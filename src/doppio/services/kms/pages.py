"""Where the pages of KMS's lists begin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.kernel import paging
from doppio.services.kms.errors import InvalidMarker


def position(req: Mapping[str, Any], scope: str) -> bytes | None:
    """Where a page begins. Raises InvalidMarker."""
    return paging.position(req.get("Marker"), scope, InvalidMarker)
