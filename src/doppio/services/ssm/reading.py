"""Reading parameters: by name, version or label; by path; and their history."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

from doppio.kernel import paging
from doppio.kernel.context import Context, Reader, row_key
from doppio.kernel.paging import begins, every, page_of, page_token
from doppio.services.ssm import limits
from doppio.services.ssm.errors import (
    InvalidNextToken,
    ParameterNotFound,
    ParameterVersionNotFound,
    Validation,
)
from doppio.services.ssm.policies import notices, policies_of
from doppio.services.ssm.public import PUBLIC, public_parameters
from doppio.services.ssm.records import Parameter, Version
from doppio.services.ssm.rules import check_filter, is_below, passes, split_selector
from doppio.services.ssm.sealing import shown
from doppio.services.ssm.throughput import draw
from doppio.wire.errors import AccessDenied, AwsError

if TYPE_CHECKING:
    from doppio._stubs import ssm as w

SECRETS = "/aws/reference/secretsmanager/"


class Reading:
    """The operations that read parameters."""

    async def get_parameter(self, ctx: Context, req: w.GetParameterRequest) -> w.GetParameterResult:
        """A parameter's value: the newest, or that of a version or label."""
        await draw(ctx, "GetParameter")
        reader = ctx.read()
        decrypt = bool(req.get("WithDecryption"))
        told = await _told(ctx, reader, req["Name"], decrypt=decrypt)
        reader.meter("PS-Param-Requests")
        return {"Parameter": cast("w.Parameter", told)}

    async def get_parameters(
        self, ctx: Context, req: w.GetParametersRequest
    ) -> w.GetParametersResult:
        """Up to ten values; what is not there is named."""
        if len(set(req["Names"])) < len(req["Names"]):
            raise Validation("Duplicate parameter names in the request.")
        await draw(ctx, "GetParameters")
        reader = ctx.read()
        found: list[dict[str, Any]] = []
        missing: list[str] = []
        for name in req["Names"]:
            try:
                decrypt = bool(req.get("WithDecryption"))
                found.append(await _told(ctx, reader, name, decrypt=decrypt))
            except (ParameterNotFound, ParameterVersionNotFound):
                missing.append(name)
        reader.meter("PS-Param-Requests", len(req["Names"]))
        return {
            "Parameters": cast("list[w.Parameter]", sorted(found, key=lambda one: one["Name"])),
            "InvalidParameters": missing,
        }

    async def get_parameters_by_path(
        self, ctx: Context, req: w.GetParametersByPathRequest
    ) -> w.GetParametersByPathResult:
        """The values in a level of the hierarchy, or below it, by pages."""
        path, recursive = req["Path"], bool(req.get("Recursive"))
        if not path.startswith("/"):
            raise Validation(
                "The parameter doesn't meet the parameter name requirements. The parameter name "
                'must begin with a forward slash "/".'
            )
        await draw(ctx, "GetParametersByPath")
        filters = cast("list[Any]", req.get("ParameterFilters") or [])
        for one in filters:
            check_filter(one, by_path=True)
        if f"{path.rstrip('/')}/".startswith(PUBLIC):
            return _public_page(ctx, req, path, recursive=recursive)
        found, token = await _page(
            ctx,
            req,
            f"path/{path}/{recursive}",
            req.get("MaxResults", limits.BY_PATH_RESULTS),
            lambda one, version: (
                is_below(one.name, path, recursive=recursive)
                and all(passes(one, version, rule) for rule in filters)
            ),
            since="" if path == "/" else path.rstrip("/") + "/",
        )
        told: list[dict[str, Any]] = []
        for _, version in found:
            value = await shown(ctx, version, decrypt=bool(req.get("WithDecryption")))
            told.append(_shown(ctx, version, value, ""))
        ctx.read().meter("PS-Param-Requests", len(told))
        result: w.GetParametersByPathResult = {"Parameters": cast("list[w.Parameter]", told)}
        if token is not None:
            result["NextToken"] = token
        return result

    async def describe_parameters(
        self, ctx: Context, req: w.DescribeParametersRequest
    ) -> w.DescribeParametersResult:
        """All of parameters but their values, by filters and pages."""
        filters = cast("list[Any]", req.get("ParameterFilters") or [])
        older = cast("list[Any]", req.get("Filters") or [])
        if filters and older:
            raise Validation("You can use either Filters or ParameterFilters in a single request.")
        for one in (*filters, *older):
            check_filter(one, by_path=False)
        if req.get("Shared"):
            # What a resource policy shares is listed once RAM has taken it over, and RAM is not here.
            return {"Parameters": []}
        rules = filters + [{**one, "Option": "BeginsWith"} for one in older]
        found, token = await _page(
            ctx,
            req,
            f"described/{json.dumps(rules)}",
            req.get("MaxResults", limits.LISTED),
            lambda one, version: all(passes(one, version, rule) for rule in rules),
        )
        ctx.read().meter("PS-Param-Requests")
        described = [_metadata(ctx, version) for _, version in found]
        result: w.DescribeParametersResult = {
            "Parameters": cast("list[w.ParameterMetadata]", described)
        }
        if token is not None:
            result["NextToken"] = token
        return result

    async def get_parameter_history(
        self, ctx: Context, req: w.GetParameterHistoryRequest
    ) -> w.GetParameterHistoryResult:
        """The versions of a parameter, oldest first, by pages."""
        reader = ctx.read()
        parameter = await _named(reader, req["Name"])
        most = req.get("MaxResults", limits.LISTED)
        scope = f"history/{parameter.arn}"
        place = (parameter.account, parameter.region, parameter.name)
        page, token = await page_of(
            reader, Version, place, most=most, scope=scope, after=_position(req, scope)
        )
        told: list[dict[str, Any]] = []
        for version in page:
            value = await shown(ctx, version, decrypt=bool(req.get("WithDecryption")))
            labels = [name for name, at in parameter.labels.items() if at == version.number]
            one = {**_metadata(ctx, version), "Value": value, "Labels": labels}
            del one["ARN"]
            told.append(one)
        reader.meter("PS-Param-Requests")
        result: w.GetParameterHistoryResult = {"Parameters": cast("list[w.ParameterHistory]", told)}
        if token is not None:
            result["NextToken"] = token
        return result


