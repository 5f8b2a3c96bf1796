"""Pages of S3 Control's lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from doppio.kernel.context import Reader
from doppio.kernel.paging import page_of, position
from doppio.kernel.records import Index
from doppio.services.s3control.errors import InvalidRequest

T = TypeVar("T")


async def page(
    reader: Reader,
    of: type[T] | Index[T],
    prefix: tuple[str, ...],
    req: Mapping[str, Any],
    *,
    most: int,
    scope: str,
) -> tuple[list[T], str | None]:
    """A page of rows and the token of the next one. Raises InvalidRequest for a foreign token."""
    after = position(
        req.get("NextToken"), scope, lambda: InvalidRequest("The NextToken is not valid")
    )
    return await page_of(reader, of, prefix, most=most, scope=scope, after=after)
