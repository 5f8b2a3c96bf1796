"""Partner event sources, as the partner that makes them and puts events into them sees them.

AWS knows its partners by a registration. Here a partner's name belongs to the account that has
sources under it, and to whoever comes first where nobody has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from doppio.kernel.context import Context, Reader
from doppio.kernel.meter import usage_key
from doppio.services.events import limits, measures
from doppio.services.events.errors import ResourceAlreadyExists, ResourceNotFound, Validation
from doppio.services.events.lookup import Place, check_room, page
from doppio.services.events.measures import count_all
from doppio.services.events.putting import Event, Match, chunks, count_matches, follow
from doppio.services.events.records import EventSource, PartnerSource
from doppio.services.events.rules import (
    Refusal,
    detail_of,
    entry_bytes,
    envelope,
    refused_entry,
)
from doppio.services.events.sources import (
    check_source_name,
    end,
    partner_of,
    shown_name,
    shown_state,
    wait,
)
from doppio.wire.errors import AccessDenied

if TYPE_CHECKING:
    from doppio._stubs import events as w


class Partners:
    """The partner's operations on event sources."""

    async def create_partner_event_source(
        self, ctx: Context, req: w.CreatePartnerEventSourceRequest
    ) -> w.CreatePartnerEventSourceResponse:
        """Offer a source of events to an account, which has two weeks to listen."""
        name, account = req["Name"], req["Account"]
        check_source_name(name)
        shared = PartnerSource(
            region=ctx.region, name=name, partner=ctx.account, account=account,
            partition=ctx.partition,
        )  # fmt: skip
        async with ctx.write() as tx:
            if await tx.get(PartnerSource, ctx.region, name) is not None:
                raise ResourceAlreadyExists(f"PartnerEventSource {name} already exists.")
            await _check_partner(tx, shared)
            await check_room(tx, EventSource, (account, ctx.region), limits.SOURCES_MAX)
            tx.put(shared)
            # Where the bus of an earlier source of this name is left, it may be activated again.
            source = EventSource(
                account=account, region=ctx.region, name=name, partition=ctx.partition,
                created_at=ctx.now,
            )  # fmt: skip
            await wait(tx, source)
        return {"EventSourceArn": shared.arn}

    async def delete_partner_event_source(
        self, ctx: Context, req: w.DeletePartnerEventSourceRequest
    ) -> None:
        """End a source; one that is gone is no error."""
        async with ctx.write() as tx:
            shared = await tx.get(PartnerSource, ctx.region, req["Name"])
            if shared is None or (shared.partner, shared.account) != (ctx.account, req["Account"]):
                return
            source = await tx.get(EventSource, shared.account, shared.region, shared.name)
            assert source is not None, "partner and customer see the same sources"
            await end(tx, source)

    async def describe_partner_event_source(
        self, ctx: Context, req: w.DescribePartnerEventSourceRequest
    ) -> w.DescribePartnerEventSourceResponse:
        """A source that the account has made."""
        shared = await _existing(ctx.read(), ctx, req["Name"])
        return cast("w.DescribePartnerEventSourceResponse", shown_name(shared))

    async def list_partner_event_sources(
        self, ctx: Context, req: w.ListPartnerEventSourcesRequest
    ) -> w.ListPartnerEventSourcesResponse:
        """The sources that the account has made, by name."""
        found, more = await page(
            ctx.read(), PartnerSource, (ctx.region,), req,
            wanted=lambda shared: shared.partner == ctx.account,
        )  # fmt: skip
        told = {"PartnerEventSources": [shown_name(shared) for shared in found], **more}
        return cast("w.ListPartnerEventSourcesResponse", told)

    async def list_partner_event_source_accounts(
        self, ctx: Context, req: w.ListPartnerEventSourceAccountsRequest
    ) -> w.ListPartnerEventSourceAccountsResponse:
        """The account to which a source is offered, and what became of the offer."""
        reader = ctx.read()
        shared = await _existing(reader, ctx, req["EventSourceName"])
        if req.get("NextToken"):
            # There is one account, so there never is a second page.
            raise Validation("Token value is not valid.")
        source = await reader.get(EventSource, shared.account, shared.region, shared.name)
        assert source is not None, "partner and customer see the same sources"
        told = {"Account": shared.account, **shown_state(source)}
        return cast(
            "w.ListPartnerEventSourceAccountsResponse", {"PartnerEventSourceAccounts": [told]}
        )

    async def put_partner_events(
        self, ctx: Context, req: w.PutPartnerEventsRequest
    ) -> w.PutPartnerEventsResponse:
        """Put events on the buses that listen to the partner's sources.

        Each succeeds or fails for itself. What a source tells while nobody listens is lost, as in
        AWS. The customer pays.
        """
        entries = req["Entries"]
        if sum(map(entry_bytes, entries)) > limits.REQUEST_BYTES_MAX:
            raise Validation("Total size of the entries in the request is over the limit.")
        results: list[w.PutPartnerEventsResultEntry] = []
        matches: list[Match] = []
        async with ctx.write() as tx:
            for entry in entries:
                source = await _source(tx, ctx, entry.get("Source") or "")
                found = _event(ctx, entry, source)
                if isinstance(found, Refusal):
                    results.append({"ErrorCode": found.code, "ErrorMessage": found.text})
                    continue
                results.append({"EventId": found.body["id"]})
                if source is not None and source.state == "ACTIVE":
                    matches += await follow(tx, found)
                    paying = ctx.derive(ctx.caller)
                    paying.account = source.account
                    tx.raw.add(usage_key(paying, "Event-64K-Chunks"), chunks(entry))
        failed = sum(1 for one in results if "ErrorCode" in one)
        count_matches(ctx, matches)
        count_all(ctx, measures.PARTNER_CALLS)
        count_all(ctx, measures.PARTNER_CALLS_TAKEN)
        count_all(ctx, measures.PARTNER_ENTRIES, len(entries))
        if failed:
            count_all(ctx, measures.PARTNER_ENTRIES_FAILED, failed)
        return {"FailedEntryCount": failed, "Entries": results}


