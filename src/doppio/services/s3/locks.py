"""Object Lock: versions that may not go before their time, or while somebody holds them.

Governance gives way to who may bypass it; compliance to nobody, and it is never shortened. Time is
the cloud's. Source: "Locking objects with Object Lock" in the S3 user guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import msgspec

from doppio.kernel.context import Context, Tx
from doppio.kernel.service import Need
from doppio.services.s3 import points
from doppio.services.s3.errors import (
    AccessDenied,
    InvalidArgument,
    InvalidBucketState,
    InvalidRequest,
    MalformedXML,
    NoSuchObjectLockConfiguration,
    ObjectLockConfigurationNotFound,
)
from doppio.services.s3.happenings import happened
from doppio.services.s3.limits import LOCK_DAYS_MAX, LOCK_YEARS_MAX
from doppio.services.s3.lookup import existing_bucket, version_of
from doppio.services.s3.records import Bucket, More, Retention, Version
from doppio.services.s3.settings import put_setting, setting

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

KIND = "lock"
# What happens to a version that replicas follow; S3 tells nobody of it.
CHANGED = "ObjectLock"
GOVERNANCE = "GOVERNANCE"
COMPLIANCE = "COMPLIANCE"
BYPASS = "s3:BypassGovernanceRetention"
_MODES = frozenset({GOVERNANCE, COMPLIANCE})
_MISSING = "Bucket is missing Object Lock Configuration"
_GUARDED = "Access Denied because object protected by object lock."


class Locks:
    """What a bucket and its versions are locked by."""

    async def put_object_lock_configuration(
        self, ctx: Context, req: w.PutObjectLockConfigurationRequest
    ) -> w.PutObjectLockConfigurationOutput:
        """Turn Object Lock on, and set what new versions are locked by; it never goes off."""
        document = cast("dict[str, Any]", req.get("ObjectLockConfiguration") or {})
        if document.get("ObjectLockEnabled") != "Enabled":
            raise MalformedXML
        if document.get("Rule") is not None:
            _check_default(document["Rule"].get("DefaultRetention") or {})
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            if bucket.versioning != "Enabled":
                raise InvalidBucketState(
                    "Versioning must be 'Enabled' on the bucket to apply a Object Lock "
                    "configuration"
                )
            put_setting(tx, bucket, KIND, document)
            tx.meter("Requests-Tier1")
        return {}

    async def get_object_lock_configuration(
        self, ctx: Context, req: w.GetObjectLockConfigurationRequest
    ) -> w.GetObjectLockConfigurationOutput:
        """What new versions are locked by."""
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        reader.meter("Requests-Tier2")
        found = await setting(reader, bucket, KIND)
        if found is None:
            raise ObjectLockConfigurationNotFound(BucketName=bucket.name)
        return {"ObjectLockConfiguration": cast("w.ObjectLockConfiguration", found)}

    async def put_object_retention(
        self, ctx: Context, req: w.PutObjectRetentionRequest
    ) -> w.PutObjectRetentionOutput:
        """Lock a version until a date, or longer; shorter only where governance is bypassed."""
        wanted = _retention(ctx, req.get("Retention") or {})
        async with ctx.write() as tx:
            bucket, version = await version_of(tx, req)
            _check_enabled(bucket)
            old = retention_of(version)
            if old is not None and ctx.now < old.until and _loosens(old, wanted):
                await _check_bypass(ctx, bucket, version, old, asked=_bypasses(req))
            happened(tx, bucket, _put(tx, version, retention=wanted), CHANGED)
            tx.meter("Requests-Tier1")
        return {}

    async def get_object_retention(
        self, ctx: Context, req: w.GetObjectRetentionRequest
    ) -> w.GetObjectRetentionOutput:
        """Until when a version is locked, and how."""
        reader = ctx.read()
        bucket, version = await version_of(reader, req)
        _check_enabled(bucket)
        reader.meter("Requests-Tier2")
        found = retention_of(version)
        if found is None:
            raise NoSuchObjectLockConfiguration
        return {"Retention": {"Mode": found.mode, "RetainUntilDate": found.until}}

    async def put_object_legal_hold(
        self, ctx: Context, req: w.PutObjectLegalHoldRequest
    ) -> w.PutObjectLegalHoldOutput:
        """Hold a version, or let it go."""
        status = (req.get("LegalHold") or {}).get("Status")
        if status not in {"ON", "OFF"}:
            raise MalformedXML
        async with ctx.write() as tx:
            bucket, version = await version_of(tx, req)
            _check_enabled(bucket)
            happened(tx, bucket, _put(tx, version, held=status), CHANGED)
            tx.meter("Requests-Tier1")
        return {}

    async def get_object_legal_hold(
        self, ctx: Context, req: w.GetObjectLegalHoldRequest
    ) -> w.GetObjectLegalHoldOutput:
        """Whether a version is held."""
        reader = ctx.read()
        bucket, version = await version_of(reader, req)
        _check_enabled(bucket)
        reader.meter("Requests-Tier2")
        held = "" if version.more is None else version.more.held
        if not held:
            raise NoSuchObjectLockConfiguration
        return {"LegalHold": {"Status": held}}


def enable(tx: Tx, bucket: Bucket) -> Bucket:
    """A new bucket that is made with Object Lock: it keeps versions from the start."""
    versioned = msgspec.structs.replace(bucket, versioning="Enabled")
    return put_setting(tx, versioned, KIND, {"ObjectLockEnabled": "Enabled"})


def more_of(req: Mapping[str, Any], more: More | None) -> More | None:
    """What a request wants its new version to be locked by; the date is judged at the commit."""
    mode, until = req.get("ObjectLockMode"), req.get("ObjectLockRetainUntilDate")
    held = req.get("ObjectLockLegalHoldStatus", "")
    if (mode is None) != (until is None):
        raise InvalidArgument(
            "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
            ArgumentName="x-amz-object-lock-mode",
            ArgumentValue=mode or "",
        )
    if mode is not None and mode not in _MODES:
        raise InvalidArgument(
            "Unknown wormMode directive.", ArgumentName="x-amz-object-lock-mode", ArgumentValue=mode
        )
    if held not in {"", "ON", "OFF"}:
        raise InvalidArgument(
            "Legal Hold must be either of 'ON' or 'OFF'",
            ArgumentName="x-amz-object-lock-legal-hold",
            ArgumentValue=held,
        )
    if mode is None and not held:
        return more
    retention = None if mode is None else Retention(mode, cast("datetime", until))
    return msgspec.structs.replace(more or More(), retention=retention, held=held)


async def locked(tx: Tx, bucket: Bucket, more: More | None) -> More | None:
    """What a new version in this bucket is locked by: what was asked, else the bucket's default."""
    now = tx.context.now
    if more is not None and (more.retention is not None or more.held):
        _check_enabled(bucket)
        if more.retention is not None and more.retention.until <= now:
            raise InvalidArgument("The retain until date must be in the future!")
        if more.retention is not None:
            return more
    document = await setting(tx, bucket, KIND)
    default = ((document or {}).get("Rule") or {}).get("DefaultRetention")
    if not default:
        return more
    days = default["Days"] if "Days" in default else 365 * default["Years"]
    retention = Retention(default["Mode"], now + timedelta(days=days))
    return msgspec.structs.replace(more or More(), retention=retention)


