"""Function URLs: hosts behind each of which is a function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.services.lambda_.errors import (
    InvalidParameterValue,
    ResourceConflict,
    ResourceNotFound,
)
from doppio.services.lambda_.names import Named, function_of, named, number_of, version_of
from doppio.services.lambda_.pages import page
from doppio.services.lambda_.records import FunctionUrl
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import lambda_ as w


class FunctionUrls:
    """The operations on function URLs."""

    async def create_function_url_config(
        self, ctx: Context, req: w.CreateFunctionUrlConfigRequest
    ) -> w.CreateFunctionUrlConfigResponse:
        """Give a function, or an alias of it, a host."""
        _check_mode(req)
        which = _checked(named(ctx, req))
        async with ctx.write() as tx:
            await function_of(tx, which)
            await version_of(tx, which, which.qualifier)
            if await _url_of(tx, which) is not None:
                raise ResourceConflict(
                    f"Failed to create function url config for [functionArn = {which.qualified}]. "
                    "Error message:  FunctionUrlConfig exists for this Lambda function"
                )
            url = tx.put(
                FunctionUrl(
                    account=which.account, region=which.region, function=which.name,
                    qualifier=which.qualifier or "", partition=which.partition,
                    id=ctx.new_id("function-url"), auth=req["AuthType"], created_at=ctx.now,
                    modified_at=ctx.now, cors=_cors(req, {}),
                )
            )  # fmt: skip
        told = _shown(ctx, url)
        del told["LastModifiedTime"]
        return told  # type: ignore[return-value]

    async def update_function_url_config(
        self, ctx: Context, req: w.UpdateFunctionUrlConfigRequest
    ) -> w.UpdateFunctionUrlConfigResponse:
        """Change who may use a host and from which pages; what is not given stays."""
        _check_mode(req)
        which = _checked(named(ctx, req))
        async with ctx.write() as tx:
            old = await _existing(tx, which)
            url = tx.put(
                replace(
                    old, auth=req.get("AuthType", old.auth), cors=_cors(req, old.cors),
                    modified_at=ctx.now,
                )
            )  # fmt: skip
        return _shown(ctx, url)  # type: ignore[return-value]

    async def get_function_url_config(
        self, ctx: Context, req: w.GetFunctionUrlConfigRequest
    ) -> w.GetFunctionUrlConfigResponse:
        """A function's host."""
        url = await _existing(ctx.read(), _checked(named(ctx, req)))
        return _shown(ctx, url)  # type: ignore[return-value]

    async def delete_function_url_config(
        self, ctx: Context, req: w.DeleteFunctionUrlConfigRequest
    ) -> None:
        """Take a function's host away."""
        async with ctx.write() as tx:
            tx.delete(await _existing(tx, _checked(named(ctx, req))))

    async def list_function_url_configs(
        self, ctx: Context, req: w.ListFunctionUrlConfigsRequest
    ) -> w.ListFunctionUrlConfigsResponse:
        """The hosts of a function and its aliases."""
        which = named(ctx, req)
        reader = ctx.read()
        await function_of(reader, which)
        place = (which.account, which.region, which.name)
        rows, more = await page(reader, FunctionUrl, place, req)
        told = [_shown(ctx, row) for row in rows]
        return {"FunctionUrlConfigs": told, **more}  # type: ignore[typeddict-item]


async def forget_urls(tx: Tx, which: Named) -> None:
    """Remove the host of an alias, or all of a function where there is no qualifier."""
    place: tuple[str, ...] = (which.account, which.region, which.name)
    if which.qualifier is not None:
        place = (*place, which.qualifier)
    for row in await tx.list(FunctionUrl, place, limit=1_000):
        tx.delete(row)


async def _url_of(reader: Reader, which: Named) -> FunctionUrl | None:
    place = (which.account, which.region, which.name, which.qualifier or "")
    return await reader.get(FunctionUrl, *place)


async def _existing(reader: Reader, which: Named) -> FunctionUrl:
    await function_of(reader, which)
    found = await _url_of(reader, which)
    if found is None:
        raise ResourceNotFound("The resource you requested does not exist.")
    return found


def _checked(which: Named) -> Named:
    if which.qualifier is not None and number_of(which.qualifier) is not None:
        raise InvalidParameterValue(
            "A function URL belongs to a function, or to an alias of it, and to no version."
        )
    return which


def _check_mode(req: Mapping[str, Any]) -> None:
    if req.get("InvokeMode", "BUFFERED") != "BUFFERED":
        raise NotImplementedByDoppio(
            "Function URLs answer at once: InvokeMode can be BUFFERED alone."
        )


def _cors(req: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    if "Cors" not in req:
        return dict(old)
    return {name: value for name, value in (req["Cors"] or {}).items() if value is not None}


def address_of(ctx: Context, url: FunctionUrl) -> str:
    """Where a function is reached: below this cloud's name, at its port."""
    parts = urlsplit(ctx.kernel.endpoint)
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{url.id}.lambda-url.{url.region}.localhost{port}/"


def _shown(ctx: Context, url: FunctionUrl) -> dict[str, Any]:
    told: dict[str, Any] = {
        "FunctionUrl": address_of(ctx, url),
        "FunctionArn": url.arn,
        "AuthType": url.auth,
        "CreationTime": url.created_at.isoformat(),
        "LastModifiedTime": url.modified_at.isoformat(),
        "InvokeMode": "BUFFERED",
    }
    if url.cors:
        told["Cors"] = url.cors
    return told
