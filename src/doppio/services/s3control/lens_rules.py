"""Storage Lens as pure functions: what a configuration may say, and what its exports are like.

Source: "Understanding the Amazon S3 Storage Lens export schema" in the user guide.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from doppio.services.s3.ports import Owned, PrefixScope
from doppio.services.s3control.errors import InvalidRequest
from doppio.services.s3control.limits import LENS_DEPTH_DEFAULT, LENS_PERCENTAGE_DEFAULT
from doppio.wire.errors import NotImplementedByDoppio

SCHEMA = (
    "version_number", "configuration_id", "report_date", "aws_account_number", "aws_region",
    "storage_class", "record_type", "record_value", "bucket_name", "metric_name", "metric_value",
)  # fmt: skip
# What AWS computes of requests and settings, and this cloud does not.
_NOT_HERE = {
    "ActivityMetrics": "Activity metrics in Storage Lens exist",
    "AdvancedDataProtectionMetrics": "Advanced data protection metrics exist",
    "DetailedStatusCodesMetrics": "Status code metrics in Storage Lens exist",
    "AdvancedPerformanceMetrics": "Performance metrics in Storage Lens exist",
}
_PARTS_NOT_HERE = {
    "AwsOrg": "Storage Lens of an organization exists",
    "ExpandedPrefixesDataExport": "Exports of all prefixes exist",
    "CostAndUsageReportsPublish": "Publishing prefixes to cost and usage reports exists",
}


class Row(NamedTuple):
    """A value of a metric; without a bucket it is the account's. `group` is a group's ARN; `prefix` is
    one of the bucket's."""

    region: str
    storage_class: str
    bucket: str
    name: str
    value: int
    group: str = ""
    prefix: str = ""


def check(name: str, document: Mapping[str, Any]) -> None:
    """Raise InvalidRequest for a configuration that cannot be, and 501 for what is not here."""
    if document["Id"] != name:
        raise InvalidRequest("The ID in the request and the ID in the configuration differ.")
    if "Include" in document and "Exclude" in document:
        raise InvalidRequest("A configuration can include or exclude, and not both.")
    for member, text in _PARTS_NOT_HERE.items():
        if member in document:
            raise NotImplementedByDoppio(f"{text} in AWS and not yet here")
    account = document["AccountLevel"]
    for level in (account, account["BucketLevel"]):
        for member, text in _NOT_HERE.items():
            if (level.get(member) or {}).get("IsEnabled"):
                raise NotImplementedByDoppio(f"{text} in AWS and not yet here")
    scope_of(document)
    chosen = (account.get("StorageLensGroupLevel") or {}).get("SelectionCriteria") or {}
    if "Include" in chosen and "Exclude" in chosen:
        raise InvalidRequest("Groups can be included or excluded, and not both.")
    if (document.get("IntAccessTiers") or {}).get("IsEnabled"):
        raise NotImplementedByDoppio("Storage Lens by access tier exists in AWS and not yet here")
    _check_export(document.get("DataExport") or {})


def _check_export(export: Mapping[str, Any]) -> None:
    if (export.get("StorageLensTableDestination") or {}).get("IsEnabled"):
        raise NotImplementedByDoppio("Exports to tables exist in AWS and not yet here")
    destination = export.get("S3BucketDestination")
    if destination is None:
        return
    encryption = destination.get("Encryption") or {}
    if "SSES3" in encryption and "SSEKMS" in encryption:
        raise InvalidRequest("An export is encrypted in one way.")


def covers(document: Mapping[str, Any], bucket: Owned) -> bool:
    """Whether a configuration is about a bucket."""
    if "Include" in document:
        return _named(document["Include"], bucket)
    return "Exclude" not in document or not _named(document["Exclude"], bucket)


def _named(scope: Mapping[str, Any], bucket: Owned) -> bool:
    return bucket.arn in (scope.get("Buckets") or ()) or bucket.region in (
        scope.get("Regions") or ()
    )


def lines(name: str, account: str, day: date, rows: Iterable[Row]) -> bytes:
    """Rows as they are exported."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow(cells(name, account, day, row))
    return text.getvalue().encode()


def cells(name: str, account: str, day: date, row: Row) -> list[str | int]:
    """A row in the order of the schema."""
    return [
        "V_1", name, day.isoformat(), account, row.region, row.storage_class, kind_of(row),
        row.group or row.prefix, row.bucket, row.name, row.value,
    ]  # fmt: skip


def counts_rules(document: Mapping[str, Any]) -> bool:
    """Whether a configuration tells of lifecycles' rules: advanced cost optimization."""
    account = document["AccountLevel"]
    return any(
        (level.get("AdvancedCostOptimizationMetrics") or {}).get("IsEnabled")
        for level in (account, account["BucketLevel"])
    )


def kind_of(row: Row) -> str:
    """What a row is about, in the schema's word."""
    if row.prefix:
        return "PREFIX"
    kind = "BUCKET" if row.bucket else "ACCOUNT"
    return f"STORAGE_LENS_GROUP_{kind}" if row.group else kind


def scope_of(document: Mapping[str, Any]) -> PrefixScope | None:
    """Which prefixes a configuration tells of, if any. Raises InvalidRequest."""
    level = document["AccountLevel"]["BucketLevel"].get("PrefixLevel") or {}
    metrics = level.get("StorageMetrics") or {}
    if not metrics.get("IsEnabled"):
        return None
    chosen = metrics.get("SelectionCriteria") or {}
    scope = PrefixScope(
        chosen.get("Delimiter", "/"),
        chosen.get("MaxDepth", LENS_DEPTH_DEFAULT),
        chosen.get("MinStorageBytesPercentage", LENS_PERCENTAGE_DEFAULT),
    )
    if not scope.delimiter:
        raise InvalidRequest("The delimiter of prefixes must not be empty.")
    return scope


def counts_group(document: Mapping[str, Any], arn: str) -> bool:
    """Whether a configuration tells of a group."""
    level = document["AccountLevel"].get("StorageLensGroupLevel")
    if level is None:
        return False
    chosen = level.get("SelectionCriteria") or {}
    if "Include" in chosen:
        return arn in chosen["Include"]
    return arn not in (chosen.get("Exclude") or ())


def header() -> bytes:
    """The first line of a file."""
    return (",".join(SCHEMA) + "\n").encode()


def manifest(
    name: str,
    account: str,
    day: date,
    destination: Mapping[str, Any],
    schema: str,
    files: Sequence[Mapping[str, Any]],
) -> bytes:
    """What tells readers of an export which files it has."""
    told = {
        "sourceAccountId": account,
        "configId": name,
        "destinationBucket": destination["Arn"],
        "reportVersion": "V_1",
        "reportDate": day.isoformat(),
        "reportFormat": destination["Format"],
        "reportSchema": schema,
        "reportFiles": list(files),
    }
    return json.dumps(told).encode()


def home_of(name: str, account: str, destination: Mapping[str, Any]) -> str:
    """Where in its bucket an export lies."""
    base = f"{destination['Prefix']}/" if destination.get("Prefix") else ""
    return f"{base}StorageLens/{account}/{name}/V_1"


def encryption_of(destination: Mapping[str, Any]) -> dict[str, str]:
    """What a put says of an export's encryption."""
    given = destination.get("Encryption") or {}
    if "SSEKMS" in given:
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": given["SSEKMS"]["KeyId"]}
    return {"ServerSideEncryption": "AES256"} if "SSES3" in given else {}
