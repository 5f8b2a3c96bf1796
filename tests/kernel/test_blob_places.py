"""A cloud finds its blobs where they were, or does not start."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from doppio.app import Cloud, Settings
from doppio.kernel.blob_places import open_blobs
from doppio.kernel.blobs import Blobs, BlobsMissing
from doppio.kernel.object_blobs import open_object_store
from doppio.wire.http import Whole


def told(data: Path, blobs_url: str | None, *, put: bool = False) -> None:
    """Start a cloud and stop it again."""

    async def run() -> None:
        cloud = Cloud(Settings(data=data, blobs_url=blobs_url))
        try:
            await cloud.start()
            if put:
                ctx = cloud.root_context()
                await ctx.call("s3", "create_bucket", {"Bucket": "bucket"})
                body = {"Bucket": "bucket", "Key": "key", "Body": Whole(b"x" * 100_000)}
                await ctx.derive(ctx.caller).call("s3", "put_object", body)
        finally:
            await cloud.close()

    asyncio.run(run())


def test_a_cloud_goes_on_where_its_blobs_are(tmp_path: Path) -> None:
    place = f"file://{tmp_path}/other%20disk"
    told(tmp_path / "data", place, put=True)
    told(tmp_path / "data", place)
    blobs = Blobs(tmp_path / "other disk")
    assert len(list(blobs.ids())) == 1
    assert not (tmp_path / "data" / "blobs").exists()


def test_a_cloud_whose_blobs_are_elsewhere_does_not_start_without_them(tmp_path: Path) -> None:
    told(tmp_path / "data", f"file://{tmp_path}/first")
    with pytest.raises(BlobsMissing, match="start it with --blobs, as before"):
        told(tmp_path / "data", None)
    told(tmp_path / "other", f"file://{tmp_path}/second")
    with pytest.raises(BlobsMissing, match="is not where this cloud's bodies are"):
        told(tmp_path / "data", f"file://{tmp_path}/second")


def test_no_two_clouds_share_a_place(tmp_path: Path) -> None:
    told(tmp_path / "one", f"file://{tmp_path}/place")
    with pytest.raises(BlobsMissing, match="another cloud's"):
        told(tmp_path / "two", f"file://{tmp_path}/place")


def test_a_cloud_that_has_blobs_at_home_is_not_moved(tmp_path: Path) -> None:
    told(tmp_path / "data", None, put=True)
    with pytest.raises(BlobsMissing, match="holds bodies already"):
        told(tmp_path / "data", f"file://{tmp_path}/place")


@pytest.mark.parametrize("url", ["file://host/folder", "file:relative", "nothing://x", "s3://"])
def test_a_place_that_is_none_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(BlobsMissing):
        open_blobs(url, tmp_path)


def test_parameters_are_the_settings_of_the_store() -> None:
    store = open_object_store("s3://bucket/a/prefix?endpoint=http://127.0.0.1:1&region=eu-west-1")
    assert store.prefix == "a/prefix"
    assert store.config["endpoint"] == "http://127.0.0.1:1"
    with pytest.raises(BlobsMissing, match="--blobs s3://bucket"):
        open_object_store("s3://bucket?no_such_setting=1")