def is_locked(version: Version, now: datetime) -> bool:
    """Whether a version may not go now, whoever asks (governance may be bypassed)."""
    more = version.more
    if more is None:
        return False
    return more.held == "ON" or (more.retention is not None and now < more.retention.until)


async def check_may_go(ctx: Context, bucket: Bucket, version: Version, *, bypasses: bool) -> None:
    """Raise AccessDenied unless a version may be deleted now."""
    if not is_locked(version, ctx.now):
        return
    assert version.more is not None
    if version.more.held == "ON" or version.more.retention is None:
        raise AccessDenied(_GUARDED)
    await _check_bypass(ctx, bucket, version, version.more.retention, asked=bypasses)


def retention_of(version: Version) -> Retention | None:
    """Until when a version is locked, if it ever was."""
    return None if version.more is None else version.more.retention


def shown(more: More) -> dict[str, Any]:
    """What GET and HEAD say of a version's locks."""
    found: dict[str, Any] = {}
    if more.retention is not None:
        found["ObjectLockMode"] = more.retention.mode
        found["ObjectLockRetainUntilDate"] = more.retention.until
    if more.held:
        found["ObjectLockLegalHoldStatus"] = more.held
    return found


async def _check_bypass(
    ctx: Context, bucket: Bucket, version: Version, retention: Retention, *, asked: bool
) -> None:
    if retention.mode == COMPLIANCE or not asked:
        raise AccessDenied(_GUARDED)
    need = Need(BYPASS, f"{bucket.arn}/{version.key}", policy=bucket.arn)
    await points.authorise(ctx, need)


def _bypasses(req: Mapping[str, Any]) -> bool:
    return bool(req.get("BypassGovernanceRetention"))


def _check_enabled(bucket: Bucket) -> None:
    if KIND not in bucket.kinds:
        raise InvalidRequest(_MISSING)


def _put(tx: Tx, version: Version, **changes: Any) -> Version:
    more = msgspec.structs.replace(version.more or More(), **changes)
    return tx.put(msgspec.structs.replace(version, more=more))


def _loosens(old: Retention, new: Retention | None) -> bool:
    if new is None or new.until < old.until:
        return True
    return old.mode == COMPLIANCE and new.mode != COMPLIANCE


def _retention(ctx: Context, given: Mapping[str, Any]) -> Retention | None:
    if not given:
        return None
    mode, until = given.get("Mode"), given.get("RetainUntilDate")
    if mode not in _MODES or until is None:
        raise MalformedXML
    if until <= ctx.now:
        raise InvalidArgument("The retain until date must be in the future!")
    return Retention(mode, until)


def _check_default(default: Mapping[str, Any]) -> None:
    if default.get("Mode") not in _MODES or ("Days" in default) == ("Years" in default):
        raise MalformedXML
    count, most = (
        (default["Days"], LOCK_DAYS_MAX)
        if "Days" in default
        else (default["Years"], LOCK_YEARS_MAX)
    )
    if count < 1:
        raise InvalidArgument("Default retention period must be a positive integer value.")
    if count > most:
        raise InvalidArgument("Default retention period too large.")
