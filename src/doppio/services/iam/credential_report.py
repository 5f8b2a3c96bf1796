"""The credential report: every user of an account with the state of its passwords, keys and devices.

A report is made by a job, once it is asked for, and stands for four hours: who asks sooner gets the
one that is there.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context, Reader
from doppio.kernel.jobs import Job
from doppio.kernel.uses import KeyUse
from doppio.services.iam import limits
from doppio.services.iam.common import founded_at
from doppio.services.iam.errors import (
    CredentialReportExpired,
    CredentialReportNotPresent,
    CredentialReportNotReady,
)
from doppio.services.iam.password_policy import expires_at, policy_of
from doppio.services.iam.records import (
    BY_USER,
    DEVICES_OF,
    AccessKey,
    Belonging,
    CredentialReport,
    LoginProfile,
    PasswordPolicy,
    User,
)

if TYPE_CHECKING:
    from doppio._stubs import iam as w

GENERATE = "iam.credential_report"
COLUMNS = (
    "user", "arn", "user_creation_time", "password_enabled", "password_last_used",
    "password_last_changed", "password_next_rotation", "mfa_active",
    "access_key_1_active", "access_key_1_last_rotated", "access_key_1_last_used_date",
    "access_key_1_last_used_region", "access_key_1_last_used_service",
    "access_key_2_active", "access_key_2_last_rotated", "access_key_2_last_used_date",
    "access_key_2_last_used_region", "access_key_2_last_used_service",
    "cert_1_active", "cert_1_last_rotated", "cert_2_active", "cert_2_last_rotated",
)  # fmt: skip
NONE = "N/A"
UNKNOWN = "no_information"


class CredentialReports:
    """The operations on the credential report."""

    async def generate_credential_report(
        self, ctx: Context, req: Mapping[str, Any]
    ) -> w.GenerateCredentialReportResponse:
        """Have a report made, unless there is one that is young enough."""
        async with ctx.write() as tx:
            old = await tx.get(CredentialReport, ctx.account)
            if old is not None and old.content is None:
                return {"State": "INPROGRESS"}
            if old is not None and not _is_old(ctx, old):
                return {"State": "COMPLETE"}
            tx.put(CredentialReport(account=ctx.account, at=ctx.now))
            await tx.schedule(ctx.now, GENERATE, f"{ctx.partition}/{ctx.account}")
        return {
            "State": "STARTED",
            "Description": "No report exists. Starting a new report generation task",
        }

    async def get_credential_report(
        self, ctx: Context, req: Mapping[str, Any]
    ) -> w.GetCredentialReportResponse:
        """The report as CSV."""
        report = await ctx.read().get(CredentialReport, ctx.account)
        if report is None:
            raise CredentialReportNotPresent()
        if report.content is None:
            raise CredentialReportNotReady()
        if _is_old(ctx, report):
            raise CredentialReportExpired()
        return {
            "Content": report.content, "ReportFormat": "text/csv", "GeneratedTime": report.at,
        }  # fmt: skip


async def generate(ctx: Context, job: Job) -> None:
    """Make the report that was asked for; one that is there already is made anew, and the same."""
    await ctx.kernel.uses.flush()
    content = (await _written(ctx.read(), ctx.account)).encode()
    async with ctx.write() as tx:
        tx.put(CredentialReport(account=ctx.account, at=ctx.now, content=content))


def _is_old(ctx: Context, report: CredentialReport) -> bool:
    return ctx.now - report.at >= timedelta(hours=limits.CREDENTIAL_REPORT_HOURS)


async def _written(reader: Reader, account: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    policy = await policy_of(reader, account)
    arn = f"arn:{reader.context.partition}:iam::{account}:root"
    writer.writerow([
        "<root_account>", arn, _time(await founded_at(reader, account)), "not_supported", UNKNOWN,
        "not_supported", "not_supported", *await _rest(reader, account, ""),
    ])  # fmt: skip
    for user in await reader.list(User, (account,), limit=limits.USERS_MAX):
        profile = await reader.get(LoginProfile, account, user.name)
        writer.writerow([
            user.name, user.arn, _time(user.created_at), *_password(policy, profile),
            *await _rest(reader, account, user.name),
        ])  # fmt: skip
    return text.getvalue().removesuffix("\n")


def _password(policy: PasswordPolicy | None, profile: LoginProfile | None) -> Sequence[str]:
    if profile is None:
        return "false", NONE, NONE, NONE
    ends = expires_at(policy, profile)
    used = profile.used_at
    return (
        "true", UNKNOWN if used is None else _time(used), _time(profile.changed_at),
        NONE if ends is None else _time(ends),
    )  # fmt: skip


async def _rest(reader: Reader, account: str, user: str) -> list[str]:
    """MFA, access keys and signing certificates; the older ones first."""
    where = (account, user)
    cells = [_flag(bool(await reader.find(DEVICES_OF, where, limit=1)))]
    keys: list[AccessKey] = await reader.find(BY_USER, where, limit=limits.ROWS_MAX)
    keys = sorted(keys, key=lambda key: (key.created_at, key.id))
    for number in range(limits.ACCESS_KEYS_A_USER_MAX):
        if number >= len(keys):
            cells += ["false", NONE, NONE, NONE, NONE]
            continue
        key = keys[number]
        cells += [_flag(key.active), _time(key.created_at)]
        used = await reader.get(KeyUse, key.id)
        cells += [NONE] * 3 if used is None else [_time(used.at), used.region, used.service]
    rows = await reader.list(Belonging, (*where, "certificate"), limit=limits.ROWS_MAX)
    rows = sorted(rows, key=lambda row: (row.created_at, row.id))
    for number in range(limits.CERTIFICATES_A_USER_MAX):
        row = rows[number] if number < len(rows) else None
        cells += ["false", NONE] if row is None else [_flag(row.active), _time(row.created_at)]
    return cells


def _flag(flag: bool) -> str:
    return "true" if flag else "false"


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S+00:00")
