"""Websites: what makes a bucket one, and what visitors of its host are shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.services.s3.website_rules import check_website, redirect_of, rule_for
from doppio.wire.errors import AwsError
from doppio.wire.http import FileRange, Request, Response, Whole
from tests.gateway.signed import Front, fronted

from .world import World, refused, told

HOST = "site.s3-website.localhost:4566"
INDEX: dict[str, Any] = {"IndexDocument": {"Suffix": "index.html"}}
BOTH = {**INDEX, "ErrorDocument": {"Key": "error.html"}}
OPEN = {
    "BlockPublicAcls": False,
    "IgnorePublicAcls": False,
    "BlockPublicPolicy": False,
    "RestrictPublicBuckets": False,
}


async def visit(
    front: Front, path: str, method: str = "GET", host: str = HOST, query: str = "", **headers: str
) -> Response:
    """A visitor's request."""
    given = {"host": host, **{name.replace("_", "-"): text for name, text in headers.items()}}
    return await front.ask(Request(method, path, query, given, Whole(b"")))


def text(response: Response) -> str:
    body = response.body
    if isinstance(body, FileRange):
        with body.path.open("rb") as file:
            file.seek(body.offset)
            return file.read(body.length).decode()
    assert isinstance(body, bytes)
    return body.decode()


def place(response: Response) -> tuple[int, str]:
    return response.status, dict(response.headers)["location"]


async def site(front: Front, website: dict[str, Any], *actions: str, **objects: bytes) -> None:
    """A bucket that everybody may read, with objects, as a website."""

    async def call(method: str, **req: Any) -> None:
        await front.world.call("s3", method, Bucket="site", **req)

    await call("create_bucket")
    await call("put_public_access_block", PublicAccessBlockConfiguration=OPEN)
    statements = [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": action,
            "Resource": f"arn:aws:s3:::site{'' if 'List' in action else '/*'}",
        }
        for action in ("s3:GetObject", *actions)
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    await call("put_bucket_policy", Policy=policy)
    await call("put_bucket_website", WebsiteConfiguration=website)
    for name, body in objects.items():
        key = name.replace("__", "/").replace("_html", ".html")
        await call("put_object", Key=key, Body=Whole(body), ContentType="text/html")


@fronted
async def test_folders_show_their_index(front: Front) -> None:
    await site(front, INDEX, index_html=b"home", docs__index_html=b"docs", docs__a=b"a")
    for path, shown in (("/", "home"), ("/docs/", "docs"), ("/docs/a", "a"), ("/%64ocs/a", "a")):
        answer = await visit(front, path)
        assert (answer.status, text(answer)) == (200, shown), path
        assert dict(answer.headers)["content-type"] == "text/html"
    answer = await visit(front, "/docs")
    assert place(answer) == (302, "/docs/")
    assert dict(answer.headers)["x-amz-error-code"] == "Found"
    head = await visit(front, "/docs/a", "HEAD")
    assert (head.status, dict(head.headers)["content-length"]) == (200, "1")


@fronted
async def test_conditions_and_ranges_hold_for_visitors(front: Front) -> None:
    await site(front, INDEX, index_html=b"home")
    etag = dict((await visit(front, "/")).headers)["etag"]
    answer = await visit(front, "/", if_none_match=etag)
    assert (answer.status, text(answer)) == (304, "")
    answer = await visit(front, "/", range="bytes=1-2")
    assert (answer.status, text(answer)) == (206, "om")
    assert (await visit(front, "/", if_match='"none"')).status == 412
    assert (await visit(front, "/", if_modified_since="yesterday")).status == 200


@fronted
async def test_errors_are_pages_with_s3s_code_and_text(front: Front) -> None:
    await site(front, INDEX, index_html=b"home")
    answer = await visit(front, "/none")
    page = text(answer)
    assert answer.status == 403
    assert "<title>403 Forbidden</title>" in page
    assert "<li>Code: AccessDenied</li>\n<li>Message: Access Denied</li>" in page
    assert dict(answer.headers)["x-amz-error-code"] == "AccessDenied"
    answer = await visit(front, "/", "POST")
    assert answer.status == 405
    assert "<li>Code: MethodNotAllowed</li>" in text(answer)
    assert "<li>Method: POST</li>\n<li>ResourceType: OBJECT</li>" in text(answer)
    answer = await visit(front, "/", host="nobodys.s3-website.localhost")
    assert answer.status == 404
    assert "<li>Code: NoSuchBucket</li>" in text(answer)
    await front.world.call("s3", "delete_bucket_website", Bucket="site")
    answer = await visit(front, "/")
    assert answer.status == 404
    assert "<li>Code: NoSuchWebsiteConfiguration</li>" in text(answer)
    assert "<li>BucketName: site</li>" in text(answer)


