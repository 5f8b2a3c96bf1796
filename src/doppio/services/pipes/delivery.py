"""From events to the target: what a pipe does with a batch, whatever its source.

An enrichment makes another event of each, or several, or none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.services.pipes import limits
from doppio.services.pipes.events import answers_of, shaped
from doppio.services.pipes.records import Pipe
from doppio.services.pipes.targets import call_outside, send
from doppio.wire.errors import AwsError


async def bring(ctx: Context, pipe: Pipe, events: Sequence[Mapping[str, Any]]) -> set[int]:
    """Bring events to the target, in their order; the places of those that did not arrive."""
    failed: set[int] = set()
    made: list[tuple[int, Any]] = list(enumerate(events))
    if pipe.given.get("Enrichment"):
        made, failed = await _enriched(ctx, pipe, events)
    batch = [(event, shaped(event, pipe, ctx.clock.now())) for _, event in made]
    if batch:
        try:
            acting = await acting_for(ctx, pipe, pipe.given["Target"])
            lost = await send(ctx, acting, pipe, batch)
        except AwsError:
            lost = set(range(len(batch)))
        failed |= {made[place][0] for place in lost}
    ctx.read().meter("Invocations", len(events))
    if failed:
        ctx.read().meter("ExecutionFailed", len(failed))
    return failed


async def _enriched(
    ctx: Context, pipe: Pipe, events: Sequence[Mapping[str, Any]]
) -> tuple[list[tuple[int, Any]], set[int]]:
    """What an enrichment makes of events, each with the place of its own; and whose it failed for."""
    made: list[tuple[int, Any]] = []
    failed: set[int] = set()
    arn = pipe.given["Enrichment"]
    http = (pipe.given.get("EnrichmentParameters") or {}).get("HttpParameters") or {}

    async def enrich(event: Mapping[str, Any]) -> list[Any] | None:
        text = shaped(event, pipe, ctx.clock.now(), "EnrichmentParameters")
        try:
            acting = await acting_for(ctx, pipe, arn)
            said = await call_outside(acting, arn, event, text, http)
        except AwsError:
            return None
        return None if said is None else answers_of(said)

    for first in range(0, len(events), limits.CALLS_AT_ONCE):
        part = events[first : first + limits.CALLS_AT_ONCE]
        for place, found in enumerate(await asyncio.gather(*map(enrich, part)), first):
            if found is None:
                failed.add(place)
            else:
                made += [(place, event) for event in found]
    return made, failed


async def acting_for(ctx: Context, pipe: Pipe, arn: str) -> Context:
    """The pipe's role, where a source or target is. Raises AccessDenied."""
    return await ctx.as_role(
        pipe.given["RoleArn"], "pipes", source=pipe.arn, session=pipe.name,
        region=arn.split(":")[3],
    )  # fmt: skip
