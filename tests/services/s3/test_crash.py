"""A crash at any commit: what was acknowledged is there, and every version has its bytes."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from doppio.kernel.memory_store import MemoryStore
from doppio.kernel.records import table_of
from doppio.kernel.store import StoreClosed
from doppio.services.s3.records import Annotation, Content, Current, Older, Upload
from doppio.wire.errors import AwsError

from .test_annotations import annotate, text_of
from .test_multipart import FIVE
from .world import World

SIZES = (100, 5000, 80_000)


async def work(world: World, told: dict[str, bytes | None]) -> None:
    """Everything that moves bytes. `told` is what was acknowledged; None: under way."""
    await world.bucket()
    await world.bucket("versioned", "Enabled")
    for turn in range(2):
        for size in SIZES:
            for bucket in ("bucket", "versioned"):
                await change(world, told, f"{bucket}/k{size}", bytes([65 + turn]) * size)
    for bucket in ("bucket", "versioned"):
        for size in SIZES:
            told[f"{bucket}/c{size}"] = None
            source = f"bucket/k{size}"
            await world.s3("copy_object", Bucket=bucket, Key=f"c{size}", CopySource=source)
            told[f"{bucket}/c{size}"] = told[source]
    await change(world, told, "bucket/n", b"noted")
    for size in SIZES:
        told[f"bucket/n#a{size}"] = None
        await annotate(world, f"a{size}", b"t" * size, "n")
        told[f"bucket/n#a{size}"] = b"t" * size
    source = {"CopySource": "bucket/n"}
    await world.s3("copy_object", Bucket="bucket", Key="noted", **source)
    await world.s3(
        "copy_object", Bucket="bucket", Key="sealed", ServerSideEncryption="AES256", **source
    )
    for size in SIZES:
        told[f"bucket/sealed#a{size}"] = b"t" * size
    await world.s3("delete_object", Bucket="bucket", Key="noted")
    await world.settle()
    body = await upload(world)
    told["bucket/mp"] = None
    await world.settle()
    told["bucket/mp"] = body
    for size in SIZES:
        told.pop(f"bucket/k{size}")
        await world.s3("delete_object", Bucket="bucket", Key=f"k{size}")


async def change(world: World, told: dict[str, bytes | None], name: str, body: bytes) -> None:
    bucket, key = name.split("/")
    told[name] = None
    await world.put(key, body, bucket=bucket)
    told[name] = body


async def upload(world: World) -> bytes:
    bodies = [b"m" * FIVE, b"n" * 10]
    begun: Any = {"Bucket": "bucket", "Key": "mp"}
    upload_id = (await world.s3("create_multipart_upload", **begun))["UploadId"]
    parts = []
    for number, body in enumerate(bodies, 1):
        etag = (
            await world.s3("upload_part", **begun, UploadId=upload_id, PartNumber=number, Body=body)
        )["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    await world.s3(
        "complete_multipart_upload", **begun, UploadId=upload_id, MultipartUpload={"Parts": parts}
    )
    return b"".join(bodies)


async def check(world: World, told: dict[str, bytes | None]) -> None:
    """The invariant: nothing acknowledged is lost, and nothing refers to bytes that are gone."""
    for name, body in told.items():
        if body is not None:
            bucket, key = name.split("/")
            key, _, text = key.partition("#")
            found = text_of(world, text, key) if text else world.get(key, bucket)
            assert await found == body, name
    reader = world.context_for("", "").read()
    refs: dict[str, int] = {}
    for kind in (Current, Older):
        table = table_of(kind)
        for _, row in await reader.raw.scan(table.prefix, table.prefix + b"\xff", limit=1000):
            version = table.decode(row)
            if version.content is not None:
                refs[version.content] = refs.get(version.content, 0) + 1
    for text in await reader.list(Annotation, limit=1000):
        if text.content is not None:
            refs[text.content] = refs.get(text.content, 0) + 1
    for content in await reader.list(Content, limit=1000):
        assert content.refs == refs.pop(content.id, 0)
        if content.refs:
            for piece in content.pieces:
                # What is sealed is longer by its tags.
                assert 0 <= world.blobs.path(piece.blob).stat().st_size - piece.size <= 1024
    assert refs == {}, "a version refers to a content that is gone"
    for left in await reader.list(Upload, limit=100):
        await world.s3("abort_multipart_upload", Bucket=left.bucket, Key=left.key, UploadId=left.id)


def crash_at(group: int) -> bool:
    """Crash at one group of commits, come back, check. False once the work ends before that."""

    async def story() -> bool:
        with tempfile.TemporaryDirectory() as folder:
            told: dict[str, bytes | None] = {}
            store = MemoryStore(reaches_disk=lambda number: number != group)
            world = World(Path(folder), store)
            await world.start()
            crashed = False
            try:
                await work(world, told)
            except (AwsError, StoreClosed):
                crashed = True
            await world.jobs.close()
            again = World(Path(folder), MemoryStore(store.disk))
            await again.start()
            await check(again, told)
            await again.settle()
            await again.close()
            return crashed

    return asyncio.run(story())


def test_a_crash_at_any_commit_loses_nothing_that_was_acknowledged() -> None:
    groups = 1
    while crash_at(groups):
        groups += 1
    assert groups > 30
