"""What functions of Object Lambda are told, and what they answer: pure.

Source: "Event context format and usage", "Writing Lambda functions for S3 Object Lambda Access
Points" in the S3 user guide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_plus

from doppio.kernel.trail import identity_of
from doppio.services.s3.fronts import Front
from doppio.services.s3.lambda_errors import LambdaInvalidResponse, WrongAnswer
from doppio.wire import model, scalars
from doppio.wire.errors import AwsError
from doppio.wire.http import Request
from doppio.wire.model import Member, Shape
from doppio.wire.xml_ import XmlReader, parse

VERSION = "1.00"
_CONTEXTS = {
    "GetObject": "getObjectContext",
    "HeadObject": "headObjectContext",
    "ListObjects": "listObjectsContext",
    "ListObjectsV2": "listObjectsV2Context",
}
# What a link to the object was signed with, and its holder must send as it is.
_SIGNED = (
    "x-amz-expected-bucket-owner", "x-amz-request-payer",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-server-side-encryption-customer-key-md5",
)  # fmt: skip
_OF_AUTHORISATION = frozenset(
    {
        "awsaccesskeyid", "expires", "signature", "x-amz-algorithm", "x-amz-credential",
        "x-amz-date", "x-amz-expires", "x-amz-security-token", "x-amz-signature",
        "x-amz-signedheaders",
    }
)  # fmt: skip
_SECRET_HEADERS = frozenset({"authorization", "x-amz-security-token"})
# Source: WriteGetObjectResponse's documentation.
STATUSES = frozenset({200, 206, 304, 400, 401, 403, 404, 405, 409, 411, 412, 416, 500, 503})
_CODE = re.compile(r"[A-Z][a-zA-Z]+")


def event(
    operation: str,
    front: Front,
    supporting: str,
    key: str,
    request: Request | None,
    context: Mapping[str, str],
    request_id: str,
) -> bytes:
    """The event of an invocation; `context` is what the function works on and answers by."""
    point = front.point
    configuration = {
        "accessPointArn": point.arn,
        "supportingAccessPointArn": supporting,
        "payload": front.payload or "",
    }
    return json.dumps(
        {
            "xAmzRequestId": request_id,
            _CONTEXTS[operation]: dict(context),
            "configuration": configuration,
            "userRequest": _user_request(front, key, request),
            "userIdentity": identity_of(front.caller),
            "protocolVersion": VERSION,
        }
    ).encode()


def _user_request(front: Front, key: str, request: Request | None) -> dict[str, Any]:
    """The request as it came, without what says who sent it."""
    point = front.point
    host = f"{point.name}-{point.account}.s3-object-lambda.{point.region}.amazonaws.com"
    url = f"https://{host}/{key}"
    if request is None:
        return {"url": url, "headers": {"Host": host}}
    query = "&".join(
        part
        for part in request.query.split("&")
        if part and unquote_plus(part.partition("=")[0]).lower() not in _OF_AUTHORISATION
    )
    headers = {
        "-".join(word.capitalize() for word in name.split("-")): value
        for name, value in request.headers.items()
        if name not in _SECRET_HEADERS
    }
    return {"url": f"{url}?{query}" if query else url, "headers": headers}


def signed_headers(request: Request | None) -> dict[str, str]:
    """The headers of a request without which its object cannot be read."""
    headers = {} if request is None else request.headers
    return {name: headers[name] for name in _SIGNED if name in headers}


def link_query(operation: str, req: Mapping[str, Any]) -> dict[str, str]:
    """The query of a link to what the request asks for; a part is the function's to cut."""
    found = {"list-type": "2"} if operation == "ListObjectsV2" else {}
    shape = model.load("s3").operations[operation].input
    assert shape is not None
    for member in shape.members.values():
        if member.location == "querystring" and member.name in req and member.name != "PartNumber":
            wire = member.wire_name or member.name
            found[wire] = scalars.shower(member, "rfc822")(req[member.name])
    return found


