"""Functions, versions and aliases by what requests call them.

A function's name is a name, a partial ARN (`account:function:name`) or an ARN, each with or without a
qualifier behind it: `$LATEST`, the number of a version, or an alias.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from doppio.kernel.context import Context, Reader
from doppio.services.lambda_.errors import InvalidParameterValue, ResourceNotFound
from doppio.services.lambda_.records import LATEST, Alias, Function, Version

_NAME = re.compile(
    r"(?:arn:(?P<partition>aws[a-zA-Z-]*):lambda:(?P<region>[a-z0-9-]+):)?"
    r"(?:(?P<account>\d{12}):)?(?:function:)?"
    r"(?P<name>[a-zA-Z0-9_-]+)(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9_-]+))?"
)
_NAME_CHARS_MAX = 64


class Named(NamedTuple):
    """What a request means: a function, and the qualifier if there is one."""

    partition: str
    region: str
    account: str
    name: str
    qualifier: str | None

    @property
    def arn(self) -> str:
        """The function's ARN."""
        return f"arn:{self.partition}:lambda:{self.region}:{self.account}:function:{self.name}"

    @property
    def qualified(self) -> str:
        """The ARN with the qualifier, if there is one."""
        return self.arn if self.qualifier is None else f"{self.arn}:{self.qualifier}"


def named(ctx: Context, req: Mapping[str, Any]) -> Named:
    """The function that a request names. Raises InvalidParameterValueException."""
    given = req["FunctionName"]
    match = _NAME.fullmatch(given)
    if match is None:
        raise InvalidParameterValue(f"Invalid function name: {given}")
    name, within = match["name"], match["qualifier"]
    if len(name) > _NAME_CHARS_MAX:
        raise InvalidParameterValue(
            f"1 validation error detected: Value '{given}' at 'functionName' failed to satisfy "
            "constraint: Member must have length less than or equal to 64"
        )
    qualifier = req.get("Qualifier")
    if within is not None and qualifier is not None and within != qualifier:
        raise InvalidParameterValue(
            "The derived qualifier from the function name does not match the specified qualifier."
        )
    region = match["region"] or ctx.region
    if region != ctx.region:
        raise ResourceNotFound(f"Functions from '{region}' are not reachable in this region "
                               f"('{ctx.region}')")  # fmt: skip
    return Named(
        match["partition"] or ctx.partition, region, match["account"] or ctx.account, name,
        qualifier or within,
    )  # fmt: skip


def not_found(arn: str) -> ResourceNotFound:
    """What is said of a function, version or alias that is not there."""
    return ResourceNotFound(f"Function not found: {arn}")


async def function_of(reader: Reader, which: Named) -> Function:
    """The function. Raises ResourceNotFoundException."""
    found = await reader.get(Function, which.account, which.region, which.name)
    if found is None:
        raise not_found(which.qualified)
    reader.context.payer = found.account
    return found


async def alias_of(reader: Reader, which: Named, name: str) -> Alias | None:
    """An alias of a function."""
    return await reader.get(Alias, which.account, which.region, which.name, name)


async def version_of(reader: Reader, which: Named, qualifier: str | None) -> Version:
    """The version for which a qualifier stands; an alias stands for its main one.

    Raises ResourceNotFoundException.
    """
    number = number_of(qualifier)
    if number is None:
        assert qualifier is not None
        alias = await alias_of(reader, which, qualifier)
        if alias is None:
            raise not_found(which._replace(qualifier=qualifier).qualified)
        number = alias.number
    found = await reader.get(Version, which.account, which.region, which.name, number)
    if found is None:
        raise not_found(which._replace(qualifier=qualifier).qualified)
    return found


def number_of(qualifier: str | None) -> int | None:
    """The number of the version that a qualifier names; None of an alias."""
    if qualifier is None or qualifier == LATEST:
        return 0
    # Zero is no version's number: `$LATEST` bears it here alone.
    return int(qualifier) or -1 if qualifier.isdecimal() else None


class NamedLayer(NamedTuple):
    """What a request means: a layer, and the number of a version if there is one."""

    partition: str
    region: str
    account: str
    name: str
    number: int | None

    @property
    def arn(self) -> str:
        """The layer's ARN."""
        return f"arn:{self.partition}:lambda:{self.region}:{self.account}:layer:{self.name}"

    @property
    def version_arn(self) -> str:
        """The version's ARN."""
        return f"{self.arn}:{self.number}"


def layer_named(ctx: Context, req: Mapping[str, Any]) -> NamedLayer:
    """The layer that a request names, by name or ARN, or the version by its ARN."""
    given = req.get("LayerName") or req["Arn"]
    number = req.get("VersionNumber")
    if not given.startswith("arn:"):
        return NamedLayer(ctx.partition, ctx.region, ctx.account, given, number)
    parts = given.split(":")
    if len(parts) < 7 or parts[5] != "layer":
        raise InvalidParameterValue(f"Invalid layer name: {given}")
    if len(parts) == 8:
        number = int(parts[7])
    return NamedLayer(parts[1], parts[3], parts[4], parts[6], number)
