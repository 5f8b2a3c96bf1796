"""How a connection says who speaks: a signature of SigV4's over a request that is always the same.

A client signs a POST of nothing to `dax.amazonaws.com`; what varies is the time. It signs anew every
few minutes, and a connection that does not is not believed any more.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import NamedTuple

from doppio.kernel.context import Context
from doppio.kernel.identity import Caller
from doppio.services.dax import limits
from doppio.wire import sigv4
from doppio.wire.errors import AwsError

_ALGORITHM = "AWS4-HMAC-SHA256"
_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


class InvalidSignature(AwsError):
    code = "InvalidSignatureException"
    status = 403
    text = (
        "The request signature we calculated does not match the signature you provided. Check your "
        "AWS Secret Access Key and signing method. Consult the service documentation for details."
    )


class MissingAuthenticationToken(AwsError):
    code = "MissingAuthenticationTokenException"
    status = 403
    text = "Request is missing Authentication Token"


class Authorization(NamedTuple):
    """What a connection has said of itself: whose key, and when it was signed (host time)."""

    access_key: str
    token: str | None
    signed_at: datetime


async def verified(
    ctx: Context, access_key: str, signature: str, signed: bytes, token: str | None
) -> Authorization:
    """Check a signature against the secret that IAM keeps. Raises AwsError."""
    credential = await ctx.kernel.identities.credential(access_key, token, ctx.partition)
    try:
        algorithm, when, scope, digest = signed.decode().split("\n")
        date, region, service, end = scope.split("/")
    except ValueError as error:
        raise InvalidSignature() from error
    signed_at = sigv4.moment(when)
    if abs(ctx.clock.host_now() - signed_at) > limits.SKEW:
        raise InvalidSignature(f"Signature expired: {when} is too far from the time here.")
    meant = (algorithm, date, region, service, end)
    if meant != (_ALGORITHM, when[:8], ctx.region, "dax", "aws4_request"):
        raise InvalidSignature("Credential should be scoped to this Region and to service: 'dax'.")
    canonical = (
        f"POST\n/\n\nhost:dax.amazonaws.com\nx-amz-date:{when}\n\nhost;x-amz-date\n{_EMPTY_SHA256}"
    )
    key = sigv4.signing_key(credential.secret, date, region, service)
    right = hmac.new(key, signed, hashlib.sha256).hexdigest()
    if digest != hashlib.sha256(canonical.encode()).hexdigest() or not hmac.compare_digest(
        right.encode(), signature.encode()
    ):
        raise InvalidSignature()
    return Authorization(access_key, token, signed_at)


async def speaker(ctx: Context, said: Authorization | None) -> Caller:
    """Who speaks, as IAM knows them now. Raises AwsError where nobody may."""
    if said is None or ctx.clock.host_now() - said.signed_at > limits.AUTHORIZED_FOR:
        raise MissingAuthenticationToken()
    known = await ctx.kernel.identities.credential(said.access_key, said.token, ctx.partition)
    return known.caller
