"""Freeing bytes that nothing refers to any more.

A version lets go of its `Content` in the commit that removes it. Files are not removed there: a
download may be about to open them. A job does it later, and says which file it never touches: one
that is claimed by a `Blob`, or that this process is writing, or that is younger than a day.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from itertools import islice

import msgspec

from doppio.kernel.blobs import OTHERS, BlobStore
from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job, JobHandler
from doppio.kernel.records import table_of
from doppio.services.s3.bodies import Bodies
from doppio.services.s3.glimpses import Known
from doppio.services.s3.limits import ORPHAN_AGE, PARTS_A_STEP, RECLAIM_DELAY, SWEEP_EVERY
from doppio.services.s3.records import Annotated, Annotation, Blob, Content, Part, Piece
from doppio.services.s3.stock import annotated, gone

_claims = table_of(Blob)
RECLAIM = "s3.reclaim"
DISCARD = "s3.discard"
SWEEP = "s3.sweep"
UNANNOTATE = "s3.unannotate"
_BUSY_AGAIN = timedelta(minutes=1)


async def release(tx: Tx, version: Known) -> None:
    """A version goes, and lets go of its bytes."""
    gone(tx, version)
    await let_go(tx, version)


async def let_go(tx: Tx, version: Known) -> None:
    """A version lets go of its bytes; that it goes is measured by who puts another in its place."""
    if version.more is not None and version.more.annotated is not None:
        await unannotate(tx, version.bucket, version.more.annotated)
    if version.content is not None:
        await free(tx, version.content)


def lets_go_of_more(version: Known) -> bool:
    """Whether `let_go` has anything to do: not where all of a version lies in its record."""
    return version.content is not None or version.more is not None


async def free(tx: Tx, content_id: str) -> None:
    """One version, or annotation, less refers to these bytes."""
    content = await tx.get(Content, content_id)
    assert content is not None, "a version's content lives as long as the version"
    if content.refs > 1:
        tx.put(msgspec.structs.replace(content, refs=content.refs - 1))
    elif content.pieces:
        tx.put(msgspec.structs.replace(content, refs=0))
        await tx.schedule(tx.context.now + RECLAIM_DELAY, RECLAIM, content.id)
    else:
        tx.delete(content)


async def unannotate(tx: Tx, bucket: str, found: Annotated) -> None:
    """A version lets go of its annotations; there may be a thousand, so a job removes them."""
    annotated(tx, bucket, -found.size)
    await tx.schedule(tx.context.now, UNANNOTATE, found.home)


async def discard_file(tx: Tx, blob: str) -> None:
    """Let go of a file that was claimed and that no version ever used."""
    tx.put(Content(id=blob, refs=0, pieces=[Piece(0, 0, blob)]))
    await tx.schedule(tx.context.now, RECLAIM, blob)


async def share(tx: Tx, content_id: str) -> Content:
    """One version more refers to these bytes."""
    content = await tx.get(Content, content_id)
    assert content is not None, "a version's content lives as long as the version"
    assert content.refs > 0, "what nothing refers to is not shared"
    return tx.put(msgspec.structs.replace(content, refs=content.refs + 1))


async def discard_upload(tx: Tx, upload: str, kept: str | None) -> None:
    """Forget the parts of an upload, and their files unless content `kept` has taken them."""
    await tx.schedule(tx.context.now, DISCARD, upload, kept=kept)


async def keep_sweeping(tx: Tx) -> None:
    """See to it that files without a record are looked for, once a day."""
    if await tx.get(Job, SWEEP, "") is None:
        await tx.schedule(tx.context.now + SWEEP_EVERY, SWEEP, "")


class Reclaimer:
    """The jobs. Each may run twice, and stop anywhere."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies

    def jobs(self) -> dict[str, JobHandler]:
        """The handlers by the names under which they are scheduled."""
        return {
            RECLAIM: self.reclaim,
            DISCARD: self.discard,
            SWEEP: self.sweep,
            UNANNOTATE: self.unannotate,
        }

    async def reclaim(self, ctx: Context, job: Job) -> None:
        """Remove the files of a content that nothing refers to."""
        content = await ctx.read().get(Content, job.key)
        if content is None or content.refs > 0:
            return
        if self._bodies.is_read(content.id):
            async with ctx.write() as tx:
                await tx.schedule(ctx.clock.now() + _BUSY_AGAIN, RECLAIM, job.key)
            return
        blobs = [piece.blob for piece in content.pieces if piece.blob]
        await self._remove(ctx, blobs)
        async with ctx.write() as tx:
            tx.delete(content)

    async def discard(self, ctx: Context, job: Job) -> None:
        """Forget the parts of an upload that is over."""
        kept_id = job.arguments.get("kept")
        content = await ctx.read().get(Content, kept_id) if kept_id else None
        kept = {piece.blob for piece in content.pieces} if content else set()
        while parts := await ctx.read().list(Part, (job.key,), limit=PARTS_A_STEP):
            # What the content has let go of meanwhile, its own job removes or has removed.
            unused = [part.blob for part in parts if part.blob and part.blob not in kept]
            await self._remove(ctx, unused)
            async with ctx.write() as tx:
                for part in parts:
                    tx.delete(part)

    async def unannotate(self, ctx: Context, job: Job) -> None:
        """Forget the annotations of a version that is gone."""

        async def step(tx: Tx) -> bool:
            rows = await tx.list(Annotation, (job.key,), limit=PARTS_A_STEP)
            for row in rows:
                tx.delete(row)
                if row.content is not None:
                    await free(tx, row.content)
            return len(rows) == PARTS_A_STEP

        while await ctx.transact(step):
            pass

    async def sweep(self, ctx: Context, job: Job) -> None:
        """Remove files that a crash left between writing them and the commit that claims them."""
        oldest = (ctx.clock.host_now() - ORPHAN_AGE).timestamp()
        loop = asyncio.get_running_loop()
        ids = ctx.blobs.ids()
        while step := await loop.run_in_executor(None, lambda: list(islice(ids, PARTS_A_STEP))):
            rows = await ctx.read().raw.get_many([claim_key(blob) for blob in step])
            orphans = [
                blob
                for blob, row in zip(step, rows, strict=True)
                if row is None and OTHERS not in blob and not self._bodies.is_written(blob)
            ]
            await loop.run_in_executor(None, _unlink_older, ctx.blobs, orphans, oldest)
        async with ctx.write() as tx:
            await tx.schedule(ctx.clock.now() + SWEEP_EVERY, SWEEP, "")

    async def _remove(self, ctx: Context, blobs: list[str]) -> None:
        for start in range(0, len(blobs), PARTS_A_STEP):
            step = blobs[start : start + PARTS_A_STEP]
            # Unlinking a large file takes milliseconds, so not on the loop.
            await asyncio.get_running_loop().run_in_executor(None, partial(ctx.blobs.delete, *step))
            async with ctx.write() as tx:
                for blob in step:
                    tx.delete(Blob(blob))


def claim_key(blob: str) -> bytes:
    """The key of the row that says that a file is in use."""
    return _claims.key_of((blob,))


def _unlink_older(blobs: BlobStore, ids: list[str], than: float) -> None:
    old = [blob for blob in ids if (at := blobs.written_at(blob)) is not None and at < than]
    blobs.delete(*old)
