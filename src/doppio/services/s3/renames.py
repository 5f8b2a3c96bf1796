"""RenameObject: an object of a directory bucket gets another key, in one step.

Its bytes, metadata, ETag and times stay. Who asks again with the same token hears that it is done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job, JobHandler
from doppio.kernel.records import record
from doppio.services.s3.directory import only_here
from doppio.services.s3.directory_errors import FunctionNotImplemented, IdempotencyParameterMismatch
from doppio.services.s3.errors import (
    InvalidArgument,
    InvalidRequest,
    NoSuchKey,
    PreconditionFailed,
)
from doppio.services.s3.lookup import bucket_and_current, checked_key
from doppio.services.s3.reclaim import release
from doppio.services.s3.records import Bucket, Current
from doppio.services.s3.rules import etag_matches
from doppio.services.s3.stock import request_type

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

FORGET = "s3.forget_renamed"
REMEMBERED = timedelta(days=1)
TOKEN_CHARS_MAX = 64


@record("s3.renamed", key=("bucket", "token"))
class Renamed(msgspec.Struct, frozen=True, kw_only=True):
    """A rename that was done lately, by its client's token; `asked` is a digest of the request."""

    bucket: str
    token: str
    asked: str


class Renames:
    """RenameObject."""

    async def rename_object(self, ctx: Context, req: w.RenameObjectRequest) -> w.RenameObjectOutput:
        """Give an object another key; what stood there before is gone."""
        only_here(ctx.operation, req["Bucket"])
        key = checked_key(req["Key"])
        source = _source(req)
        token = _checked_token(req.get("ClientToken"))
        asked = _digest(req)
        async with ctx.write() as tx:
            bucket, old = await bucket_and_current(tx, req)
            if token and await _is_done(tx, bucket, token, asked):
                return {}
            found = await tx.get(Current, bucket.id, source)
            if found is None:
                raise NoSuchKey(Key=source)
            if source == key:
                raise InvalidRequest("The source and the destination of a rename must differ.")
            _check(req, "Source", found)
            _check(req, "Destination", old)
            if old is not None:
                tx.delete(old)
                await release(tx, old)
            tx.delete(found)
            tx.put(msgspec.structs.replace(found, key=key))
            tx.meter(request_type(1, found.storage_class))
            if token:
                tx.put(Renamed(bucket=bucket.id, token=token, asked=asked))
                at = ctx.now + REMEMBERED
                await tx.schedule(at, FORGET, f"{bucket.id}/{token}", bucket=bucket.id, token=token)
        return {}


def jobs() -> dict[str, JobHandler]:
    """The handler by the name under which it is scheduled."""
    return {FORGET: _forget}


async def _forget(ctx: Context, job: Job) -> None:
    async with ctx.write() as tx:
        found = await tx.get(Renamed, job.arguments["bucket"], job.arguments["token"])
        if found is not None:
            tx.delete(found)


async def _is_done(tx: Tx, bucket: Bucket, token: str, asked: str) -> bool:
    done = await tx.get(Renamed, bucket.id, token)
    if done is None:
        return False
    if done.asked != asked:
        raise IdempotencyParameterMismatch
    return True


def _source(req: Mapping[str, Any]) -> str:
    """The key that a rename begins from: as `/bucket/key`, `bucket/key` or the key alone."""
    text = unquote(req["RenameSource"])
    for opening in (f"/{req['Bucket']}/", f"{req['Bucket']}/", "/"):
        if text.startswith(opening):
            text = text.removeprefix(opening)
            break
    if not text:
        raise InvalidArgument(
            "The rename source must name an object of the same bucket.",
            ArgumentName="x-amz-rename-source",
            ArgumentValue=req["RenameSource"],
        )
    return text


def _check(req: Mapping[str, Any], side: str, found: Current | None) -> None:
    """Raise PreconditionFailed where a precondition on one side does not hold."""
    prefix = "x-amz-rename-source-" if side == "Source" else ""
    match, none_match = req.get(f"{side}IfMatch"), req.get(f"{side}IfNoneMatch")
    after, before = req.get(f"{side}IfModifiedSince"), req.get(f"{side}IfUnmodifiedSince")
    if none_match is not None and side == "Destination" and none_match.strip() != "*":
        raise FunctionNotImplemented
    if match is not None and (found is None or not etag_matches(match, found.etag)):
        raise PreconditionFailed(Condition=f"{prefix}If-Match")
    if none_match is not None and found is not None and etag_matches(none_match, found.etag):
        raise PreconditionFailed(Condition=f"{prefix}If-None-Match")
    if after is not None and (found is None or found.modified <= after):
        raise PreconditionFailed(Condition=f"{prefix}If-Modified-Since")
    if before is not None and found is not None and found.modified > before:
        raise PreconditionFailed(Condition=f"{prefix}If-Unmodified-Since")


def _checked_token(token: str | None) -> str:
    if token is None:
        return ""
    if not 1 <= len(token) <= TOKEN_CHARS_MAX or not all("!" <= one <= "~" for one in token):
        raise InvalidArgument(
            "The client token must have 1 to 64 ASCII characters in the range of 33 to 126.",
            ArgumentName="x-amz-client-token",
            ArgumentValue=token,
        )
    return token


def _digest(req: Mapping[str, Any]) -> str:
    asked = sorted((name, str(value)) for name, value in req.items() if name != "ClientToken")
    return hashlib.sha256(msgspec.json.encode(asked)).hexdigest()
