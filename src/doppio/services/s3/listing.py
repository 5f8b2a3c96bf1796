"""Listings: objects in both versions of the operation, and all versions of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, cast

from doppio.kernel.context import Context, Reader
from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.kernel.records import table_of
from doppio.services.s3.errors import InvalidArgument
from doppio.services.s3.glimpses import Listed
from doppio.services.s3.limits import LISTED_KEYS_MAX
from doppio.services.s3.listed import (
    Extracted,
    Objects,
    Shown,
    Versions,
    reader_for,
    url_encoded,
)
from doppio.services.s3.lookup import NULL, existing_bucket, numbered, owner_of, sequence_of
from doppio.services.s3.records import SEQUENCE_MAX, Bucket, Current, Older
from doppio.services.s3.walk import Extract, Extracts, Walk, place_of, text_of

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

_currents = table_of(Current)
_olders = table_of(Older)
# What a walk found: objects, and common prefixes, which are texts.
Found = Sequence[Listed | str]
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
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        how = _how(ctx, req, owner_of(bucket.account))
        found = await _objects(reader, bucket, page, marker, how)
        shown, contents = _shown(page, found, how)
        result = cast("w.ListObjectsOutput", _shared(req, page, found))
        result["Name"] = bucket.name
        result["Marker"] = page.text(marker)
        result["Contents"] = cast("Any", contents)
        if result["IsTruncated"] and page.delimiter:
            result["NextMarker"] = page.text(text_of(shown[-1]))
        return result

    async def list_objects_v2(
        self, ctx: Context, req: w.ListObjectsV2Request
    ) -> w.ListObjectsV2Output:
        """Current objects behind a key or where the last page ended."""
        page = page_of(req)
        token = req.get("ContinuationToken")
        start = req.get("StartAfter", "") if token is None else start_of(token)
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        how = _how(ctx, req, owner_of(bucket.account) if req.get("FetchOwner") else None)
        found = await _objects(reader, bucket, page, start, how)
        shown, contents = _shown(page, found, how)
        result = cast("w.ListObjectsV2Output", _shared(req, page, found))
        result["Name"] = bucket.name
        result["KeyCount"] = len(shown)
        result["Contents"] = cast("Any", contents)
        if "StartAfter" in req:
            result["StartAfter"] = page.text(req["StartAfter"])
        if token is not None:
            result["ContinuationToken"] = token
        if result["IsTruncated"]:
            result["NextContinuationToken"] = page_token(text_of(shown[-1]).encode(), "")
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
        how = _how(ctx, req, owner_of(bucket.account))
        currents = Walk(_currents, reader_for(how), bucket.id, page.prefix, page.delimiter)
        olders = Walk(_olders, reader_for(how), bucket.id, page.prefix, page.delimiter)
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
        found = merged(await currents.take(reader.raw, room), await olders.take(reader.raw, room))
        reader.meter("Requests-Tier1")
        return _versions(req, page, bucket, found[:room], seen_newest, how)


async def _objects(
    reader: Reader, bucket: Bucket, page: Page, after: str, how: Shown
) -> Found | Sequence[Extract | str]:
    """What comes behind a key, and one entry more than asked for if there is one.

    Extracts, where they hold all that is shown.
    """
    walk: Extracts | Walk[Listed] = (
        Extracts(_currents, bucket.id, page.prefix, page.delimiter)
        if bucket.extracts and not how.whole
        else Walk(_currents, reader_for(how), bucket.id, page.prefix, page.delimiter)
    )
    if after:
        walk.start_after(after)
    found = await walk.take(reader.raw, page.room + 1) if page.room else []
    reader.meter("Requests-Tier1")
    return found


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


def merged(currents: Found, olders: Found) -> Found:
    """Both walks as one, each common prefix once."""
    if not olders:
        return currents
    found: list[Listed | str] = []
    for entry in sorted([*currents, *olders], key=place_of):
        if not (found and isinstance(entry, str) and found[-1] == entry):
            found.append(entry)
    return found


def _shown(
    page: Page, found: Found | Sequence[Extract | str], how: Shown
) -> tuple[Found | Sequence[Extract | str], Objects | Extracted]:
    """The entries of a page, and those of them that are objects as `Contents`."""
    shown = found[: page.room]
    rows: Sequence[Listed | Extract | str] = shown
    if page.delimiter:
        rows = [entry for entry in shown if not isinstance(entry, str)]
    if rows and isinstance(rows[0], tuple):
        return shown, Extracted(cast("Sequence[Extract]", rows), how)
    return shown, Objects(cast("Sequence[Listed]", rows), how)


def _rows(page: Page, shown: Found) -> Sequence[Listed]:
    if not page.delimiter:
        return cast("Sequence[Listed]", shown)
    return [entry for entry in shown if not isinstance(entry, str)]


def _how(ctx: Context, req: Mapping[str, Any], owner: w.Owner | None) -> Shown:
    wanted = req.get("OptionalObjectAttributes") or ()
    now = ctx.now if "RestoreStatus" in wanted else None
    return Shown(req.get("EncodingType") is not None, owner, now)


def _versions(
    req: Mapping[str, Any],
    page: Page,
    bucket: Bucket,
    found: Found,
    seen_newest: str,
    how: Shown,
) -> w.ListObjectVersionsOutput:
    result = cast("w.ListObjectVersionsOutput", _shared(req, page, found))
    result["Name"] = bucket.name
    result["KeyMarker"] = page.text(req.get("KeyMarker", ""))
    result["VersionIdMarker"] = req.get("VersionIdMarker", "")
    owner = owner_of(bucket.account)
    versions: list[Listed] = []
    latest: list[bool] = []
    markers: list[w.DeleteMarkerEntry] = []
    shown = found[: page.room]
    for row in _rows(page, shown):
        is_latest = row.key != seen_newest
        seen_newest = row.key
        if not row.marker:
            versions.append(row)
            latest.append(is_latest)
            continue
        markers.append(
            {
                "Key": page.text(row.key),
                "VersionId": row.id,
                "IsLatest": is_latest,
                "LastModified": row.modified.replace(microsecond=0),
                "Owner": owner,
            }
        )
    result["Versions"] = cast("Any", Versions(versions, how, latest))
    result["DeleteMarkers"] = markers
    if result["IsTruncated"]:
        last = shown[-1]
        result["NextKeyMarker"] = page.text(text_of(last))
        if not isinstance(last, str):
            result["NextVersionIdMarker"] = last.id
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
        _plain if encoding is None else url_encoded,
    )


def _plain(text: str) -> str:
    return text


def _shared(req: Mapping[str, Any], page: Page, found: Found | Sequence[Extract | str]) -> _Shared:
    """The members that all three answers have; `found` is one more than shown if there is one."""
    result: _Shared = {
        "Prefix": page.text(page.prefix),
        "MaxKeys": page.room,
        "IsTruncated": len(found) > page.room,
        "CommonPrefixes": [],
    }
    if page.delimiter:
        result["Delimiter"] = page.text(page.delimiter)
        result["CommonPrefixes"] = [
            {"Prefix": page.text(entry)} for entry in found[: page.room] if isinstance(entry, str)
        ]
    if "EncodingType" in req:
        result["EncodingType"] = req["EncodingType"]
    return result


def start_of(token: str) -> str:
    """The key behind which a page begins."""
    try:
        return token_key(token, "").decode()
    except (BadToken, UnicodeDecodeError) as error:
        raise InvalidArgument(
            "The continuation token provided is incorrect",
            ArgumentName="continuation-token",
            ArgumentValue=token,
        ) from error
