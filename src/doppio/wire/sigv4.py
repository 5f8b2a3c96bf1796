"""Signature Version 4: reading it off a request, and checking it against a secret.

Pure: the time, the secret and the digest of the body come from outside. Source: "AWS Signature
Version 4 for API requests" in the IAM user guide, and "Authenticating requests" of S3.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from operator import itemgetter
from typing import Any, ClassVar

import msgspec

from doppio.wire import sigv2
from doppio.wire.canonical import canonical_query, encoded_once, encoded_twice, query_pairs
from doppio.wire.errors import AwsError
from doppio.wire.http import Request
from doppio.wire.sigv2 import EndOf, as_written
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
EMPTY_SHA256 = sha256(b"").hexdigest()
SKEW = timedelta(minutes=15)
SKEW_SECONDS = SKEW.total_seconds()
EXPIRES_SECONDS_MAX = 604_800
SIGNATURE_CHARS = 64
NUMBER_CHARS_MAX = 20
CACHED_KEYS_MAX = 10_000
CACHED_GRANTS_MAX = 2_000
CACHED_GRANT_CHARS_MAX = 1_000
QUERY_BYTES_MAX = 64 * 1024

_NUMBER = re.compile(r"-?[0-9]+\Z")
_is_digest = re.compile(r"[0-9a-f]{64}\Z").match
_SPACES = re.compile(r" {2,}")
_AUTHORIZATION = re.compile(
    r"(AWS4-HMAC-SHA256|AWS4-ECDSA-P256-SHA256)[ ,]+Credential=([^/,\s]+)/([^,\s]+)\s*,\s*"
    r"SignedHeaders=([^,\s]+)\s*,\s*Signature=([0-9a-fA-F]+)\s*\Z"
)


class Grant:
    """The part of an authorisation that all requests of a client and a day share: all but the
    signature itself. What follows from it alone is worked out once: of which headers the canonical
    request consists, and how it is written.

    `second` and `covered` are from the last request: a client sends many in a second, and the
    same headers each time.
    """

    __slots__ = (
        "access_key", "algorithm", "covered", "date", "form", "is_s3", "names", "pick", "region",
        "scope", "second", "service", "signed_headers",
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
        self.is_s3 = self.service in ("s3", "s3-object-lambda", "s3express")
        self.signed_headers = signed_headers
        names = self.names = signed_headers.split(";")
        self.pick = itemgetter(*names)
        self.form = "".join([name.replace("%", "%%") + ":%s\n" for name in names])
        self.second: _Second | None = None
        self.covered: tuple[str, ...] = ()


class _Second:
    """What all requests share that a client signs within a second. Raises AwsError for a time that
    is none, or is of another day."""

    __slots__ = ("inner", "outer", "seconds", "secret", "timestamp", "when")

    def __init__(self, grant: Grant, when: str) -> None:
        self.when = when
        self.timestamp = moment(when)
        self.seconds = self.timestamp.timestamp()
        if not when.startswith(grant.date):
            raise SignatureDoesNotMatch(
                f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
                f"from HTTP: '{grant.date}' != '{when[:8]}', from '{when}'."
            )
        # The two hashes of an HMAC with the secret's key: the inner one has the string to sign
        # but for its last line.
        self.secret: str | None = None
        self.inner: Any = None
        self.outer: Any = None

    def begin(self, grant: Grant, secret: str) -> None:
        """Get ready to check against a secret."""
        begun = _begun((secret, grant.date, grant.region, grant.service))
        self.inner, self.outer = begun[0].copy(), begun[1]
        self.inner.update(_string_to_sign(grant, self.when, "").encode())
        self.secret = secret


class Signature(msgspec.Struct, eq=False):
    """What a request says of its signature; access key, region and service are the grant's."""

    posted: ClassVar[bool] = False

    grant: Grant
    second: _Second
    access_key: str
    region: str
    service: str
    signature: str
    session_token: str | None
    content_sha256: str | None
    presigned: bool = False
    # Seconds, of a presigned request alone.
    expires: int | None = None

    @property
    def algorithm(self) -> str:
        """As the authorisation calls it."""
        return self.grant.algorithm

    @property
    def timestamp(self) -> datetime:
        """When it was made."""
        return self.second.timestamp


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
    headers = request.headers
    authorization = headers.get("authorization")
    if authorization is not None:
        when = headers.get("x-amz-date")
        grant = _grants.get(authorization[:-SIGNATURE_CHARS])
        given = authorization[-SIGNATURE_CHARS:]
        if grant is None or not when or _is_digest(given) is None:
            if authorization.startswith("AWS "):
                return sigv2.parse_header(request, authorization)
            grant, given = _read_authorization(authorization)
            when = when or _from_http_date(headers.get("date"))
            if not when:
                raise IncompleteSignature(
                    "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' "
                    "header."
                )
        second = grant.second
        if second is None or second.when != when:
            second = grant.second = _Second(grant, when)
        # Sessions with directory buckets have a header of their own.
        token = headers.get("x-amz-security-token") or headers.get("x-amz-s3session-token")
        return Signature(
            grant, second, grant.access_key, grant.region, grant.service, given, token,
            headers.get("x-amz-content-sha256"),
        )  # fmt: skip
    query = request.query
    if not query:
        return None
    if "X-Amz-Signature=" in query or "X-Amz-Algorithm=" in query:
        return _parse_query(request)
    if "Signature=" in query and "AWSAccessKeyId=" in query:
        return sigv2.parse_query(query_pairs(query))
    return None


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
    grant = Grant(algorithm, access_key, scope, signed)
    token = pairs.get("X-Amz-Security-Token", pairs.get("X-Amz-S3session-Token"))
    content_sha256 = pairs.get("X-Amz-Content-Sha256") or request.headers.get(
        "x-amz-content-sha256"
    )
    return Signature(
        grant, _Second(grant, when), access_key, grant.region, grant.service, given.lower(), token,
        content_sha256, presigned=True, expires=seconds,
    )  # fmt: skip


