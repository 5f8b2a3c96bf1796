"""Functions: made, shown and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.services.lambda_ import limits
from doppio.services.lambda_.errors import InvalidParameterValue, ResourceConflict
from doppio.services.lambda_.names import function_of, named, number_of, version_of
from doppio.services.lambda_.packages import Code, keep, released
from doppio.services.lambda_.records import Alias, Config, EventInvoke, Function, Version
from doppio.services.lambda_.settings import configured, shown
from doppio.wire.errors import AccessDenied, NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import lambda_ as w

SETTLE = "lambda.settle"


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
        given = _merged({}, req.get("Tags") or {})
        await check_role(ctx, config.role, which.arn)
        code = await code_of(ctx, req["Code"])
        async with ctx.write() as tx:
            if await tx.get(Function, ctx.account, ctx.region, which.name) is not None:
                raise ResourceConflict(f"Function already exist: {which.name}")
            function = tx.put(
                Function(
                    account=ctx.account, region=ctx.region, name=which.name,
                    partition=ctx.partition, id=ctx.new_id(), created_at=ctx.now, tags=given,
                )
            )  # fmt: skip
            version = Version(
                account=ctx.account, region=ctx.region, function=which.name, number=0,
                partition=ctx.partition, config=with_code(config, code), modified_at=ctx.now,
                revision=ctx.new_id(), state_reason="The function is being created.",
                state_code="Creating",
            )  # fmt: skip
            tx.add(version)
            await tx.schedule(ctx.now, SETTLE, version.arn, id=function.id)
        return shown(version, qualified=False)  # type: ignore[return-value]

    async def get_function(self, ctx: Context, req: w.GetFunctionRequest) -> w.GetFunctionResponse:
        """A function, or a version of it."""
        which = named(ctx, req)
        reader = ctx.read()
        function = await function_of(reader, which)
        version = await version_of(reader, which, which.qualifier)
        told: dict[str, Any] = {
            "Configuration": shown(version, qualified=which.qualifier is not None)
        }
        if function.tags:
            told["Tags"] = function.tags
        if function.reserved is not None:
            told["Concurrency"] = {"ReservedConcurrentExecutions": function.reserved}
        return told  # type: ignore[return-value]

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
        return {"StatusCode": 204}


async def settle(ctx: Context, job: Job) -> None:
    """Let a version become Active, and an update Successful."""
    account, region, name, qualifier = _place(job.key)
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


def _place(arn: str) -> tuple[str, str, str, str]:
    """Account, region, function and qualifier of a version's ARN."""
    _, _, _, region, account, _, name, qualifier = arn.split(":")
    return account, region, name, qualifier


async def check_role(ctx: Context, role: str, function: str) -> None:
    """Raise InvalidParameterValueException for a role that Lambda may not take on."""
    if role.split(":")[4] != ctx.account:
        raise AccessDenied("Cross-account pass role is not allowed.")
    try:
        await ctx.as_role(role, "lambda", source=function, session="lambda")
    except AccessDenied as error:
        raise InvalidParameterValue(
            "The role defined for the function cannot be assumed by Lambda."
        ) from error


async def code_of(ctx: Context, given: Mapping[str, Any]) -> Code:
    """Keep the code that a request brings, or names. It commits."""
    if given.get("ImageUri") or given.get("SourceKMSKeyArn"):
        raise NotImplementedByDoppio("Code is a zip file here, and without a customer's key.")
    content = given.get("ZipFile")
    if content is None:
        raise InvalidParameterValue("Please provide a source for function code.")
    if len(content) > limits.ZIPPED_BYTES_MAX:
        raise InvalidParameterValue(
            f"Zipped size must be smaller than {limits.ZIPPED_BYTES_MAX} bytes"
        )
    return await keep(ctx, content)


def with_code(config: Config, code: Code) -> Config:
    """A configuration with other code."""
    return replace(config, package=code.package, sha256=code.sha256, code_bytes=code.size)


async def _delete_version(tx: Tx, function: Function, qualifier: str) -> None:
    number = number_of(qualifier)
    if number is None or number == 0:
        raise InvalidParameterValue(
            "$LATEST version cannot be deleted without deleting the function."
            if number == 0
            else f"Deletion of aliases is not currently supported: {qualifier}"
        )
    place = (function.account, function.region, function.name)
    version = await tx.get(Version, *place, number)
    if version is None:
        return
    for alias in await tx.list(Alias, place, limit=limits.LISTED_ANY_MAX):
        if alias.number == number or qualifier in alias.weights:
            raise ResourceConflict(
                f"Version {qualifier} can not be deleted because it is referenced by alias "
                f"{alias.name}"
            )
    tx.delete(version)
    await released(tx, version.package)


async def _delete(tx: Tx, function: Function) -> None:
    place = (function.account, function.region, function.name)
    for kind in (Version, Alias, EventInvoke):
        for row in await tx.list(kind, place, limit=limits.LISTED_ANY_MAX):
            tx.delete(row)
            if isinstance(row, Version):
                await released(tx, row.package)
    tx.delete(function)


def _merged(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    try:
        return tags.merged(old, new)
    except tags.BadTags as error:
        raise InvalidParameterValue(str(error)) from error
