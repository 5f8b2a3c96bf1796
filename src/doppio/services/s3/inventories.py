"""Inventories: lists of what is in a bucket, written to a bucket every day or week.

A durable job walks the bucket and writes a file whenever one is full, as the principal
`s3.amazonaws.com` on behalf of the bucket, so that the destination's policy decides. What it has
written is kept beside where it has come: a crash goes on from there, and the memory that it takes
is one file's. The manifest comes last; a report is there when its manifest is.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import msgspec

from doppio.kernel.context import Context
from doppio.kernel.jobs import Job, JobHandler
from doppio.kernel.records import record
from doppio.services.s3 import lifecycle, lifecycle_rules
from doppio.services.s3.census import Place, census
from doppio.services.s3.configurations import (
    check_id,
    delete_configuration,
    get_configuration,
    list_configurations,
    put_configuration,
)
from doppio.services.s3.inventory_files import SUFFIXES, ReportFile, load_writer, new_file
from doppio.services.s3.inventory_rules import (
    File,
    Plan,
    check,
    due_after,
    manifest,
    plan_of,
    row,
    schema,
)
from doppio.services.s3.limits import REPORT_FILE_BYTES
from doppio.services.s3.records import Bucket
from doppio.services.s3.settings import setting
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

KIND = "inventory"
RUN = "s3.inventory"
_log = logging.getLogger("doppio.s3.inventories")


@record("s3.inventory", key=("bucket", "id"))
class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """A report that is being written: since when, how far, and its files so far."""

    bucket: str
    id: str
    at: datetime
    place: Place = Place()
    files: list[File] = []


class Inventories:
    """A bucket's inventories."""

    async def put_bucket_inventory_configuration(
        self, ctx: Context, req: w.PutBucketInventoryConfigurationRequest
    ) -> None:
        """Set an inventory; its first report is made at the next midnight (or Sunday)."""
        document = cast("dict[str, Any]", req["InventoryConfiguration"])
        check_id(req, document)
        check(document, ctx.partition)
        async with ctx.write() as tx:
            bucket = await put_configuration(tx, req, KIND, document)
            name = _job_key(bucket, req["Id"])
            if document["IsEnabled"]:
                plan = plan_of(bucket.name, document)
                await tx.schedule(due_after(ctx.now, weekly=plan.weekly), RUN, name)
            else:
                await tx.unschedule(RUN, name)
            tx.delete(Progress(bucket=bucket.id, id=req["Id"], at=ctx.now))

    async def get_bucket_inventory_configuration(
        self, ctx: Context, req: w.GetBucketInventoryConfigurationRequest
    ) -> w.GetBucketInventoryConfigurationOutput:
        """An inventory, as it was put."""
        found = await get_configuration(ctx, req, KIND)
        return {"InventoryConfiguration": cast("w.InventoryConfiguration", found)}

    async def list_bucket_inventory_configurations(
        self, ctx: Context, req: w.ListBucketInventoryConfigurationsRequest
    ) -> w.ListBucketInventoryConfigurationsOutput:
        """All inventories, in pages of a hundred."""
        found = await list_configurations(ctx, req, KIND, "InventoryConfigurationList")
        return cast("w.ListBucketInventoryConfigurationsOutput", found)

    async def delete_bucket_inventory_configuration(
        self, ctx: Context, req: w.DeleteBucketInventoryConfigurationRequest
    ) -> None:
        """Make no further reports; those that are there stay."""
        async with ctx.write() as tx:
            bucket = await delete_configuration(tx, req, KIND)
            await tx.unschedule(RUN, _job_key(bucket, req["Id"]))
            tx.delete(Progress(bucket=bucket.id, id=req["Id"], at=ctx.now))


def _job_key(bucket: Bucket, name: str) -> str:
    return f"{bucket.id}/{name}"


def jobs() -> dict[str, JobHandler]:
    """The handler by the name under which it is scheduled."""
    return {RUN: report}


