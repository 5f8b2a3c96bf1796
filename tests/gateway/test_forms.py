"""Forms as they come in: cut anywhere, with their fields before the file, and bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from doppio.gateway.forms import FIELDS_BYTES_MAX, _Parts, target_of
from doppio.wire.errors import AwsError
from doppio.wire.http import Request, Whole

FORM = (
    b'--xy\r\nContent-Disposition: form-data; name="Key"\r\n\r\na/${filename}\r\n'
    b'--xy\r\nContent-Disposition: form-data; name="file"; filename="C:\\d\\f.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\nfile\r\n--x\r\n\r\n--xy--\r\n"
)


class Cut:
    """A body that comes in pieces of one size."""

    length: int | None = None
    whole: bytes | None = None

    def __init__(self, content: bytes, size: int) -> None:
        self._content, self._size = content, size

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._content), self._size):
            yield self._content[start : start + self._size]


def read(content: bytes, size: int = 1_000_000) -> tuple[dict[str, str], str | None, bytes]:
    """The fields of a form, and its file's name and content."""

    async def story() -> tuple[dict[str, str], str | None, bytes]:
        parts = _Parts(Cut(content, size), b"xy")
        fields, name = await parts.fields()
        if name is None:
            return fields, None, b""
        return fields, name, b"".join([chunk async for chunk in await parts.file()])

    return asyncio.run(story())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1_000])
def test_a_form_is_the_same_wherever_it_is_cut(size: int) -> None:
    assert read(FORM, size) == ({"key": "a/${filename}"}, "f.txt", b"file\r\n--x\r\n")


def test_a_large_file_comes_as_a_stream() -> None:
    content = bytes(range(256)) * 1_000
    form = FORM.replace(b"file\r\n--x\r\n", content)
    assert read(form, 10_007)[2] == content


@pytest.mark.parametrize(
    ("form", "code"),
    [
        (FORM[:-10], "MalformedPOSTRequest"),
        (b"", "MalformedPOSTRequest"),
        (FORM.replace(b'name="Key"', b""), "MalformedPOSTRequest"),
        (FORM.replace(b"a/", b"a" * FIELDS_BYTES_MAX), "MaxPostPreDataLengthExceededError"),
    ],
)
def test_what_is_no_form_is_refused(form: bytes, code: str) -> None:
    with pytest.raises(AwsError) as refused:
        read(form)
    assert refused.value.code == code


def test_a_form_without_a_file_has_none() -> None:
    form = FORM[: FORM.index(b"--xy", 4)] + b"--xy--\r\n"
    assert read(form) == ({"key": "a/${filename}"}, None, b"")


def test_only_what_is_posted_to_a_bucket_is_a_form() -> None:
    def bucket(path: str, host: str = "localhost:1", kind: str = "multipart/form-data") -> str:
        headers = {"host": host, "content-type": f"{kind}; boundary=xy"}
        target = target_of(Request("POST", path, "", headers, Whole(b"")))
        return "" if target is None else target.uri["Bucket"]

    assert bucket("/b") == bucket("/b/") == "b"
    assert bucket("/", "b.s3.amazonaws.com") == "b"
    assert bucket("/k", "b.s3.amazonaws.com") == bucket("/") == bucket("/b/k") == ""
    assert bucket("/b", kind="text/plain") == ""
