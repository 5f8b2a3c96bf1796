"""Parameters: put, version after version, and deleted, also when their time is over."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.authorise import forget_resource
from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.services.ssm import limits
from doppio.services.ssm.data_types import ELSEWHERE, fits
from doppio.services.ssm.errors import (
    HierarchyTypeMismatch,
    InvalidAllowedPattern,
    ParameterAlreadyExists,
    ParameterMaxVersionLimitExceeded,
    ParameterNotFound,
    ParameterPatternMismatch,
    TooManyTags,
    Validation,
)
from doppio.services.ssm.policies import (
    EXPIRATION,
    NOTIFY,
    expiry,
    plan_notices,
    policies_of,
    tell_action,
    tell_change,
)
from doppio.services.ssm.records import Parameter, Version
from doppio.services.ssm.rules import check_name, is_reserved
from doppio.services.ssm.sealing import OWN_KEY, sealed
from doppio.services.ssm.settings import TIER, setting_of
from doppio.services.ssm.throughput import draw
from doppio.wire.errors import AccessDenied, NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import ssm as w

EXPIRE = "ssm.expire"
STANDARD, ADVANCED = "Standard", "Advanced"


class Parameters:
    """The operations that change parameters."""

    async def put_parameter(self, ctx: Context, req: w.PutParameterRequest) -> w.PutParameterResult:
        """A new parameter, or a new version of one."""
        name, value = req["Name"], req["Value"]
        check_name(name)
        if is_reserved(name):
            raise AccessDenied(f"No access to reserved parameter name: {name}.")
        if req.get("Overwrite") and req.get("Tags"):
            raise Validation(
                "Invalid request: tags and overwrite can't be used together. To create a parameter "
                "with tags, please remove overwrite flag. To update tags for an existing "
                "parameter, please use AddTagsToResource or RemoveTagsFromResource."
            )
        await draw(ctx, "PutParameter")
        seen = await ctx.read().get(Parameter, ctx.account, ctx.region, name)
        _check_again(seen, req)
        expires_at = expiry(policies_of(req.get("Policies")))
        tier = _tier(seen, req, value, await setting_of(ctx.read(), ctx.account, ctx.region, TIER))
        _check_value(tier, value)
        made = await self._version(ctx, req, seen, tier)
        async with ctx.write() as tx:
            old = await tx.get(Parameter, ctx.account, ctx.region, name)
            if (old is None) != (seen is None):
                raise ParameterAlreadyExists
            parameter = await _next(tx, old, made, _tags(req))
            if "Policies" in req:
                parameter = replace(parameter, expires_at=expires_at)
                await _schedule(tx, parameter)
            tx.put(parameter)
            tx.add(replace(made, number=parameter.version))
            await plan_notices(tx, parameter, made)
            done = "Create" if old is None else "Update"
            await tell_change(tx, parameter, done, made.description)
            tx.meter("PS-Param-Requests")
        return {"Version": parameter.version, "Tier": tier}

    async def _version(
        self, ctx: Context, req: w.PutParameterRequest, seen: Parameter | None, tier: str
    ) -> Version:
        last = None
        if seen is not None:
            last = await ctx.read().get(Version, *_key(seen), seen.version)
        kind = req.get("Type") or (seen.kind if seen is not None else "")
        key = ""
        if kind == "SecureString":
            key = req.get("KeyId") or (last.key if last is not None else "") or OWN_KEY
        version = Version(
            account=ctx.account,
            region=ctx.region,
            name=req["Name"],
            number=0,
            kind=kind,
            tier=tier,
            modified_at=ctx.now,
            modified_by=ctx.caller.arn,
            key=key,
            description=req.get("Description", last.description if last is not None else ""),
            pattern=req.get("AllowedPattern", last.pattern if last is not None else ""),
            data_type=req.get("DataType", last.data_type if last is not None else "text"),
            policies=req.get("Policies", last.policies if last is not None else ""),
        )
        _check_type(version.data_type, req["Value"])
        if version.pattern and re.search(_pattern(version.pattern), req["Value"]) is None:
            raise ParameterPatternMismatch(
                f"Parameter value, cannot be validated against allowedPattern: {version.pattern}"
            )
        if kind == "SecureString":
            return await sealed(ctx, version, req["Value"])
        return replace(version, value=req["Value"])

    async def delete_parameter(self, ctx: Context, req: w.DeleteParameterRequest) -> dict[str, Any]:
        """Delete a parameter with all its versions."""
        async with ctx.write() as tx:
            parameter = await tx.get(Parameter, ctx.account, ctx.region, req["Name"])
            if parameter is None:
                raise ParameterNotFound
            await _delete(tx, parameter)
            tx.meter("PS-Param-Requests")
        return {}

    async def delete_parameters(
        self, ctx: Context, req: w.DeleteParametersRequest
    ) -> w.DeleteParametersResult:
        """Delete several; those that are not there are named."""
        gone: list[str] = []
        async with ctx.write() as tx:
            for name in dict.fromkeys(req["Names"]):
                parameter = await tx.get(Parameter, ctx.account, ctx.region, name)
                if parameter is not None:
                    await _delete(tx, parameter)
                    gone.append(name)
            tx.meter("PS-Param-Requests")
        missing = [name for name in dict.fromkeys(req["Names"]) if name not in gone]
        return {"DeletedParameters": gone, "InvalidParameters": missing}


async def expire(ctx: Context, job: Job) -> None:
    """A parameter's time is over."""
    async with ctx.write() as tx:
        parameter = await tx.get(Parameter, job.account, job.region, job.arguments["parameter"])
        if (
            parameter is not None
            and parameter.expires_at is not None
            and parameter.expires_at <= ctx.clock.now()
        ):
            version = await tx.get(Version, *_key(parameter), parameter.version)
            for policy in policies_of(version.policies if version is not None else ""):
                if policy.kind == EXPIRATION:
                    await tell_action(tx, parameter, policy)
            await _delete(tx, parameter)


