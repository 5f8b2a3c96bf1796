"""The code that requests bring, or name in S3; and where a function's code can be fetched from."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from doppio.kernel.bodies import pieces
from doppio.kernel.context import Context
from doppio.kernel.own_keys import Damaged, own_cipher, seal, unseal
from doppio.services.lambda_ import limits
from doppio.services.lambda_.errors import InvalidParameterValue
from doppio.services.lambda_.packages import Code, examine, keep, read
from doppio.services.lambda_.records import Config, Version
from doppio.wire.errors import AccessDenied, AwsError, NotImplementedByDoppio

PAGE = "lambda/code/"
_KEY = "lambda.code"


async def code_of(ctx: Context, given: Mapping[str, Any], *, kept: bool = True) -> Code:
    """Keep the code that a request brings, or names; or examine it alone. Keeping commits."""
    content = await content_of(ctx, given)
    return await (keep(ctx, content) if kept else examine(content))


async def content_of(ctx: Context, given: Mapping[str, Any]) -> bytes:
    """The zip file that a request brings, or names."""
    if given.get("ImageUri"):
        raise NotImplementedByDoppio(
            "Functions from container images are not supported by this cloud: give a zip file."
        )
    if given.get("SourceKMSKeyArn"):
        raise NotImplementedByDoppio("Code under a customer's key is not supported.")
    if given.get("S3ObjectStorageMode", "COPY") != "COPY":
        raise NotImplementedByDoppio("Code is copied: S3ObjectStorageMode can be COPY alone.")
    content: bytes | None = given.get("ZipFile")
    from_s3 = "S3Bucket" in given or "S3Key" in given
    if content is not None and from_s3:
        raise InvalidParameterValue(
            "Please do not provide other FunctionCode parameters when providing a ZipFile."
        )
    if from_s3:
        return await _from_s3(ctx, given)
    if content is None:
        raise InvalidParameterValue("Please provide a source for function code.")
    if len(content) > limits.ZIPPED_BYTES_MAX:
        raise InvalidParameterValue(
            f"Zipped size must be smaller than {limits.ZIPPED_BYTES_MAX} bytes"
        )
    return content


async def _from_s3(ctx: Context, given: Mapping[str, Any]) -> bytes:
    """An object's content: S3 is asked as the caller, who must be allowed to read it."""
    if not (given.get("S3Bucket") and given.get("S3Key")):
        raise InvalidParameterValue("Both S3Bucket and S3Key are needed to find function code.")
    where = {"Bucket": given["S3Bucket"], "Key": given["S3Key"]}
    if given.get("S3ObjectVersion"):
        where["VersionId"] = given["S3ObjectVersion"]
    try:
        found = await ctx.call("s3", "get_object", where)
    except AccessDenied as error:
        raise AccessDenied(
            "Your access has been denied by S3, please make sure your request credentials have "
            f"permission to GetObject for {where['Bucket']}/{where['Key']}. S3 Error Code: "
            f"AccessDenied. S3 Error Message: {error.message}"
        ) from error
    except AwsError as error:
        if error.status >= 500:
            raise
        raise InvalidParameterValue(
            f"Error occurred while GetObject. S3 Error Code: {error.code}. S3 Error Message: "
            f"{error.message}"
        ) from error
    if found["ContentLength"] >= limits.UNZIPPED_BYTES_MAX:
        raise InvalidParameterValue(
            f"Unzipped size must be smaller than {limits.UNZIPPED_BYTES_MAX} bytes"
        )
    return b"".join([part async for part in pieces(found["Body"])])


def with_code(config: Config, code: Code) -> Config:
    """A configuration with other code."""
    return fitting(
        replace(
            config, package=code.package, sha256=code.sha256, code_bytes=code.size,
            unzipped_bytes=code.unzipped,
        )
    )  # fmt: skip


def fitting(config: Config) -> Config:
    """A configuration whose code and layers fit together. Raises InvalidParameterValueException."""
    size = config.unzipped_bytes + sum(layer.unzipped_bytes for layer in config.layers)
    if size > limits.UNZIPPED_BYTES_MAX:
        raise InvalidParameterValue(
            "Function code combined with layers exceeds the maximum allowed size of "
            f"{limits.UNZIPPED_BYTES_MAX} bytes. The actual size is {size} bytes."
        )
    return config


async def location_of(ctx: Context, package: str, size: int) -> str:
    """An address from which a package can be fetched for ten minutes, by whoever has it."""
    until = int(ctx.now.timestamp()) + limits.LOCATION_SECONDS
    sealed = seal(ctx, await own_cipher(ctx, _KEY), msgspec.msgpack.encode((package, size, until)))
    return f"{ctx.kernel.endpoint}/_aws/{PAGE}{base64.urlsafe_b64encode(sealed).decode()}"


async def code_location(ctx: Context, version: Version) -> dict[str, str]:
    """Where a version's code can be fetched from."""
    config = version.config
    location = await location_of(ctx, config.package, config.code_bytes)
    return {"RepositoryType": "S3", "Location": location}


async def code_page(ctx: Context, token: str) -> tuple[bytes, str] | None:
    """The package to whose address somebody has come; None once its time is over."""
    try:
        sealed = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        opened = unseal(await own_cipher(ctx, _KEY), sealed)
    except (Damaged, binascii.Error, ValueError):
        return None
    package, size, until = msgspec.msgpack.decode(opened, type=tuple[str, int, int])
    if ctx.now.timestamp() > until:
        return None
    try:
        return await read(ctx, package, size), "application/zip"
    except (EOFError, FileNotFoundError):
        return None
