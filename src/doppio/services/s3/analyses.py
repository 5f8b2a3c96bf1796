"""Storage class analyses at work: what is read of a bucket, by age, and the export of each day.

Requests are seen by the gateway's witness, only those to buckets whose analysis is exported, and
kept by the day. A little after midnight what lies in the bucket is counted, the day's sums are
kept, and the export is written anew with all days, as `s3.amazonaws.com`, so that the destination's
policy decides. Everything has its name from the day, so a run that a crash has stopped runs again.
Like S3's own the counting is best effort: what a crash finds in memory is not counted.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import msgspec

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job, JobHandler
from doppio.kernel.kernel import Kernel
from doppio.kernel.records import record
from doppio.kernel.store import Conflict, StoreClosed, StoreFull
from doppio.kernel.witness import Exchange
from doppio.services.s3.analysis_rules import (
    Day,
    Sums,
    age_of,
    due_after,
    export_of,
    key_of,
    table,
)
from doppio.services.s3.census import census
from doppio.services.s3.limits import ANALYSED_DAYS_KEPT, LOG_EVERY
from doppio.services.s3.records import Bucket
from doppio.services.s3.request_metrics_rules import filter_of, sent_bytes
from doppio.services.s3.settings import setting, settings
from doppio.services.s3.watches import Cause, Filtered, Watch, filtered, version_meant
from doppio.wire.errors import AwsError

KIND = "analytics"
RUN = "s3.analysis"
TOPIC = "s3.analyses"
# The last requests of a day are put away when their minute is over.
BEHIND = 2 * LOG_EVERY
_READS = frozenset({"GetObject", "SelectObjectContent"})
_WRITES = frozenset({"PutObject", "CopyObject", "CompleteMultipartUpload", "PostObject"})
_log = logging.getLogger("doppio.s3.analyses")


@record("s3.analysed", key=("bucket",))
class Analysed(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket with an analysis that is exported: so that all of them are found at once."""

    bucket: str
    name: str


@record("s3.analysis", key=("bucket", "id", "day"))
class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """A day of an analysis. While it is not `closed`, only what was read and put is known of it."""

    bucket: str
    id: str
    day: str
    classes: Day
    closed: bool = False


# A bucket may go before its analyses' days do: those go when the next of them would come.
WATCHED = Cause(KIND, TOPIC, Analysed)


async def begin(tx: Tx, bucket: Bucket, document: Mapping[str, Any]) -> None:
    """See to it that an analysis is made each day, where it is exported."""
    WATCHED.begin(tx, bucket)
    await tx.schedule(due_after(tx.context.now, BEHIND), RUN, f"{bucket.id}/{document['Id']}")


async def end(tx: Tx, bucket: Bucket, name: str) -> None:
    """Make an analysis no more, and forget its days; what was exported stays."""
    await tx.unschedule(RUN, f"{bucket.id}/{name}")
    await _drop_days(tx, bucket.id, name)
    left = await settings(tx, bucket, KIND)
    others = [one for one in left if one.id != name and export_of(one.document)]
    WATCHED.end(tx, bucket, left=bool(others))


async def _drop_days(tx: Tx, bucket: str, name: str) -> None:
    for one in await tx.list(Analysis, (bucket, name), limit=ANALYSED_DAYS_KEPT + 2):
        tx.delete(one)


