"""Putting events: each is matched, and what must follow is in the commit that takes it.

What follows are deliveries, one for each target of each rule that wants the event, and copies in
archives. So an event that was acknowledged reaches its targets, whatever crashes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from doppio.kernel.context import Context, Tx
from doppio.kernel.event_patterns import BadPattern, Pattern
from doppio.kernel.trail import KIND
from doppio.services.events import limits, measures
from doppio.services.events.archived import keep
from doppio.services.events.errors import InvalidEventPattern, Validation
from doppio.services.events.failover import Route, is_for, route_of
from doppio.services.events.lookup import Place, account_of, bus_arn, bus_at, place_of
from doppio.services.events.measures import count_all, count_of
from doppio.services.events.records import WITH_READS, Delivery, Lane, Rule
from doppio.services.events.rules import (
    Refusal,
    as_json,
    detail_of,
    entry_bytes,
    envelope,
    refused_entry,
)

if TYPE_CHECKING:
    from doppio._stubs import events as w

LANES = "events.lane"
NOT_OF_ENDPOINT = Refusal(
    "InvalidArgument",
    "Parameter EventBusName is not valid. Reason: it is no event bus of the endpoint.",
)
_EVENT_FIELDS = ("id", "account", "source", "time", "region", "resources", "detail-type")


class Event(NamedTuple):
    """An event that was accepted, and the bus it is for."""

    place: Place
    body: dict[str, Any]
    at: datetime


class Match(NamedTuple):
    """A rule that wants an event, or whose time has come, and how many targets it tells."""

    rule: str
    targets: int
    matched: bool = True


class Putting:
    """PutEvents and TestEventPattern."""

    async def put_events(self, ctx: Context, req: w.PutEventsRequest) -> w.PutEventsResponse:
        """Take up to ten events; each succeeds or fails for itself, and what fails leaves nothing.

        As in AWS, an event for a bus that is not there is taken, and nobody hears of it.
        """
        entries = req["Entries"]
        size = sum(map(entry_bytes, entries))
        if size > limits.REQUEST_BYTES_MAX:
            raise Validation("Total size of the entries in the request is over the limit.")
        route = None
        if req.get("EndpointId"):
            route = await route_of(ctx, req["EndpointId"])
            ctx = await _allowed(ctx, entries, route)
        accepted: list[Event] = []
        results: list[w.PutEventsResultEntry] = []
        billed = 0
        for entry in entries:
            found = _event(ctx, entry, route)
            if isinstance(found, Event):
                accepted.append(found)
                billed += chunks(entry)
                results.append({"EventId": found.body["id"]})
            else:
                results.append({"ErrorCode": found.code, "ErrorMessage": found.text})
        matches: list[Match] = []
        if accepted:
            async with ctx.write() as tx:
                for event in accepted:
                    if await bus_at(tx, event.place) is not None:
                        matches += await follow(tx, event)
                tx.meter("Event-64K-Chunks", billed)
        failed = len(entries) - len(accepted)
        count_matches(ctx, matches)
        _count_call(ctx, len(entries), failed, size)
        return {"FailedEntryCount": failed, "Entries": results}

    async def test_event_pattern(
        self, ctx: Context, req: w.TestEventPatternRequest
    ) -> w.TestEventPatternResponse:
        """Whether a pattern wants an event, which must have an event's fields."""
        pattern = pattern_of(req["EventPattern"])
        try:
            event = json.loads(req["Event"])
        except ValueError as error:
            raise Validation("Parameter Event is not valid.") from error
        if not isinstance(event, dict):
            raise Validation("Parameter Event is not valid.")
        for name in _EVENT_FIELDS:
            if name not in event:
                raise Validation(f"Parameter Event is not valid. Reason: {name} is missing.")
        return {"Result": pattern.matches(event)}


