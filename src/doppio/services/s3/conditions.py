"""Preconditions, ranges and part numbers of requests: what they select, or S3's refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.services.s3.directory_errors import FunctionNotImplemented
from doppio.services.s3.directory_names import is_directory
from doppio.services.s3.errors import (
    InvalidArgument,
    InvalidPartNumber,
    InvalidRange,
    InvalidRequest,
    NoSuchKey,
    NotModified,
    PreconditionFailed,
)
from doppio.services.s3.glimpses import Known
from doppio.services.s3.limits import PART_NUMBER_MAX
from doppio.services.s3.records import Content, Current, Version
from doppio.services.s3.rules import etag_matches, failed_condition, part_span, quoted, span
from doppio.wire.errors import NotImplementedByDoppio
from doppio.wire.timestamps import format_rfc822

CONDITIONS = frozenset({"IfMatch", "IfNoneMatch", "IfModifiedSince", "IfUnmodifiedSince"})
_NOT_MODIFIED = frozenset({"If-None-Match", "If-Modified-Since"})


def check_read(req: Mapping[str, Any], version: Version) -> None:
    """Raise PreconditionFailed or NotModified where a read's precondition does not hold."""
    if CONDITIONS.isdisjoint(req):
        return
    failed = failed_condition(req, version)
    if failed is None:
        return
    if failed in _NOT_MODIFIED:
        raise NotModified(
            headers={
                "etag": quoted(version.etag), "last-modified": format_rfc822(version.modified),
            }
        )  # fmt: skip
    raise PreconditionFailed(Condition=failed)


def check_copy_source(req: Mapping[str, Any], version: Version) -> None:
    """Raise PreconditionFailed where a copy's precondition on its source does not hold."""
    failed = failed_condition(req, version, "CopySource")
    if failed is not None:
        raise PreconditionFailed(Condition=f"x-amz-copy-source-{failed}")


def check_write(req: Mapping[str, Any], current: Known | None) -> None:
    """Raise unless a conditional write finds the key as it wants it."""
    none_match = req.get("IfNoneMatch")
    match = req.get("IfMatch")
    if none_match is None and match is None:
        return
    if none_match is not None:
        if none_match.strip() != "*":
            raise NotImplementedByDoppio(
                "A header you provided implies functionality that is not implemented: "
                "writes take If-None-Match: * alone"
            )
        if match is not None:
            raise InvalidRequest("If-Match and If-None-Match cannot be used together")
        if current is not None:
            raise PreconditionFailed(Condition="If-None-Match")
    if match is not None:
        _check_match(req, match, current)


def check_delete(req: Mapping[str, Any], current: Current | None) -> None:
    """Raise unless a conditional delete finds the key as it wants it."""
    if "IfMatchLastModifiedTime" in req or "IfMatchSize" in req:
        if not is_directory(req["Bucket"]):
            raise FunctionNotImplemented
        _check_last(req, current)
    match = req.get("IfMatch")
    if match is not None:
        _check_match(req, match, current)


def _check_last(req: Mapping[str, Any], current: Current | None) -> None:
    """Directory buckets look at time and size, too; what is not there cannot differ."""
    if current is None:
        return
    moment = req.get("IfMatchLastModifiedTime")
    if moment is not None and moment.replace(microsecond=0) != current.modified:
        raise PreconditionFailed(Condition="x-amz-if-match-last-modified-time")
    if req.get("IfMatchSize", current.size) != current.size:
        raise PreconditionFailed(Condition="x-amz-if-match-size")


def _check_match(req: Mapping[str, Any], match: str, current: Known | None) -> None:
    if current is None:
        raise NoSuchKey(Key=req["Key"])
    if not etag_matches(match, current.etag):
        raise PreconditionFailed(Condition="If-Match")


def range_of(text: str, version: Version) -> tuple[int, int] | None:
    """Offset and length that a Range header selects; None: all of it."""
    found = span(text, version.size)
    if found == "unsatisfiable":
        raise InvalidRange(RangeRequested=text, ActualObjectSize=str(version.size))
    return None if found == "ignored" else found


def copy_range_of(text: str, version: Version) -> tuple[int, int]:
    """Offset and length of UploadPartCopy's range, which must lie within the source."""
    found = span(text, version.size)
    first, _, last = text.removeprefix("bytes=").partition("-")
    if isinstance(found, str) or not first or not last:
        raise InvalidArgument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first "
            "and last are the zero-based offsets of the first and last bytes to copy",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=text,
        )
    if int(last) >= version.size:
        raise InvalidArgument(
            "Range specified is not valid for source object of size: " + str(version.size),
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=text,
        )
    return found


def part_of(req: Mapping[str, Any], version: Version, content: Content | None) -> tuple[int, int]:
    """Offset and length of the part that a read asks for."""
    number = req["PartNumber"]
    if "Range" in req:
        raise InvalidRequest("Cannot specify both Range header and partNumber query parameter")
    if not 1 <= number <= PART_NUMBER_MAX:
        raise InvalidArgument(
            "Part number must be an integer between 1 and 10000, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=str(number),
        )
    count = version.parts_count or 1
    if number > count:
        raise InvalidPartNumber(PartNumberRequested=str(number), ActualPartCount=str(count))
    if not version.parts_count or content is None:
        return 0, version.size
    return part_span([piece.size for piece in content.pieces], number)