async def _check_partner(reader: Reader, wanted: PartnerSource) -> None:
    partner = partner_of(wanted.name)
    first = await reader.list(
        PartnerSource, (wanted.region,), since=f"{partner}/", until=f"{partner}/\U0010ffff", limit=1
    )
    if first and first[0].partner != wanted.partner:
        raise AccessDenied(f"Account {wanted.partner} is not registered as partner {partner}.")


async def _existing(reader: Reader, ctx: Context, name: str) -> PartnerSource:
    found = await reader.get(PartnerSource, ctx.region, name)
    if found is None or found.partner != ctx.account:
        raise ResourceNotFound(f"PartnerEventSource {name} does not exist.")
    return found


async def _source(reader: Reader, ctx: Context, name: str) -> EventSource | None:
    """The customer's side of a source of this partner's; None where it has none of that name."""
    shared = await reader.get(PartnerSource, ctx.region, name)
    if shared is None or shared.partner != ctx.account:
        return None
    return await reader.get(EventSource, shared.account, shared.region, shared.name)


def _event(ctx: Context, entry: Mapping[str, Any], source: EventSource | None) -> Event | Refusal:
    refusal = refused_entry(entry, by_service=True)
    if refusal is not None:
        return refusal
    if source is None:
        return Refusal("NotAuthorizedForSource", "Not authorized for the source.")
    detail = detail_of(entry["Detail"])
    if detail is None:
        return Refusal("MalformedDetail", "Detail is malformed.")
    at = entry.get("Time") or ctx.now
    body = envelope(
        event_id=ctx.new_id(),
        kind=entry["DetailType"],
        source=source.name,
        account=source.account,
        at=at,
        region=source.region,
        resources=list(entry.get("Resources") or ()),
        detail=detail,
    )
    return Event(Place(source.account, source.region, source.name), body, at)
