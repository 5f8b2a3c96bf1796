"""Log groups: made, described, kept for a time, and deleted with all that they hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel import paging, tags
from doppio.kernel.context import Context, Reader
from doppio.kernel.paging import begins, page_of
from doppio.services.logs import limits
from doppio.services.logs.errors import GroupExists, InvalidParameter, Validation
from doppio.services.logs.lookup import existing, milliseconds, name_of
from doppio.services.logs.records import Group, stored_key
from doppio.services.logs.retention import EXPIRE, PURGE
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import logs as w


class Groups:
    """The operations on log groups."""

    async def create_log_group(self, ctx: Context, req: w.CreateLogGroupRequest) -> None:
        """Make a group, whose name is free."""
        if req.get("kmsKeyId"):
            raise NotImplementedByDoppio("logs: keys of KMS exist in AWS and not yet here")
        kind = req.get("logGroupClass", "STANDARD")
        if kind == "DELIVERY":
            raise NotImplementedByDoppio("logs: the class DELIVERY exists in AWS and not yet here")
        group = Group(
            account=ctx.account,
            region=ctx.region,
            name=req["logGroupName"],
            id=ctx.new_id("hex16"),
            created_at=milliseconds(ctx.now),
            partition=ctx.partition,
            kind=kind,
            protected=bool(req.get("deletionProtectionEnabled")),
            tags=checked_tags({}, req.get("tags") or {}),
        )
        async with ctx.write() as tx:
            if await tx.get(Group, ctx.account, ctx.region, group.name) is not None:
                raise GroupExists
            tx.put(group)

    async def delete_log_group(self, ctx: Context, req: w.DeleteLogGroupRequest) -> None:
        """Remove a group at once, and what it holds soon after."""
        async with ctx.write() as tx:
            group = await existing(tx, req["logGroupName"])
            if group.protected:
                raise Validation(
                    "The log group cannot be deleted because deletion protection is enabled."
                )
            tx.delete(group)
            await tx.unschedule(EXPIRE, group.id)
            await tx.schedule(ctx.now, PURGE, group.id)

    async def put_log_group_deletion_protection(
        self, ctx: Context, req: w.PutLogGroupDeletionProtectionRequest
    ) -> None:
        """Keep a group from being deleted, or no longer."""
        async with ctx.write() as tx:
            group = await existing(tx, name_of(ctx, req["logGroupIdentifier"]))
            tx.put(replace(group, protected=bool(req["deletionProtectionEnabled"])))

    async def put_retention_policy(self, ctx: Context, req: w.PutRetentionPolicyRequest) -> None:
        """Let go of lines that are older than so many days."""
        days = req["retentionInDays"]
        if days not in limits.RETENTION_DAYS:
            raise InvalidParameter(
                "1 validation error detected: Value at 'retentionInDays' failed to satisfy "
                "constraint: Member must satisfy enum value set: "
                f"[{', '.join(map(str, sorted(limits.RETENTION_DAYS)))}]"
            )
        async with ctx.write() as tx:
            group = await existing(tx, req["logGroupName"])
            tx.put(replace(group, retention_days=days))
            await tx.schedule(ctx.now, EXPIRE, group.id, named=group.name)

    async def delete_retention_policy(
        self, ctx: Context, req: w.DeleteRetentionPolicyRequest
    ) -> None:
        """Keep lines for ever."""
        async with ctx.write() as tx:
            group = await existing(tx, req["logGroupName"])
            tx.put(replace(group, retention_days=None))
            await tx.unschedule(EXPIRE, group.id)

    async def describe_log_groups(
        self, ctx: Context, req: w.DescribeLogGroupsRequest
    ) -> w.DescribeLogGroupsResponse:
        """The groups whose names begin so, or hold this, by pages in the order of names."""
        if req.get("logGroupNamePrefix") and req.get("logGroupNamePattern"):
            raise InvalidParameter(
                "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."
            )
        reader = ctx.read()
        if req.get("logGroupIdentifiers"):
            names = {name_of(ctx, one) for one in req["logGroupIdentifiers"]}
            found = [await existing(reader, name) for name in sorted(names)]
            return {"logGroups": [await _described(reader, one) for one in found]}
        pattern = req.get("logGroupNamePattern") or ""
        scope = f"groups/{ctx.account}/{ctx.region}/{pattern}/{req.get('logGroupNamePrefix')}"
        shown, token = await _page(
            reader, req, scope, req.get("limit", limits.PAGE_MAX),
            lambda one: pattern in one.name
            and req.get("logGroupClass", one.kind) == one.kind,
        )  # fmt: skip
        told: w.DescribeLogGroupsResponse = {
            "logGroups": [await _described(reader, one) for one in shown]
        }
        if token is not None:
            told["nextToken"] = token
        return told

    async def list_log_groups(
        self, ctx: Context, req: w.ListLogGroupsRequest
    ) -> w.ListLogGroupsResponse:
        """The groups whose names fit a pattern: parts joined by `|`, `^` for the beginning."""
        for member in ("dataSources", "fieldIndexNames", "logGroupTags"):
            if req.get(member):
                raise NotImplementedByDoppio(f"logs: {member} exists in AWS and not yet here")
        pattern = req.get("logGroupNamePattern") or ""
        fits = _name_pattern(pattern)
        scope = f"list/{ctx.account}/{ctx.region}/{pattern}/{req.get('logGroupClass')}"
        shown, token = await _page(
            ctx.read(), req, scope, req.get("limit", limits.PAGE_MAX),
            lambda one: fits(one.name) is not None
            and req.get("logGroupClass", one.kind) == one.kind,
        )  # fmt: skip
        told: w.ListLogGroupsResponse = {
            "logGroups": [
                cast(
                    "w.LogGroupSummary",
                    {"logGroupName": one.name, "logGroupArn": one.arn, "logGroupClass": one.kind},
                )
                for one in shown
            ]
        }
        if token is not None:
            told["nextToken"] = token
        return told


def checked_tags(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Tags put over others. Raises InvalidParameter."""
    try:
        return tags.merged(old, new)
    except tags.BadTags as error:
        raise InvalidParameter(str(error)) from error


