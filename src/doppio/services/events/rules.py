"""EventBridge's decisions, pure: no clock, no store, nothing awaited."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from doppio.services.events import limits

WAITS_MAX = limits.RETRY_WAIT_MAX.total_seconds()


class Refusal(NamedTuple):
    """Why one entry of a request is not taken."""

    code: str
    text: str


def entry_bytes(entry: Mapping[str, Any]) -> int:
    """The size of an entry, as "Calculating PutEvents event entry size" counts it."""
    size = limits.TIME_BYTES if entry.get("Time") is not None else 0
    for name in ("Source", "DetailType", "Detail"):
        size += len((entry.get(name) or "").encode())
    return size + sum(len(one.encode()) for one in entry.get("Resources") or ())


def refused_entry(entry: Mapping[str, Any], *, by_service: bool) -> Refusal | None:
    """What is wrong with an entry of PutEvents, apart from its detail."""
    for name in ("Source", "DetailType", "Detail"):
        if not entry.get(name):
            return _invalid(name, f"{name} is a required argument.")
    if len(entry["DetailType"]) > limits.DETAIL_TYPE_CHARS_MAX:
        return _invalid("DetailType", "DetailType is longer than 128 characters.")
    if entry["Source"].lower().startswith("aws.") and not by_service:
        return Refusal("NotAuthorizedForSource", "Not authorized for the source.")
    return None


def _invalid(name: str, reason: str) -> Refusal:
    return Refusal("InvalidArgument", f"Parameter {name} is not valid. Reason: {reason}")


def detail_of(text: str) -> dict[str, Any] | None:
    """The detail of an entry; None where it is no JSON object."""
    try:
        found = json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _no_json(word: str) -> Any:
    raise ValueError(word)


def envelope(
    *,
    event_id: str,
    kind: str,
    source: str,
    account: str,
    at: datetime,
    region: str,
    resources: list[str],
    detail: dict[str, Any],
) -> dict[str, Any]:
    """An event as rules see it and targets get it."""
    return {
        "version": "0",
        "id": event_id,
        "detail-type": kind,
        "source": source,
        "account": account,
        "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": resources,
        "detail": detail,
    }


def as_json(value: Any) -> str:
    """JSON as EventBridge writes it, without blanks."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def wait_before(tries: int, chance: float) -> timedelta:
    """The wait after so many failed tries: twice as long each time, up to a limit, and spread."""
    most = min(2.0 ** min(tries, 12), WAITS_MAX)
    return timedelta(seconds=most * (0.75 + 0.25 * chance))


def exhausted(
    target: Mapping[str, Any], tries: int, first_at: datetime, at: datetime
) -> str | None:
    """Which limit of a target's retry policy forbids a retry at `at`, after `tries` tries."""
    policy = target.get("RetryPolicy") or {}
    if tries > policy.get("MaximumRetryAttempts", limits.RETRY_ATTEMPTS_DEFAULT):
        return "MaximumRetryAttempts"
    age = policy.get("MaximumEventAgeInSeconds", limits.EVENT_AGE_SECONDS_DEFAULT)
    if at - first_at > timedelta(seconds=age):
        return "MaximumEventAgeInSeconds"
    return None


def hop_too_far(target: Mapping[str, Any], rule_arn: str, event: Mapping[str, Any]) -> str | None:
    """An event goes from its account or Region to one other, and not on from there to a third."""
    here, there = rule_arn.split(":"), target["Arn"].split(":")
    if event["account"] != here[4] and there[4] != here[4]:
        return "THIRD_ACCOUNT_HOP_DETECTED"
    if event["region"] != here[3] and there[3] != here[3]:
        return "THIRD_REGION_HOP_DETECTED"
    return None
