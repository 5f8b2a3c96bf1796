"""What becomes of asynchronous calls that fail, and who hears of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.services.lambda_.errors import InvalidParameterValue, ResourceNotFound
from doppio.services.lambda_.names import Named, function_of, named, version_of
from doppio.services.lambda_.pages import page
from doppio.services.lambda_.records import LATEST, EventInvoke
from doppio.services.lambda_.roles import acting_as, check_destination

if TYPE_CHECKING:
    from doppio._stubs import lambda_ as w


class EventInvokes:
    """The operations on the configuration of asynchronous calls."""

    async def put_function_event_invoke_config(
        self, ctx: Context, req: w.PutFunctionEventInvokeConfigRequest
    ) -> w.FunctionEventInvokeConfig:
        """Configure asynchronous calls; what is not given is as without a configuration."""
        return await _store(ctx, req, over=False)  # type: ignore[return-value]

    async def update_function_event_invoke_config(
        self, ctx: Context, req: w.UpdateFunctionEventInvokeConfigRequest
    ) -> w.FunctionEventInvokeConfig:
        """Change the configuration of asynchronous calls; what is not given stays."""
        return await _store(ctx, req, over=True)  # type: ignore[return-value]

    async def get_function_event_invoke_config(
        self, ctx: Context, req: w.GetFunctionEventInvokeConfigRequest
    ) -> w.FunctionEventInvokeConfig:
        """The configuration of asynchronous calls."""
        which = _qualified(ctx, req)
        reader = ctx.read()
        await function_of(reader, which)
        return _shown(which, await _existing(reader, which))  # type: ignore[return-value]

    async def delete_function_event_invoke_config(
        self, ctx: Context, req: w.DeleteFunctionEventInvokeConfigRequest
    ) -> None:
        """Forget the configuration of asynchronous calls."""
        which = _qualified(ctx, req)
        async with ctx.write() as tx:
            await function_of(tx, which)
            tx.delete(await _existing(tx, which))

    async def list_function_event_invoke_configs(
        self, ctx: Context, req: w.ListFunctionEventInvokeConfigsRequest
    ) -> w.ListFunctionEventInvokeConfigsResponse:
        """The configurations of a function, its versions and aliases."""
        which = named(ctx, req)
        reader = ctx.read()
        await function_of(reader, which)
        place = (which.account, which.region, which.name)
        rows, more = await page(reader, EventInvoke, place, req)
        told = [_shown(which._replace(qualifier=row.qualifier), row) for row in rows]
        return {"FunctionEventInvokeConfigs": told, **more}  # type: ignore[typeddict-item]


async def event_invoke_of(reader: Reader, which: Named) -> EventInvoke | None:
    """How asynchronous calls of a qualifier are treated, where it is configured."""
    place = (which.account, which.region, which.name, which.qualifier or LATEST)
    return await reader.get(EventInvoke, *place)


def _qualified(ctx: Context, req: Mapping[str, Any]) -> Named:
    which = named(ctx, req)
    return which._replace(qualifier=which.qualifier or LATEST)


async def _existing(reader: Reader, which: Named) -> EventInvoke:
    found = await event_invoke_of(reader, which)
    if found is None:
        raise ResourceNotFound(f"The function {which.qualified} doesn't have an EventInvokeConfig")
    return found


async def _store(ctx: Context, req: Mapping[str, Any], *, over: bool) -> dict[str, Any]:
    given = {"MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig"} & req.keys()
    if not given:
        raise InvalidParameterValue(
            "You must specify at least one of error handling or destination setting."
        )
    which = _qualified(ctx, req)
    version = await version_of(ctx.read(), which, which.qualifier)
    destinations = _destinations(req)
    wanted = {arn for arn in destinations.values() if arn is not None}
    if wanted:
        acting = await acting_as(ctx, version.config.role, which.arn)
        for arn in wanted:
            await check_destination(acting, arn, which)
    async with ctx.write() as tx:
        await function_of(tx, which)
        old = await _old(tx, which, over=over)
        row = replace(
            old,
            modified_at=ctx.now,
            retries=req.get("MaximumRetryAttempts", old.retries),
            age_seconds=req.get("MaximumEventAgeInSeconds", old.age_seconds),
            **destinations,
        )
        tx.put(row)
    return _shown(which, row)


async def _old(tx: Tx, which: Named, *, over: bool) -> EventInvoke:
    if over:
        return await _existing(tx, which)
    return EventInvoke(
        account=which.account, region=which.region, function=which.name,
        qualifier=which.qualifier or LATEST, modified_at=tx.context.now,
    )  # fmt: skip


def _destinations(req: Mapping[str, Any]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for member, field in (("OnSuccess", "on_success"), ("OnFailure", "on_failure")):
        given = (req.get("DestinationConfig") or {}).get(member)
        if given is not None:
            found[field] = given.get("Destination") or None
    return found


def _shown(which: Named, row: EventInvoke) -> dict[str, Any]:
    told: dict[str, Any] = {
        "LastModified": row.modified_at,
        "FunctionArn": which.qualified,
        "DestinationConfig": {
            "OnSuccess": {"Destination": row.on_success} if row.on_success else {},
            "OnFailure": {"Destination": row.on_failure} if row.on_failure else {},
        },
    }
    if row.retries is not None:
        told["MaximumRetryAttempts"] = row.retries
    if row.age_seconds is not None:
        told["MaximumEventAgeInSeconds"] = row.age_seconds
    return told
