"""What lies in a bucket, by storage class, and what it costs to have it there.

Counters are kept in the commits that change them, so nobody ever counts a bucket. Beside bytes and
objects stands each change times when it was: `bytes * now - weighted` grows as byte-hours do, so
the daily measuring is exact, however seldom it runs and however far the clock has jumped.
Source: "Understanding your AWS billing and usage reports for Amazon S3"; minimums: "Understanding
and managing Amazon S3 storage classes".
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from doppio.kernel.context import Reader, Tx
from doppio.kernel.keys import pack, prefix_range, unpack
from doppio.services.s3.glimpses import Known
from doppio.services.s3.records import Bucket, Measured

MEASURE = "s3.stock"
KIB = 1024
# The least that is billed of an object, and what lies beside each archived one: an index at its own
# class's price, and its name and metadata at STANDARD's.
SMALL_BYTES = 128 * KIB
ARCHIVE_INDEX_BYTES = 32 * KIB
ARCHIVE_NAME_BYTES = 8 * KIB
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_PREFIX = "s3.stock"
_CLASSES_MAX = 64
_CACHE_MAX = 4096
_SHORT = {"STANDARD_IA": "SIA", "ONEZONE_IA": "ZIA", "GLACIER_IR": "GIR"}
_REQUESTS = {**_SHORT, "INTELLIGENT_TIERING": "INT", "EXPRESS_ONEZONE": "XZ"}
_TIMED = {
    "STANDARD": "TimedStorage-ByteHrs",
    "REDUCED_REDUNDANCY": "TimedStorage-RRS-ByteHrs",
    "STANDARD_IA": "TimedStorage-SIA-ByteHrs",
    "ONEZONE_IA": "TimedStorage-ZIA-ByteHrs",
    "INTELLIGENT_TIERING": "TimedStorage-INT-FA-ByteHrs",
    "INT-IA": "TimedStorage-INT-IA-ByteHrs",
    "INT-AIA": "TimedStorage-INT-AIA-ByteHrs",
    "INT-AA": "TimedStorage-INT-AA-ByteHrs",
    "INT-DAA": "TimedStorage-INT-DAA-ByteHrs",
    "GLACIER_IR": "TimedStorage-GIR-ByteHrs",
    "GLACIER": "TimedStorage-GlacierByteHrs",
    "DEEP_ARCHIVE": "TimedStorage-GDA-ByteHrs",
    "EXPRESS_ONEZONE": "TimedStorage-XZ-ByteHrs",
}
_METRICS = {
    "STANDARD": "StandardStorage",
    "REDUCED_REDUNDANCY": "ReducedRedundancyStorage",
    "STANDARD_IA": "StandardIAStorage",
    "ONEZONE_IA": "OneZoneIAStorage",
    "INTELLIGENT_TIERING": "IntelligentTieringFAStorage",
    "INT-IA": "IntelligentTieringIAStorage",
    "INT-AIA": "IntelligentTieringAIAStorage",
    "INT-AA": "IntelligentTieringAAStorage",
    "INT-DAA": "IntelligentTieringDAAStorage",
    "GLACIER_IR": "GlacierInstantRetrievalStorage",
    "GLACIER": "GlacierStorage",
    "DEEP_ARCHIVE": "DeepArchiveStorage",
    "EXPRESS_ONEZONE": "ExpressOneZoneStorage",
}
_OVERHEADS = {
    "STANDARD_IA": "StandardIASizeOverhead",
    "ONEZONE_IA": "OneZoneIASizeOverhead",
    "GLACIER_IR": "GlacierIRSizeOverhead",
}
_ARCHIVES = {"GLACIER": "Glacier", "DEEP_ARCHIVE": "DeepArchive", "INT-AA": "IntAA",
             "INT-DAA": "IntDAA"}  # fmt: skip
# The class whose versions lie in tiers, each a kind of its own here; what is monitored of it is
# counted where other classes count padding, and billed by the month.
_TIERED = "INTELLIGENT_TIERING"
_MONITORING = "Monitoring-Automation-INT"
_HOURS_A_MONTH = 24 * 30
# How long an object is paid for at least, and under which name the rest is billed.
_LEAST = {
    "STANDARD_IA": (timedelta(days=30), "EarlyDelete-SIA"),
    "ONEZONE_IA": (timedelta(days=30), "EarlyDelete-ZIA"),
    "GLACIER_IR": (timedelta(days=90), "EarlyDelete-GIR"),
    "GLACIER": (timedelta(days=90), "EarlyDelete-ByteHrs"),
    "DEEP_ARCHIVE": (timedelta(days=180), "EarlyDelete-GDA"),
}
_SUMS = ("bytes", "objects", "padding")
_keys: dict[tuple[str, str], tuple[bytes, ...]] = {}


class Statistics(NamedTuple):
    """A bucket's storage metrics: `BucketSizeBytes` by StorageType, and `NumberOfObjects`."""

    size_bytes: dict[str, int]
    objects: int


