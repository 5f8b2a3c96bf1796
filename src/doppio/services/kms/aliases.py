"""Aliases: names for keys that can be given to other keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from doppio.kernel.context import Context
from doppio.kernel.paging import page_of
from doppio.services.kms import limits
from doppio.services.kms.access import check, named, not_pending
from doppio.services.kms.errors import (
    AlreadyExists,
    InvalidAliasName,
    LimitExceeded,
    NotFound,
    Validation,
)
from doppio.services.kms.pages import position
from doppio.services.kms.records import BY_KEY, Alias

if TYPE_CHECKING:
    from doppio._stubs import kms as w

_NAME = re.compile(r"alias/[a-zA-Z0-9/_-]{1,250}")


class Aliases:
    """The operations on aliases."""

    async def create_alias(self, ctx: Context, req: w.CreateAliasRequest) -> None:
        """Give a key a name."""
        name = _checked(req["AliasName"])
        async with ctx.write() as tx:
            key = not_pending(await named(tx, req["TargetKeyId"]))
            await check(ctx, key, "CreateAlias")
            if await tx.get(Alias, ctx.account, ctx.region, name) is not None:
                raise AlreadyExists(
                    f"An alias with the name arn:{ctx.partition}:kms:{ctx.region}:{ctx.account}:"
                    f"{name} already exists"
                )
            where = (ctx.account, ctx.region, key.id)
            held = await tx.find(BY_KEY, where, limit=limits.ALIASES_A_KEY_MAX)
            if len(held) == limits.ALIASES_A_KEY_MAX:
                raise LimitExceeded(f"{key.arn} has as many aliases as a key can have.")
            tx.put(
                Alias(
                    account=ctx.account, region=ctx.region, name=name, target=key.id,
                    created_at=ctx.now, updated_at=ctx.now, partition=ctx.partition,
                )
            )  # fmt: skip

    async def update_alias(self, ctx: Context, req: w.UpdateAliasRequest) -> None:
        """Give the name to another key of the same kind."""
        name = _checked(req["AliasName"])
        async with ctx.write() as tx:
            alias = await tx.get(Alias, ctx.account, ctx.region, name)
            if alias is None:
                raise _missing(ctx, name)
            old = await named(tx, alias.target)
            new = not_pending(await named(tx, req["TargetKeyId"]))
            for key in (old, new):
                await check(ctx, key, "UpdateAlias")
            if old.spec != new.spec or old.usage != new.usage:
                raise Validation("The current and new KMS key must be the same type")
            tx.put(replace(alias, target=new.id, updated_at=ctx.now))

    async def delete_alias(self, ctx: Context, req: w.DeleteAliasRequest) -> None:
        """Forget a name; its key stays."""
        name = _checked(req["AliasName"])
        async with ctx.write() as tx:
            alias = await tx.get(Alias, ctx.account, ctx.region, name)
            if alias is None:
                raise _missing(ctx, name)
            await check(ctx, await named(tx, alias.target), "DeleteAlias")
            tx.delete(alias)

    async def list_aliases(self, ctx: Context, req: w.ListAliasesRequest) -> w.ListAliasesResponse:
        """The account's aliases in the Region, or those of one key, by pages."""
        most = min(req.get("Limit", limits.LISTED_ALIASES), limits.LISTED_ALIASES_MAX)
        reader = ctx.read()
        of_key = "KeyId" in req
        target = (await named(reader, req["KeyId"])).id if of_key else ""
        scope = f"aliases/{ctx.account}/{ctx.region}/{target}"
        where = (ctx.account, ctx.region)
        shown, token = await page_of(
            reader, BY_KEY if of_key else Alias, (*where, target) if of_key else where,
            most=most, scope=scope, after=position(req, scope),
        )  # fmt: skip
        result: w.ListAliasesResponse = {
            "Aliases": [_listed(alias) for alias in shown],
            "Truncated": token is not None,
        }
        if token is not None:
            result["NextMarker"] = token
        return result


def _listed(alias: Alias) -> w.AliasListEntry:
    return {
        "AliasName": alias.name,
        "AliasArn": alias.arn,
        "TargetKeyId": alias.target,
        "CreationDate": alias.created_at,
        "LastUpdatedDate": alias.updated_at,
    }


def _checked(name: str) -> str:
    if not name.startswith("alias/"):
        raise Validation("Invalid identifier")
    if name.startswith("alias/aws/"):
        raise InvalidAliasName("Alias names must not begin with alias/aws/")
    if _NAME.fullmatch(name) is None:
        raise InvalidAliasName(f"{name} is not a valid alias name")
    return name


def _missing(ctx: Context, name: str) -> NotFound:
    return NotFound(
        f"Alias arn:{ctx.partition}:kms:{ctx.region}:{ctx.account}:{name} is not found."
    )
