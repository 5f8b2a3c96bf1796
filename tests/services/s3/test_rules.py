"""S3's pure decisions."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doppio.services.s3 import acl_rules, attributes, encryption, rules
from doppio.services.s3.records import Current
from doppio.services.s3.seconds import second_of


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("abc", True),
        ("a-b.c-1", True),
        ("a" * 63, True),
        ("1.2.3", True),
        ("ab", False),
        ("a" * 64, False),
        ("Abc", False),
        ("a_b", False),
        (".abc", False),
        ("abc-", False),
        ("a..b", False),
        ("192.168.5.4", False),
        ("xn--abc", False),
        ("sthree-abc", False),
        ("abc-s3alias", False),
        ("abc--ol-s3", False),
        ("abc--x-s3", False),
    ],
)
def test_bucket_names_follow_the_rules(name: str, allowed: bool) -> None:
    assert rules.name_is_allowed(name) is allowed


@given(
    st.text(max_size=30) | st.from_regex(r"bytes=\d{0,4}-\d{0,4}", fullmatch=True),
    st.integers(0, 5000),
)
def test_a_span_lies_within_what_there_is(text: str, size: int) -> None:
    found = rules.span(text, size)
    if not isinstance(found, str):
        offset, length = found
        assert length > 0
        assert offset >= 0
        assert offset + length <= size


@given(st.integers(1, 1000), st.data())
def test_a_span_is_the_slice_that_it_names(size: int, data: st.DataObject) -> None:
    body = bytes(index % 251 for index in range(size))
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first, size + 10))
    for text, part in [
        (f"bytes={first}-{last}", body[first : last + 1]),
        (f"bytes={first}-", body[first:]),
        (f"bytes=-{last + 1}", body[-(last + 1) :]),
    ]:
        found = rules.span(text, size)
        assert not isinstance(found, str)
        offset, length = found
        assert body[offset : offset + length] == part


def test_spans_of_nothing_cannot_be_satisfied() -> None:
    assert rules.span("bytes=0-0", 0) == "unsatisfiable"
    assert rules.span("bytes=-0", 10) == "unsatisfiable"
    assert rules.span("bytes=-5", 0) == "unsatisfiable"
    assert rules.span("bytes=5-4", 10) == "ignored"
    assert rules.span("lines=0-1", 10) == "ignored"
    assert rules.span("bytes=-", 10) == "ignored"


def test_conditions_are_weighed_in_the_order_that_s3_gives() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    version = Current(bucket="b", key="k", sequence=1, id="null", modified=at, etag="e")
    early, late = at - timedelta(seconds=1), at + timedelta(seconds=1)
    assert rules.failed_condition({}, version) is None
    both = {"IfMatch": '"e"', "IfUnmodifiedSince": early}
    assert rules.failed_condition(both, version) is None
    both = {"IfNoneMatch": '"e"', "IfModifiedSince": early}
    assert rules.failed_condition(both, version) == "If-None-Match"
    both = {"IfNoneMatch": '"x"', "IfModifiedSince": late}
    assert rules.failed_condition(both, version) is None
    assert rules.failed_condition({"IfUnmodifiedSince": early}, version) == "If-Unmodified-Since"
    assert rules.failed_condition({"IfModifiedSince": at}, version) == "If-Modified-Since"
    assert rules.failed_condition({"CopySourceIfMatch": "x"}, version, "CopySource") == "If-Match"
    assert rules.etag_matches('W/"e"', "e")
    assert not rules.etag_matches('"f"', "e")


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("bucket/key", ("bucket", "key", None)),
        ("/bucket/a%2Fb%20c", ("bucket", "a/b c", None)),
        ("bucket//key", ("bucket", "/key", None)),
        ("bucket/a+b", ("bucket", "a b", None)),
        ("bucket/a%2Bb", ("bucket", "a+b", None)),
        ("bucket/key?versionId=abc", ("bucket", "key", "abc")),
        ("bucket/what%3FversionId=x", ("bucket", "what?versionId=x", None)),
        ("bucket", None),
        ("bucket/", None),
        ("/key", None),
    ],
)
def test_copy_sources_name_bucket_key_and_version(
    text: str, source: tuple[str, str, str | None] | None
) -> None:
    assert rules.copy_source(text) == source


def test_the_etag_of_parts_is_made_of_their_digests() -> None:
    digests = [hashlib.md5(body) for body in (b"a", b"b")]
    whole = hashlib.md5(b"".join(digest.digest() for digest in digests)).hexdigest()
    assert rules.parts_etag(digest.hexdigest() for digest in digests) == f"{whole}-2"


def test_tags_of_a_header_are_a_query_string() -> None:
    assert rules.header_tags("") == {}
    assert rules.header_tags("a=1&b=&c%20d=e+f") == {"a": "1", "b": "", "c d": "e f"}
    assert rules.header_tags("a=1&a=2") is None
    assert rules.header_tags("nonsense&&") is None


def test_a_plain_put_says_nothing_that_is_looked_for_elsewhere() -> None:
    looked_for = {
        *encryption._ASKED, *acl_rules.NAMED, *attributes._RARE, *rules.SYSTEM_HEADERS,
        "Metadata", "Expires", "IfMatch", "IfNoneMatch",
    }  # fmt: skip
    assert attributes._PLAINLY.isdisjoint(looked_for)
    bare = {"Bucket": "b", "Key": "k", "Body": b"", "ChecksumCRC32": "AAAAAA=="}
    assert attributes.new_attributes(bare) is attributes.PLAIN
    for member in looked_for & {"ACL", "Metadata", "IfMatch", "ContentType", "SSEKMSKeyId"}:
        assert attributes.new_attributes({**bare, member: {}}) is not attributes.PLAIN


def test_an_instant_lies_in_its_own_second() -> None:
    first = datetime(2030, 1, 1, 0, 0, 5, 999_999, tzinfo=UTC)
    for now in (first, first + timedelta(microseconds=1), first, first - timedelta(days=9)):
        second = second_of(now)
        assert second.start == now.replace(microsecond=0)
        assert second.end - second.start == timedelta(seconds=1)
        assert second.microseconds == int(second.start.timestamp()) * 1_000_000
        assert second_of(now).start is second.start
