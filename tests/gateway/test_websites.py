"""Hosts that are websites: which they are, and what of a request reaches the service."""

from __future__ import annotations

import pytest

from doppio.gateway.route import website_of
from tests.gateway.signed import Front, fronted
from tests.services.s3.test_websites import INDEX, site, text, visit


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("b.s3-website.localhost:4566", ("b", "")),
        ("www.example.com.s3-website.localhost", ("www.example.com", "")),
        ("b.s3-website.localhost.localstack.cloud:4566", ("b", "")),
        ("b.s3-website-eu-west-1.amazonaws.com", ("b", "eu-west-1")),
        ("b.s3-website.cn-north-1.amazonaws.com.cn", ("b", "cn-north-1")),
        ("b.s3.localhost", None),
        ("b.s3-website.example.com", None),
        ("s3-website.localhost", None),
    ],
)
def test_a_host_names_a_website_or_none(host: str, named: tuple[str, str] | None) -> None:
    assert website_of(host) == named


@fronted
async def test_hosts_name_the_region_or_not(front: Front) -> None:
    await site(front, INDEX, index_html=b"home")
    for host in (
        "site.s3-website.localhost",
        "site.s3-website-us-east-1.amazonaws.com",
        "site.s3-website.us-east-1.amazonaws.com:80",
    ):
        assert (await visit(front, "/", host=host)).status == 200, host
    answer = await visit(front, "/", host="site.s3-website.eu-west-1.amazonaws.com")
    assert answer.status == 400
    assert "<li>Code: IncorrectEndpoint</li>" in text(answer)
    assert "Endpoint: site.s3-website-us-east-1.amazonaws.com" in text(answer)


@fronted
async def test_browsers_hear_the_cross_origin_rules_of_a_website(front: Front) -> None:
    await site(front, INDEX, index_html=b"home")
    rule = {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}
    await front.world.call(
        "s3", "put_bucket_cors", Bucket="site", CORSConfiguration={"CORSRules": [rule]}
    )
    answer = await visit(front, "/", origin="http://a.com")
    assert dict(answer.headers)["access-control-allow-origin"] == "*"
    answer = await visit(
        front, "/", "OPTIONS", origin="http://a.com", access_control_request_method="GET"
    )
    assert answer.status == 200
