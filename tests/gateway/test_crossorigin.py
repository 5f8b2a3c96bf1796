"""Browsers: asked before a request, and told beside it, by the bucket's rules."""

from __future__ import annotations

from doppio.wire.http import Request, Response, Whole
from tests.gateway.signed import HOST, Front, fronted

SHOP = "http://shop.example.com"
RULES = b"""<CORSConfiguration>
<CORSRule><AllowedOrigin>http://*.example.com</AllowedOrigin><AllowedMethod>PUT</AllowedMethod>
<AllowedHeader>x-amz-*</AllowedHeader><AllowedHeader>content-type</AllowedHeader>
<ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds></CORSRule>
<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>
</CORSConfiguration>"""


async def shop(front: Front) -> None:
    """A bucket with rules, and one without."""
    for name in ("bucket", "plain"):
        assert (await front.s3("PUT", f"/{name}"))[0] == 200
    assert (await front.s3("PUT", "/bucket?cors", RULES))[0] == 200


async def preflight(front: Front, path: str, host: str = HOST, **headers: str) -> Response:
    """An OPTIONS request."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return await front.ask(Request("OPTIONS", path, "", {"host": host, **given}, Whole(b"")))


@fronted
async def test_a_preflight_is_answered_by_the_first_rule_that_fits(front: Front) -> None:
    await shop(front)
    answer = await preflight(
        front,
        "/bucket/k",
        origin=SHOP,
        access_control_request_method="PUT",
        access_control_request_headers="Content-Type, x-amz-date",
    )
    told = dict(answer.headers)
    assert answer.status == 200
    assert told["access-control-allow-origin"] == SHOP
    assert told["access-control-allow-headers"] == "content-type, x-amz-date"
    assert (told["access-control-max-age"], told["access-control-expose-headers"]) == ("60", "ETag")
    assert told["access-control-allow-credentials"] == "true"
    answer = await preflight(
        front, "/k", "bucket.localhost:4566", origin="http://x", access_control_request_method="GET"
    )
    told = dict(answer.headers)
    assert told["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in told


@fronted
async def test_a_preflight_that_may_not_is_told_why(front: Front) -> None:
    await shop(front)
    for path, headers, status, text in (
        ("/bucket/k", {"access_control_request_method": "GET"}, 400, b"Origin request header"),
        ("/bucket/k", {"origin": SHOP}, 400, b"Invalid Access-Control-Request-Method: null"),
        (
            "/bucket/k",
            {"origin": SHOP, "access_control_request_method": "DELETE"},
            403,
            b"This CORS request is not allowed",
        ),
        (
            "/bucket/k",
            {
                "origin": SHOP,
                "access_control_request_method": "PUT",
                "access_control_request_headers": "x-secret",
            },
            403,
            b"This CORS request is not allowed",
        ),
        (
            "/plain/k",
            {"origin": SHOP, "access_control_request_method": "GET"},
            403,
            b"CORS is not enabled for this bucket",
        ),
        (
            "/none/k",
            {"origin": SHOP, "access_control_request_method": "GET"},
            404,
            b"NoSuchBucket",
        ),
    ):
        answer = await preflight(front, path, **headers)
        assert isinstance(answer.body, bytes)
        assert (answer.status, text in answer.body) == (status, True), answer.body
        assert "access-control-allow-origin" not in dict(answer.headers)


@fronted
async def test_a_request_from_another_site_is_told_what_the_page_may_see(front: Front) -> None:
    await shop(front)
    origin = {"origin": SHOP}
    status, told, _ = await front.s3("PUT", "/bucket/k", b"x", headers=origin)
    assert (status, told["access-control-allow-origin"]) == (200, SHOP)
    _, told, _ = await front.s3("GET", "/bucket/k", headers=origin)
    assert told["access-control-allow-origin"] == "*"
    status, told, _ = await front.s3("GET", "/bucket/none", headers=origin)
    assert (status, told["access-control-allow-origin"]) == (404, "*")
    for method, path in (("DELETE", "/bucket/k"), ("GET", "/plain/k")):
        _, told, _ = await front.s3(method, path, headers=origin)
        assert "access-control-allow-origin" not in told
    _, told, _ = await front.s3("GET", "/bucket/k")
    assert "access-control-allow-origin" not in told


@fronted
async def test_other_services_do_not_answer_browsers(front: Front) -> None:
    answer = await preflight(front, "/", origin=SHOP, access_control_request_method="GET")
    assert "access-control-allow-origin" not in dict(answer.headers)
    status, headers, _ = await front.json("sqs", "AmazonSQS.ListQueues", {})
    assert (status, "access-control-allow-origin" in headers) == (200, False)
