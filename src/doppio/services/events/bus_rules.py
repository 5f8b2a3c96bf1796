"""Rules: which events of a bus somebody wants, or when there is to be one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.schedules import BadSchedule, parse
from doppio.services.events import limits
from doppio.services.events.errors import LimitExceeded, ManagedRule, Validation
from doppio.services.events.heeding import heed
from doppio.services.events.lookup import (
    Place,
    check_room,
    existing_bus,
    existing_rule,
    listed_tags,
    page,
    place_of,
)
from doppio.services.events.putting import pattern_of
from doppio.services.events.records import DEFAULT, Rule
from doppio.services.events.ticking import plan, unplan

if TYPE_CHECKING:
    from doppio._stubs import events as w


class Rules:
    """The operations on rules."""

    async def put_rule(self, ctx: Context, req: w.PutRuleRequest) -> w.PutRuleResponse:
        """Make a rule, or change one; what is left out is taken away, its targets stay."""
        place = place_of(ctx, req.get("EventBusName"))
        _check(req, place)
        tags = listed_tags(req.get("Tags"))
        async with ctx.write() as tx:
            await existing_bus(tx, place)
            old = await tx.get(Rule, *place, req["Name"])
            if old is None:
                await check_room(tx, Rule, tuple(place), limits.RULES_MAX)
            else:
                check_managed(ctx, old, force=False)
            rule = Rule(
                account=place.account,
                region=place.region,
                bus=place.name,
                name=req["Name"],
                partition=ctx.partition,
                created_by=old.created_by if old is not None else ctx.caller.account,
                since=ctx.now,
                pattern=req.get("EventPattern", ""),
                schedule=req.get("ScheduleExpression", ""),
                state=req.get("State", "ENABLED"),
                description=req.get("Description", ""),
                role=req.get("RoleArn", ""),
                managed_by=old.managed_by if old is not None else _manager(ctx),
                # As in AWS, the tags of a rule that is there already stay as they are.
                tags=old.tags if old is not None else tags,
                targets=old.targets if old is not None else {},
            )
            await _store(tx, old, rule)
        return {"RuleArn": rule.arn}

    async def delete_rule(self, ctx: Context, req: w.DeleteRuleRequest) -> None:
        """Delete a rule without targets; one that is gone is no error."""
        place = place_of(ctx, req.get("EventBusName"))
        async with ctx.write() as tx:
            await existing_bus(tx, place)
            rule = await tx.get(Rule, *place, req["Name"])
            if rule is None:
                return
            check_managed(ctx, rule, force=bool(req.get("Force")))
            if rule.targets:
                raise Validation("Rule can't be deleted since it has targets.")
            tx.delete(rule)
            await unplan(tx, rule)
            await heed(tx, *place)

    async def describe_rule(
        self, ctx: Context, req: w.DescribeRuleRequest
    ) -> w.DescribeRuleResponse:
        """A rule, without its targets."""
        place = place_of(ctx, req.get("EventBusName"))
        rule = await existing_rule(ctx.read(), place, req["Name"])
        return cast("w.DescribeRuleResponse", {**shown(rule), "CreatedBy": rule.created_by})

    async def list_rules(self, ctx: Context, req: w.ListRulesRequest) -> w.ListRulesResponse:
        """The rules of a bus, by name."""
        reader = ctx.read()
        place = place_of(ctx, req.get("EventBusName"))
        await existing_bus(reader, place)
        found, more = await page(reader, Rule, tuple(place), req)
        return cast("w.ListRulesResponse", {"Rules": [shown(rule) for rule in found], **more})

    async def enable_rule(self, ctx: Context, req: w.EnableRuleRequest) -> None:
        """Let a rule match; its schedule begins anew."""
        await _set_state(ctx, req, "ENABLED")

    async def disable_rule(self, ctx: Context, req: w.DisableRuleRequest) -> None:
        """Let a rule match nothing."""
        await _set_state(ctx, req, "DISABLED")


async def _set_state(ctx: Context, req: Mapping[str, Any], state: str) -> None:
    async with ctx.write() as tx:
        place = place_of(ctx, req.get("EventBusName"))
        old = await existing_rule(tx, place, req["Name"])
        check_managed(ctx, old, force=False)
        if old.state != state:
            await _store(tx, old, replace(old, state=state, since=ctx.now))


async def _store(tx: Tx, old: Rule | None, rule: Rule) -> None:
    """Store a rule; its schedule goes on where nothing about it has changed."""
    same = old is not None and (old.schedule, old.state) == (rule.schedule, rule.state)
    if old is not None and same:
        tx.put(replace(rule, since=old.since))
        await heed(tx, rule.account, rule.region, rule.bus)
        return
    tx.put(rule)
    await heed(tx, rule.account, rule.region, rule.bus)
    if rule.schedule and rule.state != "DISABLED":
        await plan(tx, rule)
    elif old is not None and old.schedule:
        await unplan(tx, rule)


def check_managed(ctx: Context, rule: Rule, *, force: bool) -> None:
    """Raise ManagedRule where a service has made the rule, and another wants to change it."""
    if not rule.managed_by or force or rule.managed_by == ctx.caller.arn:
        return
    raise ManagedRule(
        f"Rule {rule.name} is managed by an AWS service and can only be modified if force is set."
    )


def _manager(ctx: Context) -> str:
    return ctx.caller.arn if ctx.caller.kind == "service" else ""


def _check(req: Mapping[str, Any], place: Place) -> None:
    pattern, schedule = req.get("EventPattern"), req.get("ScheduleExpression")
    if not pattern and not schedule:
        raise Validation("Parameter(s) EventPattern or ScheduleExpression must be specified.")
    if pattern:
        if len(pattern.encode()) > limits.PATTERN_BYTES_MAX:
            raise LimitExceeded
        pattern_of(pattern)
    if schedule:
        if place.name != DEFAULT:
            raise Validation("ScheduleExpression is supported only on the default event bus.")
        try:
            parse(schedule)
        except BadSchedule as error:
            raise Validation("Parameter ScheduleExpression is not valid.") from error


def shown(rule: Rule) -> dict[str, Any]:
    """A rule as lists show it."""
    told: dict[str, Any] = {
        "Name": rule.name,
        "Arn": rule.arn,
        "State": rule.state,
        "EventBusName": rule.bus,
    }
    more = {
        "EventPattern": rule.pattern,
        "ScheduleExpression": rule.schedule,
        "Description": rule.description,
        "RoleArn": rule.role,
        "ManagedBy": rule.managed_by,
    }
    return {**told, **{name: value for name, value in more.items() if value}}
