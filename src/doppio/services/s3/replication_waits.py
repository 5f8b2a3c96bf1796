"""Replication that takes long: who waits, what its owner is told of it, and the metrics.

A version that cannot be replicated yet stands here, for each rule that is to measure it. While any
does, CloudWatch is told each minute what is pending; what goes at once is told as its latency alone.
Sources: "Monitoring progress with replication metrics", "Event message structure".
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from doppio.kernel.context import Context, Tx
from doppio.kernel.identity import service_caller
from doppio.kernel.jobs import Job, JobHandler
from doppio.kernel.metrics import Measure
from doppio.kernel.paging import every
from doppio.kernel.records import record
from doppio.services.s3.happenings import happened
from doppio.services.s3.lookup import sequence_of
from doppio.services.s3.records import Bucket, Current, Version
from doppio.services.s3.replication_rules import Rule
from doppio.wire.errors import AwsError

PENDING = "s3.replication_pending"
EVERY = timedelta(minutes=1)
_A_STEP = 500
_DIMENSIONS = ("SourceBucket", "DestinationBucket", "RuleId")
_LATENCY = Measure("s3", "AWS/S3", "ReplicationLatency", "Seconds", *_DIMENSIONS)
_FAILED = Measure("s3", "AWS/S3", "OperationsFailedReplication", "Count", *_DIMENSIONS)
_log = logging.getLogger("doppio.s3.replication_waits")


@record("s3.waiting", key=("bucket", "object", "version", "destination", "rule"))
class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A version that a rule is still to replicate. `minutes`: within which that was promised."""

    bucket: str
    object: str
    version: str
    destination: str
    rule: str
    since: datetime
    size: int
    marker: bool
    minutes: int
    missed: bool = False


def jobs() -> dict[str, JobHandler]:
    """The job that tells what is pending."""
    return {PENDING: tell_pending}


async def wait(
    tx: Tx, bucket: Bucket, version: Version, rules: Iterable[Rule], since: datetime
) -> datetime | None:
    """Note who waits, tell of those who wait too long; when the next is going to have, if any."""
    now = tx.context.clock.now()
    following = None
    for rule in rules:
        if not rule.metrics:
            continue
        key = (bucket.id, version.key, version.id, rule.bucket, rule.id)
        found = await tx.get(Waiting, *key)
        missed = found is not None and found.missed
        at = since + timedelta(minutes=rule.minutes)
        if rule.minutes and not missed and now >= at:
            missed = True
            _tell(tx, bucket, version, rule, "Replication:OperationMissedThreshold", since)
        elif rule.minutes and not missed:
            following = at if following is None else min(at, following)
        tx.put(
            Waiting(
                bucket=bucket.id, object=version.key, version=version.id, destination=rule.bucket,
                rule=rule.id, since=since, size=version.size, marker=version.marker,
                minutes=rule.minutes, missed=missed,
            )
        )  # fmt: skip
        await _keep_telling(tx, bucket)
    return following


async def settle(
    tx: Tx, bucket: Bucket, version: Version, rules: Iterable[Rule], since: datetime
) -> None:
    """Nobody waits for this version any more: it has come, late perhaps, or never will."""
    by_name = {(rule.bucket, rule.id): rule for rule in rules}
    for row in await tx.list(Waiting, (bucket.id, version.key, version.id), limit=_A_STEP):
        tx.delete(row)
        rule = by_name.get((row.destination, row.rule))
        if rule is not None and row.missed:
            name = "Replication:OperationReplicatedAfterThreshold"
            _tell(tx, bucket, version, rule, name, since)


async def drop(ctx: Context, bucket: Bucket, key: str, version: str) -> None:
    """What is not to be replicated any more is not tracked any more, either."""

    async def commit(tx: Tx) -> None:
        for row in await tx.list(Waiting, (bucket.id, key, version), limit=_A_STEP):
            tx.delete(row)
            if row.minutes:
                gone = Current(
                    bucket=bucket.id, key=key, sequence=sequence_of(version) or 0, id=version,
                    modified=row.since, marker=row.marker, size=row.size,
                )  # fmt: skip
                told = _detail(bucket, row.rule, row.destination, gone)
                happened(tx, bucket, gone, "Replication:OperationNotTracked", told)

    await ctx.transact(commit)


