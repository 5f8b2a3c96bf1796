"""Listings of uploads under way, of their parts, and of what an object consists of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from doppio.kernel.context import Context
from doppio.kernel.identity import canonical_user
from doppio.kernel.records import table_of
from doppio.services.s3 import checksums
from doppio.services.s3.encryption import check_customer
from doppio.services.s3.errors import InvalidArgument
from doppio.services.s3.limits import LISTED_PARTS_MAX
from doppio.services.s3.listing import INTEGER_MAX, Page, page_of
from doppio.services.s3.lookup import existing_bucket, owner_of, version_and_content
from doppio.services.s3.multipart import existing_upload
from doppio.services.s3.records import Bucket, Checksum, Part, Piece, Upload, Version
from doppio.services.s3.rules import quoted
from doppio.services.s3.walk import Walk, text_of

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

_uploads = table_of(Upload)
_ATTRIBUTES = frozenset({"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"})


class Uploads:
    """What is there of uploads and of parts."""

    async def list_multipart_uploads(
        self, ctx: Context, req: w.ListMultipartUploadsRequest
    ) -> w.ListMultipartUploadsOutput:
        """Uploads under way: by key, and the earliest of a key first."""
        page = page_of(req, "MaxUploads")
        key, upload_id = req.get("KeyMarker", ""), req.get("UploadIdMarker", "")
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        walk = Walk(_uploads, _uploads.decode, bucket.id, page.prefix, page.delimiter)
        if key:
            walk.start_after(key, *([upload_id] if upload_id else []))
        found = await walk.take(reader.raw, page.room + 1) if page.room else []
        reader.meter("Requests-Tier1")
        shown = found[: page.room]
        result: w.ListMultipartUploadsOutput = {
            "Bucket": bucket.name,
            "KeyMarker": page.text(key),
            "UploadIdMarker": upload_id,
            "Prefix": page.text(page.prefix),
            "MaxUploads": page.room,
            "IsTruncated": len(found) > page.room,
            "Uploads": [_upload(bucket, one, page) for one in shown if not isinstance(one, str)],
            "CommonPrefixes": [{"Prefix": page.text(one)} for one in shown if isinstance(one, str)],
        }
        if page.delimiter:
            result["Delimiter"] = page.text(page.delimiter)
        if "EncodingType" in req:
            result["EncodingType"] = req["EncodingType"]
        if shown:
            last = shown[-1]
            result["NextKeyMarker"] = page.text(text_of(last))
            result["NextUploadIdMarker"] = "" if isinstance(last, str) else last.id
        return result

    async def list_parts(self, ctx: Context, req: w.ListPartsRequest) -> w.ListPartsOutput:
        """The parts that an upload has so far, by number."""
        marker = req.get("PartNumberMarker", 0)
        count = _count(req)
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        upload = await existing_upload(reader, req)
        parts = await reader.list(Part, (upload.id,), since=marker + 1, limit=count + 1)
        reader.meter("Requests-Tier1")
        shown = parts[:count]
        result: w.ListPartsOutput = {
            "Bucket": req["Bucket"],
            "Key": upload.key,
            "UploadId": upload.id,
            "PartNumberMarker": marker,
            "NextPartNumberMarker": shown[-1].number if shown else 0,
            "MaxParts": count,
            "IsTruncated": len(parts) > count,
            "Parts": [_part(part) for part in shown],
            "Initiator": _initiator(upload),
            "Owner": owner_of(bucket.account),
            "StorageClass": upload.storage_class,
        }
        if upload.said_algorithm:
            result["ChecksumAlgorithm"] = upload.algorithm
            result["ChecksumType"] = upload.checksum_kind
        return result

    async def get_object_attributes(
        self, ctx: Context, req: w.GetObjectAttributesRequest
    ) -> w.GetObjectAttributesOutput:
        """What an object is made of, as far as was asked for."""
        wanted = {name for given in req["ObjectAttributes"] for name in given.split(",")}
        if not wanted <= _ATTRIBUTES:
            raise InvalidArgument(
                "Invalid attribute name specified.",
                ArgumentName="x-amz-object-attributes",
                ArgumentValue=",".join(sorted(wanted - _ATTRIBUTES)),
            )
        reader = ctx.read()
        bucket, version, content = await version_and_content(reader, req)
        check_customer(req, version.more)
        result: w.GetObjectAttributesOutput = {"LastModified": version.modified}
        if bucket.versioning:
            result["VersionId"] = version.id
        if "ETag" in wanted:
            result["ETag"] = version.etag
        if "ObjectSize" in wanted:
            result["ObjectSize"] = version.size
        if "StorageClass" in wanted:
            result["StorageClass"] = version.storage_class
        if "Checksum" in wanted and version.checksum is not None:
            checksum = version.checksum
            value = checksum.value.partition("-")[0]
            result["Checksum"] = checksums.to_wire(
                Checksum(checksum.algorithm, value, checksum.kind)
            )
        if "ObjectParts" in wanted and version.parts_count and content is not None:
            result["ObjectParts"] = _object_parts(req, version, content.pieces)
        reader.meter("Requests-Tier2")
        return result


def _count(req: Mapping[str, Any]) -> int:
    count: int = req.get("MaxParts", LISTED_PARTS_MAX)
    if not 0 <= count <= INTEGER_MAX:
        raise InvalidArgument(
            f"Argument maxParts must be an integer between 0 and {INTEGER_MAX}",
            ArgumentName="maxParts",
            ArgumentValue=str(count),
        )
    return min(count, LISTED_PARTS_MAX)


def _upload(bucket: Bucket, upload: Upload, page: Page) -> w.MultipartUpload:
    entry: w.MultipartUpload = {
        "UploadId": upload.id,
        "Key": page.text(upload.key),
        "Initiated": upload.started_at.replace(microsecond=0),
        "StorageClass": upload.storage_class,
        "Owner": owner_of(bucket.account),
        "Initiator": _initiator(upload),
    }
    if upload.said_algorithm:
        entry["ChecksumAlgorithm"] = upload.algorithm
        entry["ChecksumType"] = upload.checksum_kind
    return entry


def _initiator(upload: Upload) -> w.Initiator:
    if upload.initiator.endswith(":root"):
        return {"ID": canonical_user(upload.account)}
    return {"ID": upload.initiator, "DisplayName": upload.initiator.rpartition("/")[2]}


def _part(part: Part) -> w.Part:
    entry: w.Part = {
        "PartNumber": part.number,
        "LastModified": part.modified.replace(microsecond=0),
        "ETag": quoted(part.etag),
        "Size": part.size,
    }
    if part.checksum is not None:
        entry.update(cast("w.Part", checksums.value_to_wire(part.checksum)))
    return entry


def _object_parts(
    req: Mapping[str, Any], version: Version, pieces: list[Piece]
) -> w.GetObjectAttributesParts:
    """The parts of a multipart object; S3 lists them one by one only where they have checksums
    that make up the object's."""
    result: w.GetObjectAttributesParts = {"TotalPartsCount": version.parts_count}
    checksum = version.checksum
    if checksum is None or checksum.kind != "COMPOSITE":
        return result
    marker = req.get("PartNumberMarker", 0)
    count = _count(req)
    following = [piece for piece in pieces if piece.number > marker]
    shown = following[:count]
    result["PartNumberMarker"] = marker
    result["NextPartNumberMarker"] = shown[-1].number if shown else 0
    result["MaxParts"] = count
    result["IsTruncated"] = len(following) > count
    result["Parts"] = [
        cast(
            "w.ObjectPart",
            {
                "PartNumber": piece.number,
                "Size": piece.size,
                f"Checksum{checksum.algorithm}": piece.checksum,
            },
        )
        for piece in shown
    ]
    return result
