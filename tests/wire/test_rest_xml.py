from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.wire.errors import AwsError, SerializationError, UnknownOperation

from .helpers import both, decoded, encoded, error, failed, header, request, text

S3_SPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def test_a_listing_has_s3s_root_and_namespace() -> None:
    entry = {
        "Key": "a&b",
        "LastModified": datetime(2026, 1, 2, tzinfo=UTC),
        "ETag": '"e"',
        "Size": 3,
    }
    response = encoded("s3", "rest-xml", "ListObjectsV2", {"Name": "b", "Contents": [entry]})
    body = text(response)
    assert body.startswith(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="{S3_SPACE}">'
    )
    assert "<Key>a&amp;b</Key>" in body
    assert "<LastModified>2026-01-02T00:00:00.000Z</LastModified>" in body
    assert "<ETag>&quot;e&quot;</ETag>" in body
    assert header(response, "content-type") == "application/xml"


@pytest.mark.parametrize(
    ("operation", "root"),
    [
        ("ListBuckets", "ListAllMyBucketsResult"),
        ("CreateMultipartUpload", "InitiateMultipartUploadResult"),
        ("DeleteObjects", "DeleteResult"),
        ("GetBucketVersioning", "VersioningConfiguration"),
        ("ListObjectVersions", "ListVersionsResult"),
        ("GetBucketTagging", "Tagging"),
    ],
)
def test_each_answer_has_the_root_that_s3_gives_it(operation: str, root: str) -> None:
    assert f"<{root} xmlns=" in text(encoded("s3", "rest-xml", operation, {}))


def test_payloads_have_their_own_root() -> None:
    result = {"CopyObjectResult": {"ETag": "e"}, "VersionId": "v"}
    response = encoded("s3", "rest-xml", "CopyObject", result)
    assert f'<CopyObjectResult xmlns="{S3_SPACE}"><ETag>e</ETag></CopyObjectResult>' in text(
        response
    )
    assert header(response, "x-amz-version-id") == "v"
    hold = encoded("s3", "rest-xml", "GetObjectLegalHold", {"LegalHold": {"Status": "ON"}})
    assert f'<LegalHold xmlns="{S3_SPACE}"><Status>ON</Status></LegalHold>' in text(hold)


@pytest.mark.parametrize(("place", "inner"), [("eu-west-1", "eu-west-1"), (None, ""), ("", "")])
def test_a_buckets_location_is_the_root_itself(place: str | None, inner: str) -> None:
    response = encoded("s3", "rest-xml", "GetBucketLocation", {"LocationConstraint": place})
    assert text(response).endswith(
        f'<LocationConstraint xmlns="{S3_SPACE}">{inner}</LocationConstraint>'
    )


def test_s3_errors_are_bare_and_carry_both_ids() -> None:
    response = failed(
        "s3", "rest-xml", "GetObject", error("NoSuchKey", "none", status=400, Key="a<b")
    )
    assert response.status == 404
    body = text(response)
    assert "<Error><Code>NoSuchKey</Code><Message>none</Message><Key>a&lt;b</Key>" in body
    assert "<RequestId>request-1</RequestId><HostId>" in body
    assert header(response, "x-amz-request-id") == "request-1"
    assert (header(response, "x-amz-id-2") or "missing") in body


def test_shared_errors_have_s3s_names() -> None:
    response = failed("s3", "rest-xml", None, UnknownOperation("no"))
    assert (response.status, "<Code>MethodNotAllowed</Code>" in text(response)) == (405, True)


def test_route53_errors_are_wrapped() -> None:
    response = failed("route53", "rest-xml", "GetHostedZone", error("NoSuchHostedZone", "none"))
    assert response.status == 404
    assert text(response).endswith(
        '<ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error>'
        "<Type>Sender</Type><Code>NoSuchHostedZone</Code><Message>none</Message></Error>"
        "<RequestId>request-1</RequestId></ErrorResponse>"
    )


def test_a_policy_is_text() -> None:
    value = decoded("s3", "rest-xml", "PutBucketPolicy", '{"a": "é"}'.encode())
    assert value == {"Policy": '{"a": "é"}'}
    assert text(encoded("s3", "rest-xml", "GetBucketPolicy", {"Policy": "{}"})) == "{}"


def test_lifecycle_rules_are_read() -> None:
    body = (
        b"<LifecycleConfiguration><Rule><ID>r</ID><Filter><Prefix>a/</Prefix></Filter>"
        b"<Status>Enabled</Status><Expiration><Days>7</Days></Expiration></Rule>"
        b"</LifecycleConfiguration>"
    )
    rule = {
        "ID": "r",
        "Filter": {"Prefix": "a/"},
        "Status": "Enabled",
        "Expiration": {"Days": 7},
    }
    value = decoded("s3", "rest-xml", "PutBucketLifecycleConfiguration", body)
    assert value == {"LifecycleConfiguration": {"Rules": [rule]}}


@pytest.mark.parametrize("body", [b"<a", b"{}", b"\xff", b"<!DOCTYPE x><Delete/>"])
def test_a_broken_document_is_malformed_xml(body: bytes) -> None:
    with pytest.raises(SerializationError) as caught:
        decoded("s3", "rest-xml", "DeleteObjects", body)
    assert caught.value.message.startswith("The XML you provided was not well-formed")


@given(st.binary(max_size=60) | st.text("<Delete>/Obj&ctKy ", max_size=80).map(str.encode))
def test_decoding_garbage_raises_only_aws_errors(body: bytes) -> None:
    ours, op = both("s3", "rest-xml", "DeleteObjects")
    with contextlib.suppress(AwsError):
        assert isinstance(ours.decode(op, request(body), {}), dict)
