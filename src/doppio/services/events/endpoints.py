"""Global endpoints: one address for buses in two Regions, which takes events while one is down.

Source: "Making applications Regional-fault tolerant with global endpoints and event replication in
Amazon EventBridge".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.regions import regions
from doppio.services.events import limits
from doppio.services.events.errors import (
    ConcurrentModification,
    ResourceAlreadyExists,
    ResourceNotFound,
    Validation,
)
from doppio.services.events.lookup import Place, check_room, existing_bus, page, place_of
from doppio.services.events.records import Endpoint
from doppio.services.events.replicas import SETTLE

if TYPE_CHECKING:
    from doppio._stubs import events as w

_CHANGING = frozenset({"CREATING", "UPDATING", "DELETING"})


class Endpoints:
    """The operations on global endpoints."""

    async def create_endpoint(
        self, ctx: Context, req: w.CreateEndpointRequest
    ) -> w.CreateEndpointResponse:
        """Make an endpoint, whose first Region is this one; its rules are made afterwards."""
        endpoint = Endpoint(
            account=ctx.account,
            region=ctx.region,
            name=req["Name"],
            partition=ctx.partition,
            id=f"{ctx.new_id('hex16')}.veo",
            created_at=ctx.now,
            modified_at=ctx.now,
            **_settings(ctx, {"ReplicationConfig": {"State": "ENABLED"}, **req}),
        )
        await _check_role(ctx, endpoint, req)
        async with ctx.write() as tx:
            if await tx.get(Endpoint, *_key(ctx, endpoint.name)) is not None:
                raise ResourceAlreadyExists(f"Endpoint {endpoint.name} already exists.")
            await check_room(tx, Endpoint, (ctx.account, ctx.region), limits.ENDPOINTS_MAX)
            await _check_buses(tx, endpoint)
            await _settle(tx, endpoint)
        return cast("w.CreateEndpointResponse", _shown(endpoint, *_MADE))

    async def update_endpoint(
        self, ctx: Context, req: w.UpdateEndpointRequest
    ) -> w.UpdateEndpointResponse:
        """Change an endpoint; what is left out stays."""
        async with ctx.write() as tx:
            old = await _existing(tx, ctx, req["Name"], ctx.region)
            _check_rests(old)
            changes = _settings(ctx, req, old.secondary)
            endpoint = replace(old, **changes, state="UPDATING", reason="", modified_at=ctx.now)
            await _check_role(ctx, endpoint, req)
            await _check_buses(tx, endpoint)
            await _settle(tx, endpoint)
        return cast(
            "w.UpdateEndpointResponse", _shown(endpoint, *_MADE, "EndpointId", "EndpointUrl")
        )

    async def delete_endpoint(self, ctx: Context, req: w.DeleteEndpointRequest) -> None:
        """Delete an endpoint, once its rules are gone; its buses stay."""
        async with ctx.write() as tx:
            endpoint = await _existing(tx, ctx, req["Name"], ctx.region)
            if endpoint.state == "DELETING":
                return
            _check_rests(endpoint)
            await _settle(tx, replace(endpoint, state="DELETING", reason="", modified_at=ctx.now))

    async def describe_endpoint(
        self, ctx: Context, req: w.DescribeEndpointRequest
    ) -> w.DescribeEndpointResponse:
        """An endpoint, asked for in its first Region or by it."""
        region = req.get("HomeRegion") or ctx.region
        endpoint = await _existing(ctx.read(), ctx, req["Name"], region)
        return cast("w.DescribeEndpointResponse", _shown(endpoint))

    async def list_endpoints(
        self, ctx: Context, req: w.ListEndpointsRequest
    ) -> w.ListEndpointsResponse:
        """The account's endpoints whose first Region is this or a named one."""
        place = (ctx.account, req.get("HomeRegion") or ctx.region)
        asked = {**req, "Limit": req.get("MaxResults")}
        found, more = await page(ctx.read(), Endpoint, place, asked)
        told = {"Endpoints": [_shown(endpoint) for endpoint in found], **more}
        return cast("w.ListEndpointsResponse", told)


def _key(ctx: Context, name: str) -> tuple[str, str, str]:
    return ctx.account, ctx.region, name


async def _existing(reader: Reader, ctx: Context, name: str, region: str) -> Endpoint:
    found = await reader.get(Endpoint, ctx.account, region, name)
    if found is None:
        raise ResourceNotFound(f"Endpoint {name} does not exist.")
    return found


