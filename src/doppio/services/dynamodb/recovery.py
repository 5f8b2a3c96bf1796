"""Point-in-time recovery: whether a table remembers what it was, and since when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context
from doppio.services.dynamodb.backups import named_table
from doppio.services.dynamodb.errors import TableInUseException, ValidationException
from doppio.services.dynamodb.limits import RECOVERY_DAYS_MAX
from doppio.services.dynamodb.past import earliest, recovering, schedule_prune
from doppio.services.dynamodb.records import Recovery, Table

if TYPE_CHECKING:
    from datetime import datetime

    from doppio._stubs import dynamodb as w


class Recoveries:
    """The operations on continuous backups."""

    async def describe_continuous_backups(
        self, ctx: Context, req: w.DescribeContinuousBackupsInput
    ) -> w.DescribeContinuousBackupsOutput:
        """Whether a table can be restored to a moment, and to which."""
        table = await named_table(ctx.read(), ctx, req["TableName"])
        return {"ContinuousBackupsDescription": _description(table, ctx.now)}  # type: ignore[typeddict-item]

    async def update_continuous_backups(
        self, ctx: Context, req: w.UpdateContinuousBackupsInput
    ) -> w.UpdateContinuousBackupsOutput:
        """Switch point-in-time recovery on or off, or say for how many days."""
        wish = req["PointInTimeRecoverySpecification"]
        days = wish.get("RecoveryPeriodInDays")
        if days is not None and not wish["PointInTimeRecoveryEnabled"]:
            raise ValidationException(
                "RecoveryPeriodInDays can only be set when point in time recovery is enabled"
            )
        async with ctx.write() as tx:
            table = await named_table(tx, ctx, req["TableName"])
            if table.status in ("CREATING", "DELETING"):
                raise TableInUseException(f"Table is being created or deleted: {table.name}")
            changed = recovering(table, _wanted(table, wish, ctx.now), ctx.now)
            if changed != table:
                tx.put(changed)
                await schedule_prune(tx, changed, ctx.now)
        return {"ContinuousBackupsDescription": _description(changed, ctx.now)}  # type: ignore[typeddict-item]


def _wanted(table: Table, wish: Any, now: datetime) -> Recovery | None:
    if not wish["PointInTimeRecoveryEnabled"]:
        return None
    days = wish.get("RecoveryPeriodInDays", RECOVERY_DAYS_MAX)
    if table.recovery is None:
        return Recovery(since=now, days=days)
    if table.recovery.days == days:
        return table.recovery
    # What was forgotten does not come back when the period grows.
    return replace(table.recovery, since=earliest(table.recovery, now), days=days)


def _description(table: Table, now: datetime) -> dict[str, Any]:
    shown: dict[str, Any] = {"PointInTimeRecoveryStatus": "DISABLED"}
    if table.recovery is not None:
        shown = {
            "PointInTimeRecoveryStatus": "ENABLED",
            "RecoveryPeriodInDays": table.recovery.days,
            "EarliestRestorableDateTime": earliest(table.recovery, now),
            "LatestRestorableDateTime": now,
        }
    return {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": shown}
