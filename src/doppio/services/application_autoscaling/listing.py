"""Pages of what hangs on targets: by namespace, and then by whatever else a request names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from doppio.kernel.context import Context
from doppio.kernel.paging import page_of, position
from doppio.services.application_autoscaling.errors import InvalidNextToken
from doppio.services.application_autoscaling.limits import LISTED_MAX, ROWS_A_READ

T = TypeVar("T")


async def page(
    ctx: Context,
    req: Mapping[str, Any],
    cls: type[T],
    fits: Callable[[T], bool],
    *,
    youngest_first: bool = False,
) -> tuple[list[T], str | None]:
    """One page of records of a namespace that fit, and the token of the next one."""
    most = min(req.get("MaxResults") or LISTED_MAX, LISTED_MAX)
    named = sorted((key, str(value)) for key, value in req.items() if key not in _PAGING)
    scope = f"application-autoscaling/{cls.__name__}/{ctx.account}/{ctx.region}/{named}"
    return await page_of(
        ctx.read(), cls, (ctx.account, ctx.region, req["ServiceNamespace"]), most=most,
        scope=scope, after=position(req.get("NextToken"), scope, InvalidNextToken), fits=fits,
        step=ROWS_A_READ, reverse=youngest_first,
    )  # fmt: skip


_PAGING = frozenset({"NextToken", "MaxResults"})


def named(one: Any, req: Mapping[str, Any]) -> bool:
    """Whether a record is of the resource and dimension that a request names, if it names any."""
    wanted = (req.get("ResourceId", one.resource), req.get("ScalableDimension", one.dimension))
    return wanted == (one.resource, one.dimension)


def place(one: Any) -> dict[str, Any]:
    """The names that each record has, on the wire."""
    return {
        "ServiceNamespace": one.namespace,
        "ResourceId": one.resource,
        "ScalableDimension": one.dimension,
    }


def with_token(shown: dict[str, Any], token: str | None) -> dict[str, Any]:
    """A page, with the token of the next one."""
    return {**shown, "NextToken": token} if token else shown
