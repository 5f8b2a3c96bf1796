"""Signature Version 4: reading it off a request, and checking it against a secret.

Pure: the time, the secret and the digest of the body come from outside. Source: "AWS Signature
Version 4 for API requests" in the IAM user guide, and "Authenticating requests" of S3.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from doppio.wire import sigv2
from doppio.wire.canonical import canonical_query, encoded_once, encoded_twice, query_pairs
from doppio.wire.errors import AwsError
from doppio.wire.http import Request
from doppio.wire.sigv4_errors import (
    AuthorizationQueryParametersError,
    HeadersNotSigned,
    IncompleteSignature,
    RequestExpired,
    RequestTimeTooSkewed,
    SignatureDoesNotMatch,
)

ALGORITHM = "AWS4-HMAC-SHA256"
ALGORITHM_A = "AWS4-ECDSA-P256-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
SKEW = timedelta(minutes=15)
EXPIRES_SECONDS_MAX = 604_800
SIGNATURE_CHARS = 64
NUMBER_CHARS_MAX = 20
CACHED_KEYS_MAX = 10_000
CACHED_GRANTS_MAX = 2_000
CACHED_GRANT_CHARS_MAX = 1_000
QUERY_BYTES_MAX = 64 * 1024

_NUMBER = re.compile(r"-?[0-9]+\Z")
_HEX = re.compile(r"[0-9a-f]{64}\Z")
_SPACES = re.compile(r" {2,}")
_AUTHORIZATION = re.compile(
    r"(AWS4-HMAC-SHA256|AWS4-ECDSA-P256-SHA256)[ ,]+Credential=([^/,\s]+)/([^,\s]+)\s*,\s*"
    r"SignedHeaders=([^,\s]+)\s*,\s*Signature=([0-9a-fA-F]+)\s*\Z"
)


class Grant:
    """The part of an authorisation that all requests of a client and a day share: all but the
    signature itself."""

    __slots__ = (
        "access_key", "algorithm", "date", "names", "region", "scope", "service", "signed_headers",
    )  # fmt: skip

    def __init__(self, algorithm: str, access_key: str, scope: str, signed_headers: str) -> None:
        parts = scope.split("/")
        if algorithm == ALGORITHM_A:
            parts.insert(1, "*")
        if len(parts) != 4 or parts[3] != "aws4_request":
            raise IncompleteSignature(
                f"Credential must have exactly 5 slash-delimited elements, e.g. "
                f"keyid/date/region/service/term, got '{access_key}/{scope}'"
            )
        self.algorithm = algorithm
        self.access_key = access_key
        self.scope = scope
        self.date, self.region, self.service = parts[0], parts[1], parts[2]
        self.signed_headers = signed_headers
        self.names = signed_headers.split(";")


class Signature:
    """What a request says of its signature."""

    posted = False
    __slots__ = (
        "access_key", "algorithm", "content_sha256", "expires", "grant", "presigned", "region", "service",
        "session_token", "signature", "timestamp", "when",
    )  # fmt: skip

    def __init__(self, grant: Grant, signature: str, when: str) -> None:
        self.grant = grant
        self.access_key = grant.access_key
        self.algorithm = grant.algorithm
        self.region = grant.region
        self.service = grant.service
        self.signature = signature
        self.when = when
        self.timestamp = moment(when)
        if not when.startswith(grant.date):
            raise SignatureDoesNotMatch(
                f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
                f"from HTTP: '{grant.date}' != '{when[:8]}', from '{when}'."
            )
        self.presigned = False
        self.expires: int | None = None
        self.session_token: str | None = None
        self.content_sha256: str | None = None


class SigningKey:
    """A key derived from a secret for a date, region and service; and the seed of chunk chains.

    `public` is the key pair's public half, with SigV4A alone.
    """

    __slots__ = ("key", "public", "scope", "seed", "when")

    def __init__(self, key: bytes, scope: str, seed: str, when: str, public: Any = None) -> None:
        self.key = key
        self.public = public
        self.scope = scope
        self.seed = seed
        self.when = when


def parse(request: Request) -> Signature | sigv2.SignatureV2 | None:
    """The signature of a request; None where it bears none. Raises AwsError for half a one."""
    authorization = request.headers.get("authorization")
    if authorization is not None:
        if authorization.startswith("AWS "):
            return sigv2.parse_header(request, authorization)
        return _parse_header(request, authorization)
    query = request.query
    if not query:
        return None
    if "X-Amz-Signature=" in query or "X-Amz-Algorithm=" in query:
        return _parse_query(request)
    if "Signature=" in query and "AWSAccessKeyId=" in query:
        return sigv2.parse_query(query_pairs(query))
    return None


def _parse_header(request: Request, authorization: str) -> Signature:
    headers = request.headers
    when = headers.get("x-amz-date") or _from_http_date(headers.get("date"))
    grant = _grants.get(authorization[:-SIGNATURE_CHARS])
    given = authorization[-SIGNATURE_CHARS:]
    if grant is None or not when or _HEX.match(given) is None:
        grant, given = _read_authorization(authorization)
    if not when:
        raise IncompleteSignature(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        )
    signature = Signature(grant, given, when)
    token = headers.get("x-amz-security-token")
    # Sessions with directory buckets have a header of their own.
    signature.session_token = token or headers.get("x-amz-s3session-token")
    signature.content_sha256 = headers.get("x-amz-content-sha256")
    return signature


def _read_authorization(authorization: str) -> tuple[Grant, str]:
    found = _AUTHORIZATION.match(authorization)
    if found is None:
        kind = authorization.partition(" ")[0]
        if kind not in (ALGORITHM, ALGORITHM_A):
            raise IncompleteSignature(f"Unsupported Authorization Type: '{kind}'.")
        missing = [
            f"Authorization header requires '{name}' parameter."
            for name in ("Credential", "Signature", "SignedHeaders")
            if f"{name}=" not in authorization
        ]
        raise IncompleteSignature(
            " ".join(missing) + f" Authorization={authorization.partition(',')[0]}"
        )
    grant = Grant(found[1], found[2], found[3], found[4])
    given = found[5].lower()
    if (
        len(given) == SIGNATURE_CHARS
        and len(authorization) <= CACHED_GRANT_CHARS_MAX
        and authorization.endswith(given)
    ):
        if len(_grants) >= CACHED_GRANTS_MAX:
            _grants.clear()
        _grants[authorization[:-SIGNATURE_CHARS]] = grant
    return grant, given


def _parse_query(request: Request) -> Signature:
    if len(request.query) > QUERY_BYTES_MAX:
        raise AuthorizationQueryParametersError("The query is too long.")
    pairs = query_pairs(request.query)
    names = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
    values = [pairs.get(f"X-Amz-{name}", "") for name in names]
    algorithm, credential, when, expires, signed, given = values
    if algorithm not in (ALGORITHM, ALGORITHM_A):
        raise AuthorizationQueryParametersError(
            'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"'
        )
    service_scope = credential.rsplit("/", 2)[-2] if credential.count("/") > 2 else ""
    if not expires and service_scope != "s3":
        expires = "900"
    if not all((credential, when, expires, signed, given)):
        raise AuthorizationQueryParametersError(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, "
            "X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and "
            "X-Amz-Expires parameters."
        )
    if _NUMBER.match(expires) is None:
        raise AuthorizationQueryParametersError("X-Amz-Expires should be a number")
    # More digits than any number of ours are more than a week.
    seconds = int(expires[:NUMBER_CHARS_MAX])
    if seconds < 0:
        raise AuthorizationQueryParametersError("X-Amz-Expires must be non-negative")
    if seconds > EXPIRES_SECONDS_MAX:
        raise AuthorizationQueryParametersError(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given "
            "X-Amz-Expires must be less than 604800 seconds"
        )
    access_key, _, scope = credential.partition("/")
    signature = Signature(Grant(algorithm, access_key, scope, signed), given.lower(), when)
    signature.presigned = True
    signature.expires = seconds
    own = pairs.get("X-Amz-S3session-Token")
    signature.session_token = pairs.get("X-Amz-Security-Token", own)
    signature.content_sha256 = pairs.get("X-Amz-Content-Sha256") or request.headers.get(
        "x-amz-content-sha256"
    )
    return signature


def verify(
    signature: Signature | sigv2.SignatureV2,
    secret: str,
    request: Request,
    now: datetime,
    *,
    body_sha256: str | None,
    cloud_now: datetime | None = None,
) -> SigningKey | None:
    """Check a signature; the key with which chunks of the body go on being checked, if it has any.

    `now` is host time, for skew; `cloud_now` is the cloud's, for the expiry of presigned requests,
    both counted from the moment of signing. `body_sha256` is the digest of the body where it is
    known. Raises AwsError.
    """
    if isinstance(signature, sigv2.SignatureV2):
        sigv2.verify(signature, secret, request, now, cloud_now)
        return None
    if signature.expires is not None or abs(now - signature.timestamp) > SKEW:
        _check_time(signature, now, cloud_now)
    is_s3 = signature.service in ("s3", "s3-object-lambda", "s3express")
    payload = signature.content_sha256
    if payload is None:
        payload = UNSIGNED if signature.presigned and is_s3 else body_sha256 or EMPTY_SHA256
    elif not is_s3 and body_sha256 is not None and payload != UNSIGNED:
        payload = body_sha256
    grant = signature.grant
    if is_s3:
        _check_all_signed(grant.names, request)
    canonical = canonical_request(signature, request, payload, is_s3)
    if grant.algorithm == ALGORITHM_A:
        from doppio.wire import sigv4a

        text = _string_to_sign(ALGORITHM_A, signature.when, grant.scope, canonical)
        if not sigv4a.verify(grant.access_key, secret, text.encode(), signature.signature):
            raise _mismatch(signature, canonical, text, is_s3)
        public = sigv4a.public_key(grant.access_key, secret)
        return SigningKey(b"", grant.scope, signature.signature, signature.when, public)
    wanted = (secret, grant.date, grant.region, grant.service)
    begun = _keyed.get(wanted) or _begun(wanted)
    text = _string_to_sign(ALGORITHM, signature.when, grant.scope, canonical)
    # What a key adds to the two hashes of an HMAC is the same for every request: it is kept.
    inner, outer = begun[0].copy(), begun[1].copy()
    inner.update(text.encode())
    outer.update(inner.digest())
    expected: str = outer.hexdigest()
    # As bytes: it refuses to compare texts that are more than ASCII.
    if not hmac.compare_digest(expected.encode(), signature.signature.encode()):
        raise _mismatch(signature, canonical, text, is_s3)
    if payload.startswith("STREAMING-"):
        return SigningKey(signing_key(*wanted), grant.scope, expected, signature.when)
    return None


def _check_all_signed(names: list[str], request: Request) -> None:
    """Whoever holds a link must not add to it what its maker has not signed (a grant, a token)."""
    headers = request.headers
    left = [name for name in headers if name.startswith("x-amz-") and name not in names]
    if left:
        # What a link's query says is signed with it, and may have become a header already.
        said = {name.lower(): value for name, value in query_pairs(request.query).items()}
        left = [name for name in left if said.get(name) != headers[name]]
    if left:
        raise HeadersNotSigned(HeadersNotSigned=", ".join(left))


_grants: dict[str, Grant] = {}
_keyed: dict[tuple[str, str, str, str], tuple[Any, Any]] = {}
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
_SHA256_BLOCK_BYTES = 64


def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key of a secret for a date, a region and a service."""
    key = ("AWS4" + secret).encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _begun(wanted: tuple[str, str, str, str]) -> tuple[Any, Any]:
    """The inner and the outer hash of an HMAC, begun with the signing key (RFC 2104)."""
    block = signing_key(*wanted).ljust(_SHA256_BLOCK_BYTES, b"\0")
    begun = hashlib.sha256(block.translate(_INNER)), hashlib.sha256(block.translate(_OUTER))
    if len(_keyed) >= CACHED_KEYS_MAX:
        _keyed.clear()
    _keyed[wanted] = begun
    return begun


