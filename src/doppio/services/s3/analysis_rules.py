"""What a storage class analysis makes of a bucket: ages, sums, and the lines of its export. Pure.

Source: "Amazon S3 analytics - Storage Class Analysis" in the user guide, "How is the exported file
laid out". S3 does not tell how it comes to its recommendation: here an age is one for STANDARD_IA
where what is that old, or older, has been read less than once a month, byte by byte, for at that rate
retrieval costs about what storage saves.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from doppio.services.s3.errors import InvalidS3DestinationBucket, MalformedXML
from doppio.services.s3.request_metrics_rules import filter_of

MIB = 1 << 20
# Smaller objects are not billed by their size where they are read seldom: they have no age here.
AGED_BYTES_MIN = 128 * 1024
OBSERVED_DAYS = 30
# The shortest stay in STANDARD before STANDARD_IA.
TRANSITION_DAYS_MIN = 30
COOL = 1.0
ALL, SMALL = "ALL", ""
STANDARD = "STANDARD"
# The first day of each group of ages.
_FIRST_DAYS = (0, 15, 30, 45, 60, 75, 90, 120, 150, 180, 365, 730)
_HEADER = (
    "Date", "ConfigId", "Filter", "StorageClass", "ObjectAge", "ObjectCount", "DataUploaded_MB",
    "Storage_MB", "DataRetrieved_MB", "GetRequestCount", "CumulativeAccessRatio",
    "ObjectAgeForSIATransition_days", "RecommendedObjectAgeForSIATransition",
)  # fmt: skip


def _names() -> tuple[str, ...]:
    both = pairwise(_FIRST_DAYS)
    return (*(f"{first:03d}-{after - 1:03d}" for first, after in both), f"{_FIRST_DAYS[-1]}+")


AGES = _names()


class Sums(NamedTuple):
    """What lies in a class at an age, and what was read of it and put there in a day."""

    objects: int = 0
    stored: int = 0
    retrieved: int = 0
    gets: int = 0
    uploaded: int = 0

    def plus(self, other: Sums) -> Sums:
        return Sums(*map(sum, zip(self, other, strict=True)))


# By storage class, and by age.
Day = dict[str, dict[str, Sums]]


def age_of(modified: datetime, now: datetime, size: int) -> str:
    """The group of ages to which an object belongs; none where it is small."""
    if size < AGED_BYTES_MIN:
        return SMALL
    days = max(0, (now - modified).days)
    return AGES[sum(first <= days for first in _FIRST_DAYS) - 1]


def check_export(document: Mapping[str, Any], partition: str) -> None:
    """Raise MalformedXML or InvalidS3DestinationBucket for an export that cannot be."""
    export = export_of(document)
    if export is None:
        return
    destination = export["Destination"]["S3BucketDestination"]
    if export["OutputSchemaVersion"] != "V_1" or destination["Format"] != "CSV":
        raise MalformedXML
    if not destination["Bucket"].startswith(f"arn:{partition}:s3:::"):
        raise InvalidS3DestinationBucket


def export_of(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where a configuration's analysis goes; None where only a console would show it."""
    found: dict[str, Any] | None = (document.get("StorageClassAnalysis") or {}).get("DataExport")
    return found


def key_of(source: str, document: Mapping[str, Any]) -> str:
    """Under which key an export lies."""
    export = export_of(document)
    assert export is not None
    prefix = export["Destination"]["S3BucketDestination"].get("Prefix")
    base = f"{prefix}/" if prefix else ""
    return f"{base}{source}/{document['Id']}/StorageClassAnalysis.csv"


def table(document: Mapping[str, Any], days: Sequence[tuple[date, Day]]) -> bytes:
    """The whole export: the lines of all days that are kept, oldest first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    name, told = document["Id"], _filter_text(document)
    recommended = ""
    for at, (day, classes) in enumerate(days):
        seen = [known for known, _ in days[: at + 1]]
        window = [one for known, one in days[: at + 1] if (day - known).days < OBSERVED_DAYS]
        is_stable = (day - seen[0]).days + 1 >= OBSERVED_DAYS
        for storage_class in sorted(classes):
            ratios = _ratios([one.get(storage_class, {}) for one in window])
            observed = str(_first_cool(ratios)) if storage_class == STANDARD else ""
            if storage_class == STANDARD and is_stable:
                recommended = observed
            told_of = classes[storage_class]
            begin = [day.strftime("%m-%d-%Y"), name, told, storage_class]
            whole = Sums()
            for one in told_of.values():
                whole = whole.plus(one)
            for age in AGES:
                sums = told_of.get(age, Sums())
                read = [_mib(sums.stored), _mib(sums.retrieved), str(sums.gets)]
                writer.writerow([*begin, age, "", "", *read, f"{ratios[age]:.6f}", "", ""])
            amounts = [_mib(whole.uploaded), _mib(whole.stored), _mib(whole.retrieved)]
            of_class = [observed, recommended] if storage_class == STANDARD else ["", ""]
            cells = [ALL, str(whole.objects), *amounts, str(whole.gets), "", *of_class]
            writer.writerow([*begin, *cells])
    return text.getvalue().encode()


def _ratios(days: Sequence[Mapping[str, Sums]]) -> dict[str, float]:
    """How often each byte of an age, and of all greater ones, was read in these days."""
    found: dict[str, float] = {}
    stored = retrieved = 0
    for age in reversed(AGES):
        stored += sum(one.get(age, Sums()).stored for one in days)
        retrieved += sum(one.get(age, Sums()).retrieved for one in days)
        found[age] = retrieved / (stored / len(days)) if stored else 0.0
    return found


def _first_cool(ratios: Mapping[str, float]) -> int | str:
    """The least age, in days, from which on objects are read seldom; empty where there is none."""
    for age, first in zip(AGES, _FIRST_DAYS, strict=True):
        if first >= TRANSITION_DAYS_MIN and ratios[age] < COOL:
            return first
    return ""


def due_after(now: datetime, behind: timedelta) -> datetime:
    """When the day will have been told of in full: a little after the next midnight, UTC."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1) + behind


def _filter_text(document: Mapping[str, Any]) -> str:
    found = filter_of(document)
    prefix = [f"prefix={found.prefix}"] if found.prefix else []
    return ";".join([*prefix, *(f"tag:{name}={value}" for name, value in found.tags)])


def _mib(size: int) -> str:
    return f"{size / MIB:.6f}"
