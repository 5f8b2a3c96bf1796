"""When an HTTP endpoint that failed is tried again: SNS's four phases. Pure.

Source: "Amazon SNS message delivery retries": retries at once, then before the back-off at the
least delay, then with growing delays, then at the greatest.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from doppio.services.sns import limits


def delay_before(policy: Mapping[str, Any], failed: int) -> timedelta | None:
    """The wait before the next try, of which `failed` retries have been used; None: no more."""
    if failed >= policy["numRetries"]:
        return None
    at_once = policy["numNoDelayRetries"]
    least = policy["numMinDelayRetries"]
    most = policy["numMaxDelayRetries"]
    low, high = policy["minDelayTarget"], policy["maxDelayTarget"]
    if failed < at_once:
        return timedelta(0)
    if failed < at_once + least:
        return timedelta(seconds=low)
    growing = policy["numRetries"] - at_once - least - most
    step = failed - at_once - least
    if step < growing:
        return timedelta(seconds=_grown(policy["backoffFunction"], low, high, step, growing))
    return timedelta(seconds=high)


def service_delay(failed: int) -> timedelta | None:
    """The same wait before a service of this cloud is tried again."""
    return delay_before(limits.SERVICE_RETRIES, failed)


def _grown(function: str, low: int, high: int, step: int, steps: int) -> float:
    if steps < 2 or low == high:
        return float(low)
    part = step / (steps - 1)
    if function == "linear":
        return low + (high - low) * part
    if function == "arithmetic":
        return low + (high - low) * (step * (step + 1)) / ((steps - 1) * steps)
    grown: float = low * (high / low) ** part
    if function == "geometric":
        return grown
    return float(low + (high - low) * (2**step - 1) / (2 ** (steps - 1) - 1))
