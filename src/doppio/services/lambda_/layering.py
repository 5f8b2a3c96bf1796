"""The layers that a function has: found when it is configured, and kept for as long as it has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.services.lambda_ import limits
from doppio.services.lambda_.errors import InvalidParameterValue
from doppio.services.lambda_.names import layer_named
from doppio.services.lambda_.packages import released
from doppio.services.lambda_.records import Config, Layered, LayerUse, LayerVersion, Version
from doppio.wire.errors import NotImplementedByDoppio


async def layered(ctx: Context, config: Config, req: Mapping[str, Any]) -> Config:
    """A configuration with the layers that a request names; the caller must be allowed to use each.

    Raises InvalidParameterValueException for layers that are not there, or do not go together.
    """
    if "Layers" not in req:
        return config
    given: list[str] = req["Layers"]
    if len(given) > limits.LAYERS_MAX:
        raise InvalidParameterValue(f"You cannot reference more than {limits.LAYERS_MAX} layers.")
    seen: dict[str, str] = {}
    found: list[Layered] = []
    for arn in given:
        if ":::awslayer:" in arn:
            raise NotImplementedByDoppio(f"AWS's own layers are not in this cloud: {arn}")
        which = layer_named(ctx, {"Arn": arn})
        if which.arn in seen:
            raise InvalidParameterValue(
                "Two different versions of the same layer are not allowed to be referenced in the "
                f"same function. {seen[which.arn]} and {arn}."
            )
        seen[which.arn] = arn
        await ctx.authorise("lambda:GetLayerVersion", arn)
        found.append(await _layer(ctx, arn))
    return replace(config, layers=tuple(found))


async def _layer(ctx: Context, arn: str) -> Layered:
    which = layer_named(ctx, {"Arn": arn})
    layer = None
    if which.region == ctx.region:
        place = (which.account, which.region, which.name, which.number)
        layer = await ctx.read().get(LayerVersion, *place)
    if layer is None:
        raise InvalidParameterValue(f"Layer version {arn} does not exist.")
    return Layered(
        arn=arn, package=layer.package, code_bytes=layer.code_bytes,
        unzipped_bytes=layer.unzipped_bytes,
    )  # fmt: skip


def use_layers(tx: Tx, version: Version) -> None:
    """Say that a version has its layers: what they hold stays for as long."""
    for layer in version.config.layers:
        tx.put(_use(version, layer))


async def leave_layers(tx: Tx, version: Version) -> None:
    """Say that a version has its layers no more."""
    for layer in version.config.layers:
        tx.delete(_use(version, layer))
        await released(tx, layer.package)


def _use(version: Version, layer: Layered) -> LayerUse:
    return LayerUse(
        package=layer.package, account=version.account, region=version.region,
        function=version.function, number=version.number,
    )  # fmt: skip