@lru_cache(maxsize=4_096)
def pattern_of(text: str) -> Pattern:
    """The compiled pattern of a rule. Raises InvalidEventPattern."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidEventPattern("Filter is not valid JSON") from error
    if not isinstance(document, dict):
        raise InvalidEventPattern("Filter is not an object")
    try:
        return Pattern(document)
    except BadPattern as error:
        raise InvalidEventPattern(str(error)) from error


def _count_call(ctx: Context, entries: int, failed: int, size: int) -> None:
    count_all(ctx, measures.CALLS)
    count_all(ctx, measures.CALLS_TAKEN)
    count_all(ctx, measures.ENTRIES, entries)
    count_all(ctx, measures.REQUEST_SIZE, size)
    if failed:
        count_all(ctx, measures.ENTRIES_FAILED, failed)


def count_matches(ctx: Context, matches: Iterable[Match]) -> None:
    """Measure which rules have wanted an event, once that is committed."""
    for match in matches:
        count_of(ctx, measures.TRIGGERED, match.rule)
        if match.matched:
            count_of(ctx, measures.MATCHED, match.rule)
        if match.targets:
            count_of(ctx, measures.CREATED, match.rule, match.targets)


async def follow(tx: Tx, event: Event, *, only: Iterable[str] | None = None) -> list[Match]:
    """Put what follows from an event into the transaction. `only`: rules by ARN, in a replay."""
    matches: list[Match] = []
    rules = await tx.list(Rule, tuple(event.place), limit=2 * limits.RULES_MAX)
    text = ""
    for rule in rules:
        if not _wants(rule, event.body, only):
            continue
        matches.append(Match(rule.arn, len(rule.targets)))
        if rule.targets:
            text = text or as_json(event.body)
            await deliver_to(tx, rule, text, event.at)
    return matches


async def deliver_to(tx: Tx, rule: Rule, text: str, at: datetime) -> None:
    """Put an event on its way to all targets of a rule."""
    now = tx.context.clock.now()
    for name, target in rule.targets.items():
        if ":archive/" in target["Arn"]:
            await keep(tx, target["Arn"], text, at)
            continue
        lane = lane_id(rule, name)
        tx.add(
            Delivery(
                id=tx.context.new_id(), lane=lane, at=now, first_at=now, account=rule.account,
                rule=rule.arn, target=target, event=text,
            )
        )  # fmt: skip
        tx.wake(f"{LANES}/{lane}")


def lane_id(rule: Rule, target: str) -> str:
    """The id of the lane to a rule's target."""
    return f"{rule.arn}#{target}"


def lane_of(rule: Rule, target: str) -> Lane:
    """The lane to a rule's target: its row is made when the target is put."""
    return Lane(
        id=lane_id(rule, target), account=rule.account, region=rule.region, bus=rule.bus,
        rule=rule.name, target=target,
    )  # fmt: skip


def _wants(rule: Rule, event: Mapping[str, Any], only: Iterable[str] | None) -> bool:
    if only is not None and rule.arn not in only:
        return False
    if not rule.pattern or rule.state == "DISABLED":
        return False
    if rule.state != WITH_READS and event["detail-type"] == KIND:
        detail = event["detail"]
        if detail.get("readOnly") is True and event["source"].startswith("aws."):
            return False
    return pattern_of(rule.pattern).matches(event)


async def _allowed(ctx: Context, entries: Sequence[Mapping[str, Any]], route: Route) -> Context:
    """The call in the Region where an endpoint leads. Raises AccessDenied."""
    there = ctx.derive(ctx.caller, region=route.place.region)
    kinds = {(entry.get("Source") or "", entry.get("DetailType") or "") for entry in entries}
    for source, kind in sorted(kinds):
        keys = {"events:source": source, "events:detail-type": kind}
        await there.authorise("events:PutEvents", bus_arn(ctx, route.place), keys)
    return there


def _event(ctx: Context, entry: Mapping[str, Any], route: Route | None) -> Event | Refusal:
    """The event of an entry, or why it is refused; one put to an endpoint names it."""
    refusal = refused_entry(entry, by_service=ctx.caller.kind == "service")
    if refusal is not None:
        return refusal
    place, resources = None, list(entry.get("Resources") or ())
    if route is not None:
        if not is_for(ctx, entry, route.endpoint):
            return NOT_OF_ENDPOINT
        place = route.place
        resources.append(route.endpoint.arn)
    detail = detail_of(entry["Detail"])
    if detail is None:
        return Refusal("MalformedDetail", "Detail is malformed.")
    at: datetime = entry.get("Time") or ctx.now
    body = envelope(
        event_id=ctx.new_id(),
        kind=entry["DetailType"],
        source=entry["Source"],
        account=account_of(ctx),
        at=at,
        region=ctx.region,
        resources=resources,
        detail=detail,
    )
    return Event(place or place_of(ctx, entry.get("EventBusName")), body, at)


def chunks(entry: Mapping[str, Any]) -> int:
    """How many chunks of 64 KiB an entry is billed as."""
    return -(-entry_bytes(entry) // limits.BILLED_BYTES) or 1


def places(ctx: Context, entries: Sequence[Mapping[str, Any]]) -> list[Place]:
    """The buses that entries name, each once."""
    return list(dict.fromkeys(place_of(ctx, entry.get("EventBusName")) for entry in entries))
