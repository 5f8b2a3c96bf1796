"""Function URLs: hosts behind each of which is a function. Recognised here, answered by the service."""

from __future__ import annotations

from typing import Any

from doppio.gateway.authenticate import authenticate
from doppio.gateway.requestlog import Line
from doppio.kernel.identity import ANONYMOUS
from doppio.kernel.regions import partition_of
from doppio.kernel.web import Told, Visited
from doppio.wire.errors import AwsError
from doppio.wire.http import Request, Response
from doppio.wire.sigv4 import parse

SERVICE = "lambda"
MARK = ".lambda-url."


def is_function_url(request: Request) -> bool:
    """Whether the host names a function."""
    return MARK in request.headers.get("host", "")


async def answer(
    cloud: Any, request: Request, body: bytes, request_id: str, line: Line
) -> Response:
    """What the function answers."""
    line.service, line.operation = SERVICE, "InvokeFunctionUrl"
    hosts = cloud.services[SERVICE].hosts
    assert hosts is not None, "Lambda has function URLs"
    host = request.headers["host"]
    region = host.partition(MARK)[2].partition(".")[0]
    caller, error = ANONYMOUS, None
    try:
        signature = parse(request)
        caller, _ = await authenticate(
            request, signature, cloud.identities, cloud.clock, is_s3=False, streaming=False,
            partition=partition_of(region),
        )  # fmt: skip
    except AwsError as refusal:
        # Where nobody has to sign, a signature that is none does not matter.
        signature, error = None, refusal
    context = cloud.context(
        caller,
        account=caller.account,
        region=region,
        request_id=request_id,
        partition=partition_of(region),
        source_ip=request.peer,
        user_agent=request.headers.get("user-agent", ""),
        secure=request.secure,
        signature=signature,
    )
    line.caller = caller.arn
    visited = Visited(
        host, request.method, request.path, request.query, request.headers, body, error
    )
    told: Told = await hosts.answer(context, visited)
    line.error = told.error
    content = b"" if request.method == "HEAD" else told.body
    return Response(told.status, [*told.headers, ("x-amzn-requestid", request_id)], content)