def stored(tx: Tx, version: Known, instead_of: Known | None = None) -> None:
    """A version has come, alone or in another's place; or it has come to another class.

    A delete marker is an object of no size.
    """
    if instead_of is not None:
        same_class = instead_of.storage_class == version.storage_class != _TIERED
        if same_class and instead_of.size == version.size and instead_of.marker == version.marker:
            # The usual overwriting: what the one takes away, the other brings.
            if instead_of.storage_class != "STANDARD":
                _early(tx, instead_of)
            return
        gone(tx, instead_of)
    _change(tx, version, 1)


def gone(tx: Tx, version: Known) -> None:
    """A version goes, or leaves its class."""
    _change(tx, version, -1)
    _early(tx, version)


def _early(tx: Tx, version: Known) -> None:
    """Bill now what a version that goes was to be paid for at least."""
    least = _LEAST.get(version.storage_class)
    if least is None or version.marker:
        return
    since = None if version.more is None else version.more.moved
    rest = (since or version.modified) + least[0] - tx.context.now
    if rest > timedelta(0):
        hours = rest.total_seconds() / 3600
        tx.meter(least[1], max(version.size, _least_bytes(version)) * hours)


def annotated(tx: Tx, bucket: str, size: int) -> None:
    """So many bytes of annotations have come (or, less than none, gone); they are no objects."""
    keys = _keys.get((bucket, "STANDARD")) or _keys_of(bucket, "STANDARD")
    tx.raw.add(keys[0], float(size))
    tx.raw.add(keys[1], size * _hours(tx.context.now))


@lru_cache(maxsize=64)
def request_type(tier: int, storage_class: str) -> str:
    """The usage type of a request to an object, by its class."""
    if storage_class == "STANDARD":
        return "Requests-Tier1" if tier == 1 else "Requests-Tier2"
    short = _REQUESTS.get(storage_class)
    return f"Requests-Tier{tier}" if short is None else f"Requests-{short}-Tier{tier}"


def retrieval_type(storage_class: str) -> str | None:
    """The usage type of bytes that are read; None where reading costs nothing by size."""
    short = "XZ" if storage_class == "EXPRESS_ONEZONE" else _SHORT.get(storage_class)
    return None if short is None else f"Retrieval-{short}"


async def statistics(reader: Reader, bucket: str) -> Statistics:
    """What lies in a bucket now, as CloudWatch's daily storage metrics name it."""
    sizes: dict[str, int] = {}
    objects = 0
    for (kind, what), (amount, _) in (await _sums(reader, bucket)).items():
        if what == "objects":
            objects += round(amount)
            if kind in _ARCHIVES:
                archive = _ARCHIVES[kind]
                sizes[f"{archive}ObjectOverhead"] = round(amount) * ARCHIVE_INDEX_BYTES
                sizes[f"{archive}S3ObjectOverhead"] = round(amount) * ARCHIVE_NAME_BYTES
        elif what == "bytes":
            sizes[_METRICS.get(kind, "StandardStorage")] = round(amount)
        elif kind in _OVERHEADS:
            sizes[_OVERHEADS[kind]] = round(amount)
    return Statistics({name: size for name, size in sizes.items() if size}, objects)


async def keep_measuring(tx: Tx, bucket: Bucket) -> None:
    """See to it that a bucket is measured every midnight."""
    await tx.schedule(_midnight_after(tx.context.now), MEASURE, bucket.id)


