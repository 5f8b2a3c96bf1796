"""Functions of Object Lambda that answer in S3's place.

A GET waits while its function runs, for what that writes: WriteGetObjectResponse finds it by a token
that counts once. The bytes go from one connection to the other as they come, and lie nowhere. So
whoever waits is known in memory alone: a wait ends with its connection, and a crash ends both. HEAD and
listings are answered by what the function returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from doppio.kernel.context import Context
from doppio.kernel.forward import called_via
from doppio.kernel.identity import TOKEN
from doppio.services.s3 import checksums, lambda_events, points
from doppio.services.s3.bodies import body_of
from doppio.services.s3.errors import AccessDenied, BadDigest
from doppio.services.s3.fronts import SERVICE, Front
from doppio.services.s3.lambda_errors import (
    HeaderNotImplemented,
    LambdaInvokeFailed,
    LambdaNotFound,
    LambdaPermissionError,
    LambdaResponseNotReceived,
    LambdaRuntimeError,
    LambdaTimeout,
    LambdaTooManyRequests,
    UnknownToken,
    WrongAnswer,
)
from doppio.services.s3.limits import FUNCTION_SECONDS_MAX
from doppio.wire import checksums as wire_checksums
from doppio.wire.errors import AccessDenied as AccessDeniedByPolicy
from doppio.wire.errors import AwsError
from doppio.wire.http import ByteStream
from doppio.wire.presigning import Signer, presigned

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

ROUTE = "io-cell001"
# What of an answer is not about the object.
_ASIDE = frozenset({"RequestRoute", "RequestToken", "Body", "StatusCode", "ContentLength"})
_FEATURES = ("Range", "PartNumber")
_FAILURES: dict[str, type[AwsError]] = {
    "ResourceNotFoundException": LambdaNotFound,
    "TooManyRequestsException": LambdaTooManyRequests,
}


class Wait(NamedTuple):
    """Somebody who waits for what a function writes."""

    point: str
    answer: asyncio.Future[dict[str, Any]]
    checked: bool


class Answers:
    """Those who wait, by the tokens that their functions have got."""

    def __init__(self) -> None:
        self._waits: dict[str, Wait] = {}
        self._running: set[asyncio.Future[Any]] = set()

    async def answered(self, ctx: Context, req: Mapping[str, Any]) -> Mapping[str, Any]:
        """The result of an operation that a function answers."""
        way = points.way_of(ctx)
        front = None if way is None else way.front
        assert way is not None
        assert front is not None, "led here by its access point"
        _check_features(ctx.operation, front, req)
        link = await _link(ctx, front, way.point.alias, req)
        if ctx.operation == "GetObject":
            return await self._got(ctx, front, way.point.arn, link, req)
        told = _event(ctx, front, way.point.arn, req, {"inputS3Url": link})
        return lambda_events.answered(ctx.operation, await _invoked(ctx, front, told))

    async def _got(
        self, ctx: Context, front: Front, supporting: str, link: str, req: Mapping[str, Any]
    ) -> dict[str, Any]:
        token = ctx.new_id("url32")
        loop = asyncio.get_running_loop()
        wait = Wait(front.point.arn, loop.create_future(), req.get("ChecksumMode") == "ENABLED")
        route = {"inputS3Url": link, "outputRoute": ROUTE, "outputToken": token}
        told = _event(ctx, front, supporting, req, route)
        self._waits[token] = wait
        run = asyncio.ensure_future(_invoked(ctx, front, told))
        # Who goes away does not stop the function.
        self._running.add(run)
        run.add_done_callback(self._ran)
        over: asyncio.Future[None] = loop.create_future()

        def ring(_: Any = None) -> None:
            if not over.done():
                over.set_result(None)

        wait.answer.add_done_callback(ring)
        run.add_done_callback(ring)
        cancel = ctx.clock.host.call_later(FUNCTION_SECONDS_MAX, ring)
        try:
            await over
        finally:
            cancel()
            self._waits.pop(token, None)
            if not wait.answer.done():
                wait.answer.cancel()
        if not wait.answer.cancelled():
            return wait.answer.result()
        if not run.done():
            raise LambdaTimeout
        await run
        raise LambdaResponseNotReceived

    def _ran(self, run: asyncio.Future[Any]) -> None:
        self._running.discard(run)
        if not run.cancelled():
            # Told to whoever waits, if anybody does.
            run.exception()

    async def write(self, ctx: Context, req: Mapping[str, Any]) -> None:
        """Give an answer to whoever waits for it, to the last byte."""
        token = req["RequestToken"]
        wait = self._waits.get(token)
        await ctx.authorise(
            f"{SERVICE}:WriteGetObjectResponse", "*" if wait is None else wait.point
        )
        error = lambda_events.written_error(req)
        if self._waits.pop(token, None) is None or wait is None or req["RequestRoute"] != ROUTE:
            raise UnknownToken
        body = body_of(req)
        if error is not None:
            if body.whole:
                wait.answer.set_exception(error)
                raise WrongAnswer("A body cannot be used with an error.")
            wait.answer.set_exception(error)
            return
        result = {name: value for name, value in req.items() if name not in _ASIDE}
        result["@status"] = req.get("StatusCode", 200)
        if body.length is not None:
            result["ContentLength"] = body.length
        relay = Relay(body, *_said(req, wait))
        if body.whole is not None:
            relay.check_whole(body.whole)
            wait.answer.set_result({**result, "Body": body.whole})
            return
        wait.answer.set_result({**result, "Body": relay})
        await relay.over


def _said(req: Mapping[str, Any], wait: Wait) -> tuple[str | None, str | None]:
    return checksums.said(req) if wait.checked else (None, None)


class Relay(AsyncIterator[bytes]):
    """A body on its way from a function to who waits for it.

    `over` is done when it was read to its end, or nobody reads on. The last piece is held back until
    the checksum, where the answer says one, is known to be right.
    """

    def __init__(self, body: ByteStream, algorithm: str | None, value: str | None) -> None:
        self._chunks = body.__aiter__()
        self._sum = None
        if algorithm is not None and value is not None:
            self._sum = wire_checksums.new(algorithm)
        self._value = value
        self._held: bytes | None = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def check_whole(self, body: bytes) -> None:
        """Check a body that is here already. Raises BadDigest."""
        if self._sum is not None:
            self._sum.update(body)
            self._check()

    def _check(self) -> None:
        if self._sum is not None and self._sum.base64() != self._value:
            raise BadDigest

    async def __anext__(self) -> bytes:
        try:
            while True:
                chunk = bytes(await self._chunks.__anext__())
                if self._sum is not None:
                    self._sum.update(chunk)
                before, self._held = self._held, chunk
                if before is not None:
                    return before
        except StopAsyncIteration:
            return self._last()
        except AwsError as error:
            self._end(error)
            raise

    def _last(self) -> bytes:
        last, self._held = self._held, None
        if last is None:
            self._end(None)
            raise StopAsyncIteration
        try:
            self._check()
        except AwsError as error:
            self._end(error)
            raise
        return last

    async def aclose(self) -> None:
        """Nobody reads on."""
        self._end(None)

    def _end(self, error: AwsError | None) -> None:
        if not self.over.done():
            if error is None:
                self.over.set_result(None)
            else:
                self.over.set_exception(error)

    def __del__(self) -> None:
        # An answer that was never sent, since its connection had gone.
        if not self.over.done() and not self.over.get_loop().is_closed():
            self.over.set_result(None)


class WriteAnswers:
    """What functions call."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def write_get_object_response(
        self, ctx: Context, req: w.WriteGetObjectResponseRequest
    ) -> None:
        """Answer the GET for which the function runs, by its token; it counts once."""
        await self._answers.write(ctx, req)


