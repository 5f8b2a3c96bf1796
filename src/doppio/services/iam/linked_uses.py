"""What of a service still hangs on its role in an account, as the service itself lists it.

The account's root asks, since it may see everything. Roles of services that are not in this cloud,
or that hang on nothing here, are used by nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.guardrails import place_of
from doppio.kernel.identity import root_of
from doppio.kernel.regions import home_of, partition_of, regions

# So many resources are named for a Region, and looked at for it.
NAMED_MAX = 50
LOOKED_AT_MAX = 1_000

_Found = Callable[[Context], Awaitable[list[str]]]


async def uses_of_service(ctx: Context, principal: str) -> dict[str, list[str]]:
    """The resources that need a service's role, by Region; only Regions that have any."""
    ask = _USES.get(principal)
    if ask is None:
        return {}
    found: dict[str, list[str]] = {}
    for region in regions():
        if partition_of(region) != ctx.partition:
            continue
        there = await ask(ctx.derive(root_of(ctx.account, partition=ctx.partition), region=region))
        if there:
            found[region] = there[:NAMED_MAX]
    return found


async def _pages(
    ctx: Context,
    service: str,
    method: str,
    member: str,
    mark: str,
    ask: str,
    given: dict[str, Any] | None = None,
) -> list[Any]:
    """All that a list operation lists; `mark` is its token in the answer, `ask` in the request."""
    found: list[Any] = []
    req: dict[str, Any] = dict(given or {})
    while len(found) < LOOKED_AT_MAX:
        page = await ctx.call(service, method, req)
        found += page.get(member, ())
        if not page.get(mark):
            break
        req[ask] = page[mark]
    return found


async def _destinations(ctx: Context) -> list[str]:
    rows = await _pages(
        ctx, "events", "list_api_destinations", "ApiDestinations", "NextToken", "NextToken"
    )
    return [row["ApiDestinationArn"] for row in rows]


async def _tables(ctx: Context) -> list[str]:
    rows = await _pages(
        ctx, "application-autoscaling", "describe_scalable_targets", "ScalableTargets", "NextToken",
        "NextToken", {"ServiceNamespace": "dynamodb"},
    )  # fmt: skip
    return [row["ScalableTargetARN"] for row in rows]


async def _replicated(ctx: Context) -> list[str]:
    names = await _pages(
        ctx, "dynamodb", "list_tables", "TableNames", "LastEvaluatedTableName",
        "ExclusiveStartTableName",
    )  # fmt: skip
    tables = [
        (await ctx.call("dynamodb", "describe_table", {"TableName": name}))["Table"]
        for name in names
    ]
    return [table["TableArn"] for table in tables if table.get("Replicas")]


async def _shared_keys(ctx: Context) -> list[str]:
    keys = await _pages(ctx, "kms", "list_keys", "Keys", "NextMarker", "Marker")
    shown = [
        (await ctx.call("kms", "describe_key", {"KeyId": key["KeyId"]}))["KeyMetadata"]
        for key in keys
    ]
    return [key["Arn"] for key in shown if key.get("MultiRegion")]


async def _membership(ctx: Context) -> list[str]:
    place = await place_of(ctx.read(), ctx.account)
    if place is None or ctx.region != home_of(ctx.region):
        return []
    return [
        f"arn:{ctx.partition}:organizations::{place.master}:account/{place.organization}/{ctx.account}"
    ]


_USES: dict[str, _Found] = {
    "apidestinations.events.amazonaws.com": _destinations,
    "dynamodb.application-autoscaling.amazonaws.com": _tables,
    "mrk.kms.amazonaws.com": _shared_keys,
    "organizations.amazonaws.com": _membership,
    "replication.dynamodb.amazonaws.com": _replicated,
}
