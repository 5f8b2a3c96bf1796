from __future__ import annotations

import base64
import hashlib

import pytest

from doppio.gateway import digests
from doppio.wire import checksums
from doppio.wire.http import Request, Whole

BODY = b"<Delete/>"


def check(**headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    digests.check(Request("POST", "/b", "delete", named, Whole(BODY)))


def test_right_digests_pass() -> None:
    check(content_md5=base64.b64encode(hashlib.md5(BODY).digest()).decode())
    for name in digests.ALGORITHMS:
        check(**{f"x-amz-checksum-{name.lower()}": checksums.whole(name, BODY)})


def test_another_bodys_digest_does_not() -> None:
    other = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    with pytest.raises(digests.BadDigest) as caught:
        check(content_md5=other)
    assert caught.value.fields["ExpectedDigest"] == other
    with pytest.raises(digests.BadDigest, match="The CRC32 you specified did not match"):
        check(x_amz_checksum_crc32=checksums.whole("CRC32", b"other"))


@pytest.mark.parametrize("said", ["", "short", "!!!!", base64.b64encode(b"x" * 15).decode()])
def test_what_is_no_md5_is_invalid(said: str) -> None:
    with pytest.raises(digests.InvalidDigest):
        check(content_md5=said)
