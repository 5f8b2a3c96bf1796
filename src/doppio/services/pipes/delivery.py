"""From events to the target: what a pipe does with a batch, whatever its source.

An enrichment makes another event of each, or several, or none.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.services.pipes import limits, measures
from doppio.services.pipes.definition import kind_of
from doppio.services.pipes.events import answers_of, shaped
from doppio.services.pipes.functions import invoked
from doppio.services.pipes.journal import Journal
from doppio.services.pipes.measures import count_of
from doppio.services.pipes.records import Pipe
from doppio.services.pipes.targets import call_outside, send
from doppio.wire.errors import AwsError

# The place of what a function has made of all events together.
_OF_ALL = -1


async def bring(ctx: Context, pipe: Pipe, events: Sequence[Mapping[str, Any]]) -> set[int]:
    """Bring events to the target, in their order; the places of those that did not arrive."""
    journal, begun = Journal(ctx, pipe), ctx.clock.now()
    journal.say("EXECUTION_STARTED", payload=events)
    failed: set[int] = set()
    made: list[tuple[int, Any]] = list(enumerate(events))
    if pipe.given.get("Enrichment"):
        journal.say("ENRICHMENT_STAGE_ENTERED", payload=events)
        made, failed = await _enriched(ctx, pipe, events, journal)
        journal.say(f"ENRICHMENT_STAGE_{_word(failed, len(events))}")
        if failed:
            count_of(ctx, measures.ENRICHMENT_FAILED, pipe)
    lost = {made[place][0] for place in await _sent(ctx, pipe, made, journal)}
    failed |= set(range(len(events))) if _OF_ALL in lost else lost
    journal.say(f"EXECUTION_{_word(failed, len(events))}")
    _count(ctx, pipe, events, failed, (ctx.clock.now() - begun).total_seconds())
    await journal.write()
    return failed


def _count(
    ctx: Context, pipe: Pipe, events: Sequence[Mapping[str, Any]], failed: set[int], seconds: float
) -> None:
    count_of(ctx, measures.INVOCATIONS, pipe)
    count_of(ctx, measures.EVENTS, pipe, len(events))
    billed = 0
    for event in events:
        size = len(json.dumps(event, ensure_ascii=False).encode())
        billed += -(-size // limits.BILLED_BYTES)
        count_of(ctx, measures.SIZE, pipe, size)
    ctx.read().meter("Requests-64K-Chunks", billed)
    count_of(ctx, measures.DURATION, pipe, seconds * 1000)
    if failed:
        all_of_it = len(failed) == len(events)
        count_of(ctx, measures.FAILED if all_of_it else measures.PARTLY_FAILED, pipe)


async def _sent(
    ctx: Context, pipe: Pipe, made: Sequence[tuple[int, Any]], journal: Journal
) -> set[int]:
    """Put events into their template, and send them; the places of those that were not taken."""
    if not made:
        journal.say("TARGET_STAGE_SKIPPED")
        count_of(ctx, measures.TARGET_SKIPPED, pipe)
        return set()
    journal.say("TARGET_STAGE_ENTERED", payload=[event for _, event in made])
    journal.say("TARGET_TRANSFORMATION_STARTED")
    batch = [(event, shaped(event, pipe, ctx.clock.now())) for _, event in made]
    texts = [text for _, text in batch]
    journal.say("TARGET_TRANSFORMATION_SUCCEEDED", payload=texts)
    journal.say("TARGET_INVOCATION_STARTED", awsRequest=texts)
    error: AwsError | None = None
    try:
        acting = await acting_for(ctx, pipe, pipe.given["Target"])
        lost, error = await send(ctx, acting, pipe, batch)
    except AwsError as refused:
        lost, error = set(range(len(batch))), refused
    word = _word(lost, len(batch))
    journal.say(f"TARGET_INVOCATION_{word}", error=error)
    journal.say(f"TARGET_STAGE_{word}")
    if lost:
        all_of_it = len(lost) == len(batch)
        count_of(ctx, measures.TARGET_FAILED if all_of_it else measures.TARGET_PARTLY_FAILED, pipe)
    return lost


def _word(failed: set[int], count: int) -> str:
    """What has become of so many."""
    if not failed:
        return "SUCCEEDED"
    return "FAILED" if len(failed) == count else "PARTIALLY_FAILED"


async def _enriched(
    ctx: Context, pipe: Pipe, events: Sequence[Mapping[str, Any]], journal: Journal
) -> tuple[list[tuple[int, Any]], set[int]]:
    """What an enrichment makes of events, each with the place of its own; and whose it failed for."""
    made: list[tuple[int, Any]] = []
    failed: set[int] = set()
    arn = pipe.given["Enrichment"]
    if kind_of(arn, "Enrichment") == "lambda":
        return await _enriched_together(ctx, pipe, events, journal)
    http = (pipe.given.get("EnrichmentParameters") or {}).get("HttpParameters") or {}

    async def enrich(event: Mapping[str, Any]) -> list[Any] | None:
        journal.say("ENRICHMENT_TRANSFORMATION_STARTED")
        text = shaped(event, pipe, ctx.clock.now(), "EnrichmentParameters")
        journal.say("ENRICHMENT_TRANSFORMATION_SUCCEEDED", payload=text)
        journal.say("ENRICHMENT_INVOCATION_STARTED", awsRequest=text)
        try:
            acting = await acting_for(ctx, pipe, arn)
            said = await call_outside(acting, arn, event, text, http)
        except AwsError as error:
            journal.say("ENRICHMENT_INVOCATION_FAILED", error=error)
            return None
        answer = said.decode(errors="replace")
        journal.say("ENRICHMENT_INVOCATION_SUCCEEDED", awsResponse=answer)
        return answers_of(answer)

    for first in range(0, len(events), limits.CALLS_AT_ONCE):
        part = events[first : first + limits.CALLS_AT_ONCE]
        for place, found in enumerate(await asyncio.gather(*map(enrich, part)), first):
            if found is None:
                failed.add(place)
            else:
                made += [(place, event) for event in found]
    return made, failed


async def _enriched_together(
    ctx: Context, pipe: Pipe, events: Sequence[Mapping[str, Any]], journal: Journal
) -> tuple[list[tuple[int, Any]], set[int]]:
    """What a function makes of all events at once.

    Where it answers with as many, each is what has become of one; else nobody knows.
    """
    arn = pipe.given["Enrichment"]
    now = ctx.clock.now()
    journal.say("ENRICHMENT_TRANSFORMATION_STARTED")
    texts = [shaped(event, pipe, now, "EnrichmentParameters") for event in events]
    journal.say("ENRICHMENT_TRANSFORMATION_SUCCEEDED", payload=texts)
    journal.say("ENRICHMENT_INVOCATION_STARTED", awsRequest=texts)
    try:
        acting = await acting_for(ctx, pipe, arn)
        answer = (await invoked(acting, arn, texts, waits=True)).decode(errors="replace")
    except AwsError as error:
        journal.say("ENRICHMENT_INVOCATION_FAILED", error=error)
        return [], set(range(len(events)))
    journal.say("ENRICHMENT_INVOCATION_SUCCEEDED", awsResponse=answer)
    found = answers_of(answer)
    places = range(len(events)) if len(found) == len(events) else [_OF_ALL] * len(found)
    return list(zip(places, found, strict=True)), set()


async def acting_for(ctx: Context, pipe: Pipe, arn: str) -> Context:
    """The pipe's role, where a source or target is. Raises AccessDenied."""
    return await ctx.as_role(
        pipe.given["RoleArn"], "pipes", source=pipe.arn, session=pipe.name,
        region=arn.split(":")[3],
    )  # fmt: skip
