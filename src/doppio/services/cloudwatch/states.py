"""An alarm's change of state, and its history: in the commit in which it happens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.events import Event
from doppio.kernel.paging import page_of
from doppio.services.cloudwatch import limits
from doppio.services.cloudwatch.errors import NotFound, Validation
from doppio.services.cloudwatch.metrics import position
from doppio.services.cloudwatch.records import BY_TIME, Alarm, History
from doppio.services.cloudwatch.telling import tell_state

if TYPE_CHECKING:
    from doppio._stubs import cloudwatch as w

_OLD_A_NOTE = 20


class Changed(Event, frozen=True, kw_only=True):
    """An alarm has another state, or is new; the key ends in the id of the line in its history."""


async def changed(tx: Tx, alarm: Alarm, state: str, reason: str, data: str = "") -> None:
    """Give an alarm a state. Only another one is news."""
    ctx = tx.context
    now = ctx.clock.now()
    if alarm.state == state:
        return
    told = {
        "version": "1.0",
        "oldState": {"stateValue": alarm.state, "stateReason": alarm.reason},
        "newState": {
            "stateValue": state,
            "stateReason": reason,
            **({"stateReasonData": json.loads(data)} if data else {}),
        },
    }
    summary = f"Alarm updated from {alarm.state} to {state}"
    note = await noted(tx, alarm, "StateUpdate", summary, told)
    after = replace(
        alarm, state=state, reason=reason, reason_data=data, state_at=now, changed_at=now
    )
    tx.put(after)
    await tell_state(tx, alarm, after)
    tx.emit(Changed(key=(alarm.account, alarm.region, alarm.name, note.id)))


async def noted(tx: Tx, alarm: Alarm, kind: str, summary: str, data: Any) -> History:
    """Write a line into an alarm's history, and forget some that are too old."""
    now = tx.context.clock.now()
    before = now - limits.HISTORY_KEPT
    old = await tx.list(
        History, (alarm.account, alarm.region, alarm.name), until=before, limit=_OLD_A_NOTE
    )
    for line in old:
        tx.delete(line)
    return tx.add(
        History(
            account=alarm.account, region=alarm.region, alarm=alarm.name, at=now,
            id=tx.context.new_id("hex16"), alarm_kind=alarm.kind, kind=kind, summary=summary,
            data=json.dumps(data),
        )
    )  # fmt: skip


class Histories:
    """The operation that tells what happened."""

    async def describe_alarm_history(
        self, ctx: Context, req: w.DescribeAlarmHistoryInput
    ) -> w.DescribeAlarmHistoryOutput:
        """What happened to an alarm or to all, the youngest first unless asked otherwise."""
        if req.get("AlarmContributorId"):
            raise NotFound("Unknown")
        start, end = req.get("StartDate"), req.get("EndDate")
        if start and end and start > end:
            raise Validation("The parameter StartDate must be less than the parameter EndDate.")
        kinds = set(req.get("AlarmTypes") or ["MetricAlarm"])
        down = req.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        most = min(req.get("MaxRecords") or 100, 100)
        name = req.get("AlarmName")
        since = max(start or ctx.now - limits.HISTORY_KEPT, ctx.now - limits.HISTORY_KEPT)
        span: dict[str, Any] = {"since": since, "until": end or ctx.now, "reverse": down}
        scope = f"history/{ctx.account}/{ctx.region}/{name}/{start}/{end}/{down}"
        place = (ctx.account, ctx.region)
        shown, token = await page_of(
            ctx.read(), History if name else BY_TIME, (*place, name) if name else place,
            most=most, scope=scope, after=position(req, scope), step=200,
            fits=lambda one: (
                one.alarm_kind in kinds and req.get("HistoryItemType", one.kind) == one.kind
            ),
            **span,
        )  # fmt: skip
        told: dict[str, Any] = {
            "AlarmHistoryItems": [
                {
                    "AlarmName": one.alarm,
                    "AlarmType": one.alarm_kind,
                    "Timestamp": one.at,
                    "HistoryItemType": one.kind,
                    "HistorySummary": one.summary,
                    "HistoryData": one.data,
                }
                for one in shown
            ]
        }
        if token is not None:
            told["NextToken"] = token
        return cast("w.DescribeAlarmHistoryOutput", told)
