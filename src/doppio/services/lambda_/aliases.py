"""Aliases: names for versions, which may share their calls with another version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.services.lambda_.errors import (
    InvalidParameterValue,
    PreconditionFailed,
    ResourceConflict,
    ResourceNotFound,
)
from doppio.services.lambda_.names import Named, alias_of, function_of, named, version_of
from doppio.services.lambda_.pages import page
from doppio.services.lambda_.policies import forget_policies
from doppio.services.lambda_.records import Alias, EventInvoke
from doppio.services.lambda_.urls import forget_urls

if TYPE_CHECKING:
    from doppio._stubs import lambda_ as w


class Aliases:
    """The operations on aliases."""

    async def create_alias(self, ctx: Context, req: w.CreateAliasRequest) -> w.AliasConfiguration:
        """Name a version."""
        which = _plain(named(ctx, req))
        async with ctx.write() as tx:
            await function_of(tx, which)
            if await alias_of(tx, which, req["Name"]) is not None:
                raise ResourceConflict(f"Alias already exists: {which.arn}:{req['Name']}")
            version = await version_of(tx, which, req["FunctionVersion"])
            alias = Alias(
                account=which.account, region=which.region, function=which.name,
                partition=which.partition, name=req["Name"], number=version.number,
                description=req.get("Description", ""), revision=ctx.new_id(),
            )  # fmt: skip
            alias = tx.put(await _routed(tx, which, alias, req))
        return shown(alias)  # type: ignore[return-value]

    async def update_alias(self, ctx: Context, req: w.UpdateAliasRequest) -> w.AliasConfiguration:
        """Let a name stand for another version, or share its calls otherwise."""
        which = _plain(named(ctx, req))
        async with ctx.write() as tx:
            alias = await existing(tx, which, req["Name"])
            if req.get("RevisionId") not in (None, alias.revision):
                raise PreconditionFailed
            number = alias.number
            if "FunctionVersion" in req:
                number = (await version_of(tx, which, req["FunctionVersion"])).number
            alias = replace(
                alias, number=number, revision=ctx.new_id(),
                description=req.get("Description", alias.description),
            )  # fmt: skip
            alias = tx.put(await _routed(tx, which, alias, req))
        return shown(alias)  # type: ignore[return-value]

    async def get_alias(self, ctx: Context, req: w.GetAliasRequest) -> w.AliasConfiguration:
        """An alias."""
        which = _plain(named(ctx, req))
        reader = ctx.read()
        return shown(await existing(reader, which, req["Name"]))  # type: ignore[return-value]

    async def delete_alias(self, ctx: Context, req: w.DeleteAliasRequest) -> None:
        """Forget an alias; one that is gone is no error."""
        which = _plain(named(ctx, req))
        async with ctx.write() as tx:
            await function_of(tx, which)
            alias = await alias_of(tx, which, req["Name"])
            if alias is not None:
                await _forget(tx, alias)
                await forget_policies(tx, which._replace(qualifier=alias.name))
                await forget_urls(tx, which._replace(qualifier=alias.name))

    async def list_aliases(self, ctx: Context, req: w.ListAliasesRequest) -> w.ListAliasesResponse:
        """A function's aliases, or those of one version."""
        which = _plain(named(ctx, req))
        reader = ctx.read()
        await function_of(reader, which)
        aliases, more = await page(reader, Alias, (which.account, which.region, which.name), req)
        wanted = req.get("FunctionVersion")
        told = [shown(one) for one in aliases if wanted in (None, one.version)]
        return {"Aliases": told, **more}  # type: ignore[typeddict-item]


async def existing(reader: Any, which: Named, name: str) -> Alias:
    """An alias. Raises ResourceNotFoundException."""
    await function_of(reader, which)
    alias = await alias_of(reader, which, name)
    if alias is None:
        raise ResourceNotFound(f"Cannot find alias arn: {which.arn}:{name}")
    return alias


async def _forget(tx: Tx, alias: Alias) -> None:
    """Remove an alias, and what hangs on it."""
    tx.delete(alias)
    place = (alias.account, alias.region, alias.function, alias.name)
    row = await tx.get(EventInvoke, *place)
    if row is not None:
        tx.delete(row)


def _plain(which: Named) -> Named:
    if which.qualifier is not None:
        raise InvalidParameterValue(
            f"Invalid function name: {which.qualified} must not have a qualifier."
        )
    return which


async def _routed(tx: Tx, which: Named, alias: Alias, req: Mapping[str, Any]) -> Alias:
    """The alias with the weights that a request gives; what they must be has a word of AWS's each."""
    weights = alias.weights
    if "RoutingConfig" in req:
        weights = (req["RoutingConfig"] or {}).get("AdditionalVersionWeights") or {}
    if not weights:
        return replace(alias, weights={})
    if len(weights) > 1:
        raise InvalidParameterValue(
            "Number of items in AdditionalVersionWeights cannot be greater than 1"
        )
    if alias.number == 0:
        raise InvalidParameterValue(
            "$LATEST is not supported for an alias pointing to more than 1 version"
        )
    for other in weights:
        await version_of(tx, which, other)
        if other == alias.version:
            raise InvalidParameterValue(
                f"Invalid function version {other}. Function version {other} is already included "
                "in routing configuration."
            )
    return replace(alias, weights=dict(weights))


def shown(alias: Alias) -> dict[str, Any]:
    """An alias as AliasConfiguration."""
    told: dict[str, Any] = {
        "AliasArn": alias.arn,
        "Name": alias.name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision,
    }
    if alias.weights:
        told["RoutingConfig"] = {"AdditionalVersionWeights": alias.weights}
    return told
