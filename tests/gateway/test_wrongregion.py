"""Requests that are signed for another Region than the bucket's, at an endpoint that is all of them."""

from __future__ import annotations

from .signed import Front, fronted

HERE = (
    b"<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint>"
    b"</CreateBucketConfiguration>"
)


async def abroad(front: Front) -> None:
    """A bucket in Ireland, with an object."""
    assert (await front.s3("PUT", "/abroad", HERE, region="eu-west-1"))[0] == 200
    assert (await front.s3("PUT", "/abroad/k", b"coffee", region="eu-west-1"))[0] == 200


@fronted
async def test_a_header_for_the_wrong_region_is_malformed_and_told_the_right_one(
    front: Front,
) -> None:
    await abroad(front)
    for method, path in (("GET", "/abroad/k"), ("PUT", "/abroad/k"), ("GET", "/abroad?acl")):
        status, headers, body = await front.s3(method, path, region="us-east-1")
        assert (status, headers["x-amz-bucket-region"]) == (400, "eu-west-1")
        assert b"<Code>AuthorizationHeaderMalformed</Code>" in body
        assert b"<Region>eu-west-1</Region>" in body
        assert (
            b"<Message>The authorization header is malformed; the region 'us-east-1' is wrong; "
            b"expecting 'eu-west-1'</Message>"
        ) in body.replace(b"&apos;", b"'").replace(b"&#x27;", b"'").replace(b"&#39;", b"'")
    status, headers, body = await front.s3("HEAD", "/abroad", region="us-east-1")
    assert (status, headers["x-amz-bucket-region"]) == (400, "eu-west-1")
    assert (await front.s3("GET", "/abroad/k", region="eu-west-1"))[2] == b"coffee"


@fronted
async def test_so_is_a_query(front: Front) -> None:
    await abroad(front)
    status, _, body = await front.s3("GET", "/abroad/k", presigned=60)
    assert status == 400
    assert b"<Code>AuthorizationQueryParametersError</Code>" in body
    assert b"<Region>eu-west-1</Region>" in body
    status, _, body = await front.s3("GET", "/abroad/k", presigned=60, region="eu-west-1")
    assert (status, body) == (200, b"coffee")


@fronted
async def test_a_regions_own_endpoint_redirects(front: Front) -> None:
    await abroad(front)
    host = {"Host": "s3.us-west-2.amazonaws.com"}
    status, headers, body = await front.s3("GET", "/abroad/k", headers=host, region="us-west-2")
    assert (status, headers["x-amz-bucket-region"]) == (301, "eu-west-1")
    assert b"<Code>PermanentRedirect</Code>" in body
    # Of this host the bucket is the right one, and the signature is not.
    host = {"Host": "abroad.s3.eu-west-1.amazonaws.com"}
    status, _, body = await front.s3("GET", "/k", headers=host, region="us-east-1")
    assert (status, b"AuthorizationHeaderMalformed" in body) == (400, True)


@fronted
async def test_what_is_no_region_is_wrong_everywhere(front: Front) -> None:
    await abroad(front)
    for method, path, expected in (
        ("GET", "/", b"us-east-1"),
        ("PUT", "/new", b"us-east-1"),
        ("GET", "/abroad", b"eu-west-1"),
    ):
        status, _, body = await front.s3(method, path, region="US")
        assert (status, b"<Region>" + expected + b"</Region>" in body) == (400, True)
        assert b"AuthorizationHeaderMalformed" in body


@fronted
async def test_where_a_bucket_is_may_be_asked_from_home(front: Front) -> None:
    await abroad(front)
    status, _, body = await front.s3("GET", "/abroad?location", region="us-east-1")
    assert (status, b"eu-west-1" in body) == (200, True)


@fronted
async def test_who_names_no_region_is_served(front: Front) -> None:
    await abroad(front)
    status, _, _ = await front.s3("GET", "/abroad/k", keys=None)
    # Whether it may read at all is asked first.
    assert status == 403
    policy = (
        b'{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*",'
        b'"Action":"s3:GetObject","Resource":"arn:aws:s3:::abroad/*"}}'
    )
    await front.s3("DELETE", "/abroad?publicAccessBlock", region="eu-west-1")
    assert (await front.s3("PUT", "/abroad?policy", policy, region="eu-west-1"))[0] < 300
    status, _, body = await front.s3("GET", "/abroad/k", keys=None)
    assert (status, body) == (200, b"coffee")
    host = {"Host": "s3.us-west-2.amazonaws.com"}
    status, headers, _ = await front.s3("GET", "/abroad/k", keys=None, headers=host)
    assert (status, headers["x-amz-bucket-region"]) == (301, "eu-west-1")
