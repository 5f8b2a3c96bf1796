"""Lists, page by page: a marker stands for the last row that a page has shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from doppio.kernel.context import Reader, row_key
from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.services.lambda_ import limits
from doppio.services.lambda_.errors import InvalidParameterValue

T = TypeVar("T")


def position(req: Mapping[str, Any], scope: str) -> bytes | None:
    """The row after which a page begins. Raises InvalidParameterValueException."""
    if not req.get("Marker"):
        return None
    try:
        return token_key(req["Marker"], scope)
    except BadToken as error:
        raise InvalidParameterValue("Invalid Marker") from error


def size_of(req: Mapping[str, Any]) -> int:
    """How many rows a page may have."""
    return min(int(req.get("MaxItems", limits.LISTED_MAX)), limits.LISTED_MAX)


async def page(
    reader: Reader, kind: type[T], place: tuple[Any, ...], req: Mapping[str, Any]
) -> tuple[list[T], dict[str, str]]:
    """One page of the rows at a place, and the marker of the next one if there is one."""
    scope = "/".join((kind.__name__, *map(str, place)))
    most = size_of(req)
    rows = await reader.list(kind, place, after=position(req, scope), limit=most + 1)
    if len(rows) <= most:
        return rows, {}
    return rows[:most], {"NextMarker": page_token(row_key(rows[most - 1]), scope)}
