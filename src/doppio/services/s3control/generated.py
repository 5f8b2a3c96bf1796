"""Generated manifests: what a bucket has that a job's filter lets through, listed as its role.

Source: "Specifying a manifest: creating an automatically generated manifest" in the user guide.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import quote_plus

from doppio.kernel.context import Context
from doppio.kernel.paging import steps
from doppio.services.s3.ports import Entry, entries
from doppio.services.s3control.job_rules import dated
from doppio.services.s3control.limits import REPORT_FILE_BYTES, ROWS_A_STEP
from doppio.services.s3control.manifests import Line
from doppio.services.s3control.records import BatchJob, Task
from doppio.services.s3control.tasks import REPLICATE

_GZIP = 31  # zlib's word for: with a gzip head
_SEALED = {"SSES3": "AES256", "SSEKMS": "aws:kms", "DSSEKMS": "aws:kms:dsse", "SSEC": "customer",
           "NOTSSE": ""}  # fmt: skip


async def lines_of(
    acting: Context, job: BatchJob
) -> AsyncIterator[tuple[list[Line], tuple[str, int]]]:
    """What is to be done something to, page by page, with where each page ends.

    Replication is of all versions, everything else of the current ones.
    """
    generator = dated(job.request["ManifestGenerator"]["S3JobManifestGenerator"])
    name = generator["SourceBucket"].rpartition(":")[2]
    wanted = generator.get("Filter") or {}
    pages = entries(
        acting,
        name,
        owner=generator.get("ExpectedBucketOwner"),
        versions=REPLICATE in job.request["Operation"],
        replicated=bool(wanted.get("EligibleForReplication")),
        after=job.place,
    )
    async for page in pages:
        found = [Line(name, one.key, one.version) for one in page if fits(one, wanted)]
        yield found, page[-1].place


def fits(entry: Entry, wanted: Mapping[str, Any]) -> bool:
    """Whether an object passes a generator's filter."""
    return not entry.marker and all(
        check(entry, wanted[name]) for name, check in _CHECKS.items() if name in wanted
    )


def _named(entry: Entry, wanted: Mapping[str, Any]) -> bool:
    prefixes, suffixes = wanted.get("MatchAnyPrefix"), wanted.get("MatchAnySuffix")
    parts = wanted.get("MatchAnySubstring")
    if prefixes and not entry.key.startswith(tuple(prefixes)):
        return False
    if suffixes and not entry.key.endswith(tuple(suffixes)):
        return False
    return not parts or any(one in entry.key for one in parts)


def _sealed(entry: Entry, wanted: list[Mapping[str, Any]]) -> bool:
    return any(_is_sealed(entry, one) for one in wanted)


def _is_sealed(entry: Entry, wanted: Mapping[str, Any]) -> bool:
    [(name, more)] = wanted.items()
    if entry.sealed != _SEALED[name]:
        return False
    if more.get("KmsKeyArn") not in {None, entry.kms_key}:
        return False
    return more.get("BucketKeyEnabled") in {None, entry.bucket_key}


_CHECKS: dict[str, Callable[[Entry, Any], bool]] = {
    "EligibleForReplication": lambda one, is_so: one.eligible == is_so,
    "CreatedAfter": lambda one, at: one.modified > at,
    "CreatedBefore": lambda one, at: one.modified < at,
    "ObjectReplicationStatuses": lambda one, names: (one.replication or "NONE") in names,
    "KeyNameConstraint": _named,
    "ObjectSizeGreaterThanBytes": lambda one, size: one.size > size,
    "ObjectSizeLessThanBytes": lambda one, size: one.size < size,
    "MatchAnyStorageClass": lambda one, names: one.storage_class in names,
    "MatchAnyObjectEncryption": _sealed,
}


async def write(ctx: Context, acting: Context, job: BatchJob) -> dict[str, str]:
    """Keep the list where the job wants it; where its manifest.json lies."""
    place = job.request["ManifestGenerator"]["S3JobManifestGenerator"]["ManifestOutputLocation"]
    base = f"{place['ManifestPrefix']}/" if place.get("ManifestPrefix") else ""
    base += f"job-{job.id}/generated-manifest"
    name = place["Bucket"].rpartition(":")[2]
    files: list[dict[str, Any]] = []
    async for body in _files(ctx, job):
        key = f"{base}/data/{len(files)}.csv.gz"
        await _put(acting, place, name, key, body)
        md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
        files.append({"key": key, "size": len(body), "MD5checksum": md5})
    generator = job.request["ManifestGenerator"]["S3JobManifestGenerator"]
    told = {
        "sourceBucket": generator["SourceBucket"].rpartition(":")[2],
        "destinationBucket": place["Bucket"],
        "version": "2021-11-30",
        "creationTimestamp": str(int(job.created_at.timestamp() * 1000)),
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, VersionId",
        "files": files,
    }
    key = f"{base}/manifest.json"
    found = await _put(acting, place, name, key, json.dumps(told).encode())
    location = {"ObjectArn": f"{place['Bucket']}/{key}", "ETag": found["ETag"].strip('"')}
    if "VersionId" in found:
        location["ObjectVersionId"] = found["VersionId"]
    return location


async def _files(ctx: Context, job: BatchJob) -> AsyncIterator[bytes]:
    """All tasks as gzipped CSV, in files of bounded size."""
    packer, held = zlib.compressobj(wbits=_GZIP), bytearray()
    async for rows in steps(ctx.read(), Task, (job.id,), step=ROWS_A_STEP):
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerows((row.bucket, quote_plus(row.key, safe="/"), row.version) for row in rows)
        held += packer.compress(text.getvalue().encode())
        if len(held) >= REPORT_FILE_BYTES:
            yield bytes(held + packer.flush())
            packer, held = zlib.compressobj(wbits=_GZIP), bytearray()
    yield bytes(held + packer.flush())


async def _put(
    acting: Context, place: Mapping[str, Any], bucket: str, key: str, body: bytes
) -> dict[str, Any]:
    req: dict[str, Any] = {"Bucket": bucket, "Key": key, "Body": body}
    if "ExpectedManifestBucketOwner" in place:
        req["ExpectedBucketOwner"] = place["ExpectedManifestBucketOwner"]
    encryption = place.get("ManifestEncryption") or {}
    if "SSEKMS" in encryption:
        req |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": encryption["SSEKMS"]["KeyId"]}
    elif "SSES3" in encryption:
        req["ServerSideEncryption"] = "AES256"
    found: dict[str, Any] = await acting.call("s3", "put_object", req)
    return found
