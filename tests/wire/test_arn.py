from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.wire import arn


def test_the_parts_of_an_arn() -> None:
    role = arn.parse("arn:aws:iam::000000000000:role/service-role/brew")
    assert role == arn.Arn("aws", "iam", "", "000000000000", "role/service-role/brew")
    assert (role.resource_type, role.resource_id) == ("role", "service-role/brew")
    assert str(role) == "arn:aws:iam::000000000000:role/service-role/brew"


def test_colons_belong_to_the_resource() -> None:
    function = arn.parse("arn:aws:lambda:us-east-1:000000000000:function:brew:7")
    assert (function.resource_type, function.resource_id) == ("function", "brew:7")


def test_a_resource_may_have_no_type() -> None:
    queue = arn.parse(arn.build("sqs", "us-east-1", "000000000000", "orders"))
    assert (queue.resource_type, queue.resource_id) == ("", "orders")
    assert arn.build("s3", "", "", "b", partition="aws-cn") == "arn:aws-cn:s3:::b"


@pytest.mark.parametrize("text", ["", "arn", "arn:aws:s3:::", "arn::s3:::b", "urn:aws:s3:::b"])
def test_what_is_no_arn_is_refused(text: str) -> None:
    assert not arn.is_arn(text)
    with pytest.raises(ValueError):
        arn.parse(text)


@given(st.text(max_size=60))
def test_is_arn_says_whether_parsing_succeeds(text: str) -> None:
    try:
        assert str(arn.parse(text)) == text
        assert arn.is_arn(text)
    except ValueError:
        assert not arn.is_arn(text)
