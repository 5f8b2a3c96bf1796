"""What a job's request may be, how it is kept, and how a job is shown. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from doppio.services.s3control import manifests
from doppio.services.s3control.errors import BadRequest
from doppio.services.s3control.records import BatchJob
from doppio.services.s3control.tasks import check as check_operation

_KEPT = (
    "ConfirmationRequired", "Operation", "Report", "Manifest", "ManifestGenerator", "Description",
    "RoleArn",
)  # fmt: skip
_MOMENTS = frozenset(
    {"ObjectLockRetainUntilDate", "ModifiedSinceConstraint", "UnModifiedSinceConstraint",
     "HttpExpiresDate", "RetainUntilDate", "CreatedAfter", "CreatedBefore"}
)  # fmt: skip
_REPLICATION = frozenset({"COMPLETED", "FAILED", "REPLICA", "NONE"})
GENERATED = "S3InventoryReport_CSV_20211130"


def check(req: Mapping[str, Any]) -> None:
    """Raise BadRequest for a job that cannot be, and 501 for what is not here."""
    check_operation(req["Operation"])
    if ("Manifest" in req) == ("ManifestGenerator" in req):
        raise BadRequest("Either a manifest or a manifest generator must be specified.")
    if "Manifest" in req:
        _check_manifest(req["Manifest"])
    else:
        _check_generator(req["ManifestGenerator"])
    _check_report(req["Report"])


def _check_manifest(manifest: Mapping[str, Any]) -> None:
    try:
        manifests.object_of(manifest["Location"]["ObjectArn"])
    except manifests.BadManifest as error:
        raise BadRequest(str(error)) from error
    spec = manifest["Spec"]
    if spec["Format"] == manifests.INVENTORY:
        if "Fields" in spec:
            raise BadRequest("Fields cannot be specified for an inventory report.")
        return
    if spec["Format"] != manifests.CSV:
        raise BadRequest("The manifest's format is not known.")
    fields = spec.get("Fields") or []
    if not manifests.FIELDS.issuperset(fields):
        raise BadRequest("The manifest's fields are not known.")
    named = [field for field in fields if field != "Ignore"]
    if len(set(named)) < len(named) or not {"Bucket", "Key"} <= set(named):
        raise BadRequest("The manifest's fields must name Bucket and Key, and each field once.")


def _check_generator(given: Mapping[str, Any]) -> None:
    generator = given.get("S3JobManifestGenerator")
    if generator is None:
        raise BadRequest("The manifest generator must be an S3JobManifestGenerator.")
    if generator["EnableManifestOutput"]:
        place = generator.get("ManifestOutputLocation")
        if place is None:
            raise BadRequest("ManifestOutputLocation must be specified for a manifest to be saved.")
        if place["ManifestFormat"] != GENERATED:
            raise BadRequest("The generated manifest's format is not known.")
    wanted = generator.get("Filter") or {}
    if not _REPLICATION.issuperset(wanted.get("ObjectReplicationStatuses") or []):
        raise BadRequest("The replication statuses are not known.")


def _check_report(report: Mapping[str, Any]) -> None:
    if not report["Enabled"]:
        return
    for member in ("Bucket", "Format", "ReportScope"):
        if member not in report:
            raise BadRequest(f"{member} must be specified for a report that is enabled.")
    if report["Format"] != "Report_CSV_20180820":
        raise BadRequest("The report's format is not known.")
    if report["ReportScope"] not in {"AllTasks", "FailedTasksOnly"}:
        raise BadRequest("The report's scope is not known.")


def plain(req: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a request: with moments as text, since documents hold none."""
    kept = {name: req[name] for name in _KEPT if name in req}
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(kept))
    return found


def dated(value: Any) -> Any:
    """A document that was kept, with its moments again."""
    if isinstance(value, Mapping):
        return {name: _member(name, one) for name, one in value.items()}
    return [dated(one) for one in value] if isinstance(value, list) else value


def _member(name: str, value: Any) -> Any:
    if name == "UserMetadata":
        return value
    return datetime.fromisoformat(value) if name in _MOMENTS else dated(value)


def digest(req: Mapping[str, Any]) -> str:
    """What tells one request from another under the same token."""
    return hashlib.sha256(msgspec.json.encode(req, order="deterministic")).hexdigest()


def shown(job: BatchJob) -> dict[str, Any]:
    """A job as DescribeJob tells it."""
    told: dict[str, Any] = {
        "JobId": job.id,
        "JobArn": job.arn,
        "Status": job.status,
        "Priority": job.priority,
        "CreationTime": job.created_at,
        "ConfirmationRequired": False,
        "FailureReasons": job.failures,
        "ProgressSummary": _progress(job),
        **dated(job.request),
    }
    if job.reason:
        told["StatusUpdateReason"] = job.reason
    if job.ended_at is not None:
        told["TerminationDate"] = job.ended_at
    if job.suspended_at is not None:
        told |= {"SuspendedDate": job.suspended_at, "SuspendedCause": SUSPENDED}
    if job.generated is not None:
        told["GeneratedManifestDescriptor"] = {"Format": GENERATED, "Location": job.generated}
    return told


SUSPENDED = "AWAITING_CONFIRMATION"


def listed(job: BatchJob) -> dict[str, Any]:
    """A job as ListJobs tells it."""
    told: dict[str, Any] = {
        "JobId": job.id,
        "Operation": operation_of(job),
        "Priority": job.priority,
        "Status": job.status,
        "CreationTime": job.created_at,
        "ProgressSummary": _progress(job),
    }
    if "Description" in job.request:
        told["Description"] = job.request["Description"]
    if job.ended_at is not None:
        told["TerminationDate"] = job.ended_at
    return told


def operation_of(job: BatchJob) -> str:
    """The name of a job's operation."""
    return str(next(iter(job.request["Operation"])))


def _progress(job: BatchJob) -> dict[str, Any]:
    return {
        "TotalNumberOfTasks": job.total,
        "NumberOfTasksSucceeded": job.succeeded,
        "NumberOfTasksFailed": job.failed,
        "Timers": {"ElapsedTimeInActiveSeconds": int(job.seconds)},
    }