def verify(
    signature: Signature | sigv2.SignatureV2,
    secret: str,
    request: Request,
    host_seconds: float,
    *,
    body_sha256: str | None,
    cloud_now: datetime | None = None,
    end_of: EndOf = as_written,
) -> SigningKey | None:
    """Check a signature; the key with which chunks of the body go on being checked, if it has any.

    `host_seconds` is host time, for skew; `cloud_now` is the cloud's, for the expiry of presigned
    requests: `end_of` says when one ends in that time. `body_sha256` is the digest of the body where
    it is known. Raises AwsError.
    """
    if isinstance(signature, sigv2.SignatureV2):
        sigv2.verify(signature, secret, request, _utc(host_seconds), cloud_now, end_of)
        return None
    grant, second, presigned = signature.grant, signature.second, signature.presigned
    if presigned or abs(host_seconds - second.seconds) > SKEW_SECONDS:
        _check_time(signature, _utc(host_seconds), cloud_now, end_of)
    is_s3 = grant.is_s3
    payload = signature.content_sha256
    if payload is None:
        payload = UNSIGNED if presigned and is_s3 else body_sha256 or EMPTY_SHA256
    elif not is_s3 and body_sha256 is not None and payload != UNSIGNED:
        payload = body_sha256
    if is_s3 and tuple(request.headers) != grant.covered:
        _check_all_signed(grant, request)
    canonical = canonical_request(signature, request, payload)
    if grant.algorithm == ALGORITHM_A:
        from doppio.wire import sigv4a

        text = _string_to_sign(grant, second.when, _digest(canonical))
        if not sigv4a.verify(grant.access_key, secret, text.encode(), signature.signature):
            raise _mismatch(signature, canonical)
        public = sigv4a.public_key(grant.access_key, secret)
        return SigningKey(b"", grant.scope, signature.signature, second.when, public)
    if second.secret != secret:
        second.begin(grant, secret)
    # What a key and a second add to the hashes of an HMAC is the same for every request: it is kept.
    inner, outer = second.inner.copy(), second.outer.copy()
    inner.update(sha256(canonical.encode()).hexdigest().encode())
    outer.update(inner.digest())
    expected: str = outer.hexdigest()
    # As bytes: it refuses to compare texts that are more than ASCII.
    if not compare_digest(expected.encode(), signature.signature.encode()):
        raise _mismatch(signature, canonical)
    if payload.startswith("STREAMING-"):
        key = signing_key(secret, grant.date, grant.region, grant.service)
        return SigningKey(key, grant.scope, expected, second.when)
    return None


