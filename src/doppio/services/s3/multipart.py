"""Multipart uploads: begun, fed part by part in any order, then completed or aborted.

Completing copies nothing: the object's content is the list of the parts' files. So it costs one
commit, whatever the size. Parts that were not asked for, and those of aborted uploads, are
discarded by a durable job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.jobs import Job
from doppio.services.s3 import checksums
from doppio.services.s3.acls import with_acl
from doppio.services.s3.attributes import Attributes, new_attributes
from doppio.services.s3.bodies import Bodies, Placed, Received, body_of, expected
from doppio.services.s3.conditions import check_write
from doppio.services.s3.encryption import (
    encryption_of,
    etag_of,
    sealing_of,
    sealing_of_part,
    told_of,
    with_sealing,
)
from doppio.services.s3.errors import (
    BadDigest,
    EntityTooLarge,
    EntityTooSmall,
    InvalidArgument,
    InvalidPart,
    InvalidPartOrder,
    InvalidRequest,
    MalformedXML,
    NoSuchUpload,
)
from doppio.services.s3.limits import (
    COMPLETED_KEPT,
    OBJECT_BYTES_MAX,
    PART_BYTES_MAX,
    PART_BYTES_MIN,
    PART_NUMBER_MAX,
)
from doppio.services.s3.lookup import bucket_and_current, existing_bucket
from doppio.services.s3.objects import new_version
from doppio.services.s3.reclaim import discard_file, discard_upload
from doppio.services.s3.records import (
    Blob,
    Bucket,
    Checksum,
    Completed,
    Content,
    Part,
    Piece,
    Upload,
)
from doppio.services.s3.rules import parts_etag, quoted
from doppio.services.s3.versions import ENABLED

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

_MICROSECONDS = 1_000_000
UPLOAD_ID_CHARS = 48
FORGET = "s3.forget_completed"


class Multipart:
    """The operations on uploads and parts, but for their listings and copies."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies

    async def create_multipart_upload(
        self, ctx: Context, req: w.CreateMultipartUploadRequest
    ) -> w.CreateMultipartUploadOutput:
        """Begin an upload: what the object will be stored with is said now."""
        attributes = new_attributes(req)
        algorithm, kind = checksum_of_upload(req)
        bucket = await existing_bucket(ctx.read(), req)
        sealing = await sealing_of(ctx, bucket, req, req["Key"])
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            attributes = with_acl(ctx, bucket, req, attributes)
            upload = tx.add(
                Upload(
                    bucket=bucket.id,
                    key=req["Key"],
                    id=new_upload_id(ctx),
                    started_at=ctx.now.replace(microsecond=0),
                    initiator=ctx.caller.arn,
                    account=ctx.account,
                    algorithm=algorithm,
                    checksum_kind=kind,
                    said_algorithm="ChecksumAlgorithm" in req,
                    storage_class=attributes.storage_class,
                    headers=attributes.headers,
                    expires=attributes.expires,
                    metadata=attributes.metadata,
                    tags=attributes.tags,
                    more=with_sealing(attributes.more, sealing),
                )
            )
            tx.meter("Requests-Tier1")
        result: w.CreateMultipartUploadOutput = {
            "Bucket": bucket.name,
            "Key": upload.key,
            "UploadId": upload.id,
        }
        result.update(cast("w.CreateMultipartUploadOutput", told_of(sealing)))
        if upload.said_algorithm:
            result["ChecksumAlgorithm"] = upload.algorithm
            result["ChecksumType"] = upload.checksum_kind
        return result

    async def upload_part(self, ctx: Context, req: w.UploadPartRequest) -> w.UploadPartOutput:
        """Store a part; one of the same number takes the place of an earlier one."""
        number = checked_number(req["PartNumber"])
        upload = await existing_upload(ctx.read(), req)
        body = body_of(req)
        says = expected(req, body)
        if upload.said_algorithm and says.algorithm not in {None, upload.algorithm}:
            assert says.algorithm is not None
            raise InvalidRequest(
                "Checksum Type mismatch occurred, expected checksum Type: "
                f"{upload.algorithm.lower()}, actual checksum Type: {says.algorithm.lower()}"
            )
        sealing = await sealing_of_part(ctx, req, upload.more)
        received = await self._bodies.receive(
            ctx, body, says, algorithm=upload.algorithm, bytes_max=PART_BYTES_MAX, file=True,
            keys=None if sealing is None else sealing.keys,
        )  # fmt: skip
        received = received.with_etag(etag_of(ctx, sealing, received.etag))
        await keep_part(self._bodies, ctx, req, number, received)
        result: w.UploadPartOutput = {"ETag": quoted(received.etag)}
        result.update(cast("w.UploadPartOutput", encryption_of(upload.more)))
        result.update(cast("w.UploadPartOutput", checksums.value_to_wire(received.checksum)))
        return result

    async def complete_multipart_upload(
        self, ctx: Context, req: w.CompleteMultipartUploadRequest
    ) -> w.CompleteMultipartUploadOutput:
        """Make the listed parts an object, in one commit."""
        wanted = (req.get("MultipartUpload") or {}).get("Parts") or []
        if not wanted:
            raise MalformedXML
        async with ctx.write() as tx:
            answered = await _answered_before(tx, req, wanted)
            if answered is not None:
                return answered
            upload = await existing_upload(tx, req)
            bucket, old = await bucket_and_current(tx, req)
            check_write(req, old)
            stored = await tx.list(Part, (upload.id,), limit=PART_NUMBER_MAX)
            parts = chosen(upload, wanted, {part.number: part for part in stored})
            size = sum(part.size for part in parts)
            if size > OBJECT_BYTES_MAX:
                raise EntityTooLarge(ProposedSize=str(size), MaxSizeAllowed=str(OBJECT_BYTES_MAX))
            if req.get("MpuObjectSize", size) != size:
                raise InvalidRequest(
                    f"The provided 'x-amz-mp-object-size' header value {req['MpuObjectSize']} "
                    f"does not match what was computed: {size}"
                )
            checksum = whole_checksum(upload, parts)
            _check_said(req, checksum)
            content = tx.add(Content(id=upload.id, pieces=[piece_of(part) for part in parts]))
            etag = parts_etag(part.etag for part in parts)
            current = await new_version(
                tx,
                bucket,
                upload.key,
                old,
                _attributes(upload),
                Placed(size, etag, checksum, None, content.id),
                parts_count=len(parts),
                cause="CompleteMultipartUpload",
            )
            tx.delete(upload)
            await discard_upload(tx, upload.id, content.id)
            tx.meter("Requests-Tier1")
            result: w.CompleteMultipartUploadOutput = {
                "Location": f"{ctx.kernel.endpoint}/{bucket.name}/{upload.key}",
                "Bucket": bucket.name,
                "Key": upload.key,
                "ETag": quoted(current.etag),
            }
            result.update(cast("w.CompleteMultipartUploadOutput", encryption_of(upload.more)))
            result.update(cast("w.CompleteMultipartUploadOutput", checksums.to_wire(checksum)))
            if bucket.versioning == ENABLED:
                result["VersionId"] = current.id
            tx.put(
                Completed(
                    bucket=bucket.id,
                    key=upload.key,
                    id=upload.id,
                    parts=_named(wanted),
                    answer=cast("dict[str, Any]", result),
                )
            )
            await tx.schedule(
                ctx.now + COMPLETED_KEPT, FORGET, upload.id, bucket=bucket.id, object=upload.key
            )
        return result

    async def abort_multipart_upload(
        self, ctx: Context, req: w.AbortMultipartUploadRequest
    ) -> None:
        """Give an upload up; its parts are removed."""
        async with ctx.write() as tx:
            upload = await existing_upload(tx, req)
            tx.delete(upload)
            await discard_upload(tx, upload.id, None)


