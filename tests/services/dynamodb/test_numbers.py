"""Numbers: 38 digits, exact, canonical, and in an order of bytes that is theirs."""

from __future__ import annotations

from decimal import Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.services.dynamodb import numbers
from doppio.services.dynamodb.errors import ValidationException

WIDE = Context(prec=400)


def number(sign: int, digits: str, exponent: int) -> Decimal:
    """A value of up to 38 digits, the first of which stands at 10^exponent."""
    return Decimal((sign, tuple(map(int, digits)), exponent - len(digits) + 1))


VALUES = st.one_of(
    st.builds(
        number,
        st.integers(0, 1),
        st.from_regex(r"[1-9][0-9]{0,37}", fullmatch=True),
        st.integers(-130, 125),
    ),
    st.just(Decimal(0)),
)


@given(VALUES)
def test_what_is_stored_is_the_same_number(value: Decimal) -> None:
    text = numbers.canonical(str(value))
    assert Decimal(text) == value
    assert numbers.canonical(text) == text


@given(VALUES)
def test_two_spellings_of_a_number_have_one_canonical_form(value: Decimal) -> None:
    assert numbers.canonical(f"{value:e}") == numbers.canonical(f"{value:f}")


@given(VALUES, VALUES)
def test_the_order_of_the_bytes_is_the_order_of_the_numbers(a: Decimal, b: Decimal) -> None:
    x, y = (numbers.order_key(numbers.canonical(str(one))) for one in (a, b))
    assert (x < y, x == y) == (a < b, a == b)
    # Keys can be followed by others: none is the beginning of another, and 0xff ends them all.
    assert a == b or not y.startswith(x)
    assert x[0] < 0xFF


@given(st.integers(-(10**37), 10**37), st.integers(-(10**37), 10**37))
def test_sums_are_exact(a: int, b: int) -> None:
    assert numbers.add(str(a), str(b)) == str(a + b)
    assert numbers.add(str(a), str(b), sign=-1) == str(a - b)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("1", "1"),
        ("01", "1"),
        ("-0", "0"),
        ("+5", "5"),
        ("1.0", "1"),
        ("1.50", "1.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e2", "100"),
        ("-1.5E-2", "-0.015"),
        ("1" + "0" * 100, "1" + "0" * 100),
    ],
)
def test_a_number_is_stored_without_exponent_and_needless_zeros(given: str, stored: str) -> None:
    assert numbers.canonical(given) == stored


@pytest.mark.parametrize("text", ["a", "1a", "1 2", " 1", "1 ", "NaN", "Infinity", "٣", "1e", "-"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValidationException) as refused:
        numbers.canonical(text)
    assert refused.value.message == (
        f"The parameter cannot be converted to a numeric value: {text}"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "The parameter cannot be converted to a numeric value"),
        (
            "1" * 39,
            "Attempting to store more than 38 significant digits in a Number",
        ),
        (
            "1e126",
            (
                "Number overflow. Attempting to store a number with magnitude larger than supported "
                "range"
            ),
        ),
        (
            "-1e-131",
            (
                "Number underflow. Attempting to store a number with magnitude smaller than supported "
                "range"
            ),
        ),
    ],
)
def test_numbers_have_38_digits_and_a_range(text: str, why: str) -> None:
    with pytest.raises(ValidationException) as refused:
        numbers.canonical(text)
    assert refused.value.message == why


def test_a_sum_beyond_38_digits_is_refused() -> None:
    with pytest.raises(ValidationException, match="38 significant digits"):
        numbers.add("9" * 38, "0.1")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 1),
        ("1", 2),
        ("12", 2),
        ("123", 3),
        ("100", 2),
        ("0.001", 2),
        ("1.5", 2),
        ("-1.5", 3),
        ("-100", 3),
        ("9" * 38, 20),
    ],
)
def test_a_number_takes_a_byte_for_two_digits_and_one_more(text: str, size: int) -> None:
    assert numbers.size(text) == size


def test_a_sum_of_the_largest_and_the_smallest_is_not_rounded() -> None:
    with pytest.raises(ValidationException, match="38 significant digits"):
        numbers.add("1e125", "1e-130")
