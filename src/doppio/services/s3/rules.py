"""S3's decisions, as pure functions: names, ranges, preconditions, checksums, public policies."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote_plus

from doppio.services.s3.records import Version

_NAME = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_POINT_SOURCE = re.compile(
    r"(arn:[^:/]+:s3:[^:/]*:\d{12}:accesspoint[:/][^:/]+)/object/(.+)", re.DOTALL
)
_TAG_TEXT = re.compile(r"[\w\s+\-=.:/@]*")

CANNED_ACLS = frozenset(
    {
        "private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read",
        "bucket-owner-read", "bucket-owner-full-control",
    }
)  # fmt: skip
# The classes one may write to in general purpose buckets; the rest belongs to other products.
STORAGE_CLASSES = frozenset(
    {
        "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING",
        "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR",
    }
)  # fmt: skip
SYSTEM_HEADERS = (
    "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType",
    "WebsiteRedirectLocation",
)  # fmt: skip


def name_is_allowed(name: str) -> bool:
    """Whether a new bucket may be called so (general purpose bucket naming rules)."""
    return (
        _NAME.fullmatch(name) is not None
        and ".." not in name
        and _ADDRESS.fullmatch(name) is None
        and not name.startswith(_PREFIXES)
        and not name.endswith(_SUFFIXES)
    )


def quoted(etag: str) -> str:
    """An ETag as on the wire."""
    return f'"{etag}"'


def span(text: str, size: int) -> tuple[int, int] | Literal["ignored", "unsatisfiable"]:
    """Offset and length of a Range header.

    S3 serves one range; what is not one single range of bytes it ignores, as RFC 9110 allows.
    """
    found = _RANGE.fullmatch(text.strip().replace(" ", ""))
    if found is None:
        return "ignored"
    first, last = found.groups()
    if not first and not last:
        return "ignored"
    if not first:
        length = min(int(last), size)
        return (size - length, length) if length else "unsatisfiable"
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return "ignored"
    return (start, end - start + 1) if start < size else "unsatisfiable"


def etag_matches(header: str, etag: str) -> bool:
    """Whether an If-Match or If-None-Match header names this ETag."""
    if header.strip() == "*":
        return True
    return any(one.strip().removeprefix("W/").strip('"') == etag for one in header.split(","))


def failed_condition(req: Mapping[str, Any], version: Version, of: str = "") -> str | None:
    """The precondition of a read that does not hold: its header's name, or None.

    `of` is the members' prefix (`CopySource` in copies). As RFC 9110 and S3 say, If-Match true
    makes If-Unmodified-Since count no more, and If-None-Match makes If-Modified-Since not count.
    """
    if (match := req.get(f"{of}IfMatch")) is not None:
        if not etag_matches(match, version.etag):
            return "If-Match"
    elif (since := req.get(f"{of}IfUnmodifiedSince")) is not None and _later(version, since):
        return "If-Unmodified-Since"
    if (match := req.get(f"{of}IfNoneMatch")) is not None:
        if etag_matches(match, version.etag):
            return "If-None-Match"
    elif (since := req.get(f"{of}IfModifiedSince")) is not None and not _later(version, since):
        return "If-Modified-Since"
    return None


def _later(version: Version, than: datetime) -> bool:
    return version.modified > than.replace(microsecond=0)


def header_tags(text: str) -> dict[str, str] | None:
    """The tags of an x-amz-tagging header, None where it is not a query string."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True) if text else []
    except ValueError:
        return None
    tags = dict(pairs)
    return tags if len(tags) == len(pairs) else None


def tag_text_is_allowed(text: str) -> bool:
    """Whether a tag's key or value has only characters that S3 takes."""
    return _TAG_TEXT.fullmatch(text) is not None


def copy_source(text: str) -> tuple[str, str, str | None] | None:
    """Bucket, key and version of an x-amz-copy-source; None where it names no object.

    Source: CopyObject's documentation. `/bucket/key`, `bucket/key` and an ARN's form are taken,
    URL-encoded, with `?versionId=` behind. A plus is a space, as s5cmd and old SDKs write it.
    """
    path, _, query = text.partition("?versionId=")
    path = unquote_plus(path).removeprefix("/")
    found = _POINT_SOURCE.fullmatch(path) if path.startswith("arn:") else None
    bucket, _, key = path.partition("/") if found is None else (found[1], "", found[2])
    if not bucket or not key:
        return None
    return bucket, key, query or None


def parts_etag(etags: Iterable[str]) -> str:
    """The ETag of an object of parts: the MD5 of their MD5s, and how many they are."""
    raw = [bytes.fromhex(etag) for etag in etags]
    digest = hashlib.md5(b"".join(raw), usedforsecurity=False)
    return f"{digest.hexdigest()}-{len(raw)}"


def decoded_md5(text: str) -> bytes | None:
    """The 16 bytes of a Content-MD5 header, None where it is not one."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == 16 else None


def metadata_bytes(metadata: Mapping[str, str]) -> int:
    """The size of user metadata as S3 counts it: keys and values in UTF-8."""
    return sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items())


def part_span(sizes: Sequence[int], number: int) -> tuple[int, int]:
    """Offset and length of the part at position `number`, counted from 1."""
    return sum(sizes[: number - 1]), sizes[number - 1]


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def policy_problem(document: Mapping[str, Any], arn: str) -> str | None:
    """Why a policy cannot hang on this bucket, in S3's words; None where it can.

    Every statement names a principal, actions of S3 (of S3 Express for a directory bucket), and only
    the bucket and what is in it. An access point is no other thing, but that what is in it is named
    `/object/KEY`.
    """
    service = arn.split(":")[2]
    for statement in _listed(document.get("Statement")):
        if "Principal" not in statement and "NotPrincipal" not in statement:
            return "Missing required field Principal"
        for action in _listed(statement.get("Action", statement.get("NotAction"))):
            if action != "*" and not action.lower().startswith(f"{service}:"):
                return "Policy has invalid action"
        resources = _listed(statement.get("Resource", statement.get("NotResource")))
        if not resources:
            return "Missing required field Resource"
        for resource in resources:
            if resource not in {"*", arn} and not resource.startswith((f"{arn}/", f"{arn}*")):
                return "Policy has invalid resource"
    return None