async def report(ctx: Context, job: Job) -> None:
    """Write one report, from its beginning or from where a crash has stopped it."""
    home, _, name = job.key.rpartition("/")
    reader = ctx.read()
    bucket = await reader.get(Bucket, home)
    document = None if bucket is None else await setting(reader, bucket, KIND, name)
    if bucket is None or document is None:
        return
    plan = plan_of(bucket.name, document)
    progress = await reader.get(Progress, bucket.id, name)
    if progress is None:
        progress = Progress(bucket=bucket.id, id=name, at=ctx.clock.now())
    try:
        await _Report(ctx, bucket, plan, progress).write()
    except AwsError as error:
        if error.status >= 500 and error.status != 501:
            raise
        # S3 tells nobody of a report that it may not write: it is just not there.
        _log.warning("no inventory %s of %s: %s", name, bucket.name, error.message)
    async with ctx.write() as tx:
        tx.delete(progress)
        await tx.schedule(due_after(ctx.clock.now(), weekly=plan.weekly), RUN, job.key)


class _Report:
    """One report on its way."""

    def __init__(self, ctx: Context, bucket: Bucket, plan: Plan, progress: Progress) -> None:
        self._ctx = ctx
        self._as_s3 = ctx.as_service("s3", source=bucket.arn)
        self._bucket = bucket
        self._plan = plan
        self._progress = progress
        self._open: ReportFile | None = None

    def _file_open(self) -> ReportFile:
        if self._open is None:
            self._open = new_file(self._plan.format, schema(self._plan))
        return self._open

    async def write(self) -> None:
        """Go through the bucket, a file at a time, and say at the end which files there are."""
        rules = await _lifecycle_of(self._ctx, self._bucket)
        await load_writer(self._plan.format)
        plan, place = self._plan, self._progress.place
        async for page in census(
            self._ctx, self._bucket, prefix=plan.prefix, versions=plan.versions, after=place
        ):
            file = self._file_open()
            file.add([row(plan, self._bucket, seen, rules) for seen in page])
            place = page[-1].place
            if file.size >= REPORT_FILE_BYTES:
                await self._file(place)
        if self._open is not None or not self._progress.files:
            await self._file(place)
        await self._finish()

    async def _file(self, place: Place) -> None:
        """Put a file, and remember it."""
        content = self._file_open().finish()
        at, files = self._progress.at, self._progress.files
        # The same name at every try, so that a file written just before a crash is not left over.
        told = f"{self._bucket.id}/{self._plan.id}/{at.isoformat()}/{len(files)}"
        digest = hashlib.sha256(told.encode()).hexdigest()
        name = "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))
        key = f"{self._plan.home}/data/{name}.{SUFFIXES[self._plan.format]}"
        await self._put(key, content)
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        files = [*files, File(key, len(content), md5)]
        self._progress = msgspec.structs.replace(self._progress, place=place, files=files)
        async with self._ctx.write() as tx:
            tx.put(self._progress)
        self._open = None

    async def _finish(self) -> None:
        plan, at, files = self._plan, self._progress.at, self._progress.files
        links = "\n".join(f"s3://{plan.bucket}/{one.key}" for one in files)
        await self._put(f"{plan.home}/hive/dt={at:%Y-%m-%d-%H-%M}/symlink.txt", links.encode())
        text = manifest(plan, self._bucket, at, files)
        folder = f"{plan.home}/{at:%Y-%m-%dT%H-%MZ}"
        await self._put(f"{folder}/manifest.json", text)
        md5 = hashlib.md5(text, usedforsecurity=False).hexdigest()
        await self._put(f"{folder}/manifest.checksum", md5.encode())

    async def _put(self, key: str, body: bytes) -> None:
        await self._as_s3.call(
            "s3",
            "put_object",
            {
                "Bucket": self._plan.bucket,
                "Key": key,
                "Body": body,
                "ACL": "bucket-owner-full-control",
                **({"ExpectedBucketOwner": self._plan.owner} if self._plan.owner else {}),
                **self._plan.encryption,
            },
        )


async def _lifecycle_of(ctx: Context, bucket: Bucket) -> list[Mapping[str, Any]]:
    found = await setting(ctx.read(), bucket, lifecycle.KIND)
    if found is None:
        return []
    return lifecycle_rules.enabled({"Rules": lifecycle.dated(found["Rules"])})