def _check_all_signed(grant: Grant, request: Request) -> None:
    """Whoever holds a link must not add to it what its maker has not signed (a grant, a token)."""
    headers = request.headers
    left = [name for name in headers if name.startswith("x-amz-") and name not in grant.names]
    if left:
        # What a link's query says is signed with it, and may have become a header already.
        said = {name.lower(): value for name, value in query_pairs(request.query).items()}
        left = [name for name in left if said.get(name) != headers[name]]
        if left:
            raise HeadersNotSigned(HeadersNotSigned=", ".join(left))
    elif sum(map(len, headers)) <= CACHED_GRANT_CHARS_MAX:
        grant.covered = tuple(headers)


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
    begun = _keyed.get(wanted)
    if begun is not None:
        return begun
    block = signing_key(*wanted).ljust(_SHA256_BLOCK_BYTES, b"\0")
    begun = sha256(block.translate(_INNER)), sha256(block.translate(_OUTER))
    if len(_keyed) >= CACHED_KEYS_MAX:
        _keyed.clear()
    _keyed[wanted] = begun
    return begun


def canonical_request(signature: Signature, request: Request, payload: str) -> str:
    """The text over which the signature was made."""
    headers = request.headers
    grant = signature.grant
    try:
        lines = grant.form % grant.pick(headers)
    except KeyError:
        lines = _lines(grant, headers)
    else:
        if " " in lines and ("  " in lines or " \n" in lines or ": " in lines):
            lines = _lines(grant, headers)
    path, query = request.path, request.query
    if path != "/":
        path = (encoded_once(path) if grant.is_s3 else encoded_twice(path)) or "/"
    if query:
        query = canonical_query(query, signature.presigned)
    return f"{request.method}\n{path}\n{query}\n{lines}\n{grant.signed_headers}\n{payload}"


def _lines(grant: Grant, headers: Mapping[str, str]) -> str:
    """The signed headers with their spaces folded.

    A client that signs a header it does not send signs the empty value.
    """
    return "".join(
        [f"{name}:{_SPACES.sub(' ', headers.get(name, '')).strip()}\n" for name in grant.names]
    )


def _digest(canonical: str) -> str:
    return sha256(canonical.encode()).hexdigest()


def _string_to_sign(grant: Grant, when: str, digest: str) -> str:
    return f"{grant.algorithm}\n{when}\n{grant.scope}\n{digest}"


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _check_time(
    signature: Signature, now: datetime, cloud_now: datetime | None, end_of: EndOf
) -> None:
    signed_at, when = signature.timestamp, signature.second.when
    if signature.expires is None:
        if signature.service == "s3":
            raise RequestTimeTooSkewed(
                RequestTime=when,
                ServerTime=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                MaxAllowedSkewMilliseconds="900000",
            )
        edge = (now - SKEW if signed_at < now else now + SKEW).strftime("%Y%m%dT%H%M%SZ")
        word = "expired" if signed_at < now else "not yet current"
        sign = "<" if signed_at < now else ">"
        raise SignatureDoesNotMatch(
            f"Signature {word}: {when} is now {'earlier' if sign == '<' else 'still later'}"
            f" than {edge} ({now.strftime('%Y%m%dT%H%M%SZ')} {'-' if sign == '<' else '+'} 15 min.)"
        )
    # A client signs by the host's clock, in whole seconds, and what it signs lasts in cloud time.
    if signed_at - now > SKEW:
        raise RequestExpired("Request is not valid yet")
    second = signed_at.timestamp()
    expires_at = _utc(end_of(second + signature.expires, second + 1))
    reference = cloud_now or now
    if reference > expires_at:
        raise RequestExpired(
            Expires=expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            ServerTime=reference.strftime("%Y-%m-%dT%H:%M:%SZ"),
            **{"X-Amz-Expires": str(signature.expires)},  # type: ignore[arg-type]
        )


def _mismatch(signature: Signature, canonical: str) -> AwsError:
    grant = signature.grant
    text = _string_to_sign(grant, signature.second.when, _digest(canonical))
    if grant.is_s3:
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
