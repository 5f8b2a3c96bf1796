"""Storage Lens at work: each midnight what lies in an account's buckets is counted and told.

It is written to the destination as `storage-lens.s3.amazonaws.com` on behalf of the configuration,
so that the destination's policy decides, and told to CloudWatch where that is wanted. Names follow
from the day, so a run that a crash has stopped is run again and leaves nothing over.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job, JobHandler
from doppio.services.s3 import ports
from doppio.services.s3control.lens_files import SUFFIXES, LensFile, schema_text
from doppio.services.s3control.lens_groups import holds
from doppio.services.s3control.lens_rules import (
    Row,
    counts_group,
    counts_rules,
    covers,
    encryption_of,
    home_of,
    kind_of,
    manifest,
    scope_of,
)
from doppio.services.s3control.limits import LENS_GROUPS_MAX, REPORT_FILE_BYTES
from doppio.services.s3control.records import Lens, LensGroup
from doppio.wire.errors import AwsError

RUN = "s3control.lens"
PRINCIPAL = "storage-lens.s3"
_NAMESPACE = "AWS/S3/Storage-Lens"
_DATA_A_CALL = 500
_log = logging.getLogger("doppio.s3control.lens_exports")


def jobs() -> dict[str, JobHandler]:
    """The handler by the name under which it is scheduled."""
    return {RUN: run}


def key_of(lens: Lens) -> str:
    """How a configuration is known to its timer."""
    return f"{lens.account}/{lens.region}/{lens.id}"


async def keep(tx: Tx, lens: Lens) -> None:
    """See to it that a configuration is looked at each midnight, while it is on."""
    if lens.document["IsEnabled"]:
        await tx.schedule(_midnight_after(tx.context.clock.now()), RUN, key_of(lens))
    else:
        await tx.unschedule(RUN, key_of(lens))


async def run(ctx: Context, job: Job) -> None:
    """Count and tell what there was at the end of the day before."""
    account, region, name = job.key.split("/")
    lens = await ctx.read().get(Lens, account, region, name)
    if lens is None or not lens.document["IsEnabled"]:
        return
    now = ctx.clock.now()
    day = _midnight_after(now).date() - timedelta(days=2)
    export = lens.document.get("DataExport") or {}
    destination = export.get("S3BucketDestination")
    told = bool((export.get("CloudWatchMetrics") or {}).get("IsEnabled"))
    if destination is not None or told:
        report = _Report(ctx, lens, day, destination, now)
        try:
            async for rows in _counted(ctx, lens, now):
                if told:
                    await report.tell(rows)
                await report.add(rows)
            await report.finish()
        except AwsError as error:
            if error.status >= 500 and error.status != 501:
                raise
            # As of inventories, nobody is told: the export is just not there.
            _log.warning("no export of %s: %s", name, error.message)
    async with ctx.write() as tx:
        again = await tx.get(Lens, account, region, name)
        if again is not None:
            await keep(tx, again)


async def _counted(ctx: Context, lens: Lens, now: datetime) -> AsyncIterator[list[Row]]:
    """The rows of each bucket, and then those of the account in each Region."""
    sums: dict[tuple[str, str, str, str], int] = {}
    groups = await _groups(ctx, lens, now)
    async for bucket in ports.owned(ctx, lens.account):
        if not covers(lens.document, bucket):
            continue
        rows = []
        found = await ports.sums_of(ctx, bucket.id, now, groups, scope_of(lens.document))
        for group, counted in (("", found.whole), *found.groups.items()):
            for kind, values in sorted(counted.items()):
                for name, value in values.items():
                    rows.append(Row(bucket.region, kind, bucket.name, name, value, group))
                    place = (bucket.region, kind, group, name)
                    sums[place] = sums.get(place, 0) + value
        rows += (
            Row(bucket.region, kind, bucket.name, name, value, prefix=prefix)
            for prefix, counted in found.prefixes.items()
            for kind, values in sorted(counted.items())
            for name, value in values.items()
        )
        advanced = counts_rules(lens.document)
        for name, value in (await ports.counts_of(ctx, bucket.id, rules=advanced)).items():
            rows.append(Row(bucket.region, "", bucket.name, name, value))
            sums[bucket.region, "", "", name] = sums.get((bucket.region, "", "", name), 0) + value
        if rows:
            yield rows
    yield [
        Row(region, kind, "", name, value, group)
        for (region, kind, group, name), value in sums.items()
    ]


async def _groups(ctx: Context, lens: Lens, now: datetime) -> dict[str, ports.Holds]:
    """The groups that a configuration tells of, by their ARNs."""
    rows = await ctx.read().list(LensGroup, (lens.account, lens.region), limit=LENS_GROUPS_MAX)
    return {
        one.arn: partial(holds, one.filter, now)
        for one in rows
        if counts_group(lens.document, one.arn)
    }


class _Report:
    """One day's export on its way."""

    def __init__(
        self, ctx: Context, lens: Lens, day: date, destination: dict[str, Any] | None, now: datetime
    ) -> None:
        self._as_lens = ctx.as_service(PRINCIPAL, source=lens.arn)
        self._lens = lens
        self._day = day
        self._now = now
        self._destination = destination
        self._files: list[dict[str, Any]] = []
        self._held = self._file_open()

    def _file_open(self) -> LensFile:
        chosen = "CSV" if self._destination is None else self._destination["Format"]
        return LensFile(chosen, self._lens.id, self._lens.account, self._day)

    async def add(self, rows: list[Row]) -> None:
        """Hold rows until a file is full."""
        if self._destination is None:
            return
        self._held.add(rows)
        if self._held.size >= REPORT_FILE_BYTES or self._held.is_full:
            await self._file()

    async def finish(self) -> None:
        """Write the rest, and at last which files there are."""
        if self._destination is None:
            return
        if self._held.rows or not self._files:
            await self._file()
        lens, day = self._lens, self._day
        to = self._destination
        text = manifest(lens.id, lens.account, day, to, schema_text(to["Format"]), self._files)
        await self._put(f"{self._home}/manifests/dt={day}/manifest.json", text)

    async def tell(self, rows: list[Row]) -> None:
        """Tell CloudWatch the same."""
        lens = self._lens
        # Prefixes are not for CloudWatch.
        rows = [row for row in rows if not row.prefix]
        for begin in range(0, len(rows), _DATA_A_CALL):
            data = [_datum(lens, row, self._now) for row in rows[begin : begin + _DATA_A_CALL]]
            told = {"Namespace": _NAMESPACE, "MetricData": data}
            await self._as_lens.call("cloudwatch", "put_metric_data", told)

    @property
    def _home(self) -> str:
        assert self._destination is not None
        return home_of(self._lens.id, self._lens.account, self._destination)

    async def _file(self) -> None:
        body = await self._held.finish()
        assert self._destination is not None
        told = f"{key_of(self._lens)}/{self._day}/{len(self._files)}"
        digest = hashlib.sha256(told.encode()).hexdigest()
        name = "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))
        key = f"{self._home}/reports/dt={self._day}/{name}.{SUFFIXES[self._destination['Format']]}"
        await self._put(key, body)
        md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
        self._files.append({"key": key, "size": len(body), "md5Checksum": md5})
        self._held = self._file_open()

    async def _put(self, key: str, body: bytes) -> None:
        assert self._destination is not None
        req = {
            "Bucket": self._destination["Arn"].rpartition(":")[2],
            "Key": key,
            "Body": body,
            "ACL": "bucket-owner-full-control",
            "ExpectedBucketOwner": self._destination["AccountId"],
            **encryption_of(self._destination),
        }
        await self._as_lens.call("s3", "put_object", req)


def _datum(lens: Lens, row: Row, now: datetime) -> dict[str, Any]:
    names = {
        "configuration_id": lens.id,
        "metrics_version": "1.0",
        "aws_account_number": lens.account,
        "aws_region": row.region,
        "record_type": kind_of(row),
    }
    if row.storage_class:
        names["storage_class"] = row.storage_class
    if row.bucket:
        names["bucket_name"] = row.bucket
    if row.group:
        names["storage_lens_group_name"] = row.group.rpartition("/")[2]
    return {
        "MetricName": row.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in names.items()],
        "Timestamp": now,
        "Unit": "Bytes" if "Bytes" in row.name else "Count",
        "Value": float(row.value),
    }


def _midnight_after(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