def measure(home: Context, bucket: Bucket, rule: Rule, since: datetime, *, failed: bool) -> None:
    """Measure how a rule has ended for a version, where it is to be measured."""
    if not rule.metrics:
        return
    names = (bucket.name, rule.bucket, rule.id)
    if failed:
        home.count(_FAILED, bucket.account, bucket.region, names)
    else:
        taken = max((home.clock.now() - since).total_seconds(), 0.0)
        home.count(_LATENCY, bucket.account, bucket.region, names, taken)


def tell_failed(tx: Tx, bucket: Bucket, version: Version, rule: Rule, reason: str) -> None:
    """Say that a rule will not replicate a version, and why."""
    told = _detail(bucket, rule.id, rule.bucket, version) | {"failureReason": reason}
    happened(tx, bucket, version, "Replication:OperationFailedReplication", told)


def _tell(tx: Tx, bucket: Bucket, version: Version, rule: Rule, name: str, since: datetime) -> None:
    told = _detail(bucket, rule.id, rule.bucket, version) | {"threshold": str(rule.minutes)}
    happened(tx, bucket, version, name, told)


def _detail(source: Bucket, rule: str, bucket: str, version: Version) -> dict[str, str]:
    """What S3's message says beside the version."""
    return {
        "replicationRuleId": rule,
        "destinationBucket": f"arn:{source.partition}:s3:::{bucket}",
        "s3Operation": "OBJECT_DELETE_MARKER" if version.marker else "OBJECT_PUT",
        "requestTime": version.modified.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    }


async def _keep_telling(tx: Tx, bucket: Bucket) -> None:
    job = await tx.get(Job, PENDING, bucket.id)
    now = tx.context.clock.now()
    if job is None or job.at <= now:
        told = [] if job is None else job.arguments.get("told", [])
        await tx.schedule(now + EVERY, PENDING, bucket.id, told=told)


async def tell_pending(ctx: Context, job: Job) -> None:
    """Tell what a bucket's rules are still to replicate; zero, once, of those that are through."""
    bucket = await ctx.read().get(Bucket, job.key)
    if bucket is None:
        return
    now = ctx.clock.now()
    sums: dict[tuple[str, str], list[float]] = {
        (destination, rule): [0.0, 0.0, 0.0] for destination, rule in job.arguments["told"]
    }
    waiting: set[tuple[str, str]] = set()
    async for row in every(ctx.read(), Waiting, (bucket.id,), step=_A_STEP):
        name = (row.destination, row.rule)
        waiting.add(name)
        found = sums.setdefault(name, [0.0, 0.0, 0.0])
        found[0] += 1
        found[1] += row.size
        found[2] = max(found[2], (now - row.since).total_seconds())
    await _put(ctx, bucket, sums, now)
    if waiting:
        async with ctx.write() as tx:
            told = [list(name) for name in sorted(waiting)]
            await tx.schedule(now + EVERY, PENDING, bucket.id, told=told)


async def _put(
    ctx: Context, bucket: Bucket, sums: dict[tuple[str, str], list[float]], now: datetime
) -> None:
    data: list[dict[str, Any]] = []
    for (destination, rule), values in sorted(sums.items()):
        names = zip(_DIMENSIONS, (bucket.name, destination, rule), strict=True)
        dimensions = [{"Name": name, "Value": value} for name, value in names]
        units = (("OperationsPendingReplication", "Count"), ("BytesPendingReplication", "Bytes"),
                 ("ReplicationLatency", "Seconds"))  # fmt: skip
        for (name, unit), value in zip(units, values, strict=True):
            data.append(
                {"MetricName": name, "Dimensions": dimensions, "Timestamp": now, "Unit": unit,
                 "Value": value}
            )  # fmt: skip
    if not data:
        return
    service = ctx.derive(service_caller("s3", bucket.account, bucket.arn), region=bucket.region)
    service.account = bucket.account
    try:
        told = {"Namespace": "AWS/S3", "MetricData": data}
        await service.call("cloudwatch", "put_metric_data", told)
    except AwsError as error:
        _log.warning("what %s is to replicate is not told: %s", bucket.name, error)
