"""Functions: made, shown, listed and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.services.lambda_ import limits
from doppio.services.lambda_.code import code_location, code_of, with_code
from doppio.services.lambda_.environment import listed_to, sealed, told_of
from doppio.services.lambda_.errors import InvalidParameterValue, ResourceConflict
from doppio.services.lambda_.holdings import hold
from doppio.services.lambda_.layering import layered, leave_layers, use_layers
from doppio.services.lambda_.names import Named, function_of, named, number_of, version_of
from doppio.services.lambda_.packages import released
from doppio.services.lambda_.pages import page
from doppio.services.lambda_.policies import forget_policies
from doppio.services.lambda_.records import Alias, Config, EventInvoke, Function, Version
from doppio.services.lambda_.roles import check_role
from doppio.services.lambda_.settings import configured
from doppio.services.lambda_.tagging import merged
from doppio.services.lambda_.urls import forget_urls
from doppio.services.lambda_.versions import published, settles

if TYPE_CHECKING:
    from doppio._stubs import lambda_ as w


class Functions:
    """The operations on functions."""

    async def create_function(
        self, ctx: Context, req: w.CreateFunctionRequest
    ) -> w.FunctionConfiguration:
        """Make a function from a package; it can run once it is Active."""
        which = named(ctx, req)
        if which.qualifier is not None or which.account != ctx.account:
            raise InvalidParameterValue(f"Invalid function name: {req['FunctionName']}")
        config = configured(Config(role=req["Role"]), req)
        given = merged({}, req.get("Tags") or {})
        await check_role(ctx, config, which.arn)
        config = await layered(ctx, config, req)
        config = await sealed(ctx, config, which.arn)
        # Before anything is kept: it is the answer in most cases where this is asked twice.
        await _check_free(ctx.read(), which)
        code = await code_of(ctx, req["Code"])

        async def make(tx: Tx) -> Version:
            await _check_free(tx, which)
            function = tx.put(
                Function(
                    account=ctx.account, region=ctx.region, name=which.name,
                    partition=ctx.partition, id=ctx.new_id(), created_at=ctx.now, tags=given,
                )
            )  # fmt: skip
            version = Version(
                account=ctx.account, region=ctx.region, function=which.name, number=0,
                partition=ctx.partition, config=with_code(config, code), modified_at=ctx.now,
                revision=ctx.new_id(), state="Pending",
                state_reason="The function is being created.", state_code="Creating",
            )  # fmt: skip
            tx.add(version)
            use_layers(tx, version)
            await hold(tx, ctx.account, ctx.region, code_bytes=code.size, functions=1)
            await settles(tx, function, version)
            return await published(tx, function, version) if req.get("Publish") else version

        made = await ctx.transact(make)
        return await told_of(ctx, made, qualified=made.number > 0)  # type: ignore[return-value]

    async def get_function(self, ctx: Context, req: w.GetFunctionRequest) -> w.GetFunctionResponse:
        """A function, or a version of it, and where its code can be fetched from."""
        which = named(ctx, req)
        reader = ctx.read()
        function = await function_of(reader, which)
        version = await version_of(reader, which, which.qualifier)
        told: dict[str, Any] = {
            "Configuration": await told_of(ctx, version, qualified=which.qualifier is not None),
            "Code": await code_location(ctx, version),
        }
        if function.tags:
            told["Tags"] = function.tags
        if function.reserved is not None:
            told["Concurrency"] = {"ReservedConcurrentExecutions": function.reserved}
        return told  # type: ignore[return-value]

    async def get_function_configuration(
        self, ctx: Context, req: w.GetFunctionConfigurationRequest
    ) -> w.FunctionConfiguration:
        """What is configured of a function, or of a version of it."""
        which = named(ctx, req)
        reader = ctx.read()
        await function_of(reader, which)
        version = await version_of(reader, which, which.qualifier)
        return await told_of(ctx, version, qualified=which.qualifier is not None)  # type: ignore[return-value]

    async def list_functions(
        self, ctx: Context, req: w.ListFunctionsRequest
    ) -> w.ListFunctionsResponse:
        """The account's functions by name; with FunctionVersion ALL, each of their versions."""
        if req.get("MasterRegion", "ALL") != "ALL":
            # Copies of functions of other Regions, which only CloudFront makes.
            return {"Functions": []}
        reader, place = ctx.read(), (ctx.account, ctx.region)
        if req.get("FunctionVersion") == "ALL":
            versions, more = await page(reader, Version, place, req)
            told = [await listed_to(ctx, one) for one in versions]
            return {"Functions": told, **more}  # type: ignore[typeddict-item]
        functions, more = await page(reader, Function, place, req)
        latest = [await reader.get(Version, *place, one.name, 0) for one in functions]
        told = [await listed_to(ctx, one, qualified=False) for one in latest if one is not None]
        return {"Functions": told, **more}  # type: ignore[typeddict-item]

    async def delete_function(
        self, ctx: Context, req: w.DeleteFunctionRequest
    ) -> w.DeleteFunctionResponse:
        """Delete a function with all that is its own, or one version of it."""
        which = named(ctx, req)
        async with ctx.write() as tx:
            function = await function_of(tx, which)
            if which.qualifier is not None:
                await _delete_version(tx, function, which.qualifier)
            else:
                await _delete(tx, function)
            await forget_policies(tx, which)
            await forget_urls(tx, which)
        return {"StatusCode": 204}