async def _told(ctx: Context, reader: Reader, name: str, *, decrypt: bool) -> dict[str, Any]:
    if name.startswith(SECRETS):
        return await _secret(ctx, name, decrypt=decrypt)
    bare, selector = split_selector(name)
    if bare.startswith(PUBLIC):
        return _public(ctx, bare, selector)
    parameter = await _named(reader, name)
    number: int | None = parameter.version
    if selector:
        number = int(selector) if selector.isdecimal() else parameter.labels.get(selector)
    key = (parameter.account, parameter.region, parameter.name)
    version = None if number is None else await reader.get(Version, *key, number)
    if version is None:
        kind = "version" if selector.isdecimal() else "label"
        raise ParameterVersionNotFound(
            f"Systems Manager could not find {kind} {selector} of {parameter.name}. Verify the "
            f"{kind} and try again."
        )
    value = await shown(ctx, version, decrypt=decrypt)
    return _shown(ctx, version, value, f":{selector}" if selector else "")


async def _named(reader: Reader, name: str) -> Parameter:
    """The parameter of a name, or of an ARN, which may be another account's."""
    ctx = reader.context
    account, region = ctx.account, ctx.region
    if name.startswith("arn:"):
        region, account = name.split(":", 5)[3:5]
    bare, _ = split_selector(name)
    # An ARN does not say whether a name of one level begins with a slash.
    for one in (bare, f"/{bare}") if name.startswith("arn:") else (bare,):
        found = await reader.get(Parameter, account, region, one)
        if found is not None and region == ctx.region:
            return found
    raise ParameterNotFound


def _public(ctx: Context, name: str, selector: str) -> dict[str, Any]:
    value = public_parameters(ctx.partition).get(name)
    if value is None or selector not in {"", "1"}:
        raise ParameterNotFound
    told = {
        "Name": name,
        "Type": "String",
        "Value": value,
        "Version": 1,
        "ARN": f"arn:{ctx.partition}:ssm:{ctx.region}::parameter{name}",
        "DataType": "text",
    }
    return {**told, "Selector": f":{selector}"} if selector else told


def _public_page(
    ctx: Context, req: Mapping[str, Any], path: str, *, recursive: bool
) -> w.GetParametersByPathResult:
    names = [
        name
        for name in public_parameters(ctx.partition)
        if is_below(name, path, recursive=recursive)
    ]
    scope = f"public/{ctx.region}/{path}/{recursive}"
    after = _position(req, scope)
    begin = 0 if after is None else bisect_right(names, after.decode())
    most = req.get("MaxResults", limits.BY_PATH_RESULTS)
    shown_ones = names[begin : begin + most]
    told = [cast("w.Parameter", _public(ctx, name, "")) for name in shown_ones]
    result: w.GetParametersByPathResult = {"Parameters": told}
    if begin + most < len(names):
        result["NextToken"] = page_token(shown_ones[-1].encode(), scope)
    return result


