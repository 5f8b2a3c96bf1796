"""Hosts of functions are recognised, and no others; what answers there tests/services/lambda_ has."""

from __future__ import annotations

import pytest

from doppio.gateway.function_urls import is_function_url
from doppio.wire.http import Request, Whole


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("abc.lambda-url.us-east-1.localhost:4566", True),
        ("abc.lambda-url.eu-west-1.on.aws", True),
        ("lambda-url.localhost", False),
        ("localhost:4566", False),
        ("", False),
    ],
)
def test_a_host_of_a_function_is_known(host: str, is_one: bool) -> None:
    assert is_function_url(Request("GET", "/", "", {"host": host}, Whole(b""))) is is_one
