"""Changes of functions: their code, and what is configured of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.services.lambda_.code import code_of, fitting, with_code
from doppio.services.lambda_.environment import resealed, told_of
from doppio.services.lambda_.holdings import hold
from doppio.services.lambda_.layering import layered, leave_layers, use_layers
from doppio.services.lambda_.names import function_of, named, version_of
from doppio.services.lambda_.packages import released
from doppio.services.lambda_.records import Config, Function, Version
from doppio.services.lambda_.roles import check_role
from doppio.services.lambda_.settings import architectures, configured
from doppio.services.lambda_.versions import changeable, published, settles
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import lambda_ as w


class Updates:
    """The operations that change functions."""

    async def update_function_code(
        self, ctx: Context, req: w.UpdateFunctionCodeRequest
    ) -> w.FunctionConfiguration:
        """Give a function other code; the versions that are published keep theirs."""
        if req.get("PublishTo"):
            raise NotImplementedByDoppio("PublishTo is not supported by this cloud.")
        which = named(ctx, req)
        async with ctx.write() as tx:
            await changeable(tx, which, req.get("RevisionId"))
        dry = req.get("DryRun", False)
        code = await code_of(ctx, req, kept=not dry)

        async def change(tx: Tx) -> Version:
            function, latest = await changeable(tx, which, req.get("RevisionId"))
            config = with_code(latest.config, code)
            if "Architectures" in req:
                config = replace(config, architectures=architectures(req["Architectures"]))
            if dry:
                return replace(latest, config=config)
            await hold(
                tx, latest.account, latest.region,
                code_bytes=code.size - latest.config.code_bytes,
            )  # fmt: skip
            await released(tx, latest.config.package)
            changed = await _changed(tx, function, latest, config)
            return await published(tx, function, changed) if req.get("Publish") else changed

        made = await ctx.transact(change)
        return await told_of(ctx, made, qualified=made.number > 0)  # type: ignore[return-value]

    async def update_function_configuration(
        self, ctx: Context, req: w.UpdateFunctionConfigurationRequest
    ) -> w.FunctionConfiguration:
        """Change what is configured of a function; what is not given stays."""
        which = named(ctx, req)
        reader = ctx.read()
        await function_of(reader, which)
        seen = await version_of(reader, which, None)
        config = configured(seen.config, req)
        if "Role" in req or "DeadLetterConfig" in req:
            await check_role(ctx, config, which.arn)
        layers = (await layered(ctx, config, req)).layers
        under = await resealed(ctx, seen.config, config, req, which.arn)

        async with ctx.write() as tx:
            function, latest = await changeable(tx, which, req.get("RevisionId"))
            config = configured(latest.config, req)
            if {"Environment", "KMSKeyArn", "Role"} & req.keys():
                config = replace(config, variables=under.variables, sealed=under.sealed)
            if "Layers" in req:
                config = replace(config, layers=layers)
                await leave_layers(tx, latest)
            changed = await _changed(tx, function, latest, fitting(config))
            if "Layers" in req:
                use_layers(tx, changed)
        return await told_of(ctx, changed, qualified=False)  # type: ignore[return-value]


async def _changed(tx: Tx, function: Function, latest: Version, config: Config) -> Version:
    version = tx.put(
        replace(
            latest, config=config, revision=tx.context.new_id(), modified_at=tx.context.now,
            update="InProgress", update_reason="The function is being created.",
            update_code="Creating",
        )
    )  # fmt: skip
    await settles(tx, function, version)
    return version
