"""A line of an access log, as a pure function of a request and its answer.

Source: "Amazon S3 server access log format" in the user guide.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import parse_qsl, quote

from doppio.kernel.identity import canonical_user
from doppio.kernel.witness import Exchange
from doppio.services.s3.records import Bucket
from doppio.wire.faults import host_id
from doppio.wire.http import Response
from doppio.wire.xml_ import local_name, parse

# What a parameter of the query makes of a request: S3's word for the resource.
_BUCKETS = {
    "acl": "ACL", "accelerate": "ACCELERATE", "analytics": "ANALYTICS", "cors": "CORS",
    "delete": "MULTI_OBJECT_DELETE", "encryption": "ENCRYPTION",
    "intelligent-tiering": "INTELLIGENT_TIERING", "inventory": "INVENTORY",
    "lifecycle": "LIFECYCLE", "location": "LOCATION", "logging": "LOGGING_STATUS",
    "metrics": "METRICS", "notification": "NOTIFICATION",
    "object-lock": "OBJECT_LOCK_CONFIGURATION", "ownershipControls": "OWNERSHIP_CONTROLS",
    "policy": "BUCKETPOLICY", "policyStatus": "POLICY_STATUS",
    "publicAccessBlock": "PUBLIC_ACCESS_BLOCK", "replication": "REPLICATION",
    "requestPayment": "REQUEST_PAYMENT", "tagging": "TAGGING", "uploads": "UPLOADS",
    "versioning": "VERSIONING", "versions": "BUCKETVERSIONS", "website": "WEBSITE",
}  # fmt: skip
_OBJECTS = {
    "acl": "ACL", "annotation": "ANNOTATION", "attributes": "OBJECT_ATTRIBUTES", "legal-hold": "LEGAL_HOLD",
    "partNumber": "PART", "restore": "OBJECT", "retention": "RETENTION",
    "select": "OBJECT", "tagging": "OBJECT_TAGGING", "torrent": "OBJECT_TORRENT",
    "uploadId": "UPLOAD", "uploads": "UPLOADS",
}  # fmt: skip
# A line of one key of a DeleteObjects, and what statuses stand for what keeps it.
DELETED = "BATCH.DELETE.OBJECT"
_REFUSALS = {"AccessDenied": 403, "PreconditionFailed": 412, "NoSuchVersion": 404}
_SIGNATURES = {"AWS4": "SigV4", "AWS ": "SigV2"}


def line(bucket: Bucket, exchange: Exchange, request_id: str, at: datetime) -> str:
    """The line for one exchange, with its end of line."""
    request, response = exchange.request, exchange.response
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    headers = {name.lower(): value for name, value in response.headers}
    key = exchange.labels.get("Key", "")
    uri = f"{request.path}?{request.query}" if request.query else request.path
    millis = str(max(0, round(exchange.seconds * 1000)))
    version, kind = _signed(request.headers.get("authorization", ""), query)
    fields = [
        canonical_user(bucket.account),
        bucket.name,
        f"[{at:%d/%b/%Y:%H:%M:%S} +0000]",
        request.peer,
        _requester(exchange.caller),
        request_id,
        exchange.part or _operation(exchange, query),
        quote(quote(key, safe="/"), safe="/") if key else "-",
        "-" if exchange.part == DELETED else _quoted(f"{request.method} {uri} HTTP/1.1"),
        str(response.status),
        exchange.error or "-",
        "-" if exchange.part else _sent(exchange, headers),
        "-" if exchange.part else _size(exchange, headers),
        millis,
        millis,
        _quoted(request.headers.get("referer", "")),
        _quoted(request.headers.get("user-agent", "")),
        _version(exchange, query),
        host_id(request_id),
        version,
        request.cipher or "-",
        kind,
        request.headers.get("host", "-"),
        request.secure or "-",
        exchange.labels.get("AccessPoint", "-"),
        "-",
        "-",
    ]
    return " ".join(fields) + "\n"


def deletions(exchange: Exchange, kept: Exchange) -> list[Exchange]:
    """A DeleteObjects has a line of its own for each key, too: 204, or why it stays.

    `exchange` still has its bodies, `kept` has what the lines share.
    """
    asked, body = exchange.request.body.whole, exchange.response.body
    if not asked or not isinstance(body, bytes):
        return []
    refused = {
        (one.get("Key", ""), one.get("VersionId", "")): one["Code"]
        for one in _children(body, "Error")
    }
    found: list[Exchange] = []
    for one in _children(asked, "Object"):
        key, version = one.get("Key", ""), one.get("VersionId", "")
        code = refused.get((key, version), "")
        status = 204 if not code else _REFUSALS.get(code, 400)
        found.append(
            kept._replace(
                labels={**kept.labels, "Key": key, "VersionId": version},
                response=Response(status),
                error=code,
                part=DELETED,
            )
        )
    return found


def _children(document: bytes, tag: str) -> list[dict[str, str]]:
    return [
        {local_name(child.tag): child.text or "" for child in node}
        for node in parse(document)
        if local_name(node.tag) == tag
    ]


def _version(exchange: Exchange, query: dict[str, str]) -> str:
    if exchange.part:
        return exchange.labels.get("VersionId") or "-"
    return query.get("versionId") or "-"


def _requester(caller: str) -> str:
    """The canonical user of an account's root; who else signed is named by ARN."""
    if not caller or caller == "anonymous":
        return "-"
    parts = caller.split(":", 5)
    return canonical_user(parts[4]) if len(parts) == 6 and parts[5] == "root" else caller


def _operation(exchange: Exchange, query: dict[str, str]) -> str:
    request = exchange.request
    named = _OBJECTS if exchange.labels.get("Key") else _BUCKETS
    resource = next((named[name] for name in query if name in named), "")
    if not resource:
        resource = "OBJECT" if exchange.labels.get("Key") else "BUCKET"
    if "partNumber" in query and request.method == "PUT":
        resource = "PART"
    method = request.method
    if "x-amz-copy-source" in request.headers:
        method = "COPY"
    return f"{exchange.way}.{method}.{resource}"


def _quoted(text: str) -> str:
    """A field that the client chose: nothing in it ends the field or the line."""
    if not text:
        return '"-"'
    plain = "".join(one if " " <= one <= "~" and one != '"' else quote(one) for one in text)
    return f'"{plain}"'


def _sent(exchange: Exchange, headers: dict[str, str]) -> str:
    if exchange.request.method == "HEAD":
        return "-"
    length = headers.get("content-length", "0")
    return "-" if length == "0" else length


def _size(exchange: Exchange, headers: dict[str, str]) -> str:
    """The whole object's size, in requests for or with one."""
    request = exchange.request
    if exchange.error or not exchange.labels.get("Key"):
        return "-"
    if exchange.operation in {"GetObject", "HeadObject"}:
        ranged = headers.get("content-range", "").rpartition("/")[2]
        return ranged or headers.get("content-length", "-")
    if exchange.operation in {"PutObject", "UploadPart"}:
        given = request.headers
        return given.get("x-amz-decoded-content-length") or given.get("content-length") or "-"
    return "-"


def _signed(authorization: str, query: dict[str, str]) -> tuple[str, str]:
    """The version of the signature and where it stood."""
    if "X-Amz-Signature" in query:
        return "SigV4", "QueryString"
    if "Signature" in query:
        return "SigV2", "QueryString"
    version = _SIGNATURES.get(authorization[:4])
    return ("-", "-") if version is None else (version, "AuthHeader")
