"""Layers: content that many functions share, published in versions."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx, row_key
from doppio.kernel.paging import every, first, page_of, page_token
from doppio.services.lambda_ import limits
from doppio.services.lambda_.code import code_of, location_of
from doppio.services.lambda_.errors import InvalidParameterValue, ResourceNotFound
from doppio.services.lambda_.holdings import hold
from doppio.services.lambda_.names import NamedLayer, layer_named
from doppio.services.lambda_.packages import released
from doppio.services.lambda_.pages import position, size_of
from doppio.services.lambda_.policies import Place, forget_policy, policy_at
from doppio.services.lambda_.records import Layer, LayerVersion
from doppio.wire.timestamps import format_iso8601_offset

if TYPE_CHECKING:
    from doppio._stubs import lambda_ as w


class Layers:
    """The operations on layers."""

    async def publish_layer_version(
        self, ctx: Context, req: w.PublishLayerVersionRequest
    ) -> w.PublishLayerVersionResponse:
        """Make a layer's next version of a package, and the layer itself where it is the first."""
        which = layer_named(ctx, req)
        if which.account != ctx.account or which.region != ctx.region or which.number is not None:
            raise InvalidParameterValue(f"Invalid layer name: {req['LayerName']}")
        code = await code_of(ctx, req["Content"])

        async def publish(tx: Tx) -> LayerVersion:
            place = (ctx.account, ctx.region, which.name)
            layer = await tx.get(Layer, *place) or Layer(
                account=ctx.account, region=ctx.region, name=which.name
            )
            layer = tx.put(replace(layer, newest=layer.newest + 1))
            await hold(tx, ctx.account, ctx.region, code_bytes=code.size)
            return tx.add(
                LayerVersion(
                    account=ctx.account, region=ctx.region, layer=which.name,
                    number=layer.newest, partition=which.partition, created_at=ctx.now,
                    package=code.package, sha256=code.sha256, code_bytes=code.size,
                    unzipped_bytes=code.unzipped, description=req.get("Description", ""),
                    license=req.get("LicenseInfo"),
                    runtimes=tuple(req.get("CompatibleRuntimes") or ()),
                    architectures=tuple(req.get("CompatibleArchitectures") or ()),
                )
            )  # fmt: skip

        return await _with_content(ctx, await ctx.transact(publish))  # type: ignore[return-value]

    async def get_layer_version(
        self, ctx: Context, req: w.GetLayerVersionRequest
    ) -> w.GetLayerVersionResponse:
        """A version of a layer, and where its content can be fetched from."""
        found = await existing(ctx.read(), layer_named(ctx, req))
        return await _with_content(ctx, found)  # type: ignore[return-value]

    async def get_layer_version_by_arn(
        self, ctx: Context, req: w.GetLayerVersionByArnRequest
    ) -> w.GetLayerVersionResponse:
        """The same, by its ARN."""
        found = await existing(ctx.read(), layer_named(ctx, req))
        return await _with_content(ctx, found)  # type: ignore[return-value]

    async def delete_layer_version(self, ctx: Context, req: w.DeleteLayerVersionRequest) -> None:
        """Delete a version of a layer; functions that have it keep its content."""
        which = layer_named(ctx, req)
        async with ctx.write() as tx:
            place = (which.account, which.region, which.name, which.number)
            version = await tx.get(LayerVersion, *place)
            if version is None:
                return
            tx.delete(version)
            await released(tx, version.package)
            await hold(tx, version.account, version.region, code_bytes=-version.code_bytes)
            policy = await policy_at(tx, place_of(which))
            if policy is not None:
                forget_policy(tx, which.version_arn, policy)

    async def list_layer_versions(
        self, ctx: Context, req: w.ListLayerVersionsRequest
    ) -> w.ListLayerVersionsResponse:
        """A layer's versions, the newest first."""
        which = layer_named(ctx, req)
        place, most = (which.account, which.region, which.name), size_of(req)
        scope = f"layer-versions/{which.arn}/{_filter(req)}"
        shown, token = await page_of(
            ctx.read(), LayerVersion, place, most=most, scope=scope, after=position(req, scope),
            fits=lambda row: _fits(row, req), step=limits.STEP_ROWS, reverse=True,
        )  # fmt: skip
        told: dict[str, Any] = {"LayerVersions": [_shown(one) for one in shown]}
        if token is not None:
            told["NextMarker"] = token
        return told  # type: ignore[return-value]

    async def list_layers(self, ctx: Context, req: w.ListLayersRequest) -> w.ListLayersResponse:
        """The account's layers, each with its newest version that fits."""
        reader, most = ctx.read(), size_of(req)
        scope = f"layers/{ctx.account}/{ctx.region}/{_filter(req)}"
        found: list[tuple[Layer, LayerVersion]] = []
        rows = every(
            reader, Layer, (ctx.account, ctx.region), step=limits.STEP_ROWS,
            after=position(req, scope),
        )  # fmt: skip
        async with aclosing(rows):
            async for row in rows:
                newest = await _newest(reader, row, req)
                if newest is not None:
                    found.append((row, newest))
                    if len(found) > most:
                        break
        told: dict[str, Any] = {
            "Layers": [
                {
                    "LayerName": layer.name,
                    "LayerArn": newest.layer_arn,
                    "LatestMatchingVersion": _shown(newest),
                }
                for layer, newest in found[:most]
            ]
        }
        if len(found) > most:
            told["NextMarker"] = page_token(row_key(found[most - 1][0]), scope)
        return told  # type: ignore[return-value]


