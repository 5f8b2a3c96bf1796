"""Blobs in an object store: what is of their own. The rest is in `test_blobs`."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable
from typing import Any

import pytest

from doppio.kernel.blobs import BlobsMissing
from doppio.kernel.object_blobs import ObjectBlobs, open_object_store
from doppio.kernel.store import StoreClosed


def test_a_store_that_nobody_answers_for_is_unavailable() -> None:
    url = (
        "s3://bucket?endpoint=http://127.0.0.1:9&region=us-east-1&access_key_id=a"
        "&secret_access_key=b"
    )
    from obstore.store import S3Store

    blobs = ObjectBlobs(
        S3Store(
            "bucket", endpoint="http://127.0.0.1:9", region="us-east-1", access_key_id="a",
            secret_access_key="b", client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )
    )  # fmt: skip
    assert open_object_store(url).config["endpoint"] == "http://127.0.0.1:9"

    def write() -> None:
        writer = blobs.writer("body0")
        writer.write(b"x")
        writer.sync()

    for ask in (write, lambda: blobs.read("body0", 0, 1), lambda: list(blobs.ids())):
        with pytest.raises(StoreClosed, match="the object store of --blobs"):
            ask()


def test_pieces_are_stored_while_more_comes() -> None:
    blobs = ObjectBlobs(open_object_store("memory:///"), piece_bytes=10)
    writer = blobs.writer("body0")
    writer.write(b"0123456789abc")
    assert blobs.read("body0", 0, 99) == b"0123456789"
    writer.write(b"def")
    asyncio.run(writer.finish())
    assert blobs.read("body0", 10, 99) == b"abcdef"
    assert writer.length == 16


def test_without_obstore_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., Any] = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("obstore"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BlobsMissing, match=r"doppio-cloud\[blobs\]"):
        open_object_store("s3://bucket")