@fronted
async def test_who_may_list_learns_that_a_key_is_missing(front: Front) -> None:
    await site(front, INDEX, "s3:ListBucket", index_html=b"home")
    answer = await visit(front, "/a%3Cb%3E")
    assert answer.status == 404
    assert "<li>Code: NoSuchKey</li>" in text(answer)
    assert "<li>Key: a&lt;b&gt;</li>" in text(answer)
    told = dict(answer.headers)
    assert told["x-amz-error-detail-Key"] == "a<b>"
    assert told["x-amz-error-message"] == "The specified key does not exist."


@fronted
async def test_the_error_document_comes_with_the_errors_status(front: Front) -> None:
    await site(front, BOTH, "s3:ListBucket", error_html=b"sorry")
    answer = await visit(front, "/none")
    assert (answer.status, text(answer)) == (404, "sorry")
    assert dict(answer.headers)["content-type"] == "text/html"
    assert dict(answer.headers)["x-amz-error-code"] == "NoSuchKey"
    await front.world.call("s3", "delete_object", Bucket="site", Key="error.html")
    page = text(await visit(front, "/none"))
    assert "Key: none" in page
    assert "An Error Occurred While Attempting to Retrieve a Custom Error Document" in page
    assert "Key: error.html" in page


@fronted
async def test_what_is_private_stays_so_on_a_website(front: Front) -> None:
    await site(front, INDEX, index_html=b"home")
    await front.world.call("s3", "delete_bucket_policy", Bucket="site")
    assert (await visit(front, "/")).status == 403


@fronted
async def test_objects_may_send_visitors_elsewhere(front: Front) -> None:
    await site(front, INDEX)
    await front.world.call(
        "s3", "put_object", Bucket="site", Key="old", WebsiteRedirectLocation="/new"
    )
    await front.world.call("s3", "copy_object", Bucket="site", Key="copy", CopySource="site/old")
    await front.world.call(
        "s3", "copy_object", Bucket="site", Key="far", CopySource="site/old",
        WebsiteRedirectLocation="https://example.com/",
    )  # fmt: skip
    assert place(await visit(front, "/old")) == (301, "/new")
    assert place(await visit(front, "/far")) == (301, "https://example.com/")
    assert (await visit(front, "/copy")).status == 200
    head = await front.world.call("s3", "head_object", Bucket="site", Key="old")
    assert head["WebsiteRedirectLocation"] == "/new"


@fronted
async def test_all_requests_may_be_sent_elsewhere(front: Front) -> None:
    await site(front, {"RedirectAllRequestsTo": {"HostName": "example.com", "Protocol": "https"}})
    assert place(await visit(front, "/a%20b", query="x=1")) == (
        301,
        "https://example.com/a%20b?x=1",
    )
    await front.world.call(
        "s3", "put_bucket_website", Bucket="site",
        WebsiteConfiguration={"RedirectAllRequestsTo": {"HostName": "example.com"}},
    )  # fmt: skip
    assert place(await visit(front, "/", "HEAD")) == (301, "http://example.com/")


@fronted
async def test_rules_redirect_before_the_key_is_looked_for_and_after_it_failed(
    front: Front,
) -> None:
    rules = [
        {
            "Condition": {"KeyPrefixEquals": "docs/"},
            "Redirect": {"ReplaceKeyPrefixWith": "documents/"},
        },
        {
            "Condition": {"HttpErrorCodeReturnedEquals": "404", "KeyPrefixEquals": "lost/"},
            "Redirect": {"HostName": "example.com", "Protocol": "https", "HttpRedirectCode": "307"},
        },
        {
            "Condition": {"HttpErrorCodeReturnedEquals": "404"},
            "Redirect": {"ReplaceKeyWith": "map page"},
        },
    ]
    await site(front, {**INDEX, "RoutingRules": rules}, "s3:ListBucket", docs__a=b"a", b=b"b")
    assert place(await visit(front, "/docs/a")) == (301, f"http://{HOST}/documents/a")
    assert place(await visit(front, "/lost/x")) == (307, "https://example.com/lost/x")
    assert place(await visit(front, "/none")) == (301, f"http://{HOST}/map%20page")
    assert text(await visit(front, "/b")) == "b"