def written_error(req: Mapping[str, Any]) -> AwsError | None:
    """The error that an answer tells, if it tells one. Raises WrongAnswer."""
    status = req.get("StatusCode", 200)
    code, text = req.get("ErrorCode"), req.get("ErrorMessage")
    if status not in STATUSES:
        raise WrongAnswer(f"The status code {status} is not supported.")
    if status < 300:
        if code is not None or text is not None:
            raise WrongAnswer(
                "ErrorCode and ErrorMessage cannot be used with a successful StatusCode."
            )
        return None
    return told_error(status, code, text)


def told_error(status: int, code: str | None, text: str | None) -> AwsError:
    """An error as the function tells it. Raises WrongAnswer for a code that is none."""
    if code is not None and _CODE.fullmatch(code) is None:
        raise WrongAnswer("ErrorCode must satisfy the regular expression ^[A-Z][a-zA-Z]+$.")
    error = AwsError(text or "")
    word = code or ("NotModified" if status == 304 else "InternalError")
    error.code, error.status = word, status  # type: ignore[misc]
    return error


def answered(operation: str, payload: bytes) -> dict[str, Any]:
    """The result that a function has returned for a HEAD or a listing.

    Raises the error that it tells, or LambdaInvalidResponse.
    """
    try:
        told = json.loads(payload)
        status = told.get("statusCode", 200)
        if not isinstance(status, int) or status not in STATUSES:
            raise ValueError(f"the status code {status}")
        if status >= 300:
            raise told_error(status, told.get("errorCode"), told.get("errorMessage"))
        if operation == "HeadObject":
            return _head(told.get("headers") or {})
        return _listing(operation, told)
    except (ValueError, AttributeError, TypeError, RecursionError, WrongAnswer) as error:
        raise LambdaInvalidResponse from error


def _head(headers: Mapping[str, Any]) -> dict[str, Any]:
    shape = _output("HeadObject")
    known = {
        (member.wire_name or member.name).lower(): member
        for member in shape.members.values()
        if member.location == "header"
    }
    found: dict[str, Any] = {}
    for name, value in headers.items():
        small = name.lower()
        if small.startswith("x-amz-meta-"):
            found.setdefault("Metadata", {})[small.removeprefix("x-amz-meta-")] = str(value)
        elif small in known:
            member = known[small]
            text = str(value).lower() if isinstance(value, bool) else str(value)
            found[member.name] = scalars.reader(member)(text)
    return found


def _listing(operation: str, told: Mapping[str, Any]) -> dict[str, Any]:
    text, given = told.get("listResultXml"), told.get("listBucketResult")
    shape = _output(operation)
    if text is None and given is not None:
        return _from_json(shape, given)
    if text is None or given is not None:
        raise ValueError("either listResultXml or listBucketResult")
    found: dict[str, Any] = XmlReader().structure(shape)(parse(text.encode()))
    return found


def _from_json(shape: Shape, given: Mapping[str, Any]) -> dict[str, Any]:
    """A structure from JSON, whose names begin small (`isTruncated`, `eTag`)."""
    known = {member.name.lower(): member for member in _in_body(shape)}
    return {
        known[name.lower()].name: _value(known[name.lower()], value)
        for name, value in given.items()
        if value is not None and name.lower() in known
    }


def _in_body(shape: Shape) -> Iterable[Member]:
    return (member for member in shape.members.values() if member.location is None)


def _value(member: Member, given: Any) -> Any:
    kind = member.shape.type
    if kind == "structure":
        return _from_json(member.shape, given)
    if kind == "list":
        return [_value(member.shape.member, one) for one in given]
    if kind == "boolean" and isinstance(given, bool):
        return given
    if kind == "timestamp":
        return scalars.reader(member)(given)
    return scalars.reader(member)(str(given))


def _output(operation: str) -> Shape:
    shape = model.load("s3").operations[operation].output
    assert shape is not None
    return shape
