"""Schedules of rules: at each due time, one event to the rule's targets, and the next time planned."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.kernel.schedules import parse
from doppio.services.events import limits
from doppio.services.events.putting import Match, count_matches, deliver_to
from doppio.services.events.records import DEFAULT, Rule
from doppio.services.events.rules import as_json, envelope

TICK = "events.tick"
_UTC = ZoneInfo("UTC")


async def plan(tx: Tx, rule: Rule, after: datetime | None = None, made_up: int = 0) -> None:
    """Plan the next event of a rule's schedule: the first, or the one after `after`."""
    moment = rule.since if after is None else after
    due = parse(rule.schedule).after(moment, start=rule.since, zone=_UTC)
    if due is None:
        await unplan(tx, rule)
        return
    name = rule.name
    where = {"account": rule.account, "region": rule.region, "rule": name, "made_up": made_up}
    await tx.schedule(due, TICK, rule.arn, **where)


async def unplan(tx: Tx, rule: Rule) -> None:
    """Plan no more events."""
    await tx.unschedule(TICK, rule.arn)


async def tick(ctx: Context, job: Job) -> None:
    """Send the event of one due time.

    Times that were missed (the cloud was off, or its clock has jumped) are made up for one by one,
    up to a limit; then the schedule goes on from now.
    """
    where = job.arguments
    now = ctx.clock.now()
    async with ctx.write() as tx:
        rule = await tx.get(Rule, where["account"], where["region"], DEFAULT, where["rule"])
        if rule is None or not rule.schedule or rule.state == "DISABLED":
            return
        if await tx.get(Job, job.name, job.key) != job:
            return
        body = envelope(
            event_id=ctx.new_id(),
            kind="Scheduled Event",
            source="aws.events",
            account=rule.account,
            at=job.at,
            region=rule.region,
            resources=[rule.arn],
            detail={},
        )
        if rule.targets:
            await deliver_to(tx, rule, as_json(body), job.at)
        late = parse(rule.schedule).after(job.at, start=rule.since, zone=_UTC)
        made_up = where["made_up"] + 1 if late is not None and late <= now else 0
        if made_up >= limits.MADE_UP_MAX:
            await plan(tx, rule, now)
        else:
            await plan(tx, rule, job.at, made_up)
    count_matches(ctx, [Match(rule.arn, len(rule.targets), matched=False)])
