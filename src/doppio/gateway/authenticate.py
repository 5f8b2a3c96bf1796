"""Who sends a request: its signature, checked against the secret that IAM keeps.

Signature skew is host time, since the client signed by the host's clock; the expiry of presigned
requests and of session tokens is cloud time. What cloud time has leapt since a link was signed counts
against it, and what it leapt before does not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256

from doppio.gateway.links import Links
from doppio.kernel.clock import Clock
from doppio.kernel.identity import (
    ANONYMOUS,
    BY_GLOBAL_ENDPOINT,
    DEFAULT_REGIONS_ALONE,
    EXPRESS,
    Caller,
    Credential,
    Identities,
)
from doppio.kernel.regions import DEFAULT_REGIONS
from doppio.wire import awschunked, sigv2, sigv4
from doppio.wire.errors import AwsError
from doppio.wire.http import ByteStream, Request
from doppio.wire.sigv4 import EMPTY_SHA256, UNSIGNED

AnySignature = sigv4.Signature | sigv2.SignatureV2
# How the digest begins of a body that is signed piece by piece.
_CHUNKED = "STREAMING-"


class MissingAuthenticationToken(AwsError):
    """A request without a signature to a service that wants one."""

    code = "MissingAuthenticationToken"
    status = 403
    text = "Request is missing Authentication Token"


class ContentSha256Mismatch(AwsError):
    """A body that is not the one that was signed."""

    code = "XAmzContentSHA256Mismatch"
    status = 400
    text = "The provided 'x-amz-content-sha256' header does not match what was computed."


class InvalidToken(AwsError):
    """A session's token where such sessions count for nothing."""

    code = "InvalidToken"
    status = 400
    text = "The provided token is malformed or otherwise invalid."


class InvalidClientTokenId(AwsError):
    """A session that does not count in this Region."""

    code = "InvalidClientTokenId"
    status = 403
    text = "The security token included in the request is invalid."


GLOBAL_STS = "sts.amazonaws.com"


def by_global_endpoint(caller: Caller) -> Caller:
    """The caller, as one who has come by STS's global endpoint."""
    return replace(caller, session={**caller.session, BY_GLOBAL_ENDPOINT: True})


def check_regions(caller: Caller, region: str) -> None:
    """Raise where a session counts in the Regions alone that every account has, and not here."""
    if DEFAULT_REGIONS_ALONE in caller.session and region and region not in DEFAULT_REGIONS:
        raise InvalidClientTokenId


def check_express(caller: Caller, signature: AnySignature | None, service: str) -> None:
    """Raise InvalidToken where a session with a directory bucket is used for something else."""
    if EXPRESS not in caller.session:
        return
    if signature is None or signature.service != "s3express" or service != "s3":
        raise InvalidToken


async def authenticate(
    request: Request,
    signature: AnySignature | None,
    identities: Identities,
    clock: Clock,
    *,
    is_s3: bool,
    streaming: bool,
    partition: str,
) -> tuple[Caller, ByteStream]:
    """The caller, and the body to read: decoded from aws-chunked, and checked while it is read.

    `streaming`: the operation takes its body as a stream. `partition`: where the call is, since the
    keys of others are none there. An unsigned request is anonymous.
    """
    if signature is None:
        return ANONYMOUS, unsigned(request)
    credential = await identities.credential(
        signature.access_key, signature.session_token, partition
    )
    body = signed(request, signature, credential, clock, is_s3=is_s3, streaming=streaming)
    return credential.caller, body


def signed(
    request: Request,
    signature: AnySignature,
    credential: Credential,
    clock: Clock,
    *,
    is_s3: bool,
    streaming: bool,
) -> ByteStream:
    """The body of a request that is signed with a credential, as `authenticate` gives it."""
    body = request.body
    said = signature.content_sha256
    chunked = said is not None and said.startswith(_CHUNKED)
    whole = body.whole
    computed: str | None = None
    if whole is not None and (not is_s3 or not (chunked or said is None or said == UNSIGNED)):
        computed = sha256(whole).hexdigest() if whole else EMPTY_SHA256
        if is_s3 and computed != said:
            raise ContentSha256Mismatch(
                ClientComputedContentSHA256=said, S3ComputedContentSHA256=computed
            )
    secret, seconds = credential.secret, clock.host.seconds()
    if not signature.presigned:
        key = sigv4.verify(signature, secret, request, seconds, body_sha256=computed)
    else:
        links = Links.of(clock)
        key = sigv4.verify(
            signature, secret, request, seconds, body_sha256=computed, cloud_now=clock.now(),
            end_of=links.end_of(clock, signature.signature),
        )  # fmt: skip
        links.has_come(clock, signature.signature)
    if said is None:
        return body
    if chunked:
        return Chunked(request, body, awschunked.decoder(said, request, key))
    if streaming and whole is None and said != UNSIGNED:
        return Hashed(body, said)
    return body


def unsigned(request: Request) -> ByteStream:
    """The body of a request that is not signed."""
    said = request.headers.get("x-amz-content-sha256")
    if said is not None and said.startswith(_CHUNKED):
        return Chunked(request, request.body, awschunked.decoder(said, request, None))
    return request.body


class Hashed:
    """A body whose SHA-256 was signed: the last chunk comes only if it was the right body."""

    def __init__(self, body: ByteStream, said: str) -> None:
        self.length = body.length
        self.whole: bytes | None = None
        self._body = body
        self._said = said

    async def __aiter__(self) -> AsyncIterator[bytes]:
        digest = sha256()
        held: bytes | None = None
        async for chunk in self._body:
            digest.update(chunk)
            if held is not None:
                yield held
            held = chunk
        computed = digest.hexdigest()
        if computed != self._said:
            raise ContentSha256Mismatch(
                ClientComputedContentSHA256=self._said, S3ComputedContentSHA256=computed
            )
        if held is not None:
            yield held


class Chunked:
    """A body in aws-chunked coding, decoded and verified; trailers join the request's headers."""

    def __init__(self, request: Request, body: ByteStream, decoder: awschunked.Decoder) -> None:
        length = request.headers.get("x-amz-decoded-content-length", "")
        self.length: int | None = int(length) if length.isdigit() else None
        self.whole: bytes | None = None
        names = request.headers.get("x-amz-trailer", "")
        self.trailer_names = tuple(name.strip() for name in names.split(",") if name.strip())
        self.trailers: dict[str, str] = {}
        self._request = request
        self._body = body
        self._decoder = decoder
        if body.whole is not None:
            self.whole = b"".join(self._decoder.feed(body.whole))
            self._finish()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self.whole is not None:
            yield self.whole
            return
        async for chunk in self._body:
            for piece in self._decoder.feed(chunk):
                yield piece  # type: ignore[misc]
        self._finish()

    def _finish(self) -> None:
        self.trailers = self._decoder.finish()
        if self.trailers:
            self._request.headers = {**self._request.headers, **self.trailers}
