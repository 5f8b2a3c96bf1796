"""Pages of DAX's lists: their sizes, and their tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from doppio.kernel import paging
from doppio.kernel.context import Context
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
    return paging.position(
        req.get("NextToken"), scope, lambda: InvalidParameterValue("Invalid NextToken.")
    )


async def listed(
    ctx: Context,
    req: Mapping[str, Any],
    record: type[T],
    member: str,
    show: Callable[[T], dict[str, Any]],
) -> dict[str, Any]:
    """A page of the account's records of a class, in the order of their names."""
    most, scope = page_size(req), f"dax/{member}/{ctx.account}/{ctx.region}"
    shown, token = await paging.page_of(
        ctx.read(), record, (ctx.account, ctx.region), most=most, scope=scope,
        after=position(req, scope),
    )  # fmt: skip
    result: dict[str, Any] = {member: [show(one) for one in shown]}
    if token is not None:
        result["NextToken"] = token
    return result
