from __future__ import annotations

import pytest

from doppio.gateway.heads import (
    NAMES_MAX,
    Refused,
    content_length,
    headers_of,
    origin_form,
    with_hoisted,
)
from doppio.wire.http import Request, Whole


def test_a_length_is_a_number_of_bytes() -> None:
    assert content_length({}) is None
    assert content_length({"content-length": "0"}) == 0
    assert content_length({"content-length": "5497558138880"}) == 5 * 1024**4


@pytest.mark.parametrize("said", ["", "-1", "+1", "1.0", "0x10", "１", "1" * 19, "1,1"])
def test_what_is_no_length_is_refused(said: str) -> None:
    with pytest.raises(Refused) as caught:
        content_length({"content-length": said})
    assert caught.value.status == 400


def test_headers_are_known_by_small_names_and_repeated_ones_are_joined() -> None:
    assert headers_of([]) == {}
    for value in (b"a", b"b"):
        lines = [(b"Host", value), (b"X-Amz-Meta-Bean", b"caf\xc3\xa9"), (b"x-odd", b"\xff")]
        assert headers_of(lines) == {
            "host": value.decode(), "x-amz-meta-bean": "café", "x-odd": "ÿ",
        }  # fmt: skip
        twice = [*lines, (b"X-ODD", value)]
        assert headers_of(twice)["x-odd"] == f"ÿ,{value.decode()}"


@pytest.mark.parametrize("name", [b"Content-Length", b"transfer-encoding", b"HOST"])
def test_what_says_where_a_request_ends_or_for_whom_it_is_comes_once(name: bytes) -> None:
    for _ in range(2):
        assert headers_of([(name, b"1")]) == {name.decode().lower(): "1"}
        with pytest.raises(Refused, match="came more than once"):
            headers_of([(name, b"1"), (b"a", b"b"), (name.swapcase(), b"1")])


def test_heads_of_all_sorts_are_read_though_not_all_are_remembered() -> None:
    for number in range(NAMES_MAX + 50):
        name = f"X-{number}"
        for _ in range(2):
            assert headers_of([(name.encode(), b"v")]) == {name.lower(): "v"}
    assert headers_of([(b"N" * 5_000, b"v")]) == {"n" * 5_000: "v"}


def test_an_absolute_target_loses_its_host() -> None:
    assert origin_form("http://host:80/path?q=a://b") == "/path?q=a://b"
    assert origin_form("http://host") == "/"
    assert origin_form("*") == "*"
    assert origin_form("path") == "/path"


def test_headers_that_stand_in_a_query_count_but_for_the_signatures() -> None:
    query = "X-Amz-Date=1&x-amz-acl=private&x-amz-meta-a=b%20c&X-Amz-Tagging=k%3Dv&prefix=x"
    request = Request("PUT", "/b/k", query, {"x-amz-acl": "public-read"}, Whole(b""))
    assert with_hoisted(request) == {
        "x-amz-acl": "public-read",
        "x-amz-meta-a": "b c",
        "x-amz-tagging": "k=v",
    }


def test_a_checksum_in_a_link_is_none_of_the_body_that_comes_later() -> None:
    query = "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32&x-amz-checksum-mode=ENABLED"
    request = Request("PUT", "/b/k", query, {}, Whole(b"beans"))
    assert with_hoisted(request) == {"x-amz-checksum-mode": "ENABLED"}