async def forget_completed(ctx: Context, job: Job) -> None:
    """An upload was completed long enough ago."""
    async with ctx.write() as tx:
        where = (job.arguments["bucket"], job.arguments["object"], job.key)
        found = await tx.get(Completed, *where)
        if found is not None:
            tx.delete(found)


async def _answered_before(
    tx: Tx, req: Mapping[str, Any], wanted: Sequence[Mapping[str, Any]]
) -> w.CompleteMultipartUploadOutput | None:
    """What the same completion was answered before, if it was."""
    bucket: Bucket = await existing_bucket(tx, req)
    where = (bucket.id, req["Key"], req["UploadId"])
    if await tx.get(Upload, *where) is not None:
        return None
    found = await tx.get(Completed, *where)
    if found is None or found.parts != _named(wanted):
        return None
    return cast("w.CompleteMultipartUploadOutput", found.answer)


def _named(wanted: Sequence[Mapping[str, Any]]) -> list[tuple[int, str]]:
    return [(one.get("PartNumber", 0), one.get("ETag", "").strip('"')) for one in wanted]


async def existing_upload(reader: Reader, req: Mapping[str, Any]) -> Upload:
    """The upload that a request names, in a bucket that is there."""
    bucket: Bucket = await existing_bucket(reader, req)
    upload = await reader.get(Upload, bucket.id, req["Key"], req["UploadId"])
    if upload is None:
        raise NoSuchUpload(UploadId=req["UploadId"])
    return upload


