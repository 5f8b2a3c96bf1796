"""Where the pages of KMS's lists begin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.kernel.paging import BadToken, token_key
from doppio.services.kms.errors import InvalidMarker


def position(req: Mapping[str, Any], scope: str) -> bytes | None:
    """Where a page begins. Raises InvalidMarker."""
    token = req.get("Marker")
    if token is None:
        return None
    try:
        return token_key(token, scope)
    except BadToken as error:
        raise InvalidMarker from error
