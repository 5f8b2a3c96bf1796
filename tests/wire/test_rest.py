from __future__ import annotations

import contextlib
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.wire import model
from doppio.wire.rest import InvalidUri, parse_query, router

S3 = router(model.load("s3"))


def found(
    method: str, target: str, headers: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, dict[str, str]] | None:
    path, _, query = target.partition("?")
    match = S3.match(method, path, parse_query(query), headers)
    return None if match is None else (match[0].name, match[1])


@pytest.mark.parametrize(
    ("method", "target", "operation"),
    [
        ("GET", "/", "ListBuckets"),
        ("GET", "/b", "ListObjects"),
        ("GET", "/b/", "ListObjects"),
        ("GET", "/b?list-type=2&prefix=a", "ListObjectsV2"),
        ("GET", "/b?list-type=1", "ListObjects"),
        ("GET", "/b?versions", "ListObjectVersions"),
        ("GET", "/b?uploads", "ListMultipartUploads"),
        ("GET", "/b?location", "GetBucketLocation"),
        ("GET", "/b?lifecycle", "GetBucketLifecycleConfiguration"),
        ("GET", "/b?analytics", "ListBucketAnalyticsConfigurations"),
        ("GET", "/b?analytics&id=x", "GetBucketAnalyticsConfiguration"),
        ("PUT", "/b", "CreateBucket"),
        ("PUT", "/b?versioning", "PutBucketVersioning"),
        ("PUT", "/b/k", "PutObject"),
        ("PUT", "/b/k?x-id=PutObject", "PutObject"),
        ("PUT", "/b/k?partNumber=1&uploadId=u", "UploadPart"),
        ("PUT", "/b/k?tagging", "PutObjectTagging"),
        ("POST", "/b/k?uploads", "CreateMultipartUpload"),
        ("POST", "/b/k?uploadId=u", "CompleteMultipartUpload"),
        ("DELETE", "/b/k?uploadId=u", "AbortMultipartUpload"),
        ("DELETE", "/b/k?versionId=v", "DeleteObject"),
        ("POST", "/b?delete", "DeleteObjects"),
        ("GET", "/b/k", "GetObject"),
        ("GET", "/b/k?partNumber=1", "GetObject"),
        ("GET", "/b/k?uploadId=u", "ListParts"),
        ("GET", "/b/k?attributes", "GetObjectAttributes"),
        ("HEAD", "/b", "HeadBucket"),
        ("HEAD", "/b/k", "HeadObject"),
        ("POST", "/b/k?select&select-type=2", "SelectObjectContent"),
    ],
)
def test_s3_is_told_apart_by_its_query(method: str, target: str, operation: str) -> None:
    match = found(method, target)
    assert match is not None
    assert match[0] == operation


def test_copies_are_told_apart_by_a_header() -> None:
    source = {"x-amz-copy-source": "/b/other"}
    assert found("PUT", "/b/k", source) == ("CopyObject", {"Bucket": "b", "Key": "k"})
    match = found("PUT", "/b/k?partNumber=1&uploadId=u", source)
    assert match is not None
    assert match[0] == "UploadPartCopy"


def test_an_old_name_is_answered_by_the_operation_that_has_its_binding() -> None:
    answering = {
        name: S3.answering(operation).name
        for name, operation in model.load("s3").operations.items()
    }
    assert {name: other for name, other in answering.items() if name != other} == {
        "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
        "GetBucketNotification": "GetBucketNotificationConfiguration",
        "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
        "PutBucketNotification": "PutBucketNotificationConfiguration",
    }


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/b/a/b/c", "a/b/c"),
        ("/b//a", "/a"),
        ("/b//", "/"),
        ("/b/a//b", "a//b"),
        ("/b/a/", "a/"),
        ("/b/../x/./y", "../x/./y"),
        ("/b/a%2Fb", "a/b"),
        ("/b/%20+%2B", " ++"),
        ("/b/%E2%98%95", "☕"),
        ("/b/%2E%2E", ".."),
    ],
)
def test_keys_survive_as_they_were_meant(path: str, key: str) -> None:
    assert found("GET", path) == ("GetObject", {"Bucket": "b", "Key": key})


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_key_comes_back(key: str) -> None:
    assert found("GET", "/b/" + quote(key, safe="/")) == ("GetObject", {"Bucket": "b", "Key": key})


def test_what_is_not_utf8_is_an_invalid_uri() -> None:
    with pytest.raises(InvalidUri):
        found("GET", "/b/%ff")
    with pytest.raises(InvalidUri):
        parse_query("a=%ff")


@pytest.mark.parametrize(
    ("method", "target"), [("PATCH", "/b"), ("POST", "/b/k"), ("POST", "/b"), ("PUT", "/")]
)
def test_what_no_operation_has_is_none(method: str, target: str) -> None:
    assert found(method, target) is None


def test_a_missing_parameter_is_left_to_the_validator() -> None:
    service = model.load("apigateway")
    match = router(service).match("GET", "/apikeys", {}, {})
    assert match is not None
    assert match[0].name == "GetApiKeys"


def test_a_trailing_slash_means_nothing_outside_s3() -> None:
    routes = router(model.load("lambda"))
    for path in ("/2015-03-31/functions", "/2015-03-31/functions/"):
        match = routes.match("GET", path, {}, {})
        assert match is not None
        assert match[0].name == "ListFunctions"


def test_literal_segments_win_over_labels() -> None:
    match = router(model.load("s3")).match("POST", "/WriteGetObjectResponse", {}, {})
    assert match is not None
    assert match[0].name == "WriteGetObjectResponse"


def test_a_query_keeps_order_repetition_and_empty_values() -> None:
    assert parse_query("b=2&a=1&a=%20&c&&d=x+y") == {
        "b": ["2"],
        "a": ["1", " "],
        "c": [""],
        "d": ["x y"],
    }


@given(st.text(max_size=80), st.text(max_size=80), st.sampled_from(["GET", "PUT", "POST", "X"]))
def test_garbage_routes_nowhere_or_somewhere_but_never_breaks(
    path: str, query: str, method: str
) -> None:
    with contextlib.suppress(InvalidUri):
        S3.match(method, "/" + path, parse_query(query), {})