async def keep_part(
    bodies: Bodies, ctx: Context, req: Mapping[str, Any], number: int, received: Received
) -> Part:
    """Record a part whose bytes have arrived."""

    async def commit(tx: Tx) -> Part:
        upload = await existing_upload(tx, req)
        old = await tx.get(Part, upload.id, number)
        if old is not None and old.blob is not None:
            await discard_file(tx, old.blob)
        if received.blob is not None:
            tx.add(Blob(received.blob))
        tx.meter("Requests-Tier1")
        return tx.put(
            Part(
                upload=upload.id,
                number=number,
                size=received.size,
                etag=received.etag,
                modified=ctx.now.replace(microsecond=0),
                blob=received.blob,
                checksum=received.checksum,
            )
        )

    return await bodies.claim(ctx, received, commit)


def new_upload_id(ctx: Context) -> str:
    """An id that sorts by the time of its beginning and cannot be guessed."""
    microseconds = int(ctx.now.timestamp() * _MICROSECONDS)
    return f"{microseconds:016x}{ctx.new_id('hex32')}"


def checksum_of_upload(req: Mapping[str, Any]) -> tuple[str, str]:
    """The algorithm and kind of checksum that an upload's object will have."""
    algorithm, _ = checksums.said(req)
    kind = req.get("ChecksumType")
    if algorithm is None:
        if kind is not None:
            raise InvalidRequest(
                "The x-amz-checksum-type header can only be used with the "
                "x-amz-checksum-algorithm header."
            )
        return checksums.DEFAULT, "FULL_OBJECT"
    if kind is None:
        kind = "COMPOSITE" if algorithm in checksums.COMPOSITE else "FULL_OBJECT"
    allowed = checksums.COMPOSITE if kind == "COMPOSITE" else checksums.FULL_OBJECT
    if algorithm not in allowed:
        raise InvalidRequest(
            f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum "
            "algorithm."
        )
    return algorithm, kind


def checked_number(number: int) -> int:
    """A part number. Raises InvalidArgument."""
    if not 1 <= number <= PART_NUMBER_MAX:
        raise InvalidArgument(
            "Part number must be an integer between 1 and 10000, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=str(number),
        )
    return number


def chosen(
    upload: Upload, wanted: Sequence[Mapping[str, Any]], stored: Mapping[int, Part]
) -> list[Part]:
    """The parts that a completion lists, or S3's refusal. Pure."""
    parts: list[Part] = []
    last = 0
    for one in wanted:
        number = checked_number(one.get("PartNumber", 0))
        if number <= last:
            raise InvalidPartOrder(UploadId=upload.id)
        last = number
        part = stored.get(number)
        etag = one.get("ETag", "").strip('"')
        if part is None or etag != part.etag:
            raise InvalidPart(UploadId=upload.id, PartNumber=str(number), ETag=etag)
        given = one.get(f"Checksum{upload.algorithm}")
        if part.checksum is not None and given is not None and given != part.checksum.value:
            raise InvalidPart(UploadId=upload.id, PartNumber=str(number), ETag=etag)
        parts.append(part)
    for part in parts[:-1]:
        if part.size < PART_BYTES_MIN:
            raise EntityTooSmall(
                ProposedSize=str(part.size),
                MinSizeAllowed=str(PART_BYTES_MIN),
                PartNumber=str(part.number),
                ETag=part.etag,
            )
    return parts


def whole_checksum(upload: Upload, parts: Sequence[Part]) -> Checksum | None:
    """The checksum of the object, from those of its parts; None where a part has another one."""
    values: list[tuple[str, int]] = []
    for part in parts:
        if part.checksum is None or part.checksum.algorithm != upload.algorithm:
            return None
        values.append((part.checksum.value, part.size))
    return checksums.of_parts(upload.algorithm, upload.checksum_kind, values)


def piece_of(part: Part) -> Piece:
    """A part as a piece of an object's content."""
    value = "" if part.checksum is None else part.checksum.value
    return Piece(part.number, part.size, part.blob or "", value)


def _check_said(req: Mapping[str, Any], checksum: Checksum | None) -> None:
    """What a completion says of the whole object must be so."""
    kind = req.get("ChecksumType")
    if kind is not None and checksum is not None and kind != checksum.kind:
        raise InvalidRequest(
            f"The upload was created using the {checksum.kind} checksum mode. The complete "
            "request must use the same checksum mode."
        )
    for member, algorithm in checksums.MEMBERS.items():
        given = req.get(member)
        if given is None or checksum is None or checksum.algorithm != algorithm:
            continue
        if given.partition("-")[0] != checksum.value.partition("-")[0]:
            raise BadDigest(f"The {algorithm} you specified did not match what we received.")


def _attributes(upload: Upload) -> Attributes:
    return Attributes(
        upload.headers,
        upload.expires,
        upload.metadata,
        upload.tags,
        upload.storage_class,
        upload.more,
    )
