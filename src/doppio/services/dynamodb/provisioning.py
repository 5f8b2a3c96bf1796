"""What a table may be asked to carry: decreases a day, limits on demand, and warm throughput.

Source: "Quotas in Amazon DynamoDB", "Understanding DynamoDB warm throughput".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from doppio.services.dynamodb import limits
from doppio.services.dynamodb.errors import LimitExceededException, ValidationException
from doppio.services.dynamodb.records import SecondaryIndex, Table, Throughput

_BAD = "One or more parameter values were invalid: "


def turned(now: datetime, old: Throughput, new: Throughput) -> Throughput:
    """Capacity that was bought anew, with the times that AWS shows.

    Raises LimitExceededException: after four decreases of a day there is one an hour.
    """
    today = old.lowered if _same_day(old.lowered_at, now) else 0
    shown = replace(new, raised_at=old.raised_at, lowered_at=old.lowered_at, lowered=today)
    if new.read > old.read or new.write > old.write:
        shown = replace(shown, raised_at=now)
    if new.read >= old.read and new.write >= old.write:
        return shown
    if today >= limits.DECREASES_A_DAY and old.lowered_at is not None:
        again = old.lowered_at + limits.DECREASE_EVERY
        if now < again:
            raise LimitExceededException(
                "Subscriber limit exceeded: Provisioned throughput decreases are limited within a "
                "given UTC day. After the first 4 decreases, each subsequent decrease in the same "
                "UTC day can be performed at most once every 3600 seconds. Number of decreases "
                f"today: {today}. Last decrease at {_shown(old.lowered_at)}. Next decrease can be "
                f"made at {_shown(again)}"
            )
    return replace(shown, lowered_at=now, lowered=today + 1)


def at_most(given: Mapping[str, Any] | None, old: Throughput, *, on_demand: bool) -> Throughput:
    """Limits on demand, as `OnDemandThroughput` changes them: -1 takes one away."""
    if not on_demand:
        if given:
            raise ValidationException(
                f"{_BAD}OnDemandThroughput cannot be specified when BillingMode is PROVISIONED"
            )
        return Throughput()
    given = given or {}
    return Throughput(
        read=_maximum(given, "MaxReadRequestUnits", old.read),
        write=_maximum(given, "MaxWriteRequestUnits", old.write),
    )


def _maximum(given: Mapping[str, Any], member: str, old: int) -> int:
    wanted: int = given.get(member, old or -1)
    if wanted == -1:
        return 0
    if wanted < 1:
        raise ValidationException(
            f"{_BAD}{member} must be greater than or equal to 1, or -1 to remove the limit"
        )
    if wanted > limits.TABLE_UNITS_MAX:
        raise ValidationException(
            f"{_BAD}{member} exceeds the per-table limit of {limits.TABLE_UNITS_MAX}"
        )
    return wanted


def warm_of(table: Table, index: SecondaryIndex | None) -> Throughput:
    """What a table or index can do at once: 12,000 and 4,000 units on demand, else what was bought;
    more where it was warmed."""
    holder: Table | SecondaryIndex = table if index is None else index
    least = limits.ON_DEMAND_AT_FIRST if table.on_demand else (1, 1)
    return Throughput(
        read=max(least[0], holder.throughput.read, holder.warm.read),
        write=max(least[1], holder.throughput.write, holder.warm.write),
    )


def warmed(given: Mapping[str, Any] | None, now: Throughput, what: str) -> Throughput:
    """Warm throughput as it is asked for; it never cools. `now` is what there is, `what` says where."""
    found = {"read": 0, "write": 0}
    for member, field, has in (
        ("ReadUnitsPerSecond", "read", now.read),
        ("WriteUnitsPerSecond", "write", now.write),
    ):
        if member not in (given or {}):
            continue
        assert given is not None
        wanted: int = given[member]
        if wanted < has:
            raise ValidationException(
                f"{_BAD}Requested {member} for WarmThroughput for {what} is lower than current "
                "WarmThroughput, decreasing WarmThroughput is not supported"
            )
        if wanted > limits.TABLE_UNITS_MAX:
            raise ValidationException(
                f"{_BAD}Requested {member} for WarmThroughput for {what} exceeds the limit of "
                f"{limits.TABLE_UNITS_MAX}"
            )
        found[field] = wanted
    if given is not None and not any(found.values()):
        raise ValidationException(
            f"{_BAD}At least one of ReadUnitsPerSecond or WriteUnitsPerSecond must be specified for "
            f"WarmThroughput for {what}"
        )
    return Throughput(read=found["read"], write=found["write"])


def _same_day(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment.astimezone(UTC).date() == now.astimezone(UTC).date()


def _shown(moment: datetime) -> str:
    return f"{moment:%A, %B %d, %Y at %I:%M:%S %p} Coordinated Universal Time"