async def settle(ctx: Context, job: Job) -> None:
    """Let a version become Active, and an update Successful."""
    _, _, _, region, account, _, name, qualifier = job.key.split(":")
    async with ctx.write() as tx:
        function = await tx.get(Function, account, region, name)
        version = await tx.get(Version, account, region, name, number_of(qualifier) or 0)
        if function is None or version is None or function.id != job.arguments["id"]:
            return
        tx.put(
            replace(
                version, state="Active", state_reason=None, state_code=None, update="Successful",
                update_reason=None, update_code=None,
            )
        )  # fmt: skip


async def _check_free(reader: Any, which: Named) -> None:
    if await reader.get(Function, which.account, which.region, which.name) is not None:
        raise ResourceConflict(f"Function already exist: {which.name}")


async def _delete_version(tx: Tx, function: Function, qualifier: str) -> None:
    number = number_of(qualifier)
    if number is None:
        raise InvalidParameterValue("Deletion of aliases is not currently supported.")
    if number == 0:
        raise InvalidParameterValue(
            "$LATEST version cannot be deleted without deleting the function."
        )
    place = (function.account, function.region, function.name)
    version = await tx.get(Version, *place, number)
    if version is None:
        return
    aliases = await tx.list(Alias, place, limit=limits.LISTED_ANY_MAX)
    using = [one.arn for one in aliases if one.number == number or qualifier in one.weights]
    if using:
        raise ResourceConflict(
            f"Version {qualifier} can not be deleted because it is referenced by the aliases: "
            f"[{', '.join(using)}]"
        )
    await _remove(tx, version)
    row = await tx.get(EventInvoke, *place, qualifier)
    if row is not None:
        tx.delete(row)


async def _delete(tx: Tx, function: Function) -> None:
    place = (function.account, function.region, function.name)
    for version in await tx.list(Version, place, limit=limits.LISTED_ANY_MAX):
        await _remove(tx, version)
    for kind in (Alias, EventInvoke):
        for row in await tx.list(kind, place, limit=limits.LISTED_ANY_MAX):
            tx.delete(row)
    await hold(
        tx, function.account, function.region, functions=-1, reserved=-(function.reserved or 0)
    )
    tx.delete(function)


async def _remove(tx: Tx, version: Version) -> None:
    tx.delete(version)
    await leave_layers(tx, version)
    await released(tx, version.package)
    await hold(tx, version.account, version.region, code_bytes=-version.config.code_bytes)
