"""API destinations: servers outside that are called for events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader
from doppio.services.events import limits
from doppio.services.events.connections import existing_connection
from doppio.services.events.errors import ResourceAlreadyExists, ResourceNotFound
from doppio.services.events.lookup import check_room, page
from doppio.services.events.records import Connection, Destination, Pace
from doppio.services.events.tokens import check_server
from doppio.wire.arn import parse

if TYPE_CHECKING:
    from doppio._stubs import events as w


class Destinations:
    """The operations on API destinations."""

    async def create_api_destination(
        self, ctx: Context, req: w.CreateApiDestinationRequest
    ) -> w.CreateApiDestinationResponse:
        """Name a server, and the connection that says who calls it."""
        check_server(req["InvocationEndpoint"], "InvocationEndpoint")
        made = Destination(
            account=ctx.account,
            region=ctx.region,
            name=req["Name"],
            partition=ctx.partition,
            id=ctx.new_id(),
            connection=req["ConnectionArn"],
            endpoint=req["InvocationEndpoint"],
            method=req["HttpMethod"],
            created_at=ctx.now,
            modified_at=ctx.now,
            description=req.get("Description", ""),
            rate=req.get("InvocationRateLimitPerSecond", limits.INVOCATION_RATE_DEFAULT),
        )
        async with ctx.write() as tx:
            if await tx.get(Destination, made.account, made.region, made.name) is not None:
                raise ResourceAlreadyExists(f"An api-destination '{made.name}' already exists.")
            await connection_at(tx, made.connection)
            await check_room(tx, Destination, (made.account, made.region), limits.DESTINATIONS_MAX)
            tx.put(made)
        state = await _state(ctx.read(), made)
        return cast("w.CreateApiDestinationResponse", _times(made, state))

    async def update_api_destination(
        self, ctx: Context, req: w.UpdateApiDestinationRequest
    ) -> w.UpdateApiDestinationResponse:
        """Change an API destination; what is left out stays."""
        if "InvocationEndpoint" in req:
            check_server(req["InvocationEndpoint"], "InvocationEndpoint")
        names = {
            "Description": "description",
            "ConnectionArn": "connection",
            "InvocationEndpoint": "endpoint",
            "HttpMethod": "method",
            "InvocationRateLimitPerSecond": "rate",
        }
        given = cast("dict[str, Any]", req)
        changes = {to: given[name] for name, to in names.items() if name in given}
        async with ctx.write() as tx:
            old = await _existing(tx, req["Name"])
            if "ConnectionArn" in req:
                await connection_at(tx, req["ConnectionArn"])
            new = replace(old, **changes, modified_at=ctx.now)
            tx.put(new)
        state = await _state(ctx.read(), new)
        return cast("w.UpdateApiDestinationResponse", _times(new, state))

    async def delete_api_destination(
        self, ctx: Context, req: w.DeleteApiDestinationRequest
    ) -> None:
        """Delete an API destination; what is on its way there becomes a dead letter."""
        async with ctx.write() as tx:
            old = await _existing(tx, req["Name"])
            tx.delete(old)
            tx.delete(Pace(destination=old.id, free_at=ctx.now))

    async def describe_api_destination(
        self, ctx: Context, req: w.DescribeApiDestinationRequest
    ) -> w.DescribeApiDestinationResponse:
        """An API destination."""
        reader = ctx.read()
        found = await _existing(reader, req["Name"])
        told = _listed(found, await _state(reader, found))
        if found.description:
            told["Description"] = found.description
        return cast("w.DescribeApiDestinationResponse", told)

    async def list_api_destinations(
        self, ctx: Context, req: w.ListApiDestinationsRequest
    ) -> w.ListApiDestinationsResponse:
        """The account's API destinations in the Region."""
        reader = ctx.read()
        arn = req.get("ConnectionArn")
        found, more = await page(
            reader,
            Destination,
            (ctx.account, ctx.region),
            req,
            wanted=None if arn is None else lambda one: one.connection == arn,
        )
        shown = [_listed(one, await _state(reader, one)) for one in found]
        return cast("w.ListApiDestinationsResponse", {"ApiDestinations": shown, **more})


async def connection_at(reader: Reader, arn: str) -> Connection:
    """The connection of an ARN. Raises ResourceNotFound."""
    found = parse(arn)
    name = found.resource.split("/")[1]
    connection = await existing_connection(reader, found.account, found.region, name)
    if connection.arn != arn:
        raise ResourceNotFound(f"Connection '{name}' does not exist.")
    return connection


async def _existing(reader: Reader, name: str) -> Destination:
    ctx = reader.context
    found = await reader.get(Destination, ctx.account, ctx.region, name)
    if found is None:
        raise ResourceNotFound(f"An api-destination '{name}' does not exist.")
    return found


async def _state(reader: Reader, found: Destination) -> str:
    """A destination is active while its connection may be used."""
    try:
        connection = await connection_at(reader, found.connection)
    except ResourceNotFound:
        return "INACTIVE"
    return "ACTIVE" if connection.state in {"AUTHORIZED", "AUTHORIZING"} else "INACTIVE"


def _times(found: Destination, state: str) -> dict[str, Any]:
    return {
        "ApiDestinationArn": found.arn,
        "ApiDestinationState": state,
        "CreationTime": found.created_at,
        "LastModifiedTime": found.modified_at,
    }


def _listed(found: Destination, state: str) -> dict[str, Any]:
    return {
        **_times(found, state),
        "Name": found.name,
        "ConnectionArn": found.connection,
        "InvocationEndpoint": found.endpoint,
        "HttpMethod": found.method,
        "InvocationRateLimitPerSecond": found.rate,
    }
