"""Daily reports of an account's texts, in the bucket that it names.

Each text leaves a row in the commit in which it is sent, or refused; at the end of the day, on the
cloud's clock, a job writes them as one compressed file of a name that follows from the day, and
forgets them. A bucket that is gone, or lets SNS not in, gets nothing, and its rows are forgotten.

Source: "Viewing daily SMS usage reports".
"""

from __future__ import annotations

import csv
import gzip
import io
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.services.sns import limits
from doppio.services.sns.records import SmsSettings, Texted
from doppio.wire.errors import AwsError
from doppio.wire.timestamps import format_iso8601_millis

_log = logging.getLogger("doppio.services.sns")
REPORT = "sns.sms_report"
BUCKET = "UsageReportS3Bucket"
_HEAD = (
    "PublishTimeUTC", "MessageId", "DestinationPhoneNumber", "MessageType", "DeliveryStatus",
    "PriceInUSD", "PartNumber", "TotalParts",
)  # fmt: skip


async def keep(tx: Tx, settings: SmsSettings, text: Texted) -> None:
    """Keep a line for the day's report, if the account wants one."""
    if not settings.attributes.get(BUCKET):
        return
    tx.add(text)
    tomorrow = _day(text.at) + timedelta(days=1)
    key = f"{text.account}/{text.region}"
    await tx.schedule(tomorrow, REPORT, key, account=text.account, region=text.region)


async def report(ctx: Context, job: Job) -> None:
    """Write the reports of the days that are over."""
    account, region = job.arguments["account"], job.arguments["region"]
    today = _day(ctx.clock.now())
    while rows := await _oldest(ctx, account, region, today):
        settings = await ctx.read().get(SmsSettings, account, region)
        bucket = settings.attributes.get(BUCKET) if settings is not None else None
        if bucket:
            await _write(ctx, account, region, bucket, rows)

        async def forget(tx: Tx, rows: Sequence[Texted] = rows) -> None:
            for one in rows:
                tx.delete(one)

        await ctx.transact(forget)

    async def again(tx: Tx) -> None:
        # Of today there may be texts already, whose job this one was.
        if await tx.list(Texted, (account, region), limit=1):
            await tx.schedule(
                today + timedelta(days=1), REPORT, job.key, account=account, region=region
            )

    await ctx.transact(again)


def lines_of(rows: Sequence[Texted]) -> bytes:
    """A report: one line for each part of each text, compressed, and always the same bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEAD)
    for one in rows:
        for part in range(one.parts):
            writer.writerow(
                (
                    format_iso8601_millis(one.at),
                    one.id,
                    one.to,
                    one.kind,
                    one.status,
                    one.usd,
                    part,
                    one.parts,
                )
            )
    return gzip.compress(text.getvalue().encode(), mtime=0)


async def _oldest(ctx: Context, account: str, region: str, before: datetime) -> list[Texted]:
    """The rows of the oldest day that has some and is over, at most of one file."""
    until = before - timedelta(microseconds=1)
    found = await ctx.read().list(
        Texted, (account, region), until=until, limit=limits.SMS_REPORT_LINES_MAX
    )
    return next((list(rows) for _, rows in groupby(found, lambda one: _day(one.at))), [])


async def _write(
    ctx: Context, account: str, region: str, bucket: str, rows: Sequence[Texted]
) -> None:
    day, name = rows[0].at.strftime("%Y/%m/%d"), rows[0].id
    speaker = ctx.as_service("sns", source=f"arn:{ctx.partition}:sns:{region}:{account}:*")
    req = {
        "Bucket": bucket,
        "Key": f"SMSUsageReports/{region}/{day}/{name}.csv.gz",
        "Body": lines_of(rows),
    }
    try:
        await speaker.call("s3", "put_object", req)
    except AwsError as error:
        if error.status >= 500 and error.status != 501:
            raise
        _log.info("no report of texts in %s: %s", bucket, error)


def _day(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)
