from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.wire.errors import AwsError
from doppio.wire.http import FileRange
from doppio.wire.rest_bind import _quoted, _split_dates, _split_list

from .helpers import Chunks, both, decoded, encoded, header, request


@given(st.lists(st.text('ab," \\', min_size=1).map(str.strip).filter(bool), min_size=1))
def test_header_lists_come_back_when_quoted(items: list[str]) -> None:
    plain = [item for item in items if "\\" not in item or '"' in item or "," in item]
    if plain:
        assert _split_list(", ".join(_quoted(item) for item in plain)) == plain


def test_dates_have_a_comma_of_their_own() -> None:
    date = "Mon, 16 Dec 2019 23:48:18 GMT"
    assert _split_dates(f"{date}, {date}") == [date, date]
    assert _split_dates("2019-12-16T23:48:18Z,x") == ["2019-12-16T23:48:18Z", "x"]


def test_headers_query_and_labels_are_gathered() -> None:
    ours, op = both("s3", "rest-xml", "PutObject")
    parts = request(
        b"body",
        method="PUT",
        headers={
            "x-amz-meta-colour": "brown",
            "x-amz-meta-a-b": "1",
            "content-type": "text/plain",
            "cache-control": "",
            "expires": "Mon, 16 Dec 2019 23:48:18 GMT",
            "x-amz-server-side-encryption-bucket-key-enabled": "true",
            "x-unknown": "y",
        },
    )
    value = ours.decode(op, parts, {"Bucket": "b", "Key": "k"})
    assert value.pop("Body") is parts.body
    assert value.pop("Expires").isoformat() == "2019-12-16T23:48:18+00:00"
    assert value == {
        "Bucket": "b",
        "Key": "k",
        "Metadata": {"colour": "brown", "a-b": "1"},
        "ContentType": "text/plain",
        "BucketKeyEnabled": True,
    }


def test_headers_are_read_anew_though_their_names_are_remembered() -> None:
    ours, op = both("s3", "rest-xml", "PutObject")
    labels = {"Bucket": "b", "Key": "k"}
    for number in range(200):
        headers = {"x-amz-meta-n": str(number), "content-type": f"text/{number}"}
        value = ours.decode(op, request(b"", method="PUT", headers=headers), labels)
        assert value["Metadata"] == {"n": str(number)}
        assert value["ContentType"] == f"text/{number}"
        more = {**headers, f"x-amz-meta-{number}": "x", "x-amz-meta-long": "y" * 2_000}
        value = ours.decode(op, request(b"", method="PUT", headers=more), labels)
        assert value["Metadata"] == {"n": str(number), str(number): "x", "long": "y" * 2_000}


def test_results_with_other_members_have_other_headers() -> None:
    ours, op = both("s3", "rest-xml", "GetObject")
    plain = ours.encode(op, {"Body": b"x", "ETag": '"e"'}, "id")
    assert header(plain, "content-type") == "application/octet-stream"
    for kind in ("text/a", None, "text/b"):
        told = {"Body": b"x", "ETag": '"e"', "ContentType": kind, "Metadata": {"A": "1"}}
        answer = ours.encode(op, told, "id")
        assert header(answer, "content-type") == (kind or "application/octet-stream")
        assert header(answer, "x-amz-meta-a") == "1"
        assert [name for name, _ in answer.headers].count("content-type") == 1


def test_a_stream_is_handed_over_unread() -> None:
    ours, op = both("s3", "rest-xml", "UploadPart")
    parts = request(query="partNumber=7&uploadId=u")
    parts.body = Chunks(b"a", b"b")
    value = ours.decode(op, parts, {"Bucket": "b", "Key": "k"})
    assert value["Body"] is parts.body
    assert (value["PartNumber"], value["UploadId"]) == (7, "u")


def test_streams_go_out_as_they_are() -> None:
    for body in (b"x", FileRange(Path("/x"), 0, 1), Chunks(b"x").__aiter__()):
        response = encoded("s3", "rest-xml", "GetObject", {"Body": body, "ContentLength": 1})
        assert response.body is body
        assert header(response, "content-length") == "1"


def test_a_content_type_is_written_once() -> None:
    response = encoded("s3", "rest-xml", "GetObject", {"Body": b"x", "ContentType": "a/b"})
    assert [value for name, value in response.headers if name == "content-type"] == ["a/b"]
    plain = encoded("s3", "rest-xml", "GetObject", {"Body": b"x"})
    assert header(plain, "content-type") == "application/octet-stream"


def test_prefixed_headers_go_out_one_by_one() -> None:
    response = encoded("s3", "rest-xml", "HeadObject", {"Metadata": {"Colour": "brown"}})
    assert header(response, "x-amz-meta-colour") == "brown"


def test_a_status_may_be_part_of_the_result() -> None:
    assert encoded("lambda", "rest-json", "Invoke", {"StatusCode": 202}).status == 202
    assert encoded("s3", "rest-xml", "DeleteObject", {}).status == 204


@pytest.mark.parametrize(
    ("query", "code"), [("max-keys=abc", "InvalidArgument"), ("prefix=%ff", "InvalidURI")]
)
def test_wrong_parameters_are_named(query: str, code: str) -> None:
    with pytest.raises(AwsError) as caught:
        decoded("s3", "rest-xml", "ListObjectsV2", b"", query=query)
    assert caught.value.code == code


@given(
    st.dictionaries(
        st.sampled_from(["x-amz-meta-a", "expires", "content-length", "x-amz-acl", "if-match"]),
        st.text(max_size=20),
    ),
    st.text(max_size=40),
)
def test_any_header_raises_only_aws_errors(headers: dict[str, str], query: str) -> None:
    for operation in ("PutObject", "ListObjectsV2", "GetObject"):
        ours, op = both("s3", "rest-xml", operation)
        with contextlib.suppress(AwsError):
            ours.decode(op, request(b"", headers=headers, query=query), {"Bucket": "b"})