def canonical_request(signature: Signature, request: Request, payload: str, is_s3: bool) -> str:
    """The text over which the signature was made."""
    headers = request.headers
    grant = signature.grant
    try:
        lines = "".join([f"{name}:{headers[name]}\n" for name in grant.names])
    except KeyError:
        lines = _lines(grant, headers)
    else:
        if "  " in lines or " \n" in lines or ": " in lines:
            lines = _lines(grant, headers)
    path = encoded_once(request.path) if is_s3 else encoded_twice(request.path)
    query = canonical_query(request.query, signature.presigned) if request.query else ""
    return f"{request.method}\n{path or '/'}\n{query}\n{lines}\n{grant.signed_headers}\n{payload}"


def _lines(grant: Grant, headers: Mapping[str, str]) -> str:
    """The signed headers with their spaces folded.

    A client that signs a header it does not send signs the empty value.
    """
    return "".join(
        [f"{name}:{_SPACES.sub(' ', headers.get(name, '')).strip()}\n" for name in grant.names]
    )


def _string_to_sign(algorithm: str, when: str, scope: str, canonical: str) -> str:
    return f"{algorithm}\n{when}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"


def _check_time(signature: Signature, now: datetime, cloud_now: datetime | None) -> None:
    signed_at = signature.timestamp
    if signature.expires is None:
        if signature.service == "s3":
            raise RequestTimeTooSkewed(
                RequestTime=signature.when,
                ServerTime=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                MaxAllowedSkewMilliseconds="900000",
            )
        edge = (now - SKEW if signed_at < now else now + SKEW).strftime("%Y%m%dT%H%M%SZ")
        word = "expired" if signed_at < now else "not yet current"
        sign = "<" if signed_at < now else ">"
        raise SignatureDoesNotMatch(
            f"Signature {word}: {signature.when} is now {'earlier' if sign == '<' else 'still later'}"
            f" than {edge} ({now.strftime('%Y%m%dT%H%M%SZ')} {'-' if sign == '<' else '+'} 15 min.)"
        )
    # A client signs by the host's clock. The cloud's may have run ahead since: that counts too, and
    # what the cloud signs itself is signed by the later of both.
    reference = max(now, cloud_now) if cloud_now is not None else now
    if signed_at - reference > SKEW:
        raise RequestExpired("Request is not valid yet")
    expires_at = signed_at + timedelta(seconds=signature.expires)
    if reference > expires_at:
        raise RequestExpired(
            Expires=expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            ServerTime=reference.strftime("%Y-%m-%dT%H:%M:%SZ"),
            **{"X-Amz-Expires": str(signature.expires)},  # type: ignore[arg-type]
        )