async def existing(reader: Reader, which: NamedLayer) -> LayerVersion:
    """A version of a layer. Raises ResourceNotFoundException."""
    place = (which.account, which.region, which.name, which.number)
    found = await reader.get(LayerVersion, *place)
    if found is None:
        raise ResourceNotFound("The resource you requested does not exist.")
    return found


def place_of(which: NamedLayer) -> Place:
    """Where the policy of a layer's version hangs: under no name that a function can have."""
    return Place(
        which.account, which.region, f"layer:{which.name}", str(which.number), which.version_arn
    )


async def _newest(reader: Reader, layer: Layer, req: Mapping[str, Any]) -> LayerVersion | None:
    place = (layer.account, layer.region, layer.name)
    return await first(
        reader, LayerVersion, place, fits=lambda row: _fits(row, req), step=limits.STEP_ROWS,
        reverse=True,
    )  # fmt: skip


def _filter(req: Mapping[str, Any]) -> str:
    return f"{req.get('CompatibleRuntime', '')}/{req.get('CompatibleArchitecture', '')}"


def _fits(version: LayerVersion, req: Mapping[str, Any]) -> bool:
    runtime, architecture = req.get("CompatibleRuntime"), req.get("CompatibleArchitecture")
    return (runtime is None or runtime in version.runtimes) and (
        architecture is None or architecture in version.architectures
    )


def _shown(version: LayerVersion) -> dict[str, Any]:
    told: dict[str, Any] = {
        "LayerVersionArn": version.arn,
        "Version": version.number,
        "Description": version.description,
        "CreatedDate": format_iso8601_offset(version.created_at),
    }
    if version.runtimes:
        told["CompatibleRuntimes"] = list(version.runtimes)
    if version.architectures:
        told["CompatibleArchitectures"] = list(version.architectures)
    if version.license is not None:
        told["LicenseInfo"] = version.license
    return told


async def _with_content(ctx: Context, version: LayerVersion) -> dict[str, Any]:
    return {
        **_shown(version),
        "LayerArn": version.layer_arn,
        "Content": {
            "Location": await location_of(ctx, version.package, version.code_bytes),
            "CodeSha256": version.sha256,
            "CodeSize": version.code_bytes,
        },
    }
