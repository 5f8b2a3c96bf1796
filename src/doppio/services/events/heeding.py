"""What AWS's services tell: whether any rule may want it, and how it comes to the default bus.

Services say what happens in them only where a rule may want it (`kernel.listening`); which rules
may, is kept up to date in the commits that change rules. What they say is put by the service
itself, as a principal, so it passes the door as all else does.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Any, NamedTuple

from doppio.kernel.context import Context, Tx
from doppio.kernel.controller import Again, Controller, Key
from doppio.kernel.event_patterns import Pattern
from doppio.kernel.events import Event, Subscription
from doppio.kernel.identity import service_caller
from doppio.kernel.listening import CHANGED, Listening, Told, listening
from doppio.kernel.trail import KIND
from doppio.services.events import limits
from doppio.services.events.records import DEFAULT, WITH_READS, Rule
from doppio.wire.errors import AwsError

_log = logging.getLogger("doppio.services.events")


async def heed(tx: Tx, account: str, region: str, bus: str) -> None:
    """Keep which sources the rules of a default bus may want, after a change of one of them."""
    if bus != DEFAULT:
        return
    rules = await tx.list(Rule, (account, region, DEFAULT), limit=2 * limits.RULES_MAX)
    wanted = wanted_by(rules)
    old = await tx.get(Listening, account, region)
    if wanted == Wanted([], [], []):
        if old is not None:
            tx.delete(old)
            tx.wake(CHANGED)
        return
    new = Listening(account=account, region=region, **wanted._asdict())
    if new != old:
        tx.put(new)
        tx.wake(CHANGED)


class Heeding(Controller[Rule]):
    """Sees to it that rules are heeded whose store is older than the row that says so."""

    record = Rule

    async def reconcile(self, ctx: Context, key: Key) -> Again | None:
        """Look at all rules of a default bus of which nothing is known."""
        account, region, bus, _ = key
        if bus == DEFAULT and await listening(ctx.read(), account, region) is None:

            async def look(tx: Tx) -> None:
                await heed(tx, account, region, bus)

            await ctx.transact(look)
        return None


class Wanted(NamedTuple):
    """The sources that rules may want, those whose API calls they may, and those whose reads."""

    sources: list[str] | None
    calls: list[str] | None
    reads: list[str] | None


def wanted_by(rules: Iterable[Rule]) -> Wanted:
    """What rules may want; None: any source."""
    sources: set[str] | None = set()
    calls: set[str] | None = set()
    reads: set[str] | None = set()
    for rule in rules:
        if not rule.pattern or rule.state == "DISABLED":
            continue
        pattern = json.loads(rule.pattern)
        named = _sources(pattern)
        sources = _with(sources, named)
        if _asks_for_calls(pattern):
            calls = _with(calls, named)
            if rule.state == WITH_READS:
                reads = _with(reads, named)
    return Wanted(*(None if one is None else sorted(one) for one in (sources, calls, reads)))


def _with(all_so_far: set[str] | None, more: set[str] | None) -> set[str] | None:
    return None if all_so_far is None or more is None else all_so_far | more


def _sources(pattern: dict[str, Any]) -> set[str] | None:
    """The sources that a pattern names, None where it may want others."""
    named = pattern.get("source")
    if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
        return None
    return set(named)


def _asks_for_calls(pattern: dict[str, Any]) -> bool:
    """Whether a pattern speaks of API calls.

    In AWS there are such events where there is a trail. Here a rule that asks for them stands for
    it: without one, a rule that wants all and everything is not told of every call.
    """
    others = pattern.get("$or")
    if isinstance(others, list) and any(_asks_for_calls(one) for one in others):
        return True
    kinds = pattern.get("detail-type")
    if kinds is None:
        return False
    return Pattern({"detail-type": kinds}).matches({"detail-type": KIND})


async def pass_on(ctx: Context, event: Event) -> None:
    """Put what a service told on the default bus, as that service."""
    assert isinstance(event, Told)
    account, region = event.key
    service = event.source.removeprefix("aws.")
    source = event.resources[0] if event.resources else None
    entry = {
        "Source": event.source,
        "DetailType": event.kind,
        "Detail": event.detail,
        "Resources": event.resources,
        "Time": event.at,
    }
    acting = ctx.derive(service_caller(service, account, source), region=region)
    try:
        told = await acting.call("events", "put_events", {"Entries": [entry]})
    except AwsError as error:
        if error.status >= 500 and error.status != 501:
            raise
        _log.warning("an event of %s was lost: %s", event.source, error)
    else:
        if told["FailedEntryCount"]:
            _log.warning("an event of %s was refused: %s", event.source, told["Entries"])


SUBSCRIPTION = Subscription("events.heeding", (Told,), pass_on)
