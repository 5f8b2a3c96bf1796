"""Pages of lists: where one begins, and the token for the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.kernel import paging
from doppio.services.s3tables.errors import BadRequest


def position(req: Mapping[str, Any], scope: str) -> bytes | None:
    """Where a page begins. Raises BadRequestException for a token that this list never gave."""
    return paging.position(
        req.get("continuationToken"),
        scope,
        lambda: BadRequest("The continuation token provided is not valid."),
    )
