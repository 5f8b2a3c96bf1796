"""Listings: objects in both versions of the operation, and all versions of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, cast
from urllib.parse import quote_plus

from doppio.kernel.context import Context
from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.kernel.records import table_of
from doppio.services.s3.errors import InvalidArgument
from doppio.services.s3.limits import LISTED_KEYS_MAX
from doppio.services.s3.lookup import NULL, existing_bucket, numbered, owner_of, sequence_of
from doppio.services.s3.records import SEQUENCE_MAX, Bucket, Current, Older, Version
from doppio.services.s3.rules import quoted
from doppio.services.s3.walk import Item, Walk

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

_currents = table_of(Current)
_olders = table_of(Older)
INTEGER_MAX = 2**31 - 1


class Page(NamedTuple):
    """What a listing was asked for. `text` writes keys in the encoding that was asked for."""

    prefix: str
    delimiter: str
    room: int
    text: Callable[[str], str]


class _Shared(TypedDict, total=False):
    """The members that all listings of objects answer with."""

    Prefix: str
    Delimiter: str
    MaxKeys: int
    IsTruncated: bool
    EncodingType: str
    CommonPrefixes: list[w.CommonPrefix]


class Listing:
    """The listings of a bucket."""

    async def list_objects(self, ctx: Context, req: w.ListObjectsRequest) -> w.ListObjectsOutput:
        """Current objects behind a marker."""
        page = page_of(req)
        marker = req.get("Marker", "")
        bucket, items = await _objects(ctx, req, page, marker)
        shown = items[: page.room]
        result = cast("w.ListObjectsOutput", _shared(req, page, items))
        result["Name"] = bucket.name
        result["Marker"] = page.text(marker)
        owner = owner_of(bucket.account)
        result["Contents"] = [_object(item.record, page, owner) for item in shown if item.record]
        if result["IsTruncated"] and page.delimiter:
            result["NextMarker"] = page.text(shown[-1].text)
        return result

    async def list_objects_v2(
        self, ctx: Context, req: w.ListObjectsV2Request
    ) -> w.ListObjectsV2Output:
        """Current objects behind a key or where the last page ended."""
        page = page_of(req)
        token = req.get("ContinuationToken")
        start = req.get("StartAfter", "") if token is None else _token_key(token)
        bucket, items = await _objects(ctx, req, page, start)
        shown = items[: page.room]
        result = cast("w.ListObjectsV2Output", _shared(req, page, items))
        result["Name"] = bucket.name
        result["KeyCount"] = len(shown)
        owner = owner_of(bucket.account) if req.get("FetchOwner") else None
        result["Contents"] = [_object(item.record, page, owner) for item in shown if item.record]
        if "StartAfter" in req:
            result["StartAfter"] = page.text(req["StartAfter"])
        if token is not None:
            result["ContinuationToken"] = token
        if result["IsTruncated"]:
            result["NextContinuationToken"] = page_token(shown[-1].text.encode(), "")
        return result

    async def list_object_versions(
        self, ctx: Context, req: w.ListObjectVersionsRequest
    ) -> w.ListObjectVersionsOutput:
        """All versions and delete markers: by key, and the newest of a key first."""
        page = page_of(req)
        key, version = req.get("KeyMarker", ""), req.get("VersionIdMarker", "")
        if version and not key:
            raise InvalidArgument(
                "A version-id marker cannot be specified without a key marker.",
                ArgumentName="version-id-marker",
                ArgumentValue=version,
            )
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        currents = Walk(_currents, bucket.id, page.prefix, page.delimiter)
        olders = Walk(_olders, bucket.id, page.prefix, page.delimiter)
        seen_newest = ""
        if key:
            currents.start_after(key)
            place = await _place(reader, bucket, key, version) if version else None
            if place is None:
                olders.start_after(key)
            else:
                olders.start_after(key, place)
                seen_newest = key
        room = page.room + 1 if page.room else 0
        items = merged(await currents.take(reader.raw, room), await olders.take(reader.raw, room))[
            :room
        ]
        reader.meter("Requests-Tier1")
        return _versions(req, page, bucket, items, seen_newest)


async def _objects(
    ctx: Context, req: Mapping[str, Any], page: Page, after: str
) -> tuple[Bucket, Sequence[Item[Current]]]:
    """The bucket, and one item more than asked for if there is one."""
    reader = ctx.read()
    bucket = await existing_bucket(reader, req)
    walk = Walk(_currents, bucket.id, page.prefix, page.delimiter)
    if after:
        walk.start_after(after)
    items = await walk.take(reader.raw, page.room + 1) if page.room else []
    reader.meter("Requests-Tier1")
    return bucket, items


async def _place(reader: Any, bucket: Bucket, key: str, version: str) -> int | None:
    """Where among the older versions of a key a marker stands."""
    if version == NULL:
        current = await reader.get(Current, bucket.id, key)
        null = await numbered(reader, bucket, key, version, current)
        return None if null is None else SEQUENCE_MAX - null.sequence
    sequence = sequence_of(version)
    if sequence is None:
        raise InvalidArgument(
            "Invalid version id specified",
            ArgumentName="version-id-marker",
            ArgumentValue=version,
        )
    return SEQUENCE_MAX - sequence


def merged(currents: Sequence[Item[Current]], olders: Sequence[Item[Older]]) -> list[Item[Version]]:
    """Both walks as one, each common prefix once."""
    both: list[Item[Version]] = [Item(item.text, item.record) for item in currents]
    both += [Item(item.text, item.record) for item in olders]
    both.sort(key=_place_of)
    found: list[Item[Version]] = []
    for item in both:
        if item.record is None and found and found[-1] == item:
            continue
        found.append(item)
    return found


def _place_of(item: Item[Version]) -> tuple[bytes, int]:
    record = item.record
    return item.text.encode(), 0 if record is None else SEQUENCE_MAX - record.sequence


def _versions(
    req: Mapping[str, Any],
    page: Page,
    bucket: Bucket,
    items: Sequence[Item[Version]],
    seen_newest: str,
) -> w.ListObjectVersionsOutput:
    result = cast("w.ListObjectVersionsOutput", _shared(req, page, items))
    result["Name"] = bucket.name
    result["KeyMarker"] = page.text(req.get("KeyMarker", ""))
    result["VersionIdMarker"] = req.get("VersionIdMarker", "")
    owner = owner_of(bucket.account)
    versions: list[w.ObjectVersion] = []
    markers: list[w.DeleteMarkerEntry] = []
    shown = items[: page.room]
    for item in shown:
        record = item.record
        if record is None:
            continue
        latest = record.key != seen_newest
        seen_newest = record.key
        entry: w.DeleteMarkerEntry = {
            "Key": page.text(record.key),
            "VersionId": record.id,
            "IsLatest": latest,
            "LastModified": record.modified,
            "Owner": owner,
        }
        if record.marker:
            markers.append(entry)
        else:
            versions.append({**_object(record, page, owner), **entry})
    result["Versions"] = versions
    result["DeleteMarkers"] = markers
    if result["IsTruncated"]:
        last = shown[-1]
        result["NextKeyMarker"] = page.text(last.text)
        if last.record is not None:
            result["NextVersionIdMarker"] = last.record.id
    return result


def page_of(req: Mapping[str, Any], count_member: str = "MaxKeys") -> Page:
    """The members that all listings share, checked."""
    encoding = req.get("EncodingType")
    if encoding not in {None, "url"}:
        raise InvalidArgument(
            "Invalid Encoding Method specified in Request",
            ArgumentName="encoding-type",
            ArgumentValue=encoding,
        )
    count = req.get(count_member, LISTED_KEYS_MAX)
    if not 0 <= count <= INTEGER_MAX:
        name = count_member[:1].lower() + count_member[1:]
        raise InvalidArgument(
            f"Argument {name} must be an integer between 0 and {INTEGER_MAX}",
            ArgumentName=name,
            ArgumentValue=str(count),
        )
    return Page(
        req.get("Prefix", ""),
        req.get("Delimiter", ""),
        min(count, LISTED_KEYS_MAX),
        _plain if encoding is None else _encoded,
    )


def _plain(text: str) -> str:
    return text


def _encoded(text: str) -> str:
    return quote_plus(text, safe="/*")


def _shared(req: Mapping[str, Any], page: Page, items: Sequence[Item[Any]]) -> _Shared:
    """The members that all three answers have; `items` are one more than shown if there is one."""
    result: _Shared = {
        "Prefix": page.text(page.prefix),
        "MaxKeys": page.room,
        "IsTruncated": len(items) > page.room,
        "CommonPrefixes": [
            {"Prefix": page.text(item.text)} for item in items[: page.room] if item.record is None
        ],
    }
    if page.delimiter:
        result["Delimiter"] = page.text(page.delimiter)
    if "EncodingType" in req:
        result["EncodingType"] = req["EncodingType"]
    return result


def _object(version: Version, page: Page, owner: w.Owner | None) -> w.Object:
    entry: w.Object = {
        "Key": page.text(version.key),
        "LastModified": version.modified,
        "ETag": quoted(version.etag),
        "Size": version.size,
        "StorageClass": version.storage_class,
    }
    checksum = version.checksum
    if checksum is not None:
        entry["ChecksumAlgorithm"] = [checksum.algorithm]
        entry["ChecksumType"] = checksum.kind
    if owner is not None:
        more = version.more
        entry["Owner"] = owner_of(more.owner) if more is not None and more.owner else owner
    return entry


def _token_key(token: str) -> str:
    try:
        return token_key(token, "").decode()
    except (BadToken, UnicodeDecodeError) as error:
        raise InvalidArgument(
            "The continuation token provided is incorrect",
            ArgumentName="continuation-token",
            ArgumentValue=token,
        ) from error
