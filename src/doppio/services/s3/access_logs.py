"""Server access logs: a line for each request to a bucket, delivered to a bucket.

Lines are gathered in memory and written about once a minute, as `logging.s3.amazonaws.com` on
behalf of the bucket, so that the target's policy decides. As in S3 that is best effort: what a crash
finds in memory is not delivered, and a target that says no gets nothing.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec.structs import replace

from doppio.kernel.context import Context, Reader
from doppio.kernel.identity import service_caller
from doppio.kernel.kernel import Kernel
from doppio.kernel.records import record
from doppio.kernel.store import Conflict, StoreClosed, StoreFull
from doppio.kernel.witness import Exchange
from doppio.services.s3.access_log_lines import deletions, line
from doppio.services.s3.attributes import ENFORCED
from doppio.services.s3.errors import (
    CrossLocationLoggingProhibited,
    InvalidBucketAclWithObjectOwnership,
    InvalidTargetBucketForLogging,
    MalformedXML,
)
from doppio.services.s3.limits import LOG_EVERY, LOG_LINES_MAX
from doppio.services.s3.lookup import bucket_id, existing_bucket
from doppio.services.s3.records import Bucket
from doppio.services.s3.settings import drop_setting, put_setting, setting
from doppio.services.s3.watches import Cause, Mark, Watch
from doppio.wire.errors import AwsError, NotImplementedByDoppio
from doppio.wire.http import Response, Whole

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

KIND = "logging"
TOPIC = "s3.logging"
PRINCIPAL = "logging.s3"
_EVENT_TIME = "EventTime"
_CODE = re.compile(rb"<Code>(\w+)</Code>")
_log = logging.getLogger("doppio.s3.access_logs")


@record("s3.logged", key=("bucket",))
class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket that has an access log: so that all of them are found at once."""

    bucket: str
    name: str


class Logging:
    """Where a bucket's access log goes."""

    async def put_bucket_logging(self, ctx: Context, req: w.PutBucketLoggingRequest) -> None:
        """Begin a log, or end it where no target is named."""
        target = cast("dict[str, Any] | None", req["BucketLoggingStatus"].get("LoggingEnabled"))
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            tx.meter("Requests-Tier1")
            if target is None:
                await drop_setting(tx, bucket, KIND)
                WATCHED.forget(tx, bucket)
                return
            await _check(tx, bucket, target)
            put_setting(tx, bucket, KIND, target)
            WATCHED.begin(tx, bucket)

    async def get_bucket_logging(
        self, ctx: Context, req: w.GetBucketLoggingRequest
    ) -> w.GetBucketLoggingOutput:
        """Where the log goes; empty where there is none."""
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        reader.meter("Requests-Tier2")
        found = await setting(reader, bucket, KIND)
        return {} if found is None else {"LoggingEnabled": cast("w.LoggingEnabled", found)}


WATCHED = Cause(KIND, TOPIC, Logged)


async def _check(reader: Reader, bucket: Bucket, target: Mapping[str, Any]) -> None:
    name = target["TargetBucket"]
    found = await reader.get(Bucket, bucket_id(reader.context, name))
    if found is None or found.account != bucket.account:
        raise InvalidTargetBucketForLogging(TargetBucket=name)
    if found.requester_pays:
        raise InvalidTargetBucketForLogging(
            "Requester Pays buckets cannot be used as target buckets for logging", TargetBucket=name
        )
    if found.region != bucket.region:
        raise CrossLocationLoggingProhibited(
            TargetBucketLocation=found.region, SourceBucketLocation=bucket.region
        )
    keys = target.get("TargetObjectKeyFormat")
    if keys is not None:
        if len(keys) != 1:
            raise MalformedXML
        source = (keys.get("PartitionedPrefix") or {}).get("PartitionDateSource")
        if source not in {None, _EVENT_TIME, "DeliveryTime"}:
            raise MalformedXML
    if target.get("TargetGrants"):
        if found.ownership == ENFORCED:
            raise InvalidBucketAclWithObjectOwnership
        raise NotImplementedByDoppio("Grants on access logs exist in AWS and not yet here")


async def _name(reader: Reader, mark: Mark) -> str:
    return mark.name