@told
async def test_a_configuration_comes_back_as_put_until_it_is_deleted(world: World) -> None:
    await world.bucket()
    error = await refused(world.s3("get_bucket_website", Bucket="bucket"))
    assert (error.code, error.status) == ("NoSuchWebsiteConfiguration", 404)
    await world.s3("put_bucket_website", Bucket="bucket", WebsiteConfiguration=BOTH)
    await world.s3("put_bucket_website", Bucket="bucket", WebsiteConfiguration=BOTH)
    assert await world.s3("get_bucket_website", Bucket="bucket") == BOTH
    for _ in range(2):
        await world.s3("delete_bucket_website", Bucket="bucket")
    assert (await refused(world.s3("get_bucket_website", Bucket="bucket"))).status == 404
    await world.s3("put_bucket_website", Bucket="bucket", WebsiteConfiguration=BOTH)
    await world.s3("delete_bucket", Bucket="bucket")
    await world.bucket()
    assert (await refused(world.s3("get_bucket_website", Bucket="bucket"))).status == 404


@told
async def test_redirect_locations_must_lead_somewhere(world: World) -> None:
    await world.bucket()
    error = await refused(world.put("key", WebsiteRedirectLocation="nowhere"))
    assert error.code == "InvalidRedirectLocation"
    error = await refused(world.put("key", WebsiteRedirectLocation="/" + "x" * 2048))
    assert "2,048" in error.message
    await world.put("key", WebsiteRedirectLocation="/" + "x" * 2047)


RULE = {"Redirect": {"ReplaceKeyWith": "x"}}


@pytest.mark.parametrize(
    ("website", "code", "said"),
    [
        ({}, "InvalidArgument", "A value for IndexDocument Suffix must be provided"),
        ({"IndexDocument": {"Suffix": ""}}, "InvalidArgument", "Suffix is not well formed"),
        ({"IndexDocument": {"Suffix": "a/b"}}, "InvalidArgument", "Suffix is not well formed"),
        ({**INDEX, "ErrorDocument": {"Key": ""}}, "InvalidArgument", "ErrorDocument Key"),
        ({**INDEX, "RedirectAllRequestsTo": {"HostName": "x"}}, "InvalidArgument", "conjunction"),
        ({"RedirectAllRequestsTo": {"HostName": ""}}, "MalformedXML", ""),
        (
            {"RedirectAllRequestsTo": {"HostName": "x", "Protocol": "ftp"}},
            "InvalidRequest",
            "Invalid protocol",
        ),
        ({**INDEX, "RoutingRules": []}, "MalformedXML", ""),
        ({**INDEX, "RoutingRules": [RULE] * 51}, "InvalidRequest", "limited to 50"),
        ({**INDEX, "RoutingRules": [{"Redirect": {}}]}, "MalformedXML", ""),
        (
            {**INDEX, "RoutingRules": [{**RULE, "Condition": {}}]},
            "InvalidRequest",
            "Condition cannot be empty",
        ),
        (
            {**INDEX, "RoutingRules": [{"Redirect": {"HttpRedirectCode": "300"}}]},
            "InvalidRequest",
            "The provided HTTP redirect code (300) is not valid",
        ),
        (
            {
                **INDEX,
                "RoutingRules": [{**RULE, "Condition": {"HttpErrorCodeReturnedEquals": "200"}}],
            },
            "InvalidRequest",
            "The provided HTTP error code (200) is not valid",
        ),
        (
            {
                **INDEX,
                "RoutingRules": [{"Redirect": {"ReplaceKeyWith": "x", "ReplaceKeyPrefixWith": ""}}],
            },
            "InvalidRequest",
            "but not both",
        ),
    ],
)
def test_what_is_no_website_is_refused(website: dict[str, Any], code: str, said: str) -> None:
    with pytest.raises(AwsError) as error:
        check_website(website)
    assert error.value.code == code
    assert said in error.value.message


def test_fifty_rules_are_not_too_many() -> None:
    check_website({**INDEX, "RoutingRules": [RULE] * 50})


def test_the_first_rule_that_fits_redirects() -> None:
    rules = [
        {"Condition": {"KeyPrefixEquals": "a"}, "Redirect": {"ReplaceKeyPrefixWith": ""}},
        {"Redirect": {"HostName": "h"}},
    ]
    first, second = rules
    assert rule_for(rules, "abc", None) is first
    assert rule_for(rules, "b", None) is second
    assert rule_for(rules, "b", 404) is None
    assert redirect_of(first, "abc", "http://o") == (301, "http://o/bc")
    assert redirect_of(second, "b", "https://o") == (301, "https://h/b")
