"""The family of errors."""

from __future__ import annotations

import pytest

from doppio.wire import errors


def test_an_error_has_its_class_text_unless_told_another() -> None:
    assert errors.Throttled().message == "Rate exceeded"
    assert errors.Throttled("slow down").message == "slow down"


def test_further_members_are_fields() -> None:
    error = errors.AccessDenied("no", Resource="arn")
    assert error.fields == {"Resource": "arn"}
    assert str(error) == "no"


SHARED = [kind for kind in errors.AwsError.__subclasses__() if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", SHARED)
def test_every_shared_error_has_a_code_and_a_status(kind: type[errors.AwsError]) -> None:
    assert kind.code
    assert 400 <= kind.status < 600
