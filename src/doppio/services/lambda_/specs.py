"""From a stored version to what runs it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from doppio.kernel.context import Context, Reader
from doppio.services.lambda_.environment import environment_of
from doppio.services.lambda_.errors import ResourceConflict
from doppio.services.lambda_.names import (
    Named,
    alias_of,
    function_of,
    named,
    not_found,
    number_of,
    version_of,
)
from doppio.services.lambda_.packages import unpacked
from doppio.services.lambda_.records import Function, Version
from doppio.services.lambda_.running import Spec
from doppio.services.lambda_.settings import log_group

_encode = msgspec.msgpack.Encoder().encode


class Target(NamedTuple):
    """What a call means: the function, the version that will answer, and the ARN that was asked for.

    `arn` is the one in the caller's words, with the qualifier if there was one: the
    `invoked_function_arn` of the code's context.
    """

    function: Function
    version: Version
    arn: str
    qualifier: str | None


async def target_of(reader: Reader, ctx: Context, req: Mapping[str, Any]) -> Target:
    """The version that a call of FunctionName and Qualifier reaches; chance chooses by weights.

    Raises ResourceNotFoundException, and ResourceConflictException while it cannot run.
    """
    which = named(ctx, req)
    function = await function_of(reader, which)
    version = await _chosen(reader, ctx, which)
    check_active(version)
    return Target(function, version, which.qualified, which.qualifier)


async def _chosen(reader: Reader, ctx: Context, which: Named) -> Version:
    if number_of(which.qualifier) is not None:
        return await version_of(reader, which, which.qualifier)
    assert which.qualifier is not None
    alias = await alias_of(reader, which, which.qualifier)
    if alias is None:
        raise not_found(which.qualified)
    number, chance = alias.number, ctx.random() if alias.weights else 0.0
    for other, weight in alias.weights.items():
        if chance < weight:
            number = int(other)
            break
        chance -= weight
    return await version_of(reader, which, str(number) if number else None)


def check_active(version: Version) -> None:
    """Raise ResourceConflictException for a version that cannot run, or not yet."""
    if version.state != "Active":
        raise ResourceConflict(
            "The operation cannot be performed at this time. The function is currently in the "
            f"following state: {version.state}"
        )


def revision_of(function: Function, version: Version) -> str:
    """What changes whenever that changes which an execution environment is made of."""
    content = (function.id, version.number, version.config)
    return hashlib.blake2b(_encode(content), digest_size=16).hexdigest()


async def spec_of(ctx: Context, function: Function, version: Version) -> Spec:
    """All that it takes to run a version; its code is unpacked on this machine after this."""
    config = version.config
    assert config.runtime is not None
    assert config.handler is not None
    return Spec(
        account=version.account,
        region=version.region,
        partition=version.partition,
        name=version.function,
        version=version.name,
        arn=version.arn,
        role=config.role,
        runtime=config.runtime,
        handler=config.handler,
        code=await unpacked(ctx, config.package, config.code_bytes),
        layers=tuple(
            [await unpacked(ctx, layer.package, layer.code_bytes) for layer in config.layers]
        ),
        revision=revision_of(function, version),
        environment=await environment_of(ctx, version),
        memory_mb=config.memory_mb,
        timeout_s=config.timeout_seconds,
        ephemeral_mb=config.ephemeral_mb,
        architectures=config.architectures,
        log_group=log_group(version),
        log_format=config.logging.format,
        application_log_level=config.logging.application_level,
        system_log_level=config.logging.system_level,
        reserved=function.reserved,
    )
