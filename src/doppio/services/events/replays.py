"""Replays: events of an archive, in the order of their times, once more to the rules of their bus."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx, row_key
from doppio.kernel.jobs import Job
from doppio.services.events import limits
from doppio.services.events.archives import existing_archive
from doppio.services.events.errors import (
    IllegalStatus,
    LimitExceeded,
    ResourceAlreadyExists,
    ResourceNotFound,
    Validation,
)
from doppio.services.events.lookup import Place, existing_bus, page, place_of
from doppio.services.events.putting import Event, Match, count_matches, follow
from doppio.services.events.records import Archived, Replay
from doppio.wire.arn import parse

if TYPE_CHECKING:
    from doppio._stubs import events as w

REPLAY = "events.replay"
_AT_WORK = frozenset({"STARTING", "RUNNING", "CANCELLING"})


class Replays:
    """The operations on replays."""

    async def start_replay(self, ctx: Context, req: w.StartReplayRequest) -> w.StartReplayResponse:
        """Begin to send an archive's events of a time once more."""
        since, until = req["EventStartTime"], req["EventEndTime"]
        if until <= since:
            raise Validation(
                "Parameter EventEndTime is not valid. Reason: EventStartTime must be before "
                "EventEndTime."
            )
        source = parse(req["EventSourceArn"])
        place = place_of(ctx, req["Destination"]["Arn"])
        async with ctx.write() as tx:
            archive = await existing_archive(tx, source.resource.partition("/")[2])
            await existing_bus(tx, place)
            if place != Place(archive.account, archive.region, archive.bus):
                raise Validation(
                    "Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not "
                    "permitted."
                )
            if await tx.get(Replay, ctx.account, ctx.region, req["ReplayName"]) is not None:
                raise ResourceAlreadyExists(f"Replay {req['ReplayName']} already exists.")
            await _check_room(tx)
            made = Replay(
                account=ctx.account,
                region=ctx.region,
                name=req["ReplayName"],
                partition=ctx.partition,
                archive=archive.arn,
                archive_id=archive.id,
                bus=archive.bus,
                since=since,
                until=until,
                started_at=ctx.now,
                rules=list(req["Destination"].get("FilterArns") or ()),
                description=req.get("Description", ""),
            )
            tx.put(made)
            where = {"account": made.account, "region": made.region, "replay": made.name}
            await tx.schedule(ctx.now, REPLAY, made.arn, **where)
        told = {"ReplayArn": made.arn, "State": made.state, "ReplayStartTime": made.started_at}
        return cast("w.StartReplayResponse", told)

    async def cancel_replay(
        self, ctx: Context, req: w.CancelReplayRequest
    ) -> w.CancelReplayResponse:
        """Stop a replay; what it has sent stays sent."""
        async with ctx.write() as tx:
            found = await _existing(tx, req["ReplayName"])
            if found.state not in {"STARTING", "RUNNING"}:
                raise IllegalStatus(
                    f"Replay {found.name} is not in a valid state for this operation."
                )
            tx.put(replace(found, state="CANCELLING"))
        return {"ReplayArn": found.arn, "State": "CANCELLING"}

    async def describe_replay(
        self, ctx: Context, req: w.DescribeReplayRequest
    ) -> w.DescribeReplayResponse:
        """A replay, and how far it has come."""
        found = await _existing(ctx.read(), req["ReplayName"])
        bus = found.arn.replace(f"replay/{found.name}", f"event-bus/{found.bus}")
        destination: dict[str, Any] = {"Arn": bus}
        if found.rules:
            destination["FilterArns"] = found.rules
        told = {**_listed(found), "ReplayArn": found.arn, "Destination": destination}
        if found.description:
            told["Description"] = found.description
        return cast("w.DescribeReplayResponse", told)

    async def list_replays(self, ctx: Context, req: w.ListReplaysRequest) -> w.ListReplaysResponse:
        """The account's replays in the Region."""
        state, archive = req.get("State"), req.get("EventSourceArn")

        def wanted(one: Replay) -> bool:
            return state in {None, one.state} and archive in {None, one.archive}

        where = (ctx.account, ctx.region)
        found, more = await page(ctx.read(), Replay, where, req, wanted=wanted)
        told = {"Replays": [_listed(one) for one in found], **more}
        return cast("w.ListReplaysResponse", told)


async def replay(ctx: Context, job: Job) -> None:
    """Send on, some events a commit, until all are sent or the replay is cancelled."""
    where = job.arguments
    going = True
    while going:
        going, matches = await ctx.transact(
            lambda tx: _step(tx, where["account"], where["region"], where["replay"])
        )
        count_matches(ctx, matches)


async def _step(tx: Tx, account: str, region: str, name: str) -> tuple[bool, list[Match]]:
    """Send the next events, in the commit that remembers how far it has come."""
    found = await tx.get(Replay, account, region, name)
    if found is None or found.state not in _AT_WORK:
        return False, []
    now = tx.context.clock.now()
    if found.state == "CANCELLING":
        tx.put(replace(found, state="CANCELLED", ended_at=now))
        return False, []
    prefix = (found.archive_id,)
    after = None
    if found.position is not None:
        at, event_id = found.position
        after = row_key(Archived(archive=found.archive_id, at=at, id=event_id, event=""))
    events = await tx.list(
        Archived,
        prefix,
        since=None if after else found.since,
        until=found.until,
        after=after,
        limit=limits.REPLAYED_A_STEP,
    )
    if not events:
        tx.put(replace(found, state="COMPLETED", ended_at=now))
        return False, []
    place = Place(account, region, found.bus)
    matches: list[Match] = []
    for one in events:
        body = {**json.loads(one.event), "replay-name": found.name}
        matches += await follow(tx, Event(place, body, one.at), only=found.rules or None)
    last = events[-1]
    tx.put(replace(found, state="RUNNING", position=(last.at, last.id)))
    return True, matches


async def _existing(reader: Reader, name: str) -> Replay:
    ctx = reader.context
    found = await reader.get(Replay, ctx.account, ctx.region, name)
    if found is None:
        raise ResourceNotFound(f"Replay {name} does not exist.")
    return found


async def _check_room(tx: Tx) -> None:
    ctx = tx.context
    found = await tx.list(Replay, (ctx.account, ctx.region), limit=1_000)
    if sum(1 for one in found if one.state in _AT_WORK) >= limits.RUNNING_REPLAYS_MAX:
        raise LimitExceeded


def _listed(found: Replay) -> dict[str, Any]:
    told: dict[str, Any] = {
        "ReplayName": found.name,
        "EventSourceArn": found.archive,
        "State": found.state,
        "EventStartTime": found.since,
        "EventEndTime": found.until,
        "ReplayStartTime": found.started_at,
    }
    if found.position is not None:
        told["EventLastReplayedTime"] = found.position[0]
    if found.ended_at is not None:
        told["ReplayEndTime"] = found.ended_at
    return told
