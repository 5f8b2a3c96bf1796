"""Pages of lists: where one begins, and the token for the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.services.s3tables.errors import BadRequest


def position(req: Mapping[str, Any], scope: str) -> bytes | None:
    """Where a page begins. Raises BadRequestException for a token that this list never gave."""
    token = req.get("continuationToken")
    if not token:
        return None
    try:
        return token_key(token, scope)
    except BadToken as error:
        raise BadRequest("The continuation token provided is not valid.") from error


def token_for(key: bytes, scope: str) -> str:
    """The token of the page behind a row."""
    return page_token(key, scope)
