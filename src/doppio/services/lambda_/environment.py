"""Environments under a customer's key: sealed by KMS when they are configured, opened when code starts.

KMS is asked as who configures, for whom Lambda speaks; he also grants the function's role to open. So
who may not use the key sees no variables, and a function whose key is switched off does not start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from msgspec.structs import replace

from doppio.kernel.context import Context
from doppio.services.lambda_.errors import (
    InvalidParameterValue,
    KmsAccessDenied,
    KmsDisabled,
    KmsInvalidState,
    KmsNotFound,
)
from doppio.services.lambda_.records import Config, Version
from doppio.services.lambda_.settings import listed, shown
from doppio.wire.errors import AccessDenied, AwsError
from doppio.wire.json_write import dumps

_REFUSALS: Mapping[str, tuple[type[AwsError], str]] = {
    "AccessDeniedException": (KmsAccessDenied, "KMS access was denied"),
    "DisabledException": (KmsDisabled, "the KMS key used is disabled"),
    "KMSInvalidStateException": (KmsInvalidState, "the state of the KMS key used is not valid"),
    "NotFoundException": (KmsNotFound, "the KMS key was not found"),
}
# What was opened for code that starts: a hint, for as long as this process knows it.
_HELD_MAX = 1_000
_held: WeakKeyDictionary[Any, dict[bytes, dict[str, str]]] = WeakKeyDictionary()


async def sealed(ctx: Context, config: Config, function: str) -> Config:
    """A configuration whose variables are under its key, if it has one.

    Raises InvalidParameterValueException where the caller may not use the key so.
    """
    if config.kms_key is None or not config.variables:
        return config
    speaking = ctx.via("lambda")
    context = _context(function)
    try:
        await speaking.call(
            "kms", "create_grant",
            {
                "KeyId": config.kms_key, "GranteePrincipal": config.role,
                "Operations": ["Decrypt"], "Constraints": {"EncryptionContextEquals": context},
                "Name": f"lambda-{function.rpartition(':')[2]}",
            },
        )  # fmt: skip
        made = await speaking.call(
            "kms", "encrypt",
            {
                "KeyId": config.kms_key, "Plaintext": dumps(config.variables),
                "EncryptionContext": context,
            },
        )  # fmt: skip
    except AwsError as error:
        if error.status >= 500:
            raise
        raise InvalidParameterValue(
            "Lambda was unable to configure access to your environment variables because the KMS "
            "key is invalid for CreateGrant. Please check your KMS key settings. KMS Exception: "
            f"{error.code} KMS Message: {error.message}"
        ) from error
    return replace(config, variables={}, sealed=made["CiphertextBlob"])


async def resealed(
    ctx: Context, old: Config, new: Config, req: Mapping[str, Any], function: str
) -> Config:
    """A changed configuration, with its variables under its key: opened first where only that changed."""
    if "Environment" in req or not {"KMSKeyArn", "Role"} & req.keys():
        return await sealed(ctx, new, function)
    if old.sealed is not None:
        variables = await _opened(ctx.via("lambda"), old.sealed, function)
        new = replace(new, variables=variables, sealed=None)
    return await sealed(ctx, new, function)


async def environment_of(ctx: Context, version: Version) -> dict[str, str]:
    """The variables with which code starts. Raises KMS's refusals, in Lambda's words."""
    config = version.config
    if config.sealed is None:
        return dict(config.variables)
    held = _held.setdefault(ctx.kernel, {})
    found = held.get(config.sealed)
    if found is None:
        acting = await ctx.as_role(
            config.role, "lambda", source=version.function_arn, session=version.function
        )
        found = await _opened(acting.via("lambda"), config.sealed, version.function_arn)
        if len(held) >= _HELD_MAX:
            held.clear()
        held[config.sealed] = found
    return dict(found)


async def told_of(ctx: Context, version: Version, *, qualified: bool = True) -> dict[str, Any]:
    """A version as FunctionConfiguration, with the variables that the caller may see."""
    return await _with_variables(ctx, version, shown(version, qualified=qualified))


async def listed_to(ctx: Context, version: Version, *, qualified: bool = True) -> dict[str, Any]:
    """The same, as lists show it."""
    return await _with_variables(ctx, version, listed(version, qualified=qualified))


async def _with_variables(ctx: Context, version: Version, told: dict[str, Any]) -> dict[str, Any]:
    content = version.config.sealed
    if content is None:
        return told
    try:
        variables = await _opened(ctx.via("lambda"), content, version.function_arn)
        told["Environment"] = {"Variables": variables}
    except AwsError as error:
        told["Environment"] = {"Error": {"ErrorCode": error.code, "Message": error.message}}
    return told


async def _opened(speaking: Context, content: bytes, function: str) -> dict[str, str]:
    asked = {"CiphertextBlob": content, "EncryptionContext": _context(function)}
    try:
        answer = await speaking.call("kms", "decrypt", asked)
    except AwsError as error:
        code = AccessDenied.code if isinstance(error, AccessDenied) else error.code
        if code not in _REFUSALS:
            raise
        kind, why = _REFUSALS[code]
        raise kind(
            f"Lambda was unable to decrypt the environment variables because {why}. Please check "
            f"the function's KMS key settings. KMS Exception: {code} KMS Message: {error.message}"
        ) from error
    return msgspec.json.decode(answer["Plaintext"], type=dict[str, str])


def _context(function: str) -> dict[str, str]:
    return {"aws:lambda:FunctionArn": function}
