"""What a request adds to which metric, and whether a filter lets it through. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from doppio.kernel.metrics import Measure
from doppio.kernel.witness import Exchange
from doppio.services.s3.errors import InvalidRequest, MalformedXML

_NAMES = ("BucketName", "FilterId")


def _measure(name: str, unit: str) -> Measure:
    return Measure("s3", "AWS/S3", name, unit, *_NAMES)


ALL = _measure("AllRequests", "Count")
GETS = _measure("GetRequests", "Count")
PUTS = _measure("PutRequests", "Count")
DELETES = _measure("DeleteRequests", "Count")
HEADS = _measure("HeadRequests", "Count")
POSTS = _measure("PostRequests", "Count")
SELECTS = _measure("SelectRequests", "Count")
LISTS = _measure("ListRequests", "Count")
DOWNLOADED = _measure("BytesDownloaded", "Bytes")
UPLOADED = _measure("BytesUploaded", "Bytes")
ERRORS_4XX = _measure("4xxErrors", "Count")
ERRORS_5XX = _measure("5xxErrors", "Count")
FIRST_BYTE = _measure("FirstByteLatency", "Milliseconds")
TOTAL = _measure("TotalRequestLatency", "Milliseconds")

_LISTINGS = frozenset(
    {
        "ListObjects", "ListObjectsV2", "ListObjectVersions", "ListParts", "ListMultipartUploads",
        "ListObjectAnnotations",
    }
)  # fmt: skip
_OF_OBJECTS = {"GET": GETS, "PUT": PUTS, "DELETE": DELETES, "HEAD": HEADS, "POST": POSTS}


class Filter(NamedTuple):
    """Which requests a configuration counts: all, or those to objects of a prefix and with tags, or
    those that come through an access point."""

    prefix: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    point: str = ""

    def may_want(self, labels: Mapping[str, str]) -> bool:
        """Whether a request with these labels may pass; tags are another look."""
        if self.point and labels.get("AccessPoint") != self.point:
            return False
        key = labels.get("Key")
        if key is None:
            return not self.prefix and not self.tags
        return key.startswith(self.prefix)

    def has(self, tags: Mapping[str, str]) -> bool:
        """Whether these tags of an object are all that is asked for."""
        return all(tags.get(name) == value for name, value in self.tags)


def check(document: Mapping[str, Any]) -> None:
    """Raise MalformedXML or InvalidRequest where a configuration's filter means nothing."""
    given = document.get("Filter")
    if given is None:
        return
    both = given.get("And")
    count = len(given)
    if both is not None:
        tags = both.get("Tags") or []
        if count != 1 or len(tags) + ("Prefix" in both) + ("AccessPointArn" in both) < 2:
            raise MalformedXML
        if len({tag["Key"] for tag in tags}) < len(tags):
            raise MalformedXML
    elif count != 1:
        raise MalformedXML
    point = given.get("AccessPointArn") or (both or {}).get("AccessPointArn")
    if point is not None and ":accesspoint/" not in point:
        raise InvalidRequest("Invalid Access Point ARN", ARN=point)


def filter_of(document: Mapping[str, Any]) -> Filter:
    """A configuration's filter."""
    given = document.get("Filter") or {}
    both = given.get("And") or {}
    tags = both.get("Tags") or ([given["Tag"]] if "Tag" in given else [])
    prefix = both.get("Prefix") or given.get("Prefix") or ""
    point = both.get("AccessPointArn") or given.get("AccessPointArn") or ""
    return Filter(prefix, tuple((tag["Key"], tag["Value"]) for tag in tags), point)


def measured(exchange: Exchange) -> list[tuple[Measure, float]]:
    """What one exchange adds to the metrics."""
    status = exchange.response.status
    millis = max(0.0, exchange.seconds * 1000)
    values = [
        (ALL, 1.0),
        (ERRORS_4XX, float(400 <= status < 500)),
        (ERRORS_5XX, float(status >= 500)),
        (FIRST_BYTE, millis),
        (TOTAL, millis),
    ]
    kind = _kind(exchange)
    if kind is not None:
        values.append((kind, 1.0))
    sent = sent_bytes(exchange)
    if sent:
        values.append((DOWNLOADED, float(sent)))
    headers = exchange.request.headers
    received = headers.get("x-amz-decoded-content-length") or headers.get("content-length") or "0"
    if received.isdecimal() and int(received):
        values.append((UPLOADED, float(received)))
    return values


def _kind(exchange: Exchange) -> Measure | None:
    """The metric of a request's kind; requests about a bucket itself have none, but HEAD."""
    method, operation = exchange.request.method, exchange.operation
    if operation in _LISTINGS:
        return LISTS
    if operation == "SelectObjectContent":
        return SELECTS
    if operation == "DeleteObjects":
        return DELETES
    if exchange.labels.get("Key") or method in {"HEAD", "POST"}:
        return _OF_OBJECTS.get(method)
    return None


def sent_bytes(exchange: Exchange) -> int:
    """How long the body of the answer is, where that is known before it is sent."""
    if exchange.request.method == "HEAD":
        return 0
    for name, value in exchange.response.headers:
        if name.lower() == "content-length":
            return int(value)
    body = exchange.response.body
    if isinstance(body, bytes):
        return len(body)
    length: int = getattr(body, "length", 0)
    return length