async def _secret(ctx: Context, name: str, *, decrypt: bool) -> dict[str, Any]:
    """A secret of Secrets Manager's as a parameter: read as the caller."""
    if not decrypt:
        raise Validation("WithDecryption flag must be True for retrieving a Secret Manager secret.")
    secret, _, version = name.removeprefix(SECRETS).partition(":")
    asked = {"SecretId": secret, **({"VersionId": version} if version else {})}
    try:
        found = await ctx.call("secretsmanager", "get_secret_value", asked)
    except AccessDenied:
        raise
    except AwsError as error:
        if error.status >= 500:
            raise
        raise ParameterNotFound(
            f"An error occurred ({error.code}) when referencing Secrets Manager: {error.message}"
        ) from error
    source = {
        "ARN": found["ARN"],
        "name": found["Name"],
        "versionId": found["VersionId"],
        "versionStages": found["VersionStages"],
        "createdDate": found["CreatedDate"].isoformat(),
    }
    return {
        "Name": name,
        "Type": "SecureString",
        "Value": found.get("SecretString", ""),
        "Version": 0,
        "SourceResult": json.dumps(source),
        "LastModifiedDate": found["CreatedDate"],
        "ARN": found["ARN"],
        "DataType": "text",
    }


async def _page(
    ctx: Context,
    req: Mapping[str, Any],
    scope: str,
    most: int,
    wanted: Callable[[Parameter, Version], bool],
    since: str = "",
) -> tuple[list[tuple[Parameter, Version]], str | None]:
    reader = ctx.read()
    scope = f"{ctx.account}/{ctx.region}/{scope}"
    found: list[tuple[Parameter, Version]] = []
    rows = every(
        reader, Parameter, (ctx.account, ctx.region), step=limits.PARAMETERS_A_STEP,
        after=_position(req, scope), **begins(since),
    )  # fmt: skip
    async with aclosing(rows):
        async for row in rows:
            version = await reader.get(Version, row.account, row.region, row.name, row.version)
            if version is not None and wanted(row, version):
                found.append((row, version))
                if len(found) > most:
                    break
    if len(found) <= most:
        return found, None
    return found[:most], page_token(row_key(found[most - 1][0]), scope)


def _position(req: Mapping[str, Any], scope: str) -> bytes | None:
    return paging.position(req.get("NextToken"), scope, InvalidNextToken)


def _arn(ctx: Context, version: Version) -> str:
    return (
        f"arn:{ctx.partition}:ssm:{version.region}:{version.account}:parameter/"
        f"{version.name.removeprefix('/')}"
    )


def _shown(ctx: Context, version: Version, value: str, selector: str) -> dict[str, Any]:
    told = {
        "Name": version.name,
        "Type": version.kind,
        "Value": value,
        "Version": version.number,
        "LastModifiedDate": version.modified_at,
        "ARN": _arn(ctx, version),
        "DataType": version.data_type,
    }
    return {**told, "Selector": selector} if selector else told


def _metadata(ctx: Context, version: Version) -> dict[str, Any]:
    told: dict[str, Any] = {
        "Name": version.name,
        "ARN": _arn(ctx, version),
        "Type": version.kind,
        "LastModifiedDate": version.modified_at,
        "LastModifiedUser": version.modified_by,
        "Version": version.number,
        "Tier": version.tier,
        "Policies": _policies(ctx, version),
        "DataType": version.data_type,
    }
    rare = {
        "Description": version.description,
        "AllowedPattern": version.pattern,
        "KeyId": version.key,
    }
    told.update((name, value) for name, value in rare.items() if value)
    return told


def _policies(ctx: Context, version: Version) -> list[dict[str, str]]:
    """The policies of a version, and whether each has acted."""
    listed = policies_of(version.policies)
    done = [one.policy for one in notices(listed, version.modified_at) if one.at <= ctx.now]
    return [
        {
            "PolicyText": json.dumps(one.content),
            "PolicyType": one.kind,
            "PolicyStatus": "Finished" if one in done else "Pending",
        }
        for one in listed
    ]