def _check_features(operation: str, front: Front, req: Mapping[str, Any]) -> None:
    """Ranges and parts are for functions that say that they know of them."""
    allowed = front.point.configuration.get("AllowedFeatures") or []
    for feature in _FEATURES:
        if feature in req and f"{operation}-{feature}" not in allowed:
            raise HeaderNotImplemented


def _event(
    ctx: Context, front: Front, supporting: str, req: Mapping[str, Any], what: Mapping[str, str]
) -> bytes:
    return lambda_events.event(
        ctx.operation, front, supporting, req.get("Key", ""), ctx.request, what, ctx.request_id
    )


async def _link(ctx: Context, front: Front, alias: str, req: Mapping[str, Any]) -> str:
    """A link to what the request asks for, at the supporting access point, as the caller.

    It is signed for him by S3 Object Lambda, which policies may ask for, and counts no longer than a
    function may run. What he may is judged when it is followed.
    """
    from doppio.services.iam import ports

    caller = front.caller
    if not caller.access_key:
        raise AccessDenied
    lasts = timedelta(seconds=FUNCTION_SECONDS_MAX + 1)
    session = ports.Session(
        kind="forward", account=caller.account, name=SERVICE, issued_at=ctx.now,
        expires_at=ctx.now + lasts, parent=(caller.access_key, caller.session.get(TOKEN, "")),
    )  # fmt: skip
    given = await ports.credentials(ctx, session)
    signer = Signer(
        str(given["AccessKeyId"]), str(given["SecretAccessKey"]), str(given["SessionToken"]),
        ctx.region, "s3", ctx.clock.host_now(), int(lasts.total_seconds()),
    )  # fmt: skip
    key = req.get("Key", "")
    return presigned(
        signer,
        "HEAD" if ctx.operation == "HeadObject" else "GET",
        ctx.kernel.endpoint,
        f"/{alias}/{key}" if key else f"/{alias}",
        lambda_events.link_query(ctx.operation, req),
        lambda_events.signed_headers(ctx.request),
    )


async def _invoked(ctx: Context, front: Front, told: bytes) -> bytes:
    """What the function returns, run for the caller, who must be allowed to run it."""
    caller = front.caller
    session = {**caller.session, **called_via(caller, SERVICE)}
    acting = ctx.derive(replace(caller, session=session))
    req = {
        "FunctionName": front.function,
        "InvocationType": "RequestResponse",
        "Payload": told,
    }
    try:
        result = await acting.call("lambda", "invoke", req)
    except AccessDeniedByPolicy as error:
        raise LambdaPermissionError from error
    except AwsError as error:
        raise _FAILURES.get(error.code, LambdaInvokeFailed) from error
    if result.get("FunctionError"):
        raise LambdaRuntimeError
    return bytes(result.get("Payload") or b"")
