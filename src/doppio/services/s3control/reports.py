"""Completion reports: what came of each task, written by the job's role.

Source: "Examples: S3 Batch Operations completion reports" in the user guide. The rows have the status
before the code, as AWS's do, though the schema names them the other way round.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote_plus

from doppio.kernel.context import Context
from doppio.kernel.paging import steps
from doppio.services.s3control.limits import REPORT_FILE_BYTES, ROWS_A_STEP
from doppio.services.s3control.records import BatchJob, Outcome
from doppio.wire.timestamps import format_iso8601_millis

SCHEMA = "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage"


async def write(ctx: Context, acting: Context, job: BatchJob) -> None:
    """Write the report, in files of bounded size, and at last the manifest that names them.

    All names follow from the job, so that writing it again after a crash leaves nothing over.
    """
    report = job.request["Report"]
    bucket = report["Bucket"].rpartition(":")[2]
    base = f"{report['Prefix']}/" if report.get("Prefix") else ""
    base += f"job-{job.id}"
    results: list[dict[str, Any]] = []
    for status in ("succeeded", "failed"):
        async for body in _files(ctx, job, status):
            named = f"{job.id}/{status}/{len(results)}"
            name = hashlib.sha1(named.encode(), usedforsecurity=False).hexdigest()
            key = f"{base}/results/{name}.csv"
            await _put(acting, report, bucket, key, body)
            md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
            results.append(
                {"TaskExecutionStatus": status, "Bucket": bucket, "MD5Checksum": md5, "Key": key}
            )
    at = ctx.clock.now()
    told = {
        "Format": report["Format"],
        "ReportCreationDate": format_iso8601_millis(at),
        "Results": results,
        "ReportSchema": SCHEMA,
    }
    text = json.dumps(told).encode()
    await _put(acting, report, bucket, f"{base}/manifest.json", text)
    md5 = hashlib.md5(text, usedforsecurity=False).hexdigest()
    await _put(acting, report, bucket, f"{base}/manifest.json.md5", md5.encode())


async def _files(ctx: Context, job: BatchJob, status: str) -> AsyncIterator[bytes]:
    """The rows of the tasks that ended so, in files of bounded size; none where there are none."""
    held = io.StringIO()
    async for rows in steps(ctx.read(), Outcome, (job.id,), step=ROWS_A_STEP):
        writer = csv.writer(held, lineterminator="\n")
        for row in rows:
            if bool(row.error) == (status == "failed"):
                writer.writerow(_row(row, status))
        if held.tell() >= REPORT_FILE_BYTES:
            yield held.getvalue().encode()
            held = io.StringIO()
    if held.tell():
        yield held.getvalue().encode()


def _row(row: Outcome, status: str) -> list[str]:
    key = quote_plus(row.key, safe="/")
    return [row.bucket, key, row.version, status, str(row.status), row.error, row.message]


async def _put(acting: Context, report: dict[str, Any], bucket: str, key: str, body: bytes) -> None:
    req: dict[str, Any] = {"Bucket": bucket, "Key": key, "Body": body}
    if "ExpectedBucketOwner" in report:
        req["ExpectedBucketOwner"] = report["ExpectedBucketOwner"]
    await acting.call("s3", "put_object", req)