def _check_rests(endpoint: Endpoint) -> None:
    if endpoint.state in _CHANGING:
        raise ConcurrentModification(f"Endpoint {endpoint.name} is in state {endpoint.state}.")


async def _settle(tx: Tx, endpoint: Endpoint) -> None:
    """Store an endpoint, and let its rules follow."""
    tx.put(endpoint)
    await tx.schedule(
        tx.context.now, SETTLE, endpoint.id,
        account=endpoint.account, region=endpoint.region, endpoint=endpoint.name,
    )  # fmt: skip


def _settings(ctx: Context, req: Mapping[str, Any], secondary: str = "") -> dict[str, Any]:
    """What a request says of an endpoint. Raises Validation."""
    found: dict[str, Any] = {}
    if "Description" in req:
        found["description"] = req["Description"]
    if "RoutingConfig" in req:
        failover = req["RoutingConfig"]["FailoverConfig"]
        found["health_check"] = failover["Primary"]["HealthCheck"]
        found["secondary"] = failover["Secondary"]["Route"]
        known = regions().get(found["secondary"])
        if known is None or known.partition != ctx.partition or known.name == ctx.region:
            raise Validation(
                "Parameter RoutingConfig is not valid. Reason: the secondary Region must be "
                "another one than the primary."
            )
    if "ReplicationConfig" in req:
        found["replicated"] = req["ReplicationConfig"].get("State", "ENABLED") == "ENABLED"
    if "RoleArn" in req:
        found["role"] = req["RoleArn"]
    if "EventBuses" in req:
        found["bus"] = _bus(ctx, req["EventBuses"], found.get("secondary", secondary))
    return found


def _bus(ctx: Context, given: list[Mapping[str, str]], secondary: str) -> str:
    """The name that both buses have. Raises Validation."""
    first, second = (place_of(ctx, one["EventBusArn"]) for one in given)
    if {first.account, second.account} != {ctx.account}:
        raise Validation("Event buses of an endpoint must be in the same account.")
    if first.name != second.name:
        raise Validation("Event buses of an endpoint must have the same name.")
    places = {first.region, second.region}
    if places != {ctx.region, secondary}:
        raise Validation(
            "Event buses of an endpoint must be in its primary and in its secondary Region."
        )
    return first.name


async def _check_role(ctx: Context, endpoint: Endpoint, req: Mapping[str, Any]) -> None:
    if endpoint.replicated and not endpoint.role:
        raise Validation("RoleArn is required when event replication is enabled.")
    if req.get("RoleArn"):
        await ctx.authorise(
            "iam:PassRole", req["RoleArn"], {"iam:passedtoservice": "events.amazonaws.com"}
        )


async def _check_buses(reader: Reader, endpoint: Endpoint) -> None:
    for region in (endpoint.region, endpoint.secondary):
        await existing_bus(reader, Place(endpoint.account, region, endpoint.bus))


_MADE = (
    "Name", "Arn", "RoutingConfig", "ReplicationConfig", "EventBuses", "RoleArn", "State",
)  # fmt: skip


def _shown(endpoint: Endpoint, *names: str) -> dict[str, Any]:
    """An endpoint as answers show it: all of it, or what is named."""
    told: dict[str, Any] = {
        "Name": endpoint.name,
        "Arn": endpoint.arn,
        "RoutingConfig": {
            "FailoverConfig": {
                "Primary": {"HealthCheck": endpoint.health_check},
                "Secondary": {"Route": endpoint.secondary},
            }
        },
        "ReplicationConfig": {"State": "ENABLED" if endpoint.replicated else "DISABLED"},
        "EventBuses": [
            {"EventBusArn": endpoint.bus_arn(region)}
            for region in (endpoint.region, endpoint.secondary)
        ],
        "State": endpoint.state,
        "EndpointId": endpoint.id,
        "EndpointUrl": f"https://{endpoint.id}.endpoint.events.amazonaws.com",
        "CreationTime": endpoint.created_at,
        "LastModifiedTime": endpoint.modified_at,
    }
    more = {
        "Description": endpoint.description,
        "RoleArn": endpoint.role,
        "StateReason": endpoint.reason,
    }
    told |= {name: value for name, value in more.items() if value}
    return {name: told[name] for name in names if name in told} if names else told
