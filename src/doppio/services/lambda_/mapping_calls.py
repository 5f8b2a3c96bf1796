"""Whom a mapping asks as, and how it runs its function."""

from __future__ import annotations

from doppio.kernel.context import Context
from doppio.services.lambda_.invocations import Asked, invoked
from doppio.services.lambda_.records import Mapping
from doppio.services.lambda_.running import Outcome
from doppio.services.lambda_.specs import spec_of, target_of


async def acting_of(ctx: Context, mapping: Mapping) -> Context:
    """The role of a mapping's function, where its source is. Raises AwsError."""
    target = await target_of(ctx.read(), ctx, {"FunctionName": mapping.function_arn})
    return await ctx.as_role(
        target.version.config.role, "lambda", source=target.function.arn,
        session=mapping.function, region=mapping.source.split(":")[3],
    )  # fmt: skip


async def call(ctx: Context, mapping: Mapping, payload: bytes) -> Outcome:
    """Run a mapping's function. Raises AwsError where it cannot run now."""
    target = await target_of(ctx.read(), ctx, {"FunctionName": mapping.function_arn})
    spec = await spec_of(ctx, target.function, target.version)
    return await invoked(ctx, spec, Asked(ctx.new_id(), payload, target.arn))
