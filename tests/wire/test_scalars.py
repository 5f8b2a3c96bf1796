from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.wire import model, scalars


@given(st.binary())
def test_blobs_come_back_even_when_folded(content: bytes) -> None:
    shown = scalars.show_blob(content)
    assert scalars.read_blob(shown) == content
    assert scalars.read_blob("\n ".join(shown)) == content


@given(st.floats())
def test_floats_come_back_with_awss_words_for_the_special_ones(value: float) -> None:
    back = scalars.read_float(scalars.show_float(value))
    assert back == value or (math.isnan(back) and math.isnan(value))
    if not math.isfinite(value):
        assert scalars.show_float(value) in ("NaN", "Infinity", "-Infinity")


@pytest.mark.parametrize("text", ["", "yes", "2", "TRUE!"])
def test_a_boolean_is_true_or_false(text: str) -> None:
    with pytest.raises(ValueError):
        scalars.read_bool(text)


@pytest.mark.parametrize("text", ["", "1_000", "1.5", "0x10", "9" * 5000])
def test_an_integer_is_digits_and_not_too_many(text: str) -> None:
    with pytest.raises(ValueError):
        scalars.read_int(text)


def test_the_model_says_a_timestamps_form() -> None:
    member = model.load("s3").shape("GetObjectOutput").members["LastModified"]
    show = scalars.shower(member, "rfc822")
    at = scalars.reader(member)("Tue, 29 Apr 2014 18:30:38 GMT")
    assert show(at) == "Tue, 29 Apr 2014 18:30:38 GMT"
    assert scalars.is_scalar(member)
    assert scalars.normal_format("ISO8601") == "iso8601"
    assert scalars.normal_format(None) is None


def test_who_always_writes_milliseconds_does_so_where_the_model_says_iso8601() -> None:
    member = model.load("s3").shape("LifecycleExpiration").members["Date"]
    at = scalars.reader(member)("2015-11-10T00:00:00Z")
    assert scalars.shower(member, "iso8601-always-millis")(at) == "2015-11-10T00:00:00.000Z"
    assert scalars.shower(member, "iso8601")(at) == "2015-11-10T00:00:00Z"
