"""Listings of directory buckets: not in the order of keys, as S3 says of them.

Pages follow each other in the order of keys, so that each key comes once; within a page they come
in an order that follows from a hash. With a delimiter, prefixes of uploads under way count, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context, Reader
from doppio.kernel.paging import page_token
from doppio.kernel.records import table_of
from doppio.services.s3.directory_rules import marker_to
from doppio.services.s3.glimpses import Listed
from doppio.services.s3.listed import Objects, Shown, reader_for
from doppio.services.s3.listing import Page, page_of, start_of
from doppio.services.s3.lookup import owner_of
from doppio.services.s3.records import Bucket, Current, Upload
from doppio.services.s3.stock import request_type
from doppio.services.s3.walk import Walk, place_of, text_of

_currents = table_of(Current)
_uploads = table_of(Upload)


async def list_objects(ctx: Context, bucket: Bucket, req: Mapping[str, Any]) -> dict[str, Any]:
    """ListObjectsV2."""
    page = page_of(req)
    token = req.get("ContinuationToken")
    after = "" if token is None else start_of(token)
    reader = ctx.read()
    owner = owner_of(bucket.account) if req.get("FetchOwner") else None
    how = Shown(req.get("EncodingType") is not None, owner)
    walk = Walk(_currents, reader_for(how), bucket.id, page.prefix, page.delimiter)
    if after:
        walk.start_after(after)
    found = await walk.take(reader.raw, page.room + 1) if page.room else []
    if page.delimiter and page.room:
        found = _together(found, await _of_uploads(reader, bucket, page, after))[: page.room + 1]
    reader.meter(request_type(1, "EXPRESS_ONEZONE"))
    shown = found[: page.room]
    rows = [one for one in shown if not isinstance(one, str)]
    prefixes = [{"Prefix": page.text(one)} for one in shown if isinstance(one, str)]
    result: dict[str, Any] = {
        "Name": bucket.name,
        "Prefix": page.text(page.prefix),
        "MaxKeys": page.room,
        "KeyCount": len(shown),
        "IsTruncated": len(found) > page.room,
        "Contents": Objects(sorted(rows, key=lambda row: _place(row.key)), how),
        "CommonPrefixes": unordered(prefixes, "Prefix"),
    }
    if page.delimiter:
        result["Delimiter"] = page.text(page.delimiter)
    if "EncodingType" in req:
        result["EncodingType"] = req["EncodingType"]
    if token is not None:
        result["ContinuationToken"] = token
    if result["IsTruncated"]:
        result["NextContinuationToken"] = page_token(text_of(shown[-1]).encode(), "")
    return result


def uploads_listed(result: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """ListMultipartUploads' answer: one opaque marker, and no order."""
    found = dict(result)
    key, upload = found.pop("NextKeyMarker", ""), found.pop("NextUploadIdMarker", "")
    found.pop("UploadIdMarker", None)
    found["KeyMarker"] = asked.get("KeyMarker", "")
    if found["IsTruncated"]:
        found["NextKeyMarker"] = marker_to(key, upload)
    found["Uploads"] = unordered(found.get("Uploads") or [], "Key")
    found["CommonPrefixes"] = unordered(found.get("CommonPrefixes") or [], "Prefix")
    return found


def unordered(entries: list[Any], name: str) -> list[Any]:
    """Entries in an order that is always the same and follows from no key."""
    return sorted(entries, key=lambda entry: _place(entry[name]))


def _place(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


async def _of_uploads(reader: Reader, bucket: Bucket, page: Page, after: str) -> list[str]:
    """The common prefixes of uploads under way, as many as a page can show."""
    walk = Walk(_uploads, _uploads.decode, bucket.id, page.prefix, page.delimiter)
    if after:
        walk.start_after(after)
    found: list[str] = []
    while len(found) <= page.room:
        some = await walk.take(reader.raw, page.room + 1)
        found += [one for one in some if isinstance(one, str)]
        if len(some) <= page.room:
            break
    return found


def _together(found: Sequence[Listed | str], prefixes: list[str]) -> list[Listed | str]:
    """Objects, their prefixes and others' in the order of keys, each prefix once."""
    there = {one for one in found if isinstance(one, str)}
    return sorted([*found, *(one for one in prefixes if one not in there)], key=place_of)