def _mismatch(signature: Signature, canonical: str, text: str, is_s3: bool) -> AwsError:
    if is_s3:
        return SignatureDoesNotMatch(
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
            AWSAccessKeyId=signature.access_key,
            StringToSign=text,
            SignatureProvided=signature.signature,
            StringToSignBytes=text.encode().hex(" "),
            CanonicalRequest=canonical,
            CanonicalRequestBytes=canonical.encode().hex(" "),
        )
    return SignatureDoesNotMatch(
        f"{SignatureDoesNotMatch.text}\n\nThe Canonical String for this request should have been\n"
        f"'{canonical}'\n\nThe String-to-Sign should have been\n'{text}'\n"
    )


_moments: dict[str, datetime] = {}


def moment(when: str) -> datetime:
    """The time of an x-amz-date. Raises IncompleteSignature."""
    found = _moments.get(when)
    if found is None:
        try:
            found = datetime.strptime(when, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError as error:
            raise IncompleteSignature(
                f"Date must be in ISO-8601 'basic format'. Got '{when}'."
            ) from error
        if len(_moments) > 1_000:
            _moments.clear()
        _moments[when] = found
    return found


def _from_http_date(text: str | None) -> str:
    if text is None:
        return ""
    if re.fullmatch(r"\d{8}T\d{6}Z", text):
        return text
    try:
        moment = datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except ValueError:
        return ""
    return moment.strftime("%Y%m%dT%H%M%SZ")
