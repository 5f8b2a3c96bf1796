"""Which cross-origin rule fits, and what it lets a browser do."""

from __future__ import annotations

from typing import Any

import pytest

from doppio.kernel.service import CrossOrigin
from doppio.services.s3.cors import headers_of, rule_for

RULES: list[dict[str, Any]] = [
    {"ID": "one", "AllowedOrigins": ["http://a.com", "http://*.b.com"], "AllowedMethods": ["PUT"]},
    {
        "ID": "two",
        "AllowedOrigins": ["http://a.com"],
        "AllowedMethods": ["PUT", "GET"],
        "AllowedHeaders": ["X-Amz-*"],
    },
    {"ID": "odd", "AllowedOrigins": ["http://[x]?.com"], "AllowedMethods": ["HEAD"]},
]


@pytest.mark.parametrize(
    ("origin", "method", "headers", "fits"),
    [
        ("http://a.com", "PUT", (), "one"),
        ("http://x.b.com", "PUT", (), "one"),
        ("http://b.com", "PUT", (), None),
        ("http://a.com", "PUT", ("x-amz-date",), "two"),
        ("http://a.com", "PUT", ("x-amz-date", "content-type"), None),
        ("http://a.com", "GET", (), "two"),
        ("http://a.com", "DELETE", (), None),
        ("http://x1.com", "HEAD", (), None),
        ("http://[x]?.com", "HEAD", (), "odd"),
    ],
)
def test_the_first_rule_that_fits_counts(
    origin: str, method: str, headers: tuple[str, ...], fits: str | None
) -> None:
    rule = rule_for(RULES, CrossOrigin(origin, method, headers, True))
    assert (None if rule is None else rule["ID"]) == fits


def test_who_lets_everybody_in_gives_no_credentials() -> None:
    asked = CrossOrigin("http://a.com", "GET", (), False)
    told = dict(headers_of({"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}, asked))
    assert told["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in told
