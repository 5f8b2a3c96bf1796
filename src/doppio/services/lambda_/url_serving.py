"""What answers at a function's host."""

from __future__ import annotations

from doppio.kernel.context import Context
from doppio.kernel.identity import ANONYMOUS
from doppio.kernel.web import Told, Visited
from doppio.services.lambda_ import limits
from doppio.services.lambda_.errors import TooManyRequests
from doppio.services.lambda_.invocations import Asked, invoked
from doppio.services.lambda_.records import NAMED, FunctionUrl
from doppio.services.lambda_.specs import spec_of, target_of
from doppio.services.lambda_.url_events import (
    answer_of,
    cors_headers,
    event_of,
    preflight_headers,
)
from doppio.wire.errors import AccessDenied, AwsError
from doppio.wire.json_write import dumps


class UrlHosts:
    """The hosts of functions."""

    async def answer(self, ctx: Context, visited: Visited) -> Told:
        """What a function answers to a request; errors in the words of its host."""
        found = await ctx.read().find(NAMED, (visited.host.partition(".")[0],), limit=1)
        if not found or found[0].region != ctx.region:
            return _error(404, "Not Found", "ResourceNotFoundException")
        url = found[0]
        origin = visited.headers.get("origin", "")
        asks = "access-control-request-method" in visited.headers
        if url.cors and origin and visited.method == "OPTIONS" and asks:
            return Told(200, preflight_headers(url.cors, origin))
        told = await _answered(ctx, visited, url)
        if url.cors and origin:
            # What is configured takes the place of what the function says.
            kept = [one for one in told.headers if not one[0].startswith("access-control-")]
            told = told._replace(headers=[*kept, *cors_headers(url.cors, origin)])
        return told


async def _answered(ctx: Context, visited: Visited, url: FunctionUrl) -> Told:
    open_to_all = url.auth == "NONE"
    if open_to_all:
        ctx = ctx.derive(ANONYMOUS)
    elif visited.refusal is not None or ctx.caller.kind == "anonymous":
        return _error(403, "Forbidden", "AccessDeniedException")
    if len(visited.body) > limits.EVENT_BYTES_MAX:
        return _error(413, "Request Entity Too Large", "RequestTooLargeException")
    try:
        keys = {"lambda:functionurlauthtype": url.auth, "lambda:functionarn": url.arn}
        await ctx.authorise("lambda:InvokeFunctionUrl", url.arn, keys)
        via = {"lambda:invokedviafunctionurl": "true"}
        await ctx.authorise("lambda:InvokeFunction", url.arn, via)
        return await _run(ctx, visited, url, open_to_all=open_to_all)
    except AccessDenied:
        return _error(403, "Forbidden", "AccessDeniedException")
    except TooManyRequests:
        return _error(429, "Rate Exceeded.", "TooManyRequestsException")
    except (AwsError, ValueError):
        return _error(502, "Internal Server Error", "InternalServerErrorException")


async def _run(ctx: Context, visited: Visited, url: FunctionUrl, *, open_to_all: bool) -> Told:
    target = await target_of(ctx.read(), ctx, {"FunctionName": url.arn})
    spec = await spec_of(ctx, target.function, target.version)
    event = event_of(
        visited, url, None if open_to_all else ctx.caller, request_id=ctx.request_id,
        peer=ctx.source_ip, scheme="https" if ctx.secure else "http", now=ctx.now,
    )  # fmt: skip
    outcome = await invoked(ctx, spec, Asked(ctx.request_id, dumps(event), url.arn))
    if outcome.error is not None:
        return _error(502, "Internal Server Error", "InternalServerErrorException")
    return answer_of(outcome.payload)


def _error(status: int, message: str, kind: str) -> Told:
    headers = [("content-type", "application/json"), ("x-amzn-errortype", kind)]
    return Told(status, headers, dumps({"Message": message}), kind)
