"""Batches of a shard's records: how large, how often, how old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from doppio.kernel.shard_batches import (
    RETRY_PAUSE_MAX,
    RETRY_PAUSE_MIN,
    How,
    Waiting,
    after_failure,
    is_exhausted,
    lanes_left,
    lanes_of,
    too_old,
)

START = datetime(2030, 1, 1, tzinfo=UTC)


def test_a_batch_is_tried_as_often_and_a_record_as_old_as_is_said() -> None:
    patient, one = How(size=1), How(size=1, retries=1, age_seconds=60)
    for tries, ended in ((0, False), (1, False), (2, True)):
        assert is_exhausted(Waiting(numbers=["1"], tries=tries), one) is ended
    assert not is_exhausted(Waiting(numbers=["1"], tries=10_000), patient)
    batch = Waiting(numbers=["1"])

    def told_at(number: str) -> datetime:
        return START

    assert too_old(batch, one, START + timedelta(seconds=60), told_at) == []
    assert too_old(batch, one, START + timedelta(seconds=61), told_at) == ["1"]
    assert too_old(batch, patient, START + timedelta(days=1), told_at) == []


def test_a_batch_is_halved_until_one_record_is_left() -> None:
    batch = Waiting(numbers=list("abcde"), tries=3, lane=2)
    halves = after_failure(batch, 1, bisects=True, now=START, chance=0.0)
    assert [(one.numbers, one.tries, one.lane, one.at) for one in halves] == [
        (["b", "c"], 3, 2, None),
        (["d", "e"], 3, 2, None),
    ]
    (alone,) = after_failure(
        Waiting(numbers=["b"], tries=3), 0, bisects=True, now=START, chance=1.0
    )
    assert (alone.tries, alone.at) == (4, START + RETRY_PAUSE_MIN * 8)
    (whole,) = after_failure(batch, 3, bisects=False, now=START, chance=1.0)
    assert (whole.numbers, whole.tries) == (["d", "e"], 4)
    (long,) = after_failure(
        Waiting(numbers=["b"], tries=99), 0, bisects=False, now=START, chance=1.0
    )
    assert long.at == START + RETRY_PAUSE_MAX


def test_batches_are_as_large_as_they_may_be_and_keys_keep_their_order() -> None:
    numbers = [str(n) for n in range(10)]
    (lane,) = lanes_of(numbers, 1, 4, lambda number: number)
    assert [one.numbers for one in lane] == [list("0123"), list("4567"), list("89")]
    lanes = lanes_of(numbers, 10, 4, lambda number: str(int(number) % 3))
    for one in lanes:
        found = [int(number) for batch in one for number in batch.numbers]
        assert found == sorted(found)
    assert lanes_left([batch for one in lanes for batch in one]) == lanes
