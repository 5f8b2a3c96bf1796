"""The waits between tries, by the phases that AWS documents."""

from __future__ import annotations

import pytest

from doppio.services.sns.attributes import DEFAULT_RETRIES
from doppio.services.sns.retries import delay_before, service_delay


def seconds(**policy: object) -> list[float]:
    """All waits of a policy, in order."""
    whole = {**DEFAULT_RETRIES, **policy}
    found: list[float] = []
    while (wait := delay_before(whole, len(found))) is not None:
        found.append(wait.total_seconds())
    return found


def test_without_a_policy_there_are_three_tries_twenty_seconds_apart() -> None:
    assert seconds() == [20, 20, 20]


def test_the_phases_follow_each_other() -> None:
    waits = seconds(
        numRetries=8,
        numNoDelayRetries=2,
        numMinDelayRetries=1,
        numMaxDelayRetries=2,
        minDelayTarget=10,
        maxDelayTarget=30,
    )
    assert waits == [0, 0, 10, 10, 20, 30, 30, 30]


@pytest.mark.parametrize("function", ["linear", "arithmetic", "geometric", "exponential"])
def test_every_back_off_grows_from_the_least_to_the_greatest(function: str) -> None:
    waits = seconds(numRetries=10, minDelayTarget=1, maxDelayTarget=100, backoffFunction=function)
    assert waits[0] == 1
    assert waits[-1] == pytest.approx(100)
    assert waits == sorted(waits)
    if function == "exponential":
        assert waits[4] < 10


def test_a_service_is_tried_again_as_often_as_aws_does() -> None:
    waits: list[float] = []
    while (wait := service_delay(len(waits))) is not None:
        waits.append(wait.total_seconds())
    assert len(waits) == 100_015
    assert waits[:5] == [0, 0, 0, 1, 1]
    assert (waits[5], waits[14]) == (1, 20)
    assert waits[5:15] == sorted(waits[5:15])
    assert set(waits[15:]) == {20.0}
    assert sum(waits) / 86_400 == pytest.approx(23, abs=0.5)
