"""Where a cloud's blobs are, and that they stay there.

A cloud that is started over another place would answer 500 for every large object, and two clouds
in one place would sweep away each other's blobs. So a cloud whose blobs are elsewhere remembers
that, under an id which the place bears, too; what does not fit is refused at the start.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from doppio.kernel.blobs import Blobs, BlobsMissing, BlobStore
from doppio.kernel.context import Context, Tx
from doppio.kernel.records import record


@record("kernel.blob_place", key=("name",))
class BlobPlace(msgspec.Struct, frozen=True, kw_only=True):
    """The id by which a cloud and the place of its blobs know each other."""

    name: str = "blobs"
    cloud: str


def open_blobs(url: str | None, folder: Path) -> BlobStore:
    """The blobs at a URL; without one, those in the cloud's own folder."""
    if url is None:
        return Blobs(folder)
    parts = urlsplit(url)
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/"):
            raise BlobsMissing(f"--blobs {url}: write file:///, and a whole path")
        return Blobs(Path(unquote(parts.path)))
    from doppio.kernel.object_blobs import ObjectBlobs, open_object_store

    return ObjectBlobs(open_object_store(url))


async def settle(ctx: Context, blobs: BlobStore, url: str | None, folder: Path) -> None:
    """Refuse a place that is not where this cloud's blobs are; take one that is new."""
    known = await ctx.read().get(BlobPlace, "blobs")
    if url is None:
        if known is not None:
            raise BlobsMissing(
                "this cloud's bodies are elsewhere: start it with --blobs, as before"
            )
        return
    loop = asyncio.get_running_loop()
    owner = await loop.run_in_executor(None, blobs.owner)
    if known is None:
        if await loop.run_in_executor(None, _holds, folder):
            raise BlobsMissing(f"{folder} holds bodies already: --blobs is for a cloud without any")
        if owner is not None:
            raise BlobsMissing(
                "the place of --blobs is another cloud's: name one that nobody else has"
            )
        known = await ctx.transact(_remember)
    if owner is None:
        await loop.run_in_executor(None, blobs.own, known.cloud)
        owner = await loop.run_in_executor(None, blobs.owner)
    if owner != known.cloud:
        raise BlobsMissing("the place of --blobs is not where this cloud's bodies are")


def _holds(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


async def _remember(tx: Tx) -> BlobPlace:
    known = await tx.get(BlobPlace, "blobs")
    if known is None:
        known = BlobPlace(cloud=tx.context.new_id("hex32"))
        tx.put(known)
    return known
