"""Archives: they keep a bus's events, by a managed rule of the bus, so that they can be replayed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.services.events import limits
from doppio.services.events.archived import FORGET, counted, plan_forgetting
from doppio.services.events.errors import (
    InvalidEventPattern,
    ResourceAlreadyExists,
    ResourceNotFound,
    Validation,
)
from doppio.services.events.heeding import heed
from doppio.services.events.lookup import check_room, existing_bus, page, place_of
from doppio.services.events.putting import pattern_of
from doppio.services.events.records import Archive, Rule
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import events as w

MANAGER = "prod.vhs.events.aws.internal"


class Archives:
    """The operations on archives."""

    async def create_archive(
        self, ctx: Context, req: w.CreateArchiveRequest
    ) -> w.CreateArchiveResponse:
        """Keep a bus's events from now on."""
        _check(req)
        place = place_of(ctx, req["EventSourceArn"])
        if (place.account, place.region) != (ctx.account, ctx.region):
            raise Validation("Parameter EventSourceArn is not valid. Reason: it is not yours.")
        async with ctx.write() as tx:
            bus = await existing_bus(tx, place)
            made = Archive(
                account=ctx.account,
                region=ctx.region,
                name=req["ArchiveName"],
                partition=ctx.partition,
                id=ctx.new_id(),
                bus=bus.name,
                created_at=ctx.now,
                description=req.get("Description", ""),
                pattern=req.get("EventPattern", ""),
                days=req.get("RetentionDays", 0),
            )
            if await tx.get(Archive, made.account, made.region, made.name) is not None:
                raise ResourceAlreadyExists(f"Archive {made.name} already exists.")
            await check_room(tx, Archive, (made.account, made.region), limits.ARCHIVES_MAX)
            tx.put(made)
            tx.put(_rule(ctx, made))
            await heed(tx, made.account, made.region, made.bus)
            await plan_forgetting(tx, made)
        return cast("w.CreateArchiveResponse", _state(made))

    async def update_archive(
        self, ctx: Context, req: w.UpdateArchiveRequest
    ) -> w.UpdateArchiveResponse:
        """Change an archive; a shorter retention counts for what comes from now on, too."""
        _check(req)
        names = {"Description": "description", "EventPattern": "pattern", "RetentionDays": "days"}
        given = cast("dict[str, Any]", req)
        changes = {to: given[name] for name, to in names.items() if name in given}
        async with ctx.write() as tx:
            old = await existing_archive(tx, req["ArchiveName"])
            new = replace(old, **changes)
            tx.put(new)
            tx.put(_rule(ctx, new))
            await heed(tx, new.account, new.region, new.bus)
        return cast("w.UpdateArchiveResponse", _state(new))

    async def delete_archive(self, ctx: Context, req: w.DeleteArchiveRequest) -> None:
        """Delete an archive and what it holds."""
        async with ctx.write() as tx:
            old = await existing_archive(tx, req["ArchiveName"])
            tx.delete(old)
            tx.delete(_rule(ctx, old))
            await heed(tx, old.account, old.region, old.bus)
            where = {"account": old.account, "region": old.region, "archive": old.name}
            await tx.schedule(ctx.now, FORGET, old.id, **where)

    async def describe_archive(
        self, ctx: Context, req: w.DescribeArchiveRequest
    ) -> w.DescribeArchiveResponse:
        """An archive, and how much it holds."""
        found = await existing_archive(ctx.read(), req["ArchiveName"])
        told = {**await _listed(ctx, found), "ArchiveArn": found.arn}
        if found.description:
            told["Description"] = found.description
        if found.pattern:
            told["EventPattern"] = found.pattern
        return cast("w.DescribeArchiveResponse", told)

    async def list_archives(
        self, ctx: Context, req: w.ListArchivesRequest
    ) -> w.ListArchivesResponse:
        """The account's archives in the Region; all, those of a bus, or those in a state."""
        bus = req.get("EventSourceArn")
        states = {req.get("State", "ENABLED")}

        def wanted(one: Archive) -> bool:
            return "ENABLED" in states and (bus is None or _bus_arn(one) == bus)

        where = (ctx.account, ctx.region)
        found, more = await page(ctx.read(), Archive, where, req, wanted=wanted)
        told = {"Archives": [await _listed(ctx, one) for one in found], **more}
        return cast("w.ListArchivesResponse", told)


async def existing_archive(reader: Reader | Tx, name: str) -> Archive:
    """An archive of the caller's. Raises ResourceNotFound."""
    ctx = reader.context
    found = await reader.get(Archive, ctx.account, ctx.region, name)
    if found is None:
        raise ResourceNotFound(f"Archive {name} does not exist.")
    return found


def _check(req: Mapping[str, Any]) -> None:
    if req.get("KmsKeyIdentifier"):
        raise NotImplementedByDoppio(
            "events: archives under customer managed keys exist in AWS and not yet here"
        )
    if req.get("EventPattern"):
        pattern_of(req["EventPattern"])
        if "replay-name" in json.loads(req["EventPattern"]):
            raise InvalidEventPattern("replay-name is set by EventBridge")


def _rule(ctx: Context, archive: Archive) -> Rule:
    """What brings events into an archive, as in AWS; what is replayed does not come in again."""
    pattern = {**json.loads(archive.pattern or "{}"), "replay-name": [{"exists": False}]}
    return Rule(
        account=archive.account,
        region=archive.region,
        bus=archive.bus,
        name=f"Events-Archive-{archive.name}",
        partition=archive.partition,
        created_by=archive.account,
        since=ctx.now,
        pattern=json.dumps(pattern),
        managed_by=MANAGER,
        targets={archive.name: {"Id": archive.name, "Arn": archive.arn}},
    )


def _bus_arn(archive: Archive) -> str:
    return archive.arn.replace(f"archive/{archive.name}", f"event-bus/{archive.bus}")


def _state(archive: Archive) -> dict[str, Any]:
    return {
        "ArchiveArn": archive.arn,
        "State": "ENABLED",
        "CreationTime": archive.created_at,
    }


async def _listed(ctx: Context, archive: Archive) -> dict[str, Any]:
    count, size = await counted(ctx, archive)
    return {
        "ArchiveName": archive.name,
        "EventSourceArn": _bus_arn(archive),
        "State": "ENABLED",
        "RetentionDays": archive.days,
        "SizeBytes": size,
        "EventCount": count,
        "CreationTime": archive.created_at,
    }
