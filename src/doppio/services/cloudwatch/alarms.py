"""Alarms: made, described, set, switched and deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel import paging, tags
from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.paging import begins, page_of
from doppio.services.cloudwatch import limits
from doppio.services.cloudwatch.asked import check_actions, checked_composite, checked_metric_alarm
from doppio.services.cloudwatch.errors import InvalidValue, NoResource, NotFound, Validation
from doppio.services.cloudwatch.metrics import position
from doppio.services.cloudwatch.records import Alarm, label_of
from doppio.services.cloudwatch.states import Changed, changed, noted
from doppio.services.cloudwatch.telling import tell_configuration
from doppio.services.cloudwatch.watching import EVALUATE
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import cloudwatch as w

INITIAL = "Unchecked: Initial alarm creation"


class Alarms:
    """The operations on alarms."""

    async def put_metric_alarm(self, ctx: Context, req: w.PutMetricAlarmInput) -> None:
        """Make an alarm that watches a metric or an expression, or change one, which keeps its
        state."""
        asked = checked_metric_alarm(dict(req))
        async with ctx.write() as tx:
            alarm = await _put(tx, req, asked, "")
            await tx.schedule(
                ctx.now, EVALUATE, alarm.arn, named=alarm.name, generation=alarm.generation
            )

    async def put_composite_alarm(self, ctx: Context, req: w.PutCompositeAlarmInput) -> None:
        """Make an alarm that watches others, or change one."""
        asked, names = checked_composite(dict(req))
        async with ctx.write() as tx:
            for name in names:
                other = await tx.get(Alarm, ctx.account, ctx.region, name)
                if other is None:
                    raise Validation(
                        f"Could not save the composite alarm as alarms [{name}] in the alarm rule "
                        "do not exist"
                    )
            alarm = await _put(tx, req, asked, req["AlarmRule"])
            tx.emit(Changed(key=(ctx.account, ctx.region, alarm.name, "")))

    async def describe_alarms(
        self, ctx: Context, req: w.DescribeAlarmsInput
    ) -> w.DescribeAlarmsOutput:
        """Alarms by their names, states and actions; metric alarms where no type is asked for."""
        for member in ("ChildrenOfAlarmName", "ParentsOfAlarmName"):
            if req.get(member):
                raise NotImplementedByDoppio(f"cloudwatch: {member} exists in AWS and not yet here")
        if req.get("AlarmNames") and req.get("AlarmNamePrefix"):
            raise InvalidValue("AlarmNames and AlarmNamePrefix are mutually exclusive.")
        kinds = set(req.get("AlarmTypes") or ["MetricAlarm"])
        state, action = req.get("StateValue"), req.get("ActionPrefix") or ""
        reader = ctx.read()

        def fits(alarm: Alarm) -> bool:
            return (
                alarm.kind in kinds
                and (state is None or alarm.state == state)
                and (not action or any(one.startswith(action) for one in _actions(alarm)))
            )

        told: w.DescribeAlarmsOutput = {}
        if req.get("AlarmNames"):
            found = [
                alarm
                for name in dict.fromkeys(req["AlarmNames"])
                if (alarm := await reader.get(Alarm, ctx.account, ctx.region, name)) and fits(alarm)
            ]
        else:
            found, token = await _page(reader, req, fits)
            if token is not None:
                told["NextToken"] = token
        told["MetricAlarms"] = cast(
            "list[w.MetricAlarm]", [described(one) for one in found if not one.rule]
        )
        told["CompositeAlarms"] = cast(
            "list[w.CompositeAlarm]", [described(one) for one in found if one.rule]
        )
        return told

    async def describe_alarms_for_metric(
        self, ctx: Context, req: w.DescribeAlarmsForMetricInput
    ) -> w.DescribeAlarmsForMetricOutput:
        """The alarms that watch a metric."""
        wanted = label_of({one["Name"]: one["Value"] for one in req.get("Dimensions") or []})
        found = []
        async for alarm in every(ctx.read()):
            asked = alarm.asked
            label = label_of({one["Name"]: one["Value"] for one in asked.get("Dimensions") or []})
            if (asked.get("Namespace"), asked.get("MetricName"), label) == (
                req["Namespace"], req["MetricName"], wanted,
            ) and all(
                req.get(name) in {None, asked.get(name)}
                for name in ("Statistic", "ExtendedStatistic", "Period", "Unit")
            ):  # fmt: skip
                found.append(described(alarm))
        return {"MetricAlarms": cast("list[w.MetricAlarm]", found)}

    async def delete_alarms(self, ctx: Context, req: w.DeleteAlarmsInput) -> None:
        """Remove alarms: all that are named, or none where one is not there."""
        async with ctx.write() as tx:
            for name in dict.fromkeys(req["AlarmNames"]):
                alarm = await tx.get(Alarm, ctx.account, ctx.region, name)
                if alarm is None:
                    raise NotFound(f"Alarm {name} does not exist")
                tx.delete(alarm)
                await tx.unschedule(EVALUATE, alarm.arn)
                await tell_configuration(tx, "delete", alarm)

    async def set_alarm_state(self, ctx: Context, req: w.SetAlarmStateInput) -> None:
        """Set the state of an alarm, and do what it does then; its next look at the metric counts
        again."""
        async with ctx.write() as tx:
            alarm = await existing(tx, req["AlarmName"])
            await changed(
                tx, alarm, req["StateValue"], req["StateReason"], req.get("StateReasonData") or ""
            )

    async def enable_alarm_actions(self, ctx: Context, req: w.EnableAlarmActionsInput) -> None:
        """Let alarms act."""
        await _switch(ctx, req["AlarmNames"], True)

    async def disable_alarm_actions(self, ctx: Context, req: w.DisableAlarmActionsInput) -> None:
        """Let alarms change their state, and do no more."""
        await _switch(ctx, req["AlarmNames"], False)

    async def tag_resource(self, ctx: Context, req: w.TagResourceInput) -> None:
        """Put tags on an alarm."""
        async with ctx.write() as tx:
            alarm = await _by_arn(tx, req["ResourceARN"])
            tx.put(replace(alarm, tags=_tags(alarm.tags, req["Tags"])))

    async def untag_resource(self, ctx: Context, req: w.UntagResourceInput) -> None:
        """Take tags off an alarm."""
        async with ctx.write() as tx:
            alarm = await _by_arn(tx, req["ResourceARN"])
            tx.put(replace(alarm, tags=tags.without(alarm.tags, req["TagKeys"])))

    async def list_tags_for_resource(
        self, ctx: Context, req: w.ListTagsForResourceInput
    ) -> w.ListTagsForResourceOutput:
        """The tags of an alarm."""
        alarm = await _by_arn(ctx.read(), req["ResourceARN"])
        return {"Tags": cast("list[w.Tag]", tags.to_list(alarm.tags))}


async def existing(reader: Reader, name: str) -> Alarm:
    """The alarm of this name. Raises NotFound."""
    ctx = reader.context
    alarm = await reader.get(Alarm, ctx.account, ctx.region, name)
    if alarm is None:
        raise NotFound("Unknown")
    return alarm


def every(reader: Reader) -> AsyncIterator[Alarm]:
    """All alarms of the account and Region."""
    place = (reader.context.account, reader.context.region)
    return paging.every(reader, Alarm, place, step=limits.ALARMS_A_PAGE_MAX)


_KEPT = (
    "AlarmDescription", "OKActions", "AlarmActions", "InsufficientDataActions", "MetricName",
    "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit",
    "EvaluationPeriods", "DatapointsToAlarm", "Threshold", "ComparisonOperator",
    "TreatMissingData", "EvaluateLowSampleCountPercentile", "Metrics",
)  # fmt: skip


def described(alarm: Alarm) -> dict[str, Any]:
    """An alarm as AWS tells it."""
    told: dict[str, Any] = {
        "AlarmName": alarm.name,
        "AlarmArn": alarm.arn,
        "AlarmConfigurationUpdatedTimestamp": alarm.updated_at,
        "ActionsEnabled": alarm.enabled,
        "StateValue": alarm.state,
        "StateReason": alarm.reason,
        "StateUpdatedTimestamp": alarm.state_at,
        "StateTransitionedTimestamp": alarm.changed_at,
        "OKActions": [],
        "AlarmActions": [],
        "InsufficientDataActions": [],
        **{name: alarm.asked[name] for name in _KEPT if alarm.asked.get(name) is not None},
    }
    if alarm.reason_data:
        told["StateReasonData"] = alarm.reason_data
    if alarm.rule:
        told["AlarmRule"] = alarm.rule
    elif "Metrics" not in told:
        told.setdefault("Dimensions", [])
    return told


async def _put(tx: Tx, req: Mapping[str, Any], asked: dict[str, Any], rule: str) -> Alarm:
    ctx = tx.context
    check_actions(req)
    old = await tx.get(Alarm, ctx.account, ctx.region, req["AlarmName"])
    if old is not None and bool(old.rule) != bool(rule):
        raise Validation("An alarm of another type with this name exists already")
    alarm = Alarm(
        account=ctx.account,
        region=ctx.region,
        name=req["AlarmName"],
        generation=ctx.new_id("hex16"),
        partition=ctx.partition,
        asked=asked,
        updated_at=ctx.now,
        state=old.state if old else "INSUFFICIENT_DATA",
        reason=old.reason if old else INITIAL,
        reason_data=old.reason_data if old else "",
        state_at=old.state_at if old else ctx.now,
        changed_at=old.changed_at if old else ctx.now,
        enabled=bool(req.get("ActionsEnabled", True)),
        rule=rule,
        # Tags come with the making alone.
        tags=old.tags if old else _tags({}, req.get("Tags") or []),
    )
    tx.put(alarm)
    done = "updated" if old else "created"
    await noted(tx, alarm, "ConfigurationUpdate", f'Alarm "{alarm.name}" {done}', {"type": done})
    await tell_configuration(tx, "update" if old else "create", alarm, old)
    return alarm


async def _page(
    reader: Reader, req: Mapping[str, Any], fits: Any
) -> tuple[list[Alarm], str | None]:
    ctx = reader.context
    prefix = req.get("AlarmNamePrefix") or ""
    most = min(req.get("MaxRecords") or 50, limits.ALARMS_A_PAGE_MAX)
    scope = f"alarms/{ctx.account}/{ctx.region}/{prefix}/{req.get('AlarmTypes')}"
    return await page_of(
        reader, Alarm, (ctx.account, ctx.region), most=most, scope=scope,
        after=position(req, scope), fits=fits, step=limits.ALARMS_A_PAGE_MAX, **begins(prefix),
    )  # fmt: skip


async def _switch(ctx: Context, names: list[str], on: bool) -> None:
    async with ctx.write() as tx:
        for name in dict.fromkeys(names):
            # As in AWS, a name that nobody has is passed over.
            alarm = await tx.get(Alarm, ctx.account, ctx.region, name)
            if alarm is not None:
                after = replace(alarm, enabled=on)
                tx.put(after)
                await tell_configuration(tx, "update", after, alarm)


async def _by_arn(reader: Reader, arn: str) -> Alarm:
    parts = arn.split(":", 6)
    ctx = reader.context
    found = None
    if len(parts) == 7 and parts[2] == "cloudwatch" and parts[5] == "alarm":
        found = await reader.get(Alarm, ctx.account, ctx.region, parts[6])
    if found is None or found.arn != arn:
        raise NoResource("Unknown")
    return found


def _actions(alarm: Alarm) -> list[str]:
    names = ("OKActions", "AlarmActions", "InsufficientDataActions")
    return [one for name in names for one in alarm.asked.get(name) or []]


def _tags(old: Mapping[str, str], given: Any) -> dict[str, str]:
    try:
        return tags.merged(old, tags.from_list(given))
    except tags.BadTags as error:
        raise InvalidValue(str(error)) from error
