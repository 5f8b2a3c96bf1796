"""Forms that browsers post to a bucket: `multipart/form-data` with fields first and then one file.

The fields are few and small and are gathered; the file is a stream, never in memory in proportion
to its size. Who posts is told by a signature over the form's policy, in a field beside it. What the
policy allows, the service checks.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from msgspec.structs import replace

from doppio.gateway.route import Target, bucket_of_host, services
from doppio.gateway.websites import origin_of, response_of
from doppio.kernel.identity import ANONYMOUS, Caller, Identities
from doppio.kernel.regions import partition_of
from doppio.kernel.web import Form
from doppio.wire import model, sigv2, sigv4, sigv4_errors
from doppio.wire.codec import Codec
from doppio.wire.errors import AwsError
from doppio.wire.http import ByteStream, Request, Response, Whole

# Source: "POST Object" in S3's API reference: 20 KB before the file.
FIELDS_BYTES_MAX = 20 * 1024
# A file up to this is gathered, so that it may lie in its record.
GATHERED_BYTES_MAX = 64 * 1024
_HEADERS_BYTES_MAX = 8 * 1024
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^;\s]{1,70}))', re.IGNORECASE)
_NAME = re.compile(r'[;\s]name="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_FILENAME = re.compile(r'[;\s]filename="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_PLACE = "${filename}"
# Fields that are headers of PutObject under the same name.
_HEADERS = frozenset(
    {
        "cache-control", "content-type", "content-disposition", "content-encoding",
        "content-language", "content-md5", "expires",
    }
)  # fmt: skip
_SIGNING = frozenset(
    {
        "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature",
        "x-amz-security-token",
    }
)  # fmt: skip


class MalformedPost(AwsError):
    code = "MalformedPOSTRequest"
    text = "The body of your POST request is not well-formed multipart/form-data."


class FieldsTooLarge(AwsError):
    code = "MaxPostPreDataLengthExceededError"
    text = "Your POST request fields preceding the upload file were too large."


class InvalidArgument(AwsError):
    code = "InvalidArgument"


def target_of(request: Request) -> Target | None:
    """The bucket that a form is posted to; None where the request is no form."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return None
    bucket = bucket_of_host(request.headers.get("host", ""))
    path = request.path.strip("/")
    if "authorization" in request.headers or (path if bucket else "/" in path or not path):
        return None
    operation = model.load("s3").operations["PutObject"]
    uri = {"Bucket": bucket or path}
    return Target("s3", services()["s3"].protocols[0], operation, "", uri)


async def answer(
    cloud: Any, request: Request, target: Target, codec: Codec, request_id: str
) -> Response:
    """Take the form, and answer as it wants to be answered. Raises AwsError."""
    found = _BOUNDARY.search(request.headers["content-type"])
    if found is None:
        raise MalformedPost
    parts = _Parts(request.body, (found[1] or found[2]).encode())
    fields, filename = await parts.fields()
    if filename is None:
        raise InvalidArgument(
            "POST requires exactly one file upload per request.",
            ArgumentName="file",
            ArgumentValue="0",
        )
    fields = {name: text.replace(_PLACE, filename) for name, text in fields.items()}
    caller, region = await _authenticate(fields, cloud.identities)
    region = region or "us-east-1"
    context = cloud.context(
        caller,
        account=caller.account,
        region=region,
        request_id=request_id,
        partition=partition_of(region),
        source_ip=request.peer,
        user_agent=request.headers.get("user-agent", ""),
        secure=request.secure,
        signature=_signed(fields),
    )
    req = _put(request, target, codec, fields)
    form = Form(target.uri["Bucket"], fields, origin_of(request), req, await parts.file())
    shown = await cloud.services["s3"].web.post(context, form)
    return response_of(shown, codec, request_id)


def _put(
    request: Request, target: Target, codec: Codec, fields: Mapping[str, str]
) -> dict[str, Any]:
    """The members of PutObject that the fields stand for, but for the body."""
    headers = {
        name: text
        for name, text in fields.items()
        if name in _HEADERS or (name.startswith("x-amz-") and name not in _SIGNING)
    }
    if "acl" in fields:
        headers["x-amz-acl"] = fields["acl"]
    bare = replace(request, method="PUT", path="/", query="", headers=headers, body=Whole(b""))
    uri = {"Bucket": target.uri["Bucket"], "Key": fields.get("key", "")}
    req: dict[str, Any] = codec.decode(target.operation, bare, uri)
    # As text that came from a percent-encoded path, it would be decoded; a field is what it is.
    req["Key"] = uri["Key"]
    req.pop("Body", None)
    if "tagging" in fields:
        operation = model.load("s3").operations["PutObjectTagging"]
        document = replace(bare, headers={}, body=Whole(fields["tagging"].encode()))
        req["TagSet"] = codec.decode(operation, document, uri)["Tagging"].get("TagSet") or []
    return req


class _Signed(NamedTuple):
    """A form's signature, as policies may ask for it."""

    algorithm: str
    timestamp: datetime | None
    posted: bool = True
    presigned: bool = True
    content_sha256: str | None = None


def _signed(fields: Mapping[str, str]) -> _Signed | None:
    if "x-amz-signature" in fields:
        when = sigv4.moment(fields.get("x-amz-date", ""))
        return _Signed(fields.get("x-amz-algorithm", ""), when)
    return _Signed("AWS", None) if "signature" in fields else None