class AccessLog(Watch[str]):
    """One process's witness of requests to S3: the lines in hand, and their delivery."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel, WATCHED, _name)
        self._held: dict[str, list[tuple[datetime, Context, Exchange]]] = {}
        self._cancel: Any = None
        self._delivery: asyncio.Task[None] | None = None

    def saw(self, ctx: Context, exchange: Exchange) -> None:
        """Keep an exchange until the next delivery."""
        held = self._held.setdefault(bucket_id(ctx, exchange.labels["Bucket"]), [])
        request = replace(exchange.request, body=Whole(b""))
        kept = exchange._replace(request=request, response=_bare(exchange), error=_code(exchange))
        held.append((ctx.now, ctx, kept))
        if exchange.operation == "DeleteObjects" and not exchange.error:
            held += [(ctx.now, ctx, each) for each in deletions(exchange, kept)]
        if len(held) >= LOG_LINES_MAX:
            self._begin()
        elif self._cancel is None:
            self._cancel = self._kernel.clock.call_at(ctx.now + LOG_EVERY, self._begin)

    def _begin(self) -> None:
        if self._cancel is not None:
            self._cancel()
            self._cancel = None
        if self._delivery is None or self._delivery.done():
            self._delivery = asyncio.ensure_future(self.deliver())
        elif self._held:
            self._cancel = self._kernel.clock.call_at(
                self._kernel.clock.now() + LOG_EVERY, self._begin
            )

    async def close(self) -> None:
        """Deliver what is in hand."""
        if self._cancel is not None:
            self._cancel()
        if self._delivery is not None:
            await asyncio.gather(self._delivery, return_exceptions=True)
        await self.deliver()

    async def deliver(self) -> None:
        """Write all lines in hand to their targets."""
        held, self._held = self._held, {}
        for home, seen in held.items():
            try:
                await self._write(home, seen)
            except AwsError as error:
                # S3 promises no log: whom the target does not let in delivers nothing.
                _log.warning("no access log of %s: %s", home, error.message)
            except (Conflict, StoreFull, StoreClosed) as error:
                _log.warning("the access log of %s has lost lines: %s", home, error)

    async def _write(self, home: str, seen: list[tuple[datetime, Context, Exchange]]) -> None:
        ctx = seen[0][1]
        reader = ctx.read()
        bucket = await reader.get(Bucket, home)
        target = None if bucket is None else await setting(reader, bucket, KIND)
        if bucket is None or target is None:
            return
        caller = service_caller(PRINCIPAL, bucket.account, bucket.arn)
        writer = ctx.derive(caller, region=bucket.region)
        writer.account = bucket.account
        parts: dict[str, list[str]] = {}
        for at, told, exchange in seen:
            text = line(bucket, exchange, told.request_id, at)
            parts.setdefault(_folder(bucket, target, at, writer.clock.now()), []).append(text)
        for folder, lines in parts.items():
            key = folder + writer.new_id("hex32")[:16].upper()
            body = "".join(lines).encode()
            req = {"Bucket": target["TargetBucket"], "Key": key, "Body": body}
            await writer.call("s3", "put_object", {**req, "ContentType": "text/plain"})


def _folder(bucket: Bucket, target: Mapping[str, Any], seen: datetime, now: datetime) -> str:
    """The beginning of a log object's key, up to its unique part."""
    prefix: str = target["TargetPrefix"]
    partitioned = (target.get("TargetObjectKeyFormat") or {}).get("PartitionedPrefix")
    if partitioned is None:
        return f"{prefix}{now:%Y-%m-%d-%H-%M-%S}-"
    base = f"{prefix}{bucket.account}/{bucket.region}/{bucket.name}"
    if partitioned.get("PartitionDateSource") == _EVENT_TIME:
        return f"{base}/{seen:%Y/%m/%d}/{seen:%Y-%m-%d}-00-00-00-"
    return f"{base}/{now:%Y/%m/%d}/{now:%Y-%m-%d-%H-%M-%S}-"


def _code(exchange: Exchange) -> str:
    """The error's code as the client was told it; a HEAD has no body to say it in."""
    body = exchange.response.body
    found = _CODE.search(body) if exchange.error and isinstance(body, bytes) else None
    return exchange.error.removesuffix("Exception") if found is None else found[1].decode()


def _bare(exchange: Exchange) -> Response:
    """The answer without its body: only how long that was."""
    response = exchange.response
    body = response.body
    length = len(body) if isinstance(body, bytes) else getattr(body, "length", None)
    headers = list(response.headers)
    if length and not any(name.lower() == "content-length" for name, _ in headers):
        headers.append(("content-length", str(length)))
    return Response(response.status, headers)
