"""Manifests: the objects that a job is about, read as the job's role, a piece at a time.

Sources: "Specifying a manifest" in the user guide, and "Inventory manifest".
"""

from __future__ import annotations

import csv
import hashlib
import json
import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from doppio.kernel.bodies import pieces
from doppio.kernel.context import Context
from doppio.services.s3control.limits import (
    MANIFEST_JSON_BYTES_MAX,
    MANIFEST_LINE_BYTES_MAX,
    READ_BYTES,
)

CSV = "S3BatchOperations_CSV_20180820"
INVENTORY = "S3InventoryReport_CSV_20161130"
FIELDS = frozenset({"Ignore", "Bucket", "Key", "VersionId"})
_GZIP = 47  # zlib's word for: with a gzip or zlib head


class Line(NamedTuple):
    """A line of a manifest; no version means the current one."""

    bucket: str
    key: str
    version: str


class BadManifest(Exception):
    """A manifest that cannot be read, or means nothing; the text says why."""


async def lines_of(acting: Context, manifest: Mapping[str, Any]) -> AsyncIterator[Line]:
    """All lines of a manifest, in its order. Raises BadManifest, and what S3 answers."""
    location, spec = manifest["Location"], manifest["Spec"]
    bucket, key = object_of(location["ObjectArn"])
    content = _read(acting, bucket, key, location.get("ObjectVersionId"), location["ETag"])
    if spec["Format"] == CSV:
        async for cells in _rows(content):
            yield _line(cells, spec["Fields"])
        return
    fields, named, files = _inventory(await _whole(content))
    for name, md5 in files:
        async for cells in _rows(_unzipped(_checked(_read(acting, named, name), md5))):
            line = _inventoried(cells, fields)
            if line is not None:
                yield line


def object_of(arn: str) -> tuple[str, str]:
    """Bucket and key of an object's ARN. Raises BadManifest."""
    bucket, _, key = arn.rpartition(":::")[2].partition("/")
    if not arn.startswith("arn:") or not bucket or not key:
        raise BadManifest("The manifest's location is not the ARN of an object.")
    return bucket, key


def _inventory(told: bytes) -> tuple[list[str], str, list[tuple[str, str]]]:
    """The columns of an inventory report, its bucket, and its files with their MD5."""
    try:
        inventory = json.loads(told)
        fields = [name.strip() for name in inventory["fileSchema"].split(",")]
        named = inventory["destinationBucket"].rpartition(":")[2]
        files = [(one["key"], one["MD5checksum"]) for one in inventory["files"]]
        form = inventory["fileFormat"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadManifest("The manifest is not an inventory report's manifest.json.") from error
    if form != "CSV":
        raise BadManifest("Only inventory reports in CSV can be manifests.")
    if not {"Bucket", "Key"} <= set(fields):
        raise BadManifest("The inventory report has no columns for bucket and key.")
    return fields, named, files


def _line(cells: list[str], fields: list[str]) -> Line:
    if len(cells) != len(fields):
        raise BadManifest(
            f"The manifest has a line of {len(cells)} fields where {len(fields)} are specified."
        )
    found = dict(zip(fields, cells, strict=True))
    return _named(found)


def _inventoried(cells: list[str], fields: list[str]) -> Line | None:
    """A row of an inventory report; delete markers are no objects."""
    found = dict(zip(fields, cells, strict=False))
    return None if found.get("IsDeleteMarker") == "true" else _named(found)


def _named(found: dict[str, str]) -> Line:
    line = Line(found["Bucket"], unquote_plus(found["Key"]), found.get("VersionId", ""))
    if not line.bucket or not line.key:
        raise BadManifest("The manifest has a line that names no object.")
    return line


async def _rows(content: AsyncIterator[bytes]) -> AsyncIterator[list[str]]:
    """The rows of a CSV file; keys are URL-encoded in it, so that a row is a line."""
    rest = b""
    async for part in content:
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            if line.strip():
                yield _cells(line)
        if len(rest) > MANIFEST_LINE_BYTES_MAX:
            raise BadManifest("The manifest has a line that is too long to be an object's.")
    if rest.strip():
        yield _cells(rest)


def _cells(line: bytes) -> list[str]:
    try:
        return next(csv.reader([line.decode().rstrip("\r")]))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadManifest("The manifest is not CSV in UTF-8.") from error


async def _whole(content: AsyncIterator[bytes]) -> bytes:
    held = bytearray()
    async for part in content:
        held += part
        if len(held) > MANIFEST_JSON_BYTES_MAX:
            raise BadManifest("The manifest is too long to be an inventory report's.")
    return bytes(held)


async def _unzipped(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    opener = zlib.decompressobj(wbits=_GZIP)
    try:
        async for part in content:
            left = part
            while left:
                yield opener.decompress(left, READ_BYTES)
                left = opener.unconsumed_tail
    except zlib.error as error:
        raise BadManifest("A file of the inventory report is not gzip.") from error


async def _checked(content: AsyncIterator[bytes], md5: str) -> AsyncIterator[bytes]:
    """The same, and BadManifest at the end where it was not what the report says."""
    digest = hashlib.md5(usedforsecurity=False)
    async for part in content:
        digest.update(part)
        yield part
    if digest.hexdigest() != md5:
        raise BadManifest("A file of the inventory report is not the one that it names.")


async def _read(
    acting: Context, bucket: str, key: str, version: str | None = None, etag: str | None = None
) -> AsyncIterator[bytes]:
    asked: dict[str, Any] = {"Bucket": bucket, "Key": key}
    if version:
        asked["VersionId"] = version
    found = await acting.call("s3", "get_object", asked)
    if etag is not None and found["ETag"].strip('"') != etag.strip('"'):
        raise BadManifest("The manifest object's ETag is not the one that was specified.")
    async for part in pieces(found["Body"]):
        yield part
