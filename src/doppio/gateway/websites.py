"""Websites: hosts that show a bucket's objects as pages. Recognised here, answered by the service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from doppio.gateway.route import Target, services, website_of
from doppio.kernel.identity import ANONYMOUS
from doppio.kernel.regions import partition_of
from doppio.kernel.web import Shown, Visit
from doppio.wire import model
from doppio.wire.codec import Codec
from doppio.wire.errors import AwsError
from doppio.wire.http import Request, Response, Whole

# What a visitor may ask beside the page itself.
_ASKED = ("range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since")
_REPLACED = frozenset({"content-type"})


def is_website(request: Request) -> bool:
    """Whether the host names a website."""
    return ".s3-website" in request.headers.get("host", "")


def target_of(request: Request) -> Target | None:
    """Which object of which bucket a visitor wants; None where the host is no website after all."""
    named = website_of(request.headers.get("host", ""))
    if named is None:
        return None
    site, region = named
    operation = model.load("s3").operations["GetObject"]
    uri = {"Bucket": site, "Key": request.path.removeprefix("/")}
    return Target("s3", services()["s3"].protocols[0], operation, region, uri)


async def answer(
    cloud: Any, request: Request, target: Target, codec: Codec, request_id: str
) -> Response:
    """A page."""
    region = target.region or "us-east-1"
    context = cloud.context(
        ANONYMOUS,
        account=ANONYMOUS.account,
        region=region,
        request_id=request_id,
        partition=partition_of(region),
        source_ip=request.peer,
        user_agent=request.headers.get("user-agent", ""),
        secure=request.secure,
    )
    asked = _asked(request, target, codec)
    visit = Visit(
        target.uri["Bucket"], target.region, request.method, origin_of(request), request.path,
        request.query, asked,
    )  # fmt: skip
    shown = await cloud.services["s3"].web.visit(context, visit)
    return response_of(shown, codec, request_id)


def origin_of(request: Request) -> str:
    """Scheme and host, as the client knows them."""
    return f"{'https' if request.secure else 'http'}://{request.headers.get('host', '')}"


def response_of(shown: Shown, codec: Codec, request_id: str) -> Response:
    """What a service shows, as a response."""
    if not shown.operation:
        ids = [("x-amz-request-id", request_id)]
        return Response(shown.status, [*shown.headers, *ids], shown.body)
    operation = model.load("s3").operations[shown.operation]
    response = codec.encode(operation, shown.result or {}, request_id)
    if shown.status != 200:
        response.status = shown.status
    taken = {name for name, _ in shown.headers} & _REPLACED
    kept = [pair for pair in response.headers if pair[0] not in taken]
    response.headers = [*kept, *shown.headers]
    if shown.body:
        response.body = shown.body
    return response


def _asked(request: Request, target: Target, codec: Codec) -> Mapping[str, Any]:
    headers = {name: request.headers[name] for name in _ASKED if name in request.headers}
    if not headers:
        return {}
    bare = replace(request, method="GET", path="/", query="", headers=headers, body=Whole(b""))
    try:
        asked = codec.decode(target.operation, bare, {})
    except AwsError:
        # A date that is none: a visitor gets the page.
        return {}
    asked.pop("Body", None)
    return asked
