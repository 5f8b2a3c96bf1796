"""Lists, page by page: a marker stands for the last row that a page has shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from doppio.kernel import paging
from doppio.kernel.context import Reader
from doppio.services.lambda_ import limits
from doppio.services.lambda_.errors import InvalidParameterValue

T = TypeVar("T")


def position(req: Mapping[str, Any], scope: str) -> bytes | None:
    """The row after which a page begins. Raises InvalidParameterValueException."""
    return paging.position(
        req.get("Marker"), scope, lambda: InvalidParameterValue("Invalid Marker")
    )


def size_of(req: Mapping[str, Any]) -> int:
    """How many rows a page may have."""
    return min(int(req.get("MaxItems", limits.LISTED_MAX)), limits.LISTED_MAX)


async def page(
    reader: Reader, kind: type[T], place: tuple[Any, ...], req: Mapping[str, Any]
) -> tuple[list[T], dict[str, str]]:
    """One page of the rows at a place, and the marker of the next one if there is one."""
    scope = "/".join((kind.__name__, *map(str, place)))
    most = size_of(req)
    shown, token = await paging.page_of(
        reader, kind, place, most=most, scope=scope, after=position(req, scope)
    )
    return shown, {} if token is None else {"NextMarker": token}
