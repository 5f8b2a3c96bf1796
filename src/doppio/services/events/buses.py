"""Event buses: their life and settings."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.authorise import forget_resource, put_resource, resource_policy
from doppio.kernel.context import Context, Reader
from doppio.services.events import limits
from doppio.services.events.errors import ResourceAlreadyExists, Validation
from doppio.services.events.lookup import (
    account_of,
    bus_at,
    check_room,
    existing_bus,
    listed_tags,
    page,
    place_of,
)
from doppio.services.events.records import DEFAULT, Bus, Rule
from doppio.services.events.sources import PARTNERS, activate, existing_source, unheard
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import events as w

_NAME = re.compile(r"[.\-_A-Za-z0-9]{1,256}")


class Buses:
    """The operations on buses."""

    async def create_event_bus(
        self, ctx: Context, req: w.CreateEventBusRequest
    ) -> w.CreateEventBusResponse:
        """Make a custom bus, or the one that listens to a partner's source of events."""
        name = req["Name"]
        if name == DEFAULT:
            raise ResourceAlreadyExists("Event bus default already exists.")
        _check_name(name, req.get("EventSourceName"))
        _check_settings(req)
        bus = Bus(
            account=ctx.account,
            region=ctx.region,
            name=name,
            partition=ctx.partition,
            created_at=ctx.now,
            modified_at=ctx.now,
            description=req.get("Description", ""),
            dead_letter=(req.get("DeadLetterConfig") or {}).get("Arn", ""),
            tags=listed_tags(req.get("Tags")),
        )
        async with ctx.write() as tx:
            if await tx.get(Bus, bus.account, bus.region, name) is not None:
                raise ResourceAlreadyExists(f"Event bus {name} already exists.")
            await check_room(tx, Bus, (bus.account, bus.region), limits.BUSES_MAX)
            if req.get("EventSourceName"):
                await activate(tx, await existing_source(tx, bus.account, bus.region, name))
            tx.put(bus)
            put_resource(tx, bus.arn, bus.account)
        return cast("w.CreateEventBusResponse", {"EventBusArn": bus.arn, **_settings(bus)})

    async def update_event_bus(
        self, ctx: Context, req: w.UpdateEventBusRequest
    ) -> w.UpdateEventBusResponse:
        """Change a bus's description or dead-letter queue."""
        _check_settings(req)
        changes: dict[str, Any] = {"modified_at": ctx.now}
        if "Description" in req:
            changes["description"] = req["Description"]
        if "DeadLetterConfig" in req:
            changes["dead_letter"] = req["DeadLetterConfig"].get("Arn", "")
        async with ctx.write() as tx:
            bus = replace(await existing_bus(tx, place_of(ctx, req.get("Name"))), **changes)
            tx.put(bus)
        told = {"Arn": bus.arn, "Name": bus.name, **_settings(bus)}
        return cast("w.UpdateEventBusResponse", told)

    async def delete_event_bus(self, ctx: Context, req: w.DeleteEventBusRequest) -> None:
        """Delete a custom bus that has no rules; one that is gone is no error."""
        place = place_of(ctx, req["Name"])
        if place.name == DEFAULT:
            raise Validation("Cannot delete event bus default.")
        async with ctx.write() as tx:
            bus = await bus_at(tx, place)
            if bus is None:
                return
            if await tx.list(Rule, tuple(place), limit=1):
                raise Validation("Event bus can't be deleted since it has rules.")
            tx.delete(bus)
            if bus.name.startswith(PARTNERS):
                await unheard(tx, bus)
            forget_resource(tx, bus.arn)

    async def describe_event_bus(
        self, ctx: Context, req: w.DescribeEventBusRequest
    ) -> w.DescribeEventBusResponse:
        """A bus, with its policy."""
        reader = ctx.read()
        bus = await existing_bus(reader, place_of(ctx, req.get("Name")))
        told = {**await _shown(reader, bus), **_settings(bus)}
        return cast("w.DescribeEventBusResponse", told)

    async def list_event_buses(
        self, ctx: Context, req: w.ListEventBusesRequest
    ) -> w.ListEventBusesResponse:
        """The account's buses in the Region, the default one among them."""
        reader = ctx.read()
        account = account_of(ctx)
        found, more = await page(reader, Bus, (account, ctx.region), req)
        first = not req.get("NextToken")
        if first and DEFAULT.startswith(req.get("NamePrefix") or ""):
            default = await existing_bus(reader, place_of(ctx, None))
            if all(bus.name != DEFAULT for bus in found) and default.modified_at is None:
                found = [default, *found]
        return cast(
            "w.ListEventBusesResponse",
            {"EventBuses": [await _shown(reader, bus) for bus in found], **more},
        )


def _check_name(name: str, source: str | None) -> None:
    """A partner's bus bears the name of its source, and no other bus a name like that."""
    if source:
        if name != source:
            raise Validation("Event bus name must match the name of the event source.")
        return
    if name.startswith("aws."):
        raise Validation("Event bus name starting with 'aws.' is not valid.")
    if _NAME.fullmatch(name) is None:
        raise Validation("Parameter Name is not valid. Reason: Name must not contain '/'.")


def _check_settings(req: Mapping[str, Any]) -> None:
    if req.get("KmsKeyIdentifier"):
        raise NotImplementedByDoppio(
            "events: buses under customer managed keys exist in AWS and not yet here"
        )
    if (req.get("LogConfig") or {}).get("Level", "OFF") != "OFF":
        raise NotImplementedByDoppio("events: logs of buses exist in AWS and not yet here")
    arn = (req.get("DeadLetterConfig") or {}).get("Arn")
    if arn and arn.split(":")[2:3] != ["sqs"]:
        raise Validation(
            f"Parameter {arn} is not valid. Reason: Provided Arn is not in correct format."
        )


def _settings(bus: Bus) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if bus.description:
        told["Description"] = bus.description
    if bus.dead_letter:
        told["DeadLetterConfig"] = {"Arn": bus.dead_letter}
    return told


async def _shown(reader: Reader, bus: Bus) -> dict[str, Any]:
    told: dict[str, Any] = {"Name": bus.name, "Arn": bus.arn}
    policy = await resource_policy(reader, bus.arn)
    if policy is not None:
        told["Policy"] = json.dumps(json.loads(policy), separators=(",", ":"))
    if bus.description:
        told["Description"] = bus.description
    if bus.created_at is not None:
        told["CreationTime"] = bus.created_at
    if bus.modified_at is not None:
        told["LastModifiedTime"] = bus.modified_at
    return told
