"""Iceberg's REST catalog, as S3 Tables speaks it: JSON over paths below `/iceberg/`, signed by SigV4.

The gateway finds out who asks; what is answered the service says, also where it is an error: those are
Iceberg's, not AWS's. Source: "Accessing tables using the Amazon S3 Tables Iceberg REST endpoint".
"""

from __future__ import annotations

from typing import Any

from doppio.gateway.authenticate import AnySignature, authenticate, check_express
from doppio.gateway.requestlog import Line
from doppio.gateway.route import scope_of
from doppio.kernel.context import Context
from doppio.kernel.regions import partition_of
from doppio.kernel.web import Asked
from doppio.wire.errors import AwsError
from doppio.wire.http import Request, Response
from doppio.wire.sigv4 import parse

PREFIX = "/iceberg/"
SERVICE = "s3tables"


def is_catalog(request: Request) -> bool:
    """Whether a request is for the catalog: a bucket of S3 may be called `iceberg`, too."""
    return request.path.startswith(f"{PREFIX}v1/") and scope_of(request).service == SERVICE


async def answer(
    cloud: Any, request: Request, body: bytes, request_id: str, line: Line
) -> Response:
    """What the catalog answers."""
    line.service = SERVICE
    speaks = cloud.services[SERVICE].catalog
    assert speaks is not None, "S3 Tables has a catalog"
    try:
        signature = parse(request)
        context = await _context(cloud, request, signature, request_id)
        line.caller = context.caller.arn
        path = request.path.removeprefix(PREFIX)
        shown = await speaks.ask(context, Asked(request.method, path, request.query, body))
    except AwsError as error:
        shown = speaks.refuse(error)
    line.error = shown.error
    if request.method == "HEAD":
        shown = shown._replace(body=b"")
    headers = [*shown.headers, ("x-amzn-requestid", request_id)]
    return Response(shown.status, headers, shown.body)


async def _context(
    cloud: Any, request: Request, signature: AnySignature | None, request_id: str
) -> Context:
    region = (signature.region if signature is not None else "") or "us-east-1"
    partition = partition_of(region)
    caller, _ = await authenticate(
        request, signature, cloud.identities, cloud.clock, is_s3=False, streaming=False,
        partition=partition,
    )  # fmt: skip
    check_express(caller, signature, SERVICE)
    context: Context = cloud.context(
        caller,
        account=caller.account,
        region=region,
        request_id=request_id,
        partition=partition,
        source_ip=request.peer,
        user_agent=request.headers.get("user-agent", ""),
        secure=request.secure,
        signature=signature,
    )
    return context
