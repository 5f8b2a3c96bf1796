"""What lets the world in, and what only seems to."""

from __future__ import annotations

from typing import Any

import pytest

from doppio.kernel.policy.public import is_public


@pytest.mark.parametrize(
    ("change", "public"),
    [
        ({}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Effect": "Deny"}, False),
        ({"Principal": {"AWS": "arn:aws:iam::111111111111:root"}}, False),
        ({"Condition": {"StringEquals": {"aws:SourceAccount": "111111111111"}}}, False),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}}, True),
        ({"Condition": {"StringEqualsIfExists": {"aws:SourceAccount": "1"}}}, True),
    ],
)
def test_a_statement_that_names_nobody_is_public(change: dict[str, Any], public: bool) -> None:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}
    assert is_public({"Statement": {**statement, **change}}) is public
