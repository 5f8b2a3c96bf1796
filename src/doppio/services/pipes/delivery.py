"""From events to the target: what a pipe does with a batch, whatever its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.services.pipes.events import shaped
from doppio.services.pipes.records import Pipe
from doppio.services.pipes.targets import send
from doppio.wire.errors import AwsError


async def bring(ctx: Context, pipe: Pipe, events: Sequence[Mapping[str, Any]]) -> set[int]:
    """Bring events to the target, in their order; the places of those that it did not take."""
    batch = [(event, shaped(event, pipe, ctx.clock.now())) for event in events]
    try:
        acting = await acting_for(ctx, pipe, pipe.given["Target"])
        failed = await send(ctx, acting, pipe, batch)
    except AwsError:
        failed = set(range(len(batch)))
    ctx.read().meter("Invocations", len(batch))
    if failed:
        ctx.read().meter("ExecutionFailed", len(failed))
    return failed


async def acting_for(ctx: Context, pipe: Pipe, arn: str) -> Context:
    """The pipe's role, where a source or target is. Raises AccessDenied."""
    return await ctx.as_role(
        pipe.given["RoleArn"], "pipes", source=pipe.arn, session=pipe.name,
        region=arn.split(":")[3],
    )  # fmt: skip