class Analyst(Watch[Filtered]):
    """One process's witness of requests to buckets whose storage class analysis is exported."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel, WATCHED, filtered(KIND, has=export_of))
        self._held: dict[tuple[str, str, str], Day] = {}
        self._cancel: Any = None
        self._ctx: Context | None = None

    def saw(self, ctx: Context, exchange: Exchange) -> None:
        """Count what is read, and what is put."""
        watched = self._of(ctx, exchange)
        if watched is None or exchange.error or "Key" not in exchange.labels:
            return
        if exchange.operation in _READS or exchange.operation in _WRITES:
            self._work(self._count(ctx, watched, exchange))

    async def _count(self, ctx: Context, watched: Filtered, exchange: Exchange) -> None:
        version = await version_meant(ctx, watched.bucket, exchange)
        if version is None or version.marker:
            return
        if exchange.operation in _READS:
            seen = Sums(retrieved=sent_bytes(exchange), gets=1)
        else:
            seen = Sums(uploaded=version.size)
        self._ctx = ctx
        age = age_of(version.modified, ctx.now, version.size)
        for name, one in watched.filters:
            if one.may_want(exchange.labels) and one.has(version.tags):
                held = self._held.setdefault(
                    (watched.bucket.id, name, ctx.now.date().isoformat()), {}
                )
                _add(held, version.storage_class, age, seen)
        if self._held and self._cancel is None:
            self._cancel = self._kernel.clock.call_at(ctx.now + LOG_EVERY, self._begin)

    def _begin(self) -> None:
        self._cancel = None
        self._work(self._put_away())

    async def _put_away(self) -> None:
        """Add what is in hand to what is kept."""
        held, self._held = self._held, {}
        ctx = self._ctx
        if ctx is None:
            return
        for (home, name, day), seen in held.items():

            async def add(
                tx: Tx, home: str = home, name: str = name, day: str = day, seen: Day = seen
            ) -> None:
                if await tx.get(Analysed, home) is None:
                    return
                found = await tx.get(Analysis, home, name, day)
                classes = (
                    {} if found is None else {key: dict(one) for key, one in found.classes.items()}
                )
                for storage_class, ages in seen.items():
                    for age, sums in ages.items():
                        _add(classes, storage_class, age, sums)
                closed = found is not None and found.closed
                tx.put(Analysis(bucket=home, id=name, day=day, classes=classes, closed=closed))

            try:
                await ctx.transact(add)
            except (Conflict, StoreFull, StoreClosed) as error:
                _log.warning("the analysis of %s has missed requests: %s", home, error)

    async def close(self) -> None:
        """Put away what is in hand."""
        if self._cancel is not None:
            self._cancel()
        await self._finish()
        await self._put_away()


def _add(day: Day, storage_class: str, age: str, sums: Sums) -> None:
    ages = day.setdefault(storage_class, {})
    ages[age] = ages.get(age, Sums()).plus(sums)


def jobs() -> dict[str, JobHandler]:
    """The handler by the name under which it is scheduled."""
    return {RUN: run}


async def run(ctx: Context, job: Job) -> None:
    """Close the day that is over, and write the export."""
    home, _, name = job.key.rpartition("/")
    reader = ctx.read()
    bucket = await reader.get(Bucket, home)
    document = None if bucket is None else await setting(reader, bucket, KIND, name)
    if bucket is None or document is None or export_of(document) is None:
        async with ctx.write() as tx:
            await _drop_days(tx, home, name)
        return
    now = ctx.clock.now()
    day = (now - BEHIND).date() - timedelta(days=1)
    await _close(ctx, bucket, document, day)
    try:
        await _export(ctx, bucket, document)
    except AwsError as error:
        if error.status >= 500 and error.status != 501:
            raise
        # As of inventories, nobody is told: the export is just not there.
        _log.warning("no analysis %s of %s: %s", name, bucket.name, error.message)
    async with ctx.write() as tx:
        again = await tx.get(Bucket, home)
        if again is not None and await setting(tx, again, KIND, name) is not None:
            await tx.schedule(due_after(ctx.clock.now(), BEHIND), RUN, job.key)


async def _close(ctx: Context, bucket: Bucket, document: Mapping[str, Any], day: date) -> None:
    """Count what lies there, and keep it as the day's; days of long ago are forgotten."""
    name, wanted = document["Id"], filter_of(document)
    now = ctx.clock.now()
    there: Day = {}
    async for page in census(ctx, bucket, prefix=wanted.prefix):
        for seen in page:
            one = seen.version
            if wanted.has(one.tags):
                age = age_of(one.modified, now, one.size)
                _add(there, one.storage_class, age, Sums(objects=1, stored=one.size))

    async def close(tx: Tx) -> None:
        found = await tx.get(Analysis, bucket.id, name, day.isoformat())
        classes = {key: dict(ages) for key, ages in there.items()}
        if found is not None:
            for storage_class, ages in found.classes.items():
                for age, sums in ages.items():
                    _add(classes, storage_class, age, sums._replace(objects=0, stored=0))
        told = day.isoformat()
        tx.put(Analysis(bucket=bucket.id, id=name, day=told, classes=classes, closed=True))
        kept = await tx.list(Analysis, (bucket.id, name), limit=ANALYSED_DAYS_KEPT + 2)
        for one in kept:
            if (day - date.fromisoformat(one.day)).days >= ANALYSED_DAYS_KEPT:
                tx.delete(one)

    await ctx.transact(close)


async def _export(ctx: Context, bucket: Bucket, document: Mapping[str, Any]) -> None:
    export = export_of(document)
    assert export is not None
    destination = export["Destination"]["S3BucketDestination"]
    found = await ctx.read().list(
        Analysis, (bucket.id, document["Id"]), limit=ANALYSED_DAYS_KEPT + 2
    )
    days = [(date.fromisoformat(one.day), one.classes) for one in found if one.closed]
    owner = destination.get("BucketAccountId")
    await ctx.as_service("s3", source=bucket.arn).call(
        "s3",
        "put_object",
        {
            "Bucket": destination["Bucket"].rpartition(":")[2],
            "Key": key_of(bucket.name, document),
            "Body": table(document, days),
            "ContentType": "text/csv",
            "ACL": "bucket-owner-full-control",
            **({"ExpectedBucketOwner": owner} if owner else {}),
        },
    )
