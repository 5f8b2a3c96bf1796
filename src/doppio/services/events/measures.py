"""What CloudWatch is told of buses and rules.

Source: "Monitoring Amazon EventBridge": its metrics and dimensions. A rule of the default bus is told of
by its name alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from doppio.kernel.context import Context
from doppio.kernel.metrics import Measure

_NAMESPACE = "AWS/Events"


class OfRule(NamedTuple):
    """A metric of rules: of the default bus, and of others."""

    alone: Measure
    on_bus: Measure


def _of_rule(name: str, unit: str = "Count") -> OfRule:
    return OfRule(
        Measure("events", _NAMESPACE, name, unit, "RuleName"),
        Measure("events", _NAMESPACE, name, unit, "EventBusName", "RuleName"),
    )


def _of_all(name: str, unit: str = "Count") -> Measure:
    return Measure("events", _NAMESPACE, name, unit)


CALLS = _of_all("PutEventsApproximateCallCount")
CALLS_TAKEN = _of_all("PutEventsApproximateSuccessCount")
ENTRIES = _of_all("PutEventsEntriesCount")
ENTRIES_FAILED = _of_all("PutEventsFailedEntriesCount")
REQUEST_SIZE = _of_all("PutEventsRequestSize", "Bytes")
PARTNER_CALLS = _of_all("PutPartnerEventsApproximateCallCount")
PARTNER_CALLS_TAKEN = _of_all("PutPartnerEventsApproximateSuccessCount")
PARTNER_ENTRIES = _of_all("PutPartnerEventsEntriesCount")
PARTNER_ENTRIES_FAILED = _of_all("PutPartnerEventsFailedEntriesCount")

MATCHED = _of_rule("MatchedEvents")
TRIGGERED = _of_rule("TriggeredRules")
CREATED = _of_rule("InvocationsCreated")
INVOCATIONS = _of_rule("Invocations")
FAILED = _of_rule("FailedInvocations")
ATTEMPTS = _of_rule("InvocationAttempts")
ATTEMPTS_GOOD = _of_rule("SuccessfulInvocationAttempts")
ATTEMPTS_AGAIN = _of_rule("RetryInvocationAttempts")
SENT_TO_DLQ = _of_rule("InvocationsSentToDlq")
NOT_SENT_TO_DLQ = _of_rule("InvocationsFailedToBeSentToDlq")
LATENCY = _of_rule("IngestionToInvocationCompleteLatency", "Milliseconds")


def count_of(ctx: Context, measure: OfRule, rule: str, amount: float = 1.0) -> None:
    """Measure something of the rule with this ARN."""
    account, region, names = _where(rule)
    ctx.count(measure[len(names) - 1], account, region, names, amount)


def count_all(ctx: Context, measure: Measure, amount: float = 1.0) -> None:
    """Measure something of an account's calls in the Region."""
    ctx.count(measure, ctx.account, ctx.region, (), amount)


@lru_cache(4_096)
def _where(rule: str) -> tuple[str, str, tuple[str, ...]]:
    parts = rule.split(":", 5)
    bus, _, name = parts[5].removeprefix("rule/").rpartition("/")
    return parts[4], parts[3], (bus, name) if bus else (name,)