async def _authenticate(fields: Mapping[str, str], identities: Identities) -> tuple[Caller, str]:
    """Who signed the form's policy, and for which Region."""
    policy = fields.get("policy")
    signed = "x-amz-signature" in fields or "signature" in fields
    if policy is None and not signed:
        return ANONYMOUS, ""
    if policy is None:
        raise _missing("policy")
    if "x-amz-signature" in fields:
        return await _by_v4(fields, policy, identities)
    for name in ("AWSAccessKeyId", "signature"):
        if name.lower() not in fields:
            raise _missing(name)
    credential = await identities.credential(
        fields["awsaccesskeyid"], fields.get("x-amz-security-token")
    )
    digest = hmac.digest(credential.secret.encode(), policy.encode(), "sha1")
    if not hmac.compare_digest(base64.b64encode(digest), fields["signature"].encode()):
        raise sigv2.SignatureDoesNotMatchV2(
            AWSAccessKeyId=fields["awsaccesskeyid"],
            StringToSign=policy,
            SignatureProvided=fields["signature"],
        )
    return credential.caller, ""


async def _by_v4(
    fields: Mapping[str, str], policy: str, identities: Identities
) -> tuple[Caller, str]:
    for name in ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date"):
        if name.lower() not in fields:
            raise _missing(name)
    algorithm = fields["x-amz-algorithm"]
    if algorithm != "AWS4-HMAC-SHA256":
        raise InvalidArgument(
            "Unsupported Authorization Type",
            ArgumentName="x-amz-algorithm",
            ArgumentValue=algorithm,
        )
    access_key, _, scope = fields["x-amz-credential"].partition("/")
    grant = sigv4.Grant(algorithm, access_key, scope, "")
    credential = await identities.credential(
        access_key, fields.get("x-amz-security-token"), partition_of(grant.region)
    )
    key = sigv4.signing_key(credential.secret, grant.date, grant.region, grant.service)
    expected = hmac.digest(key, policy.encode(), "sha256").hex()
    given = fields["x-amz-signature"]
    if grant.service != "s3" or not hmac.compare_digest(expected.encode(), given.encode()):
        raise sigv4_errors.SignatureDoesNotMatch(
            "The request signature we calculated does not match the signature you provided. Check "
            "your key and signing method.",
            AWSAccessKeyId=access_key,
            StringToSign=policy,
            SignatureProvided=given,
        )
    return credential.caller, grant.region


def _missing(name: str) -> InvalidArgument:
    return InvalidArgument(
        f"Bucket POST must contain a field named '{name}'.  If it is specified, please check the "
        "order of the fields.",
        ArgumentName=name,
        ArgumentValue="",
    )


class _Parts:
    """The parts of a form, as they come in."""

    def __init__(self, body: ByteStream, boundary: bytes) -> None:
        self._chunks = body.__aiter__()
        # The first boundary may be the very first bytes: it is found as all others are.
        self._held = bytearray(b"\r\n")
        self._mark = b"\r\n--" + boundary
        self._ended = False

    async def fields(self) -> tuple[dict[str, str], str | None]:
        """The fields before the file, by their names in lower case, and the file's name.

        Its name is None where there is no file. What comes behind the file does not count.
        """
        fields: dict[str, str] = {}
        size = 0
        await self._until(self._mark, FIELDS_BYTES_MAX)
        while not await self._is_last():
            head = (await self._until(b"\r\n\r\n", _HEADERS_BYTES_MAX)).decode("utf-8", "replace")
            head = f" {head}".replace("\r\n", " ; ")
            named = _NAME.search(head)
            if named is None:
                raise MalformedPost
            name = named[1].lower()
            if name == "file":
                given = _FILENAME.search(head)
                filename = re.split(r"[/\\]", given[1])[-1] if given else ""
                return fields, filename
            text = await self._until(self._mark, FIELDS_BYTES_MAX)
            size += len(text) + len(name)
            if size > FIELDS_BYTES_MAX:
                raise FieldsTooLarge
            fields[name] = text.decode("utf-8", "replace")
        return fields, None

    async def file(self) -> ByteStream:
        """The file: whole where it is small, else as a stream."""
        gathered = bytearray()
        rest = self._file()
        async for chunk in rest:
            gathered += chunk
            if len(gathered) > GATHERED_BYTES_MAX:
                return FormFile(bytes(gathered), rest)
        return Whole(bytes(gathered))

    async def _file(self) -> AsyncIterator[bytes]:
        held, mark = self._held, self._mark
        while True:
            end = held.find(mark)
            if end >= 0:
                if end:
                    yield bytes(held[:end])
                return
            # What may be the beginning of the boundary waits for what follows.
            sure = len(held) - len(mark) + 1
            if sure > 0:
                chunk = bytes(held[:sure])
                del held[:sure]
                yield chunk
            await self._more()

    async def _is_last(self) -> bool:
        while len(self._held) < 2:
            await self._more()
        return self._held.startswith(b"--")

    async def _until(self, mark: bytes, bytes_max: int) -> bytes:
        held = self._held
        searched = 0
        while (end := held.find(mark, searched)) < 0:
            if len(held) > bytes_max + len(mark):
                raise FieldsTooLarge
            searched = max(0, len(held) - len(mark))
            await self._more()
        if end > bytes_max:
            raise FieldsTooLarge
        found = bytes(held[:end])
        del held[: end + len(mark)]
        return found

    async def _more(self) -> None:
        chunk = None if self._ended else await anext(self._chunks, None)
        if chunk is None:
            self._ended = True
            raise MalformedPost
        self._held += chunk


class FormFile:
    """The file of a form: nobody says its length before its end, but it has one."""

    def __init__(self, first: bytes, rest: AsyncIterator[bytes]) -> None:
        self.length: int | None = None
        self.whole: bytes | None = None
        self._first = first
        self._rest = rest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._first
        async for chunk in self._rest:
            yield chunk
