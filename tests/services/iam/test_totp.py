"""Codes of authenticators, against the vectors of RFC 6238."""

from __future__ import annotations

import pytest

from doppio.services.iam import totp

SEED = b"12345678901234567890"


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"), (1_111_111_109, "081804"), (1_111_111_111, "050471"),
        (1_234_567_890, "005924"), (2_000_000_000, "279037"), (20_000_000_000, "353130"),
    ],
)  # fmt: skip
def test_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    assert totp.code_at(SEED, totp.step_of(seconds)) == code


def test_a_code_counts_one_step_around_now_and_once() -> None:
    for off, found in ((-2, None), (-1, 99), (0, 100), (1, 101), (2, None)):
        code = totp.code_at(SEED, 100 + off)
        assert totp.matching_step(SEED, code, 100, after=0) == found
    assert totp.matching_step(SEED, totp.code_at(SEED, 100), 100, after=100) is None


def test_two_codes_in_a_row_tell_how_far_a_clock_is_off() -> None:
    def codes(first: int, second: int) -> tuple[str, str]:
        return totp.code_at(SEED, first), totp.code_at(SEED, second)

    assert totp.consecutive_step(SEED, *codes(1_050, 1_051), 1_000) == 1_051
    assert totp.consecutive_step(SEED, *codes(1_051, 1_050), 1_000) is None
    assert totp.consecutive_step(SEED, *codes(2_000, 2_001), 1_000) is None
