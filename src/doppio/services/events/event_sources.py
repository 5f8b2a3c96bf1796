"""Partner event sources, as the customer with whom they are shared sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from doppio.kernel.context import Context
from doppio.services.events.errors import InvalidState
from doppio.services.events.lookup import page
from doppio.services.events.records import Bus, EventSource
from doppio.services.events.sources import activate, existing_source, shown, wait

if TYPE_CHECKING:
    from doppio._stubs import events as w


class EventSources:
    """The customer's operations on partner event sources."""

    async def describe_event_source(
        self, ctx: Context, req: w.DescribeEventSourceRequest
    ) -> w.DescribeEventSourceResponse:
        """A source that a partner shares with the account."""
        source = await existing_source(ctx.read(), ctx.account, ctx.region, req["Name"])
        return cast("w.DescribeEventSourceResponse", shown(source))

    async def list_event_sources(
        self, ctx: Context, req: w.ListEventSourcesRequest
    ) -> w.ListEventSourcesResponse:
        """The sources that partners share with the account, by name."""
        found, more = await page(ctx.read(), EventSource, (ctx.account, ctx.region), req)
        told = {"EventSources": [shown(source) for source in found], **more}
        return cast("w.ListEventSourcesResponse", told)

    async def activate_event_source(self, ctx: Context, req: w.ActivateEventSourceRequest) -> None:
        """Let the source's bus listen again."""
        async with ctx.write() as tx:
            source = await existing_source(tx, ctx.account, ctx.region, req["Name"])
            if await tx.get(Bus, source.account, source.region, source.name) is None:
                raise InvalidState(f"Event source {source.name} has no matching event bus.")
            await activate(tx, source)

    async def deactivate_event_source(
        self, ctx: Context, req: w.DeactivateEventSourceRequest
    ) -> None:
        """Let the source's bus hear nothing; after two weeks of that the source ends."""
        async with ctx.write() as tx:
            source = await existing_source(tx, ctx.account, ctx.region, req["Name"])
            if source.state != "ACTIVE":
                raise InvalidState(f"Event source {source.name} is in state {source.state}.")
            await wait(tx, source)
