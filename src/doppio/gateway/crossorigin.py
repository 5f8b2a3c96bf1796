"""What browsers ask before and beside requests from another site's pages.

The answer is the service's; here is only where the question stands in a request.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from doppio.gateway.route import Target, route
from doppio.kernel.identity import ANONYMOUS
from doppio.kernel.service import CrossOrigin
from doppio.wire.errors import AwsError
from doppio.wire.http import Request, Response, Whole


class BadPreflight(AwsError):
    """A preflight that does not ask anything."""

    code = "BadRequest"
    status = 400


def asked_beside(request: Request) -> CrossOrigin:
    """What a request with an Origin header asks beside what it does."""
    return CrossOrigin(request.headers["origin"], request.method, (), False)


def asked_before(request: Request) -> CrossOrigin:
    """What a preflight asks. Raises BadPreflight."""
    origin = request.headers.get("origin")
    method = request.headers.get("access-control-request-method")
    if not origin:
        raise BadPreflight("Insufficient information. Origin request header needed.")
    if not method:
        raise BadPreflight("Invalid Access-Control-Request-Method: null")
    names = request.headers.get("access-control-request-headers", "").split(",")
    return CrossOrigin(
        origin, method, tuple(name.strip().lower() for name in names if name.strip()), True
    )


def target_of(request: Request) -> Target:
    """Where the request goes that a preflight asks about."""
    method = request.headers.get("access-control-request-method", "GET")
    return route(replace(request, method=method, body=Whole(b"")), b"")


async def headers_for(
    cloud: Any, request: Request, target: Target, asked: CrossOrigin, request_id: str
) -> list[tuple[str, str]]:
    """The headers that a service answers with; none where it does not care for browsers."""
    service = cloud.services.get(target.service)
    if service is None or service.cross_origin is None:
        return []
    context = cloud.context(
        ANONYMOUS,
        account=ANONYMOUS.account,
        region=target.region or "us-east-1",
        request_id=request_id,
        source_ip=request.peer,
    )
    return list(await service.cross_origin(context, target.uri, asked))


def allowed(headers: list[tuple[str, str]]) -> Response:
    """The answer to a preflight that may."""
    return Response(200, headers)
