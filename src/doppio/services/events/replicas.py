"""Replication of global endpoints: in each Region a rule of ours that passes events to the other.

The rules are made and taken away as the endpoint's role, by a job that follows each change of the
endpoint: what the role may not do, and why, stands in the endpoint's state.
"""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.services.events.heeding import heed
from doppio.services.events.lookup import Place, rule_arn
from doppio.services.events.putting import LANES, lane_id, lane_of
from doppio.services.events.records import Endpoint, Lane, Rule
from doppio.services.events.rules import as_json
from doppio.wire.errors import AwsError

SETTLE = "events.settle"
MANAGER = "events.amazonaws.com"
_TARGET = "replica"
_TO_PUT = ("events:PutRule", "events:PutTargets")
_TO_DELETE = ("events:RemoveTargets", "events:DeleteRule")
_FAILED = {"CREATING": "CREATE_FAILED", "UPDATING": "UPDATE_FAILED", "DELETING": "DELETE_FAILED"}


async def settle(ctx: Context, job: Job) -> None:
    """Make an endpoint's rules as it wants them, and say so in its state."""
    where = job.arguments
    endpoint = await ctx.read().get(Endpoint, where["account"], where["region"], where["endpoint"])
    if endpoint is None or endpoint.state not in _FAILED:
        return
    wanted = _wanted(endpoint)
    kept = {place for place in endpoint.replicas if place in wanted}
    try:
        await _ask(ctx, endpoint, wanted, _TO_PUT)
        await _ask(ctx, endpoint, [one for one in endpoint.replicas if one not in kept], _TO_DELETE)
    except AwsError as error:
        reason = error.message[:512]
        changed = replace(endpoint, state=_FAILED[endpoint.state], reason=reason)
        await ctx.transact(lambda tx: _keep(tx, endpoint, changed))
        return
    now = ctx.clock.now()
    await ctx.transact(lambda tx: _change(tx, endpoint, wanted, now))


def _wanted(endpoint: Endpoint) -> list[tuple[str, str]]:
    """Where there are to be rules: by Region and bus."""
    if endpoint.state == "DELETING" or not endpoint.replicated:
        return []
    return [(region, endpoint.bus) for region in (endpoint.region, endpoint.secondary)]


async def _ask(
    ctx: Context, endpoint: Endpoint, places: list[tuple[str, str]], actions: tuple[str, ...]
) -> None:
    """Whether the endpoint's role may do that. Raises AccessDenied."""
    for region, bus in places:
        acting = await ctx.as_role(
            endpoint.role, "events", source=endpoint.arn, session="events", region=region
        )
        place = Place(endpoint.account, region, bus)
        for action in actions:
            await acting.authorise(action, rule_arn(ctx, place, rule_name(endpoint)))


def rule_name(endpoint: Endpoint) -> str:
    """The name of an endpoint's rules."""
    return f"GlobalEndpointManagedRule-{endpoint.id.partition('.')[0]}"


async def _change(tx: Tx, endpoint: Endpoint, wanted: list[tuple[str, str]], now: datetime) -> None:
    if await tx.get(Endpoint, endpoint.account, endpoint.region, endpoint.name) != endpoint:
        return
    name = rule_name(endpoint)
    for region, bus in endpoint.replicas:
        rule = await tx.get(Rule, endpoint.account, region, bus, name)
        if rule is not None and (region, bus) not in wanted:
            tx.delete(rule)
            await heed(tx, endpoint.account, region, bus)
            tx.wake(f"{LANES}/{lane_id(rule, _TARGET)}")
    for region, bus in wanted:
        rule = _rule(endpoint, region, bus, now)
        tx.put(rule)
        await heed(tx, endpoint.account, region, bus)
        lane = lane_of(rule, _TARGET)
        if await tx.get(Lane, lane.id) is None:
            tx.put(lane)
    if endpoint.state == "DELETING":
        tx.delete(endpoint)
    else:
        tx.put(replace(endpoint, state="ACTIVE", replicas=wanted))


async def _keep(tx: Tx, was: Endpoint, now: Endpoint) -> None:
    if await tx.get(Endpoint, was.account, was.region, was.name) == was:
        tx.put(now)


def _rule(endpoint: Endpoint, region: str, bus: str, now: datetime) -> Rule:
    """What was put to the endpoint in one Region goes to the other, and not back again."""
    other = endpoint.secondary if region == endpoint.region else endpoint.region
    target = {"Id": _TARGET, "Arn": endpoint.bus_arn(other), "RoleArn": endpoint.role}
    return Rule(
        account=endpoint.account,
        region=region,
        bus=bus,
        name=rule_name(endpoint),
        partition=endpoint.partition,
        created_by=endpoint.account,
        since=now,
        pattern=as_json({"resources": [endpoint.arn], "region": [region]}),
        managed_by=MANAGER,
        targets={_TARGET: target},
    )