async def measure(tx: Tx, bucket: Bucket) -> None:
    """Meter what has lain in a bucket since it was last measured."""
    found = await tx.get(Measured, bucket.id)
    before = {} if found is None else found.totals
    now = _hours(tx.context.now)
    totals: dict[str, float] = {}
    for (kind, what), (amount, weighted) in (await _sums(tx, bucket.id)).items():
        for usage_type, factor in _billed(kind, what):
            grown = (amount * now - weighted) * factor
            totals[usage_type] = totals.get(usage_type, 0.0) + grown
    for usage_type, total in totals.items():
        used = total - before.get(usage_type, 0.0)
        if used > 0.5:
            tx.meter(usage_type, used)
        else:
            # Less than a byte for an hour is how exactly large numbers are kept.
            totals[usage_type] = before.get(usage_type, 0.0)
    if totals != before:
        tx.put(Measured(bucket=bucket.id, totals=totals))


def _change(tx: Tx, version: Known, sign: int) -> None:
    kind, size, raw = version.storage_class, version.size, tx.raw
    if kind == _TIERED:
        kind = _tier_of(version)
    keys = _keys.get((version.bucket, kind)) or _keys_of(version.bucket, kind)
    now = _hours(tx.context.now)
    if size:
        raw.add(keys[0], float(sign * size))
        raw.add(keys[1], sign * size * now)
    raw.add(keys[2], float(sign))
    if kind in _ARCHIVES:
        raw.add(keys[3], sign * now)
    if version.storage_class == _TIERED:
        if size >= SMALL_BYTES:
            raw.add(keys[4], float(sign))
            raw.add(keys[5], sign * now)
    elif kind in _SHORT and size < SMALL_BYTES and not version.marker:
        raw.add(keys[4], float(sign * (SMALL_BYTES - size)))
        raw.add(keys[5], sign * (SMALL_BYTES - size) * now)


def _tier_of(version: Known) -> str:
    """The kind of what lies in a tier of Intelligent-Tiering."""
    tier = "" if version.more is None else version.more.tier
    return f"INT-{tier}" if tier else _TIERED


def _least_bytes(version: Known) -> int:
    if version.storage_class in _ARCHIVES:
        return version.size + ARCHIVE_INDEX_BYTES
    return SMALL_BYTES


def _billed(kind: str, what: str) -> list[tuple[str, float]]:
    """Under which names a sum is billed, and how much of it."""
    timed = _TIMED.get(kind, _TIMED["STANDARD"])
    if what == "bytes":
        return [(timed, 1.0)]
    if what == "padding" and (kind == _TIERED or kind.startswith("INT-")):
        return [(_MONITORING, 1.0 / _HOURS_A_MONTH)]
    if what == "padding":
        return [(f"TimedStorage-{_SHORT[kind]}-SmObjects", 1.0)]
    if kind in _ARCHIVES:
        return [
            (timed, float(ARCHIVE_INDEX_BYTES)),
            (_TIMED["STANDARD"], float(ARCHIVE_NAME_BYTES)),
        ]
    return []


async def _sums(reader: Reader, bucket: str) -> dict[tuple[str, str], tuple[float, float]]:
    lo, hi = prefix_range(_PREFIX, bucket)
    found: dict[tuple[str, str], list[float]] = {}
    for key, amount in await reader.raw.counters(lo, hi, limit=_CLASSES_MAX):
        _, _, kind, what, weighted = unpack(key)
        found.setdefault((kind, what), [0.0, 0.0])[weighted] = amount
    return {place: (sums[0], sums[1]) for place, sums in found.items()}


def _keys_of(bucket: str, kind: str) -> tuple[bytes, ...]:
    """The counters of a class in a bucket: for each of _SUMS its amount, and it times when it came."""
    if len(_keys) >= _CACHE_MAX:
        _keys.clear()
    keys = _keys[(bucket, kind)] = tuple(
        pack(_PREFIX, bucket, kind, what, weighted) for what in _SUMS for weighted in (0, 1)
    )
    return keys


def _hours(moment: datetime) -> float:
    return (moment - _EPOCH).total_seconds() / 3600


def _midnight_after(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
