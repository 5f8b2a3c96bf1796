"""Versions: published and listed; and how a version comes to be Active."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.services.lambda_.environment import listed_to, told_of
from doppio.services.lambda_.errors import (
    InvalidParameterValue,
    PreconditionFailed,
    ResourceConflict,
)
from doppio.services.lambda_.holdings import hold
from doppio.services.lambda_.layering import use_layers
from doppio.services.lambda_.names import Named, function_of, named, version_of
from doppio.services.lambda_.pages import page
from doppio.services.lambda_.records import Function, Version

if TYPE_CHECKING:
    from doppio._stubs import lambda_ as w

SETTLE = "lambda.settle"


class Versions:
    """The operations on versions."""

    async def publish_version(
        self, ctx: Context, req: w.PublishVersionRequest
    ) -> w.FunctionConfiguration:
        """Keep `$LATEST` as it is under the next number, unless the last version is the same."""
        which = named(ctx, req)
        async with ctx.write() as tx:
            function, latest = await changeable(tx, which, req.get("RevisionId"))
            told = req.get("CodeSha256")
            if told and told != latest.config.sha256:
                raise InvalidParameterValue(
                    f"CodeSHA256 ({told}) is different from current CodeSHA256 in $LATEST "
                    f"({latest.config.sha256}). Please try again with the CodeSHA256 in $LATEST."
                )
            version = await published(tx, function, latest, req.get("Description"))
        return await told_of(ctx, version)  # type: ignore[return-value]

    async def list_versions_by_function(
        self, ctx: Context, req: w.ListVersionsByFunctionRequest
    ) -> w.ListVersionsByFunctionResponse:
        """A function's versions, `$LATEST` first."""
        which = named(ctx, req)
        reader = ctx.read()
        await function_of(reader, which)
        place = (which.account, which.region, which.name)
        versions, more = await page(reader, Version, place, req)
        told = [await listed_to(ctx, one) for one in versions]
        return {"Versions": told, **more}  # type: ignore[typeddict-item]


async def changeable(tx: Tx, which: Named, revision: str | None = None) -> tuple[Function, Version]:
    """A function and its `$LATEST`, where nothing else is being changed of it.

    Raises ResourceConflictException while it is, and PreconditionFailedException for a revision
    that is not the newest.
    """
    function = await function_of(tx, which._replace(qualifier=None))
    if which.qualifier not in (None, "$LATEST"):
        raise InvalidParameterValue(
            f"Function {which.name} can be changed in its $LATEST version alone."
        )
    latest = await version_of(tx, which, None)
    if latest.state == "Pending":
        raise ResourceConflict(
            "The operation cannot be performed at this time. The function is currently in the "
            "following state: Pending"
        )
    if latest.update == "InProgress":
        raise ResourceConflict(
            "The operation cannot be performed at this time. An update is in progress for "
            f"resource: {which.arn}"
        )
    if revision is not None and revision != latest.revision:
        raise PreconditionFailed
    return function, latest


async def published(
    tx: Tx, function: Function, latest: Version, description: str | None = None
) -> Version:
    """The version that is like `$LATEST`: the last one, or a new one with the next number."""
    last = await tx.get(Version, function.account, function.region, function.name, function.newest)
    if last is not None and last.number and _alike(last, latest):
        return last
    config = latest.config
    if description:
        config = replace(config, description=description)
    function = tx.put(replace(function, newest=function.newest + 1))
    version = replace(
        latest, number=function.newest, config=config, revision=tx.context.new_id(),
        update="Successful", update_reason=None, update_code=None,
        modified_at=tx.context.now,
    )  # fmt: skip
    tx.add(version)
    use_layers(tx, version)
    await hold(tx, version.account, version.region, code_bytes=config.code_bytes)
    if version.state == "Pending":
        await settles(tx, function, version)
    return version


def _alike(version: Version, latest: Version) -> bool:
    described = replace(latest.config, description=version.config.description)
    # The same code given once more is in another package, and no other code.
    return replace(described, package=version.config.package) == version.config


async def settles(tx: Tx, function: Function, version: Version) -> None:
    """Have a version become Active, or its update Successful, soon."""
    await tx.schedule(tx.context.now, SETTLE, version.arn, id=function.id)