def position(req: Mapping[str, Any], scope: str) -> bytes | None:
    """Where a page begins. Raises InvalidParameter for a token that this list never gave."""
    return paging.position(
        req.get("nextToken"), scope, lambda: InvalidParameter("The specified nextToken is invalid.")
    )


def _name_pattern(pattern: str) -> Any:
    parts = [
        ("^" if part.startswith("^") else "") + re.escape(part.removeprefix("^"))
        for part in pattern.split("|")
    ]
    return re.compile("|".join(parts)).search


async def _page(
    reader: Reader, req: Mapping[str, Any], scope: str, most: int, fits: Any
) -> tuple[list[Group], str | None]:
    """At most `most` groups that fit, and the token behind them where there are more."""
    ctx = reader.context
    prefix = req.get("logGroupNamePrefix")
    return await page_of(
        reader, Group, (ctx.account, ctx.region), most=most, scope=scope,
        after=position(req, scope), fits=fits, step=limits.ROWS_A_READ, **begins(prefix),
    )  # fmt: skip


async def _described(reader: Reader, group: Group) -> w.LogGroup:
    told: dict[str, Any] = {
        "logGroupName": group.name,
        "creationTime": group.created_at,
        "metricFilterCount": group.filters,
        "arn": f"{group.arn}:*",
        "storedBytes": int(await reader.raw.counter(stored_key(group.id))),
        "logGroupClass": group.kind,
        "logGroupArn": group.arn,
        "deletionProtectionEnabled": group.protected,
    }
    if group.retention_days is not None:
        told["retentionInDays"] = group.retention_days
    return cast("w.LogGroup", told)
