"""Paths and queries in their one form."""

from __future__ import annotations

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from doppio.wire.canonical import canonical_query, encoded_once, encoded_twice, query_pairs


@pytest.mark.parametrize(
    ("path", "once", "twice"),
    [
        ("/", "/", "/"),
        ("/menu", "/menu", "/menu"),
        ("/a b", "/a%20b", "/a%20b"),
        ("/a%20b", "/a%20b", "/a%2520b"),
        ("/a%2Fb", "/a%2Fb", "/a%252Fb"),
        ("/a//b", "/a//b", "/a/b"),
        ("/a/./b/../c/", "/a/./b/../c/", "/a/c/"),
        ("/é", "/%C3%A9", "/%C3%A9"),
    ],
)
def test_a_path_has_one_form_in_s3_and_another_elsewhere(path: str, once: str, twice: str) -> None:
    assert encoded_once(path) == once
    assert encoded_twice(path) == twice


@pytest.mark.parametrize(
    ("query", "form"),
    [
        ("", ""),
        ("acl", "acl="),
        ("b=2&a=1", "a=1&b=2"),
        ("a=2&a=1&&", "a=1&a=2"),
        ("k=a+b", "k=a%20b"),
        ("k=a%2Bb", "k=a%2Bb"),
        ("k=%7e", "k=~"),
        ("a=1&X-Amz-Signature=x", "X-Amz-Signature=x&a=1"),
    ],
)
def test_a_query_is_sorted_and_encoded_anew(query: str, form: str) -> None:
    assert canonical_query(query, presigned=False) == form


def test_a_links_signature_is_not_part_of_what_was_signed() -> None:
    assert canonical_query("a=1&X-Amz-Signature=x", presigned=True) == "a=1"


@given(st.dictionaries(st.text("abcXYZ", min_size=1, max_size=3), st.text(max_size=4), max_size=4))
def test_the_form_is_the_one_that_botocore_signs(pairs: dict[str, str]) -> None:
    request = AWSRequest("GET", "http://localhost/", params=pairs)
    signer = SigV4Auth(Credentials("a", "b"), "sqs", "r")
    expected = signer.canonical_query_string(request)
    assert canonical_query(expected, presigned=False) == expected


def test_the_first_of_a_name_counts() -> None:
    assert query_pairs("a=1&a=2&b+c=%20&d") == {"a": "1", "b c": " ", "d": ""}
