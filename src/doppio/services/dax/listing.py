"""Pages of DAX's lists: their sizes, and their tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from doppio.kernel.context import Context, row_key
from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.services.dax import limits
from doppio.services.dax.errors import InvalidParameterValue

T = TypeVar("T")


def page_size(req: Mapping[str, Any]) -> int:
    """How many a page has. Raises InvalidParameterValueException."""
    most: int = req.get("MaxResults") or limits.LISTED_MAX
    if not limits.LISTED_MIN <= most <= limits.LISTED_MAX:
        raise InvalidParameterValue(
            f"MaxResults must be between {limits.LISTED_MIN} and {limits.LISTED_MAX}."
        )
    return most


def position(req: Mapping[str, Any], scope: str) -> bytes | None:
    """Where a page begins. Raises InvalidParameterValueException."""
    token = req.get("NextToken")
    if not token:
        return None
    try:
        return token_key(token, scope)
    except BadToken as error:
        raise InvalidParameterValue("Invalid NextToken.") from error


async def listed(
    ctx: Context,
    req: Mapping[str, Any],
    record: type[T],
    member: str,
    show: Callable[[T], dict[str, Any]],
) -> dict[str, Any]:
    """A page of the account's records of a class, in the order of their names."""
    most, scope = page_size(req), f"dax/{member}/{ctx.account}/{ctx.region}"
    found = await ctx.read().list(
        record, (ctx.account, ctx.region), after=position(req, scope), limit=most + 1
    )
    result: dict[str, Any] = {member: [show(one) for one in found[:most]]}
    if len(found) > most:
        result["NextToken"] = page_token(row_key(found[most - 1]), scope)
    return result
