from __future__ import annotations

import pytest

from doppio.gateway.heads import Refused, content_length, origin_form, with_hoisted
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