def _key(parameter: Parameter) -> tuple[str, str, str]:
    return parameter.account, parameter.region, parameter.name


def _check_again(seen: Parameter | None, req: w.PutParameterRequest) -> None:
    if seen is None:
        if not req.get("Type"):
            raise Validation("A parameter type is required when you create a parameter.")
        return
    if not req.get("Overwrite"):
        raise ParameterAlreadyExists
    if req.get("Type", seen.kind) != seen.kind:
        raise HierarchyTypeMismatch


def _tier(seen: Parameter | None, req: w.PutParameterRequest, value: str, configured: str) -> str:
    """The tier of a parameter: as asked, or as the account has configured it."""
    default = STANDARD if seen is None else seen.tier
    asked = req.get("Tier") or (default if configured == STANDARD else configured)
    if asked == "Intelligent-Tiering":
        large = len(value.encode()) > limits.STANDARD_VALUE_BYTES_MAX
        asked = ADVANCED if large or req.get("Policies") or default == ADVANCED else STANDARD
    if seen is not None and seen.tier == ADVANCED and asked == STANDARD:
        raise Validation(
            "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from "
            "the advanced-parameter tier to the standard-parameter tier. If necessary, you can "
            "delete the advanced parameter and recreate it as a standard parameter."
        )
    if asked == STANDARD and req.get("Policies"):
        raise Validation(
            "Parameter policies are only supported by parameters of the advanced-parameter tier."
        )
    return asked


def _check_value(tier: str, value: str) -> None:
    size = len(value.encode())
    if not value:
        raise Validation("The parameter value must not be empty.")
    if tier == STANDARD and size > limits.STANDARD_VALUE_BYTES_MAX:
        raise Validation(
            "Standard tier parameters support a maximum parameter value of 4096 characters. To "
            "create a larger parameter value, upgrade the parameter to use the advanced-parameter "
            "tier."
        )
    if size > limits.ADVANCED_VALUE_BYTES_MAX:
        raise Validation(
            "Advanced tier parameters support a maximum parameter value of 8192 characters."
        )
    if "{{" in value and "}}" in value:
        raise Validation(
            'Parameter value can\'t nest another parameter. Do not use "{{}}" in the value.'
        )


def _check_type(kind: str, value: str) -> None:
    if kind in ELSEWHERE:
        raise NotImplementedByDoppio(f"ssm: the data type {kind} exists in AWS and not here")
    is_right = fits(kind, value)
    if is_right is None:
        raise Validation(
            f"The following data type is not supported: {kind} (Data type names are all lowercase.)"
        )
    if not is_right:
        raise Validation(f"The parameter value is not valid for the data type {kind}.")


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise InvalidAllowedPattern(
            f"The request does not meet the regular expression requirement: {text}"
        ) from error


async def _next(tx: Tx, old: Parameter | None, made: Version, tagged: dict[str, str]) -> Parameter:
    if old is None:
        return Parameter(
            account=made.account, region=made.region, name=made.name, kind=made.kind,
            tier=made.tier, version=1, partition=tx.context.partition, tags=tagged,
        )  # fmt: skip
    oldest = old.oldest
    if old.version - oldest + 1 >= limits.VERSIONS_MAX:
        if oldest in old.labels.values():
            raise ParameterMaxVersionLimitExceeded(
                f"You attempted to create a new version of {old.name} by calling the PutParameter "
                f"API with the overwrite flag. Version {oldest}, the oldest version, can't be "
                "deleted because it has a label associated with it. Move the label to another "
                "version of the parameter, and try again."
            )
        gone = await tx.get(Version, *_key(old), oldest)
        if gone is not None:
            tx.delete(gone)
        oldest += 1
    return replace(old, version=old.version + 1, oldest=oldest, tier=made.tier)


async def _schedule(tx: Tx, parameter: Parameter) -> None:
    if parameter.expires_at is None:
        await tx.unschedule(EXPIRE, parameter.arn)
    else:
        await tx.schedule(parameter.expires_at, EXPIRE, parameter.arn, parameter=parameter.name)


async def _delete(tx: Tx, parameter: Parameter) -> None:
    description = ""
    for version in await tx.list(Version, _key(parameter), limit=limits.VERSIONS_MAX + 1):
        description = version.description
        tx.delete(version)
    tx.delete(parameter)
    await tx.unschedule(EXPIRE, parameter.arn)
    await tx.unschedule(NOTIFY, parameter.arn)
    if parameter.policy:
        forget_resource(tx, parameter.arn)
    await tell_change(tx, parameter, "Delete", description)


def _tags(req: w.PutParameterRequest) -> dict[str, str]:
    try:
        return tags.merged({}, tags.from_list(cast("list[Any]", req.get("Tags") or [])))
    except tags.BadTags as error:
        raise TooManyTags(str(error)) from error
